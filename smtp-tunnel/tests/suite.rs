//! The tests of tunnels, in one program: it is compiled and linked once.

#[path = "../../smtp-proto/tests/common/answered.rs"]
mod answered;
#[path = "../../smtp-proto/tests/common/debug_output.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the tests of the core"
)]
mod debug_output;
#[path = "../../smtp-proto/tests/common/exhaustive.rs"]
#[allow(dead_code, reason = "shared with the tests of the core")]
mod exhaustive;
#[path = "../../smtp-proto/tests/common/invariants.rs"]
#[allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    reason = "shared with the tests of the core"
)]
mod invariants;
mod model;

mod destination;
mod failures;
mod http_connect;
mod properties;
mod proxy_header;
mod scripts;
mod secrets;
mod socks5;
mod tls;
