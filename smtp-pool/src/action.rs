//! What a driver has to do.

use crate::connections::ConnectionId;
use crate::error::PoolError;
use crate::waiting::Ticket;

/// What a driver has to do. It does it at once, whatever else it waits for.
///
/// See [`Pool::poll_action`](crate::Pool::poll_action) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the pool counts on it being done"]
pub enum Action {
    /// Open this connection, for the message of this ticket. Report by
    /// [`handle_connected`](crate::Pool::handle_connected) or
    /// [`handle_connect_failed`](crate::Pool::handle_connect_failed).
    #[non_exhaustive]
    Connect {
        /// The connection to open.
        connection: ConnectionId,
        /// The message that it is opened for.
        ticket: Ticket,
    },
    /// Send the message of this ticket over this idle connection. Report by
    /// [`handle_outcome`](crate::Pool::handle_outcome).
    #[non_exhaustive]
    Use {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        ticket: Ticket,
        /// Whether the connection may have been closed meanwhile, so that no more should be sent
        /// ahead of the replies than the envelope.
        is_cautious: bool,
    },
    /// End this idle connection by QUIT. Report by [`handle_closed`](crate::Pool::handle_closed).
    Quit(ConnectionId),
    /// Drop this connection: the time for [closing](crate::Pool::close) is over. Abandon the
    /// messages on it, and report their outcomes; a connection without messages, or one that is
    /// being opened or ended by QUIT, is reported by [`handle_closed`](crate::Pool::handle_closed).
    Drop(ConnectionId),
    /// Tell the caller with this ticket that its message was not sent. The ticket is of no use
    /// afterwards.
    #[non_exhaustive]
    Fail {
        /// The ticket.
        ticket: Ticket,
        /// Why.
        error: PoolError,
    },
}

/// What becomes of a message that has an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message that is sent again has no outcome yet"]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver must do one or the other, and there is no third"
)]
pub enum Verdict {
    /// The outcome is that of the message.
    Final,
    /// The message waits again, with the same ticket: [`Outcome::retry`] is what to send.
    ///
    /// [`Outcome::retry`]: smtp_proto::Outcome::retry
    Again,
}
