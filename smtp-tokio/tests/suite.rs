//! The tests of the client on tokio, in one program: it is compiled and linked once.

#[macro_use]
#[path = "../../smtp-blocking/tests/common/mod.rs"]
mod common;
#[macro_use]
#[path = "../../smtp-blocking/tests/common/played.rs"]
mod played;
#[macro_use]
mod polling;
#[path = "../../smtp-proto/tests/common/invariants.rs"]
#[allow(dead_code, reason = "the others are for the machine's own tests")]
mod invariants;
#[cfg(all(unix, feature = "rustls"))]
#[path = "../../smtp-blocking/tests/narrow/mod.rs"]
mod narrow;
#[path = "../../smtp-proto/tests/common/scenario.rs"]
mod scenario;
#[cfg(feature = "rustls")]
#[path = "../../smtp-proto/tests/common/shown.rs"]
mod shown;
#[cfg(all(unix, feature = "rustls"))]
#[macro_use]
#[path = "../../smtp-blocking/tests/sockets/mod.rs"]
mod sockets;

mod batch;
mod client;
#[cfg(all(unix, feature = "rustls"))]
mod deadlock;
#[cfg(all(unix, feature = "rustls"))]
mod driven;
mod large;
#[cfg(all(unix, feature = "net"))]
mod lmtp;
mod scenarios;
mod stream;
#[cfg(feature = "rustls")]
mod tls;
