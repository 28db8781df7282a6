use core::convert::Infallible;
use core::fmt;

/// The reason why a parameter is invalid, by itself or for its command, and the offset of the
/// error.
///
/// It never repeats the parameter, so it can be logged.
///
/// # Examples
/// ```
/// use smtp_proto::Parameter;
/// use smtp_proto::parameter::ParameterErrorKind;
///
/// let error = Parameter::new("SIZE", Some("1000")).unwrap_err();
/// assert_eq!(error.kind(), ParameterErrorKind::Reserved);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ParameterError {
    offset: usize,
    reason: ParameterErrorKind,
}

impl ParameterError {
    pub(crate) const fn new(offset: usize, reason: ParameterErrorKind) -> Self {
        Self { offset, reason }
    }

    /// The same error with an offset that is larger by `bytes`.
    pub(in crate::extension) const fn shifted(self, bytes: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }

    /// The offset of the error in bytes; 0 for the parameter as a whole.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> ParameterErrorKind {
        self.reason
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            ParameterErrorKind::Empty => "empty keyword or value of a parameter",
            ParameterErrorKind::Character => "character that is not allowed in a parameter",
            ParameterErrorKind::TooLong => "parameter too long",
            ParameterErrorKind::Value => "value that is not defined by the extension",
            ParameterErrorKind::Reserved => "parameter that follows from the message",
            ParameterErrorKind::Duplicate => "duplicate parameter",
            ParameterErrorKind::Misplaced => "parameter of the other command",
            ParameterErrorKind::Conflict => "parameter that another one excludes",
            ParameterErrorKind::Registered => "parameter of a known extension",
            ParameterErrorKind::Indispensable => "parameter that cannot be optional",
        })?;
        match self.reason {
            ParameterErrorKind::Empty
            | ParameterErrorKind::Character
            | ParameterErrorKind::TooLong
            | ParameterErrorKind::Value => {
                write!(f, " at offset {}", self.offset)
            }
            _ => Ok(()),
        }
    }
}

debug_as_display!(ParameterError);

impl core::error::Error for ParameterError {}

impl From<Infallible> for ParameterError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The kind of a [`ParameterError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParameterErrorKind {
    /// An empty keyword or value.
    Empty,
    /// A control character, a space, `=` in a value, or another character that is not allowed.
    Character,
    /// A keyword longer than 64 bytes, a value longer than 1024 bytes or than its extension allows,
    /// or parameters that together exceed the length of a command line.
    TooLong,
    /// A value that the extension does not define, or one for a parameter without values.
    Value,
    /// SIZE, BODY or SMTPUTF8.
    Reserved,
    /// A duplicate keyword.
    Duplicate,
    /// A parameter of RCPT on MAIL, or the reverse.
    Misplaced,
    /// Parameters that exclude each other: NEVER with an occasion in NOTIFY, HOLDFOR with
    /// HOLDUNTIL, REQUIRETLS with the header field `TLS-Required: No`.
    Conflict,
    /// The extension of the parameter is known and cannot be changed.
    Registered,
    /// REQUIRETLS is optional for the null sender only (RFC 8689, section 5).
    Indispensable,
}
