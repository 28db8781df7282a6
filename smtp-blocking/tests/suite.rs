//! The tests of the blocking client, in one program: it is compiled and linked once.

#[macro_use]
extern crate adapter_tests;

use adapter_tests::{common, debug_output, invariants, narrow, played, scenario, sockets};

mod batch;
mod client;
#[cfg(all(unix, feature = "rustls"))]
mod deadlock;
#[cfg(all(unix, feature = "rustls"))]
mod driven;
mod large;
#[cfg(unix)]
mod lmtp;
mod scenarios;
#[cfg(feature = "rustls")]
mod tls;
