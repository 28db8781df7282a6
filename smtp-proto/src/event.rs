//! What a connection tells its caller, and by which names.

use crate::error::Error;
use crate::outcome::Outcome;
use crate::reply::Reply;

/// A message that was handed to a [`Connection`](crate::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailId(pub(crate) u64);

/// A command that was handed to a [`Connection`](crate::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub(crate) u64);

/// Something that a caller may want to know of.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server is ready for message: greeted, and where it was asked for, in TLS and logged in.
    Ready,
    /// A message that is written in pieces wants the next one.
    ContentWanted(MailId),
    /// This became of a message.
    Outcome(MailId, Outcome),
    /// This was the reply to a command, or why it was not sent.
    Reply(CommandId, Result<Reply, Error>),
    /// The connection has ended as it was asked to.
    Closed,
}

/// What a message that is written in pieces wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentStatus {
    /// The next piece, or to hear that there is none.
    Wanted,
    /// Nothing more: its outcome is known.
    Done,
}
