//! The async traits of tokio and of futures-io for the streams of this crate.

#[cfg(feature = "futures-io")]
mod futures {
    use std::{
        io::{self, IoSlice},
        pin::Pin,
        task::{Context, Poll},
    };

    use futures_io::{AsyncRead, AsyncWrite};

    use crate::{Faulty, MemoryServer, Pipe, faulty::limit};

    /// The traits by the `poll_*_bytes` methods that the streams have.
    macro_rules! by_polling {
        ($($stream:ty),+) => {$(
            impl AsyncRead for $stream {
                fn poll_read(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buffer: &mut [u8],
                ) -> Poll<io::Result<usize>> {
                    self.poll_read_bytes(cx, buffer)
                }
            }

            impl AsyncWrite for $stream {
                fn poll_write(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    bytes: &[u8],
                ) -> Poll<io::Result<usize>> {
                    self.poll_write_bytes(cx, &[IoSlice::new(bytes)])
                }

                fn poll_write_vectored(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    slices: &[IoSlice<'_>],
                ) -> Poll<io::Result<usize>> {
                    self.poll_write_bytes(cx, slices)
                }

                fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }

                fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.as_mut().shutdown();
                    Poll::Ready(Ok(()))
                }
            }
        )+};
    }

    by_polling!(MemoryServer, Pipe);

    impl<S: AsyncRead + Unpin> AsyncRead for Faulty<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_operate(cx, true, |stream, cx, most| {
                let len = buffer.len().min(most);
                Pin::new(stream).poll_read(cx, &mut buffer[..len])
            })
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Faulty<S> {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_operate(cx, false, |stream, cx, most| {
                Pin::new(stream).poll_write_vectored(cx, &limit(slices, most))
            })
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_other(cx, |stream, cx| Pin::new(stream).poll_flush(cx))
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_other(cx, |stream, cx| Pin::new(stream).poll_close(cx))
        }
    }
}

#[cfg(feature = "tokio")]
mod tokio {
    use std::{
        io::{self, IoSlice},
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use crate::{Faulty, MemoryServer, Pipe, faulty::limit};

    /// The traits by the `poll_*_bytes` methods that the streams have.
    macro_rules! by_polling {
        ($($stream:ty),+) => {$(
            impl AsyncRead for $stream {
                fn poll_read(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buffer: &mut ReadBuf<'_>,
                ) -> Poll<io::Result<()>> {
                    let len = ready!(self.poll_read_bytes(cx, buffer.initialize_unfilled()))?;
                    buffer.advance(len);
                    Poll::Ready(Ok(()))
                }
            }

            impl AsyncWrite for $stream {
                fn poll_write(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    bytes: &[u8],
                ) -> Poll<io::Result<usize>> {
                    self.poll_write_bytes(cx, &[IoSlice::new(bytes)])
                }

                fn poll_write_vectored(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    slices: &[IoSlice<'_>],
                ) -> Poll<io::Result<usize>> {
                    self.poll_write_bytes(cx, slices)
                }

                fn is_write_vectored(&self) -> bool {
                    true
                }

                fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }

                fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.as_mut().shutdown();
                    Poll::Ready(Ok(()))
                }
            }
        )+};
    }

    by_polling!(MemoryServer, Pipe);

    impl<S: AsyncRead + Unpin> AsyncRead for Faulty<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let len = ready!(self.poll_operate(cx, true, |stream, cx, most| {
                let room = buffer.initialize_unfilled();
                let most = room.len().min(most);
                let mut part = ReadBuf::new(&mut room[..most]);
                ready!(Pin::new(stream).poll_read(cx, &mut part))?;
                Poll::Ready(Ok(part.filled().len()))
            }))?;
            buffer.advance(len);
            Poll::Ready(Ok(()))
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Faulty<S> {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_operate(cx, false, |stream, cx, most| {
                Pin::new(stream).poll_write_vectored(cx, &limit(slices, most))
            })
        }

        fn is_write_vectored(&self) -> bool {
            self.get_ref().is_write_vectored()
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_other(cx, |stream, cx| Pin::new(stream).poll_flush(cx))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_other(cx, |stream, cx| Pin::new(stream).poll_shutdown(cx))
        }
    }
}
