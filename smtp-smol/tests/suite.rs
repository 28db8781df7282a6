//! The tests of the client on smol and async-std, in one program: it is compiled and linked once.

mod async_std_stream;
mod conformance;

adapter_tests::async_suite!();

mod rt {
    use std::io;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    pub(crate) use async_net::TcpStream;
    pub(crate) use futures_lite::AsyncReadExt;
    pub(crate) use futures_lite::future::block_on;
    pub(crate) use futures_lite::io::{empty, repeat};
    use futures_lite::{AsyncRead, AsyncWrite};
    pub(crate) use smtp_smol::*;
    use smtp_test::MemoryServer;

    #[cfg(unix)]
    pub(crate) const NAME: &str = "smtp-smol";

    pub(crate) const SMALLEST_BUFFER: usize = 64;

    pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

    impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

    /// The reactor of smol runs by itself.
    pub(crate) struct Runtime;

    impl Runtime {
        pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
            block_on(future)
        }
    }

    pub(crate) fn runtime() -> Runtime {
        Runtime
    }

    pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    pub(crate) fn buffered(server: MemoryServer) -> Buffered {
        Buffered(server, Vec::new())
    }

    /// A stream that keeps what is written until it is flushed.
    pub(crate) struct Buffered(MemoryServer, Vec<u8>);

    impl AsyncRead for Buffered {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Buffered {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            let Self(server, held) = &mut *self;
            while !held.is_empty() {
                let count = ready!(Pin::new(&mut *server).poll_write(cx, held))?;
                held.drain(..count);
            }
            Poll::Ready(Ok(()))
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            ready!(self.as_mut().poll_flush(cx))?;
            Pin::new(&mut self.0).poll_close(cx)
        }
    }
}
