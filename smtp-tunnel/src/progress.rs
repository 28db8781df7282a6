//! What a dialogue with a proxy does next.

use smtp_proto::Secret;

/// What follows from the input.
pub(crate) enum Progress {
    /// All of the input is taken, and more is needed.
    NeedsInput,
    /// These bytes are to be sent.
    Send(Secret),
    /// The tunnel is open.
    Open,
}
