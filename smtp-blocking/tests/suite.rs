//! The tests of the blocking client, in one program: it is compiled and linked once.

#[macro_use]
mod common;
#[macro_use]
#[path = "common/played.rs"]
mod played;
#[path = "../../smtp-proto/tests/common/invariants.rs"]
#[allow(dead_code, reason = "the others are for the machine's own tests")]
mod invariants;
#[cfg(all(unix, feature = "rustls"))]
mod narrow;
#[path = "../../smtp-proto/tests/common/scenario.rs"]
mod scenario;
#[cfg(feature = "rustls")]
#[path = "../../smtp-proto/tests/common/shown.rs"]
mod shown;
#[cfg(all(unix, feature = "rustls"))]
#[macro_use]
mod sockets;

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
