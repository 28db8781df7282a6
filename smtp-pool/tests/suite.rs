//! The tests of the pool, in one program: it is compiled and linked once.

#[path = "../../smtp-proto/tests/common/exhaustive.rs"]
#[allow(dead_code, reason = "shared with the tests of the core")]
mod exhaustive;
mod history;

mod long_run;
mod model;
mod properties;
mod reports;
mod rules;
