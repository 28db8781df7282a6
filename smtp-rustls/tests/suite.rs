//! The tests of TLS over the machine, in one program: it is compiled and linked once.

#[cfg(feature = "tracing")]
#[path = "../../smtp-proto/tests/common/collector.rs"]
mod collector;
mod common;

mod certificates;
#[cfg(feature = "scram")]
mod channel_binding;
mod endpoint;
mod failure;
mod hints;
mod keys;
mod opportunistic;
#[cfg(feature = "tracing")]
mod spans;
mod truncation;
mod upgrade;
