use std::fmt;

/// Why a message cannot be recoded, and where.
///
/// Its text repeats nothing of the message, so it can be logged.
///
/// ```
/// use smtp_recode::{RecodeErrorKind, seven_bit};
///
/// let signed = "DKIM-Signature: v=1; d=example.org\r\n\r\nGr\u{fc}\u{df}e\r\n";
/// let error = seven_bit(&signed.into()).unwrap_err();
/// match error.kind() {
///     RecodeErrorKind::Signed | RecodeErrorKind::Encrypted => println!("keep it: {error}"),
///     RecodeErrorKind::Malformed => println!("have it fixed: {error}"),
///     _ => println!("{error}"),
/// }
/// assert_eq!(error.to_string(), "signature that would no longer match at offset 0");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecodeError {
    offset: usize,
    kind: RecodeErrorKind,
}

/// What prevents a message from being recoded.
///
/// ```
/// use smtp_recode::{RecodeErrorKind, seven_bit};
///
/// let twice = "Content-Transfer-Encoding: base64\r\n\r\nGr\u{fc}\u{df}e\r\n";
/// let error = seven_bit(&twice.into()).unwrap_err();
/// assert_eq!(error.kind(), RecodeErrorKind::Encoded);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecodeErrorKind {
    /// The message or the part is signed: it has a field such as `DKIM-Signature`, or is
    /// `multipart/signed` or `application/pkcs7-mime`. The signature would no longer match.
    Signed,
    /// The part is encrypted: `multipart/encrypted`.
    Encrypted,
    /// A header field has 8-bit bytes in an unknown charset, or in a place that has no 7-bit form,
    /// such as an address. Or the header section contains a NUL, a bare CR or LF, or a line that is
    /// too long.
    Header,
    /// A part is encoded already, or in an unknown way, but is not 7-bit data.
    Encoded,
    /// A part is of a type that must not be encoded, such as `message/partial` (RFC 2046, section
    /// 5.2.2), or a multipart without parts.
    Type,
    /// There is 8-bit data between the parts of a multipart, or before or after them.
    OutsideParts,
    /// Readers may understand the MIME structure differently: a `Content-Type` has invalid syntax
    /// or occurs twice, a line may or may not be a boundary line, or a line of the header section
    /// is not a field.
    Malformed,
    /// Parts are nested more than 100 levels deep.
    TooDeep,
}

impl RecodeError {
    pub(crate) const fn new(offset: usize, kind: RecodeErrorKind) -> Self {
        Self { offset, kind }
    }

    /// The position of the error in the message, in bytes from its beginning. If it is a whole
    /// part, the beginning of the part.
    ///
    /// ```
    /// let message = "Subject: greetings\r\nMessage-ID: <\u{fc}@example.org>\r\n\r\n";
    /// let error = smtp_recode::seven_bit(&message.into()).unwrap_err();
    /// assert_eq!(&message[error.offset()..][..2], "\u{fc}");
    /// ```
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> RecodeErrorKind {
        self.kind
    }
}

impl fmt::Display for RecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.kind, self.offset)
    }
}

/// The text of `Display`: `main` prints an error that it returns by `Debug`.
impl fmt::Debug for RecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RecodeError {}

impl fmt::Display for RecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signed => "signature that would no longer match",
            Self::Encrypted => "encrypted part",
            Self::Header => "header field without a 7-bit form",
            Self::Encoded => "encoded part that is not 7-bit data",
            Self::Type => "part of a type that must not be encoded",
            Self::OutsideParts => "8-bit data outside of parts",
            Self::Malformed => "malformed MIME",
            Self::TooDeep => "parts nested too deeply",
        })
    }
}
