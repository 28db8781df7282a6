use core::fmt;

/// The reason why an attribute of XCLIENT or XFORWARD is invalid.
///
/// It never repeats the string, so it can be logged.
///
/// # Examples
/// ```
/// use smtp_proto::xclient::{AttributeErrorKind, Xclient};
///
/// let error = Xclient::new().name("[UNAVAILABLE]").unwrap_err();
/// assert_eq!((error.attribute(), error.kind()), ("NAME", AttributeErrorKind::Reserved));
/// ```
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

    /// The kind of error.
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

/// The kind of an [`AttributeError`].
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
