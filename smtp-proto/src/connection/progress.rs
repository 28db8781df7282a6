//! How far to go in sending more, and what came of it.

use crate::error::Error;

/// How far to go in filling the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FillMode {
    /// To what has begun; of what comes next, only find out whether it can be sent.
    Probe,
    /// To what comes next.
    Send,
}

/// What came of an attempt to send more.
pub(crate) enum Progress {
    /// Something was queued; there may be more.
    Sent,
    /// Nothing more can be sent before something happens.
    Blocked,
    /// A message or a command could begin, and was only to be probed.
    Sendable,
    /// All of it has been sent.
    Done,
    /// It cannot be sent. If nothing of it was, the connection goes on without it.
    Failed(Error),
}
