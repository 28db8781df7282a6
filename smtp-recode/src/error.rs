use std::fmt;

/// Why a text cannot be recoded, and where.
///
/// It never repeats the text, so it can be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecodeError {
    offset: usize,
    reason: RecodeErrorKind,
}

/// What keeps a text from being recoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecodeErrorKind {
    /// It is signed, in whole or in part: a field such as `DKIM-Signature`, `multipart/signed` or
    /// `application/pkcs7-mime`, with whatever comments and white space. The signature would no
    /// longer match.
    Signed,
    /// It is encrypted: `multipart/encrypted`.
    Encrypted,
    /// A header field has bytes above 127 in a charset that is not known, or in a place that has no
    /// 7-bit form, such as an address; or the header section has what none may have: NULs, bare line
    /// ends, lines that are too long.
    Header,
    /// A part is encoded already, or in a way not known here, and is not seven-bit text all the same.
    Encoded,
    /// A part of a type that may not be encoded, such as `message/partial` (RFC 2046, section 5.2), or a multipart without
    /// parts.
    Type,
    /// There is something between the parts, or before or after them.
    OutsideParts,
    /// It is not MIME that all readers understand in the same way: a `Content-Type` that breaks the
    /// grammar, or two of them; a line that may be a boundary line or not; a line in the header
    /// section that is no field.
    Malformed,
    /// Parts are within parts more than a hundred times over.
    TooDeep,
}

impl RecodeError {
    pub(crate) const fn new(offset: usize, reason: RecodeErrorKind) -> Self {
        Self { offset, reason }
    }

    /// Where in the text the reason is, in bytes from its beginning; where a part begins, if it is the part.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> RecodeErrorKind {
        self.reason
    }
}

impl fmt::Display for RecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.reason, self.offset)
    }
}

/// What `main` prints of an error that it returns.
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
            Self::Header => "header field that has no seven-bit form",
            Self::Encoded => "part that is encoded and yet not seven-bit text",
            Self::Type => "part of a type that may not be encoded",
            Self::OutsideParts => "bytes outside of parts that are not seven-bit text",
            Self::Malformed => "malformed mime",
            Self::TooDeep => "parts within parts too many times over",
        })
    }
}
