//! Events of a connection, and the ids that they refer to.

use crate::error::Error;
use crate::outcome::Outcome;
use crate::reply::Reply;
use crate::sasl::TokenRequest;

/// The id of a message that was submitted to a [`Connection`](crate::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailId(pub(crate) u64);

/// The id of a command that was queued on a [`Connection`](crate::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub(crate) u64);

/// An event of a connection, from [`poll_event`](crate::Connection::poll_event).
///
/// # Examples
/// A loop over events, in place of a question about each message:
///
/// ```
/// use std::sync::Arc;
/// use smtp_proto::{Config, Connection, Event, Mail, Security, Seed, StreamedContent, Time};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// # let mut server = ["220 ready", "250 hello", "250 ok", "250 ok", "354 go on", "250 taken", "221 bye"]
/// #     .map(|reply| format!("{reply}\r\n"))
/// #     .into_iter();
/// # let mut accepted = 0;
/// let mut connection = Connection::new(Arc::new(config), Seed::random());
/// let now = Time::ORIGIN;
/// 'connection: loop {
///     while let Some(event) = connection.poll_event() {
///         match event? {
///             Event::Ready => {
///                 let mail = Mail::builder().sender("a@example.org").recipient("b@example.net");
///                 connection.submit(mail.streamed(StreamedContent::new()).build()?);
///             }
///             Event::ContentWanted(id) => {
///                 connection.write_content(id, "From: a@example.org\r\n\r\nhello\r\n".into())?;
///                 connection.finish_content(id)?;
///             }
///             Event::Outcome(_, outcome) => {
///                 println!("{outcome}");
/// #               accepted += usize::from(outcome.is_accepted());
///                 connection.quit();
///             }
///             Event::Closed => break 'connection,
///             _ => {}
///         }
///     }
///     // Write, read, or wait until the time of `poll_timeout`.
///     let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
///     if count == 0 && connection.poll_timeout() == Some(now) {
///         connection.handle_timeout(now);
///         continue;
///     }
///     connection.handle_sent(now, count);
///     connection.handle_input(now, server.next().unwrap_or_default().as_bytes());
/// }
/// # assert_eq!(accepted, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A token is wanted for AUTH: provide it by
    /// [`provide_token`](crate::Connection::provide_token), or fail by
    /// [`fail_token`](crate::Connection::fail_token).
    TokenWanted(TokenRequest),
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
///
/// # Examples
/// ```
/// use smtp_proto::ContentStatus;
///
/// /// Whether to read another piece from the source.
/// fn reads_on(status: ContentStatus) -> bool {
///     status == ContentStatus::Wanted
/// }
/// assert!(!reads_on(ContentStatus::Done));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentStatus {
    /// The next piece is wanted, or the end of the content.
    Wanted,
    /// No more content is wanted: the outcome is known.
    Done,
}
