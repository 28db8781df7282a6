//! The tests of the pool.

mod rules;
