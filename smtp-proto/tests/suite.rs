//! The tests of the core, in one program: it is compiled and linked once.

mod common;
#[path = "common/exhaustive.rs"]
mod exhaustive;
mod reference;
#[cfg(feature = "tracing")]
#[path = "common/span_collector.rs"]
mod span_collector;

mod auth;
mod batches;
mod body_transparency;
mod cost;
mod cuts;
mod deadlines;
mod desync;
mod desync_ahead;
mod envelope;
mod fetched_token;
mod from_message;
mod idle;
mod limits;
mod operations;
mod outcomes;
mod outcomes_ahead;
mod parameters;
mod pending;
mod recipients;
mod rejected_chunk;
mod requirements;
mod retry;
mod sasl_mechanisms;
mod sasl_selection;
mod scenario_index;
mod scenarios;
mod secrets;
#[cfg(feature = "tracing")]
mod spans;
mod starttls;
mod streaming;
mod streaming_chunks;
mod window;
mod xclient;
