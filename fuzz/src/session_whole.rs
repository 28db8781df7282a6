//! Whatever a server says to whatever caller: no panic, I4 to I8 hold, and it always ends.

use crate::session::Plan;

/// Bytes: policy, caller, pace, end; then what the server says.
pub fn session_whole(input: &[u8]) {
    Plan::read(input).run();
}
