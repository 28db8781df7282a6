//! Tokens that are fetched: the keeper beside a model, and connections that share it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on ends"
)]

mod connection;
mod history;
mod keeper;
mod sharing;
