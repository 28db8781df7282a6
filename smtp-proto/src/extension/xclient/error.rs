use core::fmt;

/// Why a string is not valid as an attribute of XCLIENT or XFORWARD.
///
/// It never repeats the string, so it can be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributeError {
    attribute: &'static str,
    reason: AttributeErrorKind,
}

impl AttributeError {
    pub(super) const fn new(attribute: &'static str, reason: AttributeErrorKind) -> Self {
        Self { attribute, reason }
    }

    /// The attribute, such as `HELO`.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        self.attribute
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> AttributeErrorKind {
        self.reason
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = self.attribute();
        match self.reason {
            AttributeErrorKind::Empty => write!(f, "{attribute}: no value"),
            AttributeErrorKind::Character => {
                write!(f, "{attribute}: character that is not allowed")
            }
            AttributeErrorKind::TooLong => write!(f, "{attribute}: too long"),
            AttributeErrorKind::Reserved => {
                let name = attribute.to_ascii_lowercase();
                write!(
                    f,
                    "{attribute}: `[UNAVAILABLE]` is reserved; use `{name}_unavailable()`"
                )
            }
        }
    }
}

debug_as_display!(AttributeError);

impl core::error::Error for AttributeError {}

/// What can be wrong with an attribute of XCLIENT or XFORWARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeErrorKind {
    /// An empty string.
    Empty,
    /// A character that is not allowed in the attribute.
    Character,
    /// More bytes than allowed, or, encoded, than fit in a line with its neighbors.
    TooLong,
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]`, for which there are methods.
    Reserved,
}
