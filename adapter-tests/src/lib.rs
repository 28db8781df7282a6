//! The tests that every adapter has to pass, written once.
//!
//! [`suite!`] instantiates them for any adapter, and [`async_suite!`] adds those for futures. The
//! test program of the adapter has a module `rt` beside it, which has what the tests need of the
//! runtime. The methods of its `Client` are async. Those of a blocking adapter are wrapped, and its
//! `block_on` polls once.
//!
//! ```text
//! mod rt {
//!     pub(crate) use some_adapter::*;                    // Client, proto, tls
//!     pub(crate) use some_runtime::{AsyncReadExt, TcpStream, empty, repeat};
//!     pub(crate) trait Stream;                           // what a client takes
//!     pub(crate) const NAME: &str;                       // for the paths of sockets
//!     pub(crate) const SMALLEST_BUFFER: usize;           // of a pipe that blocks neither side
//!     pub(crate) fn runtime() -> Runtime;                // has `block_on`
//!     pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T;
//!     pub(crate) async fn connect(address: SocketAddr) -> TcpStream;
//!     pub(crate) fn buffered(server: MemoryServer) -> impl Stream;
//! }
//! adapter_tests::async_suite!();
//! ```

pub mod common;
#[path = "../../smtp-proto/tests/common/debug_output.rs"]
pub mod debug_output;
#[path = "../../smtp-proto/tests/common/invariants.rs"]
pub mod invariants;
pub mod mailer;
#[cfg(unix)]
pub mod narrow;
pub mod polling;
#[cfg(unix)]
pub mod silent;
#[cfg(unix)]
pub mod sockets;
pub mod token;

mod suite;

pub use allocation_counter;
pub use bytes;
pub use futures_lite;
pub use smol::channel;
pub use smtp_test;
