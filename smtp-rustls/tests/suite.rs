//! The tests of sessions and endpoints, in one program, which is compiled and linked once.

mod common;
#[cfg(feature = "tracing")]
#[path = "../../smtp-proto/tests/common/span_collector.rs"]
mod span_collector;

mod certificates;
#[cfg(feature = "scram")]
mod channel_binding;
mod completion;
mod endpoint;
mod failure;
mod hints;
mod keys;
mod opportunistic;
mod proxy;
mod proxy_environment;
#[cfg(feature = "tracing")]
mod spans;
mod truncation;
mod upgrade;
