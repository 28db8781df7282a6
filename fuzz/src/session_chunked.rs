//! The same server, cut in two ways: the same events, output and final state.

use crate::choice;
use crate::session::{Cut, Plan};

/// Bytes: the lengths of the pieces of input and of output; then as for `session_whole`.
pub fn session_chunked(mut input: &[u8]) {
    let cut = Cut {
        input: choice(&mut input, 30) + 1,
        output: choice(&mut input, 30) + 1,
    };
    let plan = Plan::read(input).without_drip();
    let whole = plan.watch(Cut {
        input: usize::MAX,
        output: usize::MAX,
    });
    let pieces = plan.watch(cut);
    assert_eq!(whole, pieces, "{cut:?}");
}
