//! Errors of commands.

use core::fmt;

/// Why a command is invalid.
///
/// It does not quote the command, so it can be logged.
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

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> CommandErrorKind {
        self.reason
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            CommandErrorKind::Empty => "command with an empty part",
            CommandErrorKind::Verb => "command verb that is not letters, digits and hyphens",
            CommandErrorKind::Character => "command with a control character",
            CommandErrorKind::Space => "command argument with a space at an end",
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

/// What can be wrong with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// An empty verb or argument.
    Empty,
    /// A verb that is not letters, digits and hyphens, beginning with a letter.
    Verb,
    /// A control character in the arguments.
    Character,
    /// A space at an end of the arguments.
    Space,
    /// A line over 512 bytes, its CRLF counted (RFC 5321, section 4.5.3.1.4).
    TooLong,
    /// A verb that only the connection itself may send, for it changes the state of the session.
    Owned,
}
