//! The pool does what its model does in any history: one end for each message, nothing in doubt sent
//! again, no more connections than allowed, no busy loop.

use crate::history::World;

/// Bytes: ten choices of limits, then operations, each a letter with its operands.
pub fn pool(input: &[u8]) {
    let _ = World::run(input);
}
