use std::fmt;

/// Why a text cannot be recoded, and where.
///
/// It never repeats the text, so it can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecodeError {
    offset: usize,
    reason: RecodeFault,
}

/// What keeps a text from being recoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecodeFault {
    /// It is signed, in whole or in part: a field such as `DKIM-Signature`, `multipart/signed` or `application/pkcs7-mime`.
    /// The signature would no longer match.
    Signed,
    /// It is encrypted: `multipart/encrypted`.
    Encrypted,
    /// A header has octets above 127, which only SMTPUTF8 can carry, or what no header may have.
    Header,
    /// A part is encoded already, or in a way not known here, and is not seven-bit text all the same.
    Encoded,
    /// A part of a type that may not be encoded, such as `message/partial` (RFC 2046, section 5.2), or a multipart without
    /// parts.
    Type,
    /// There is something between the parts, or before or behind them.
    OutsideParts,
    /// It is not MIME that can be read.
    Malformed,
    /// Parts are within parts more than a hundred times over.
    TooDeep,
}

impl RecodeError {
    pub(crate) const fn new(offset: usize, reason: RecodeFault) -> Self {
        Self { offset, reason }
    }

    /// Where in the text the reason is, in octets from its beginning; where a part begins, if it is the part.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn reason(&self) -> RecodeFault {
        self.reason
    }
}

impl fmt::Display for RecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.reason, self.offset)
    }
}

impl std::error::Error for RecodeError {}

impl fmt::Display for RecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signed => "signature that would no longer match",
            Self::Encrypted => "encrypted part",
            Self::Header => "header that is not seven-bit text",
            Self::Encoded => "part that is encoded and yet not seven-bit text",
            Self::Type => "part of a type that may not be encoded",
            Self::OutsideParts => "octets outside of parts that are not seven-bit text",
            Self::Malformed => "malformed mime",
            Self::TooDeep => "parts within parts too many times over",
        })
    }
}
