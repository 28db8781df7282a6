//! The scripts, by topic.

mod dialogue;

use super::script::Script;

/// All scripts.
pub(super) fn all() -> Vec<Script> {
    [dialogue::scripts()].into_iter().flatten().collect()
}
