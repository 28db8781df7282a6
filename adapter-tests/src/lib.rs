//! The tests that every adapter has to pass, written once.
//!
//! [`async_suite!`] instantiates them for an adapter whose methods are async. The test program of
//! the adapter has a module `rt` beside it: what the tests need of the runtime.
//!
//! ```text
//! mod rt {
//!     pub(crate) use some_adapter::*;                    // Client, Batch, Mails, proto, tls
//!     pub(crate) use some_runtime::{AsyncRead, AsyncReadExt, AsyncWrite, TcpStream, UnixStream};
//!     pub(crate) use some_runtime::io::{empty, repeat};
//!     pub(crate) const NAME: &str;                       // for the paths of sockets
//!     pub(crate) fn runtime() -> Runtime;                // has `block_on`
//!     pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T;
//!     pub(crate) fn unix_stream(stream: std::os::unix::net::UnixStream) -> UnixStream;
//!     pub(crate) fn buffered(server: MemoryServer) -> impl AsyncRead + AsyncWrite + Unpin;
//! }
//! adapter_tests::async_suite!();
//! ```
//!
//! The modules hold what the tests of all adapters share, those of a blocking one included.

pub mod common;
#[path = "../../smtp-proto/tests/common/debug_output.rs"]
pub mod debug_output;
#[path = "../../smtp-proto/tests/common/invariants.rs"]
pub mod invariants;
#[cfg(unix)]
pub mod narrow;
pub mod played;
pub mod polling;
#[path = "../../smtp-proto/tests/common/scenario.rs"]
pub mod scenario;
#[cfg(unix)]
pub mod sockets;

mod suite;

pub use allocation_counter;
pub use bytes;
pub use futures_lite;
pub use smol::channel;
pub use smtp_test;
