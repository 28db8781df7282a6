//! Errors of commands.

use core::fmt;

/// The reason why a command is invalid, and the offset of the error.
///
/// It does not quote the command, so it can be logged.
///
/// # Examples
/// ```
/// use smtp_proto::{Command, CommandErrorKind};
///
/// let error = Command::custom("DATA", None).unwrap_err();
/// assert_eq!(error.kind(), CommandErrorKind::Owned);
/// assert_eq!(error.to_string(), "command that is reserved for the connection");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommandError {
    offset: usize,
    reason: CommandErrorKind,
}

impl CommandError {
    pub(super) const fn new(offset: usize, reason: CommandErrorKind) -> Self {
        Self { offset, reason }
    }

    pub(super) const fn behind(self, bytes: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }

    /// The offset of the error in the line, in bytes.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> CommandErrorKind {
        self.reason
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            CommandErrorKind::Empty => "command with an empty verb or argument",
            CommandErrorKind::Verb => "command verb that is not letters, digits and hyphens",
            CommandErrorKind::Character => "command with a control character",
            CommandErrorKind::Space => "command argument that begins or ends with a space",
            CommandErrorKind::TooLong => "command line over 512 bytes",
            CommandErrorKind::Owned => {
                return f.write_str("command that is reserved for the connection");
            }
        };
        write!(f, "{reason} at offset {}", self.offset)
    }
}

debug_as_display!(CommandError);

impl core::error::Error for CommandError {}

/// The kind of a [`CommandError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// An empty verb or argument.
    Empty,
    /// A verb that does not consist of letters, digits and hyphens, beginning with a letter.
    Verb,
    /// A control character in the arguments.
    Character,
    /// A space at the start or end of the arguments.
    Space,
    /// A line over 512 bytes including its CRLF (RFC 5321, section 4.5.3.1.4).
    TooLong,
    /// A verb that only the connection itself sends, because it changes the session.
    Owned,
}
