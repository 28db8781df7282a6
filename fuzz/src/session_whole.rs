//! Any server with any caller: no panic, I4 to I8 hold, and the session ends.

use crate::session::Plan;

/// Bytes: configuration, caller, pace, end; then the server's output.
pub fn session_whole(input: &[u8]) {
    Plan::read(input).run();
}
