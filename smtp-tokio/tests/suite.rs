//! The tests of the client on tokio, in one program: it is compiled and linked once.

#[macro_use]
extern crate adapter_tests;

use adapter_tests::{played, scenario};

mod clock;
mod scenarios;

adapter_tests::async_suite!();

mod rt {
    use smtp_test::MemoryServer;
    pub(crate) use smtp_tokio::*;
    pub(crate) use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, empty, repeat};
    pub(crate) use tokio::net::{TcpStream, UnixStream};
    use tokio::runtime::Builder;
    pub(crate) use tokio::runtime::Runtime;

    pub(crate) const NAME: &str = "smtp-tokio";

    pub(crate) fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        runtime().block_on(future)
    }

    pub(crate) fn unix_stream(stream: std::os::unix::net::UnixStream) -> UnixStream {
        stream.set_nonblocking(true).unwrap();
        stream.try_into().unwrap()
    }

    pub(crate) fn buffered(server: MemoryServer) -> impl AsyncRead + AsyncWrite + Unpin {
        tokio::io::BufWriter::new(server)
    }
}
