//! The tests of the client on tokio, in one program: it is compiled and linked once.

mod clock;
mod conformance;

adapter_tests::async_suite!();

mod rt {
    use std::net::SocketAddr;
    use std::time::Duration;

    use smtp_test::{Faulty, MemoryServer};
    pub(crate) use smtp_tokio::*;
    use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
    pub(crate) use tokio::io::{AsyncReadExt, empty, repeat};
    pub(crate) use tokio::net::TcpStream;
    #[cfg(unix)]
    use tokio::net::UnixStream;
    use tokio::runtime::Builder;
    pub(crate) use tokio::runtime::Runtime;

    #[cfg(unix)]
    pub(crate) const NAME: &str = "smtp-tokio";

    pub(crate) const SMALLEST_BUFFER: usize = 64;

    /// The clock of the scenarios is paused: it jumps when every task waits.
    pub(crate) const SCENARIO_LIMIT: Option<Duration> = None;

    pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

    impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

    pub(crate) fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        runtime().block_on(future)
    }

    pub(crate) fn block_on_scenario<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        runtime.unwrap().block_on(future)
    }

    pub(crate) fn scenario_stream(stream: Faulty<MemoryServer>) -> Faulty<MemoryServer> {
        stream
    }

    pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    #[cfg(unix)]
    pub(crate) fn unix_stream(stream: std::os::unix::net::UnixStream) -> UnixStream {
        stream.set_nonblocking(true).unwrap();
        stream.try_into().unwrap()
    }

    pub(crate) fn buffered(server: MemoryServer) -> BufWriter<MemoryServer> {
        BufWriter::new(server)
    }
}
