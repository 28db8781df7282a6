use core::convert::Infallible;
use core::fmt;

/// Why a text is not a parameter, or why a parameter cannot be where it was put.
///
/// It never repeats the text, so it can be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ParameterError {
    offset: usize,
    reason: ParameterErrorKind,
}

impl ParameterError {
    pub(crate) const fn new(offset: usize, reason: ParameterErrorKind) -> Self {
        Self { offset, reason }
    }

    /// The same of a text that begins with so many bytes more.
    pub(super) const fn behind(self, bytes: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }

    /// Where the fault lies, in bytes; 0 if it is the parameter as a whole.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> ParameterErrorKind {
        self.reason
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            ParameterErrorKind::Empty => {
                "parameter with nothing where a keyword or value is needed"
            }
            ParameterErrorKind::Character => "parameter with a character that is not allowed",
            ParameterErrorKind::TooLong => "parameter too long",
            ParameterErrorKind::Value => "parameter with a value that its extension does not have",
            ParameterErrorKind::Owned => "parameter that the message decides",
            ParameterErrorKind::Duplicate => "parameter that is there already",
            ParameterErrorKind::Misplaced => "parameter that belongs to the other command",
            ParameterErrorKind::Conflict => "parameter that excludes another one that is there",
            ParameterErrorKind::Registered => "parameter that belongs to a known extension",
            ParameterErrorKind::Indispensable => "parameter that the message must not go without",
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

/// What can be wrong with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParameterErrorKind {
    /// An empty keyword or value.
    Empty,
    /// A control character, a space, `=` in a value, or what else the grammar has not.
    Character,
    /// A keyword over 64 bytes, a value over 1024 or over what its extension allows, or all parameters together longer than
    /// a command line has room for.
    TooLong,
    /// A value that is none of those that the extension defines, or one where there must be none.
    Value,
    /// SIZE, BODY or SMTPUTF8.
    Owned,
    /// A keyword twice.
    Duplicate,
    /// A parameter of RCPT on MAIL or the reverse.
    Misplaced,
    /// Two that exclude each other: NEVER with another occasion in NOTIFY, HOLDFOR with HOLDUNTIL, REQUIRETLS on a message whose
    /// header says `TLS-Required: No`.
    Conflict,
    /// The extension of a parameter is known and cannot be another.
    Registered,
    /// REQUIRETLS may be left out for the null sender only (RFC 8689, section 5).
    Indispensable,
}
