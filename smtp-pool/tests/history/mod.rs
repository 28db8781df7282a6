//! Random histories: a pool and a model of it, driven side by side. Shared with the fuzz target.

#![allow(dead_code, unreachable_pub, reason = "each user uses a part of it")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub(crate) mod dialogue;
mod model;
mod world;

pub(crate) use world::World;
