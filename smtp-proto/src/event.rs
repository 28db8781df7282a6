//! Events of a connection, and the ids that they refer to.

use crate::error::Error;
use crate::outcome::Outcome;
use crate::reply::Reply;

/// The id of a message that was submitted to a [`Connection`](crate::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailId(pub(crate) u64);

/// The id of a command that was queued on a [`Connection`](crate::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub(crate) u64);

/// An event of a connection.
///
/// ```
/// use smtp_proto::Event;
///
/// fn log(event: &Event) -> String {
///     match event {
///         Event::Ready => "ready".into(),
///         Event::Outcome(id, outcome) => format!("{id:?}: {outcome}"),
///         Event::Reply(_, Ok(reply)) => reply.to_string(),
///         Event::Reply(_, Err(error)) => format!("{error:#}"),
///         _ => String::new(),
///     }
/// }
/// # assert_eq!(log(&Event::Ready), "ready");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server is ready for messages: greeting, TLS and authentication are done, if configured.
    Ready,
    /// Streamed content: the next piece is wanted.
    ContentWanted(MailId),
    /// The outcome of a message.
    Outcome(MailId, Outcome),
    /// The reply to a command, or why there is none.
    Reply(CommandId, Result<Reply, Error>),
    /// The connection was closed by QUIT.
    Closed,
}

/// The state of streamed content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentStatus {
    /// The next piece is wanted, or the end of the content.
    Wanted,
    /// No more content is wanted: the outcome is known.
    Done,
}
