//! What the tests of the machine share: two ends in memory under a virtual clock, scenarios, and the invariants.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub(crate) mod dialogue;
pub(crate) mod invariants;
pub(crate) mod meddler;
pub(crate) mod pair;
pub(crate) mod parrot;
pub(crate) mod rig;
pub(crate) mod scenario;
pub(crate) mod session;
pub(crate) mod shown;
