//! The tests of the client on tokio, in one program: it is compiled and linked once.

mod clock;
mod conformance;

adapter_tests::async_suite!();

mod rt {
    use std::net::SocketAddr;

    use smtp_test::MemoryServer;
    pub(crate) use smtp_tokio::*;
    use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
    pub(crate) use tokio::io::{AsyncReadExt, empty, repeat};
    pub(crate) use tokio::net::TcpStream;
    use tokio::runtime::Builder;
    pub(crate) use tokio::runtime::Runtime;

    #[cfg(unix)]
    pub(crate) const NAME: &str = "smtp-tokio";

    pub(crate) const SMALLEST_BUFFER: usize = 64;

    pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

    impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

    pub(crate) fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        runtime().block_on(future)
    }

    pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    pub(crate) fn buffered(server: MemoryServer) -> BufWriter<MemoryServer> {
        BufWriter::new(server)
    }
}
