//! What the outcome of a message means for the pool.

use smtp_proto::{Error, ErrorKind, Outcome, RecipientStatus, Reply, Stage};

/// What the outcome of a message means for the pool.
///
/// A driver makes it by [`new`](Self::new).
///
/// ```
/// use smtp_pool::Report;
/// use smtp_pool::proto::Outcome;
///
/// /// The report on a message; `is_open` tells whether its connection takes another one.
/// fn report(outcome: &Outcome, is_open: bool, bytes_before: u64) -> Report {
///     Report::new(outcome, is_open, outcome.stats().bytes_sent() == bytes_before)
/// }
/// # let _: fn(&Outcome, bool, u64) -> Report = report;
/// assert!(Report::accepted().is_open());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub(crate) is_open: bool,
    pub(crate) kind: Kind,
    /// Whether the server complained of too many connections.
    pub(crate) throttled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There was no message.
    Unused,
    /// Accepted for at least one recipient.
    Accepted,
    /// Rejected, or not sent for a reason of the message's own.
    Failed,
    /// In doubt for at least one recipient.
    InDoubt,
    /// Not sent, because the connection was lost.
    Lost,
    /// Not sent, and no byte of it was, since the connection was lost before it began.
    Untouched,
}

impl Report {
    /// The report on a message with this outcome.
    ///
    /// `is_open` tells whether its connection takes another message. `is_untouched` tells whether
    /// the connection sent nothing since the message was submitted to it while it was idle.
    pub fn new(outcome: &Outcome, is_open: bool, is_untouched: bool) -> Self {
        let statuses = || outcome.recipients().iter().map(|each| each.status());
        let kind = if outcome.is_in_doubt() {
            Kind::InDoubt
        } else if statuses().any(|status| matches!(status, RecipientStatus::Accepted(_))) {
            Kind::Accepted
        } else if is_open || outcome.retry().is_none() {
            Kind::Failed
        } else if is_untouched && statuses().all(|each| matches!(each, RecipientStatus::NotSent(_)))
        {
            Kind::Untouched
        } else if statuses().all(is_lost) {
            Kind::Lost
        } else {
            Kind::Failed
        };
        Self {
            is_open,
            kind,
            throttled: statuses().any(|status| match status {
                RecipientStatus::Rejected { stage, reply, .. } => {
                    *stage == Stage::Mail && is_throttling(reply)
                }
                _ => false,
            }),
        }
    }

    /// The report on a message that was accepted, over a connection that takes another one.
    pub const fn accepted() -> Self {
        Self::with_kind(true, Kind::Accepted)
    }

    /// The report on a message that was rejected, over a connection that takes another one.
    pub const fn rejected() -> Self {
        Self::with_kind(true, Kind::Failed)
    }

    /// The report on a connection that was opened as a [test](crate::Request::fresh), and carried no
    /// message.
    pub const fn unused() -> Self {
        Self::with_kind(true, Kind::Unused)
    }

    /// The report on a message that was not sent, because the connection was lost.
    pub const fn lost() -> Self {
        Self::with_kind(false, Kind::Lost)
    }

    /// The report on a message of which no byte was sent: its connection had been closed while it
    /// was idle.
    pub const fn untouched() -> Self {
        Self::with_kind(false, Kind::Untouched)
    }

    /// The report on a message that is in doubt.
    pub const fn in_doubt() -> Self {
        Self::with_kind(false, Kind::InDoubt)
    }

    const fn with_kind(is_open: bool, kind: Kind) -> Self {
        Self {
            is_open,
            kind,
            throttled: false,
        }
    }

    /// Whether the connection takes another message.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }
}

/// Whether a recipient was not served because the connection was lost, or the server rejected MAIL
/// and closed. The connection is known to be closed.
fn is_lost(status: &RecipientStatus) -> bool {
    match status {
        RecipientStatus::NotSent(error) => is_loss(error),
        RecipientStatus::Rejected { stage, reply, .. } => {
            *stage == Stage::Mail && reply.code().as_u16() == UNAVAILABLE
        }
        _ => false,
    }
}

fn is_loss(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::ConnectionLost | ErrorKind::Transport(_) | ErrorKind::Timeout(_) => true,
        // The message stood behind another one on the connection that failed. If a command of its
        // own is rejected, the status of a recipient says so.
        ErrorKind::Earlier(_) | ErrorKind::Closed | ErrorKind::Rejected => true,
        _ => false,
    }
}

/// Whether a reply to the greeting or to MAIL says that there are too many connections.
pub(crate) fn is_throttling(reply: &Reply) -> bool {
    let enhanced = reply
        .enhanced()
        .map(|code| (code.class(), code.subject(), code.detail()));
    matches!(reply.code().as_u16(), UNAVAILABLE | 432)
        || matches!(enhanced, Some((4, 3, 2) | (4, 7, 0 | 28)))
}

/// The reply by which a server says that it closes the connection (RFC 5321, section 3.8).
const UNAVAILABLE: u16 = 421;
