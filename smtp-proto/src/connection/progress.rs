//! How far to fill the send buffer, and the result of an attempt.

use crate::error::Error;

/// How far to fill the send buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FillMode {
    /// Continue what has begun, and check the next item without beginning it.
    Probe,
    /// Also begin the next item.
    Send,
}

/// The result of an attempt to send more.
pub(crate) enum Progress {
    /// Something was queued; more may follow.
    Sent,
    /// Nothing more can be sent for now.
    Blocked,
    /// An item could begin, and was only probed.
    Sendable,
    /// The item is sent completely.
    Done,
    /// The item cannot be sent. If nothing of it was sent, the connection continues without it.
    Failed(Error),
}
