//! The stream of a client that connects to an endpoint.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Async;
use async_net::TcpStream;
#[cfg(unix)]
use async_net::unix::UnixStream;
use futures_io::{AsyncRead, AsyncWrite};
use smtp_driver::{begin_connect, finish_connect};
use smtp_rustls::Target;

/// The socket of a [`Client`](crate::Client) that is connected to an
/// [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Socket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Matches on the kind of socket.
macro_rules! each {
    ($socket:expr, $stream:ident => $operation:expr) => {
        match $socket {
            Socket::Tcp($stream) => $operation,
            #[cfg(unix)]
            Socket::Unix($stream) => $operation,
        }
    };
}

impl Socket {
    /// Connects, from the address `local` if given, and returns the local address too. TCP sends
    /// each flight at once.
    pub(crate) async fn connect(
        target: Target,
        local: Option<IpAddr>,
    ) -> io::Result<(Self, Option<SocketAddr>)> {
        match target {
            Target::Tcp(address) => {
                let stream = match local {
                    None => TcpStream::connect(address).await?,
                    Some(local) => connect_from(local, address).await?,
                };
                stream.set_nodelay(true)?;
                let local = stream.local_addr().ok();
                Ok((Self::Tcp(stream), local))
            }
            #[cfg(unix)]
            Target::Unix(path) => Ok((Self::Unix(UnixStream::connect(path).await?), None)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The TCP connection, if it is one.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buffer))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read_vectored(cx, buffers))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_close(cx))
    }
}

#[cfg(unix)]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, stream => stream.as_fd())
    }
}

async fn connect_from(local: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let stream = Async::new_nonblocking(begin_connect(address, Some(local))?)?;
    stream.writable().await?;
    finish_connect(stream.get_ref())?;
    Ok(stream.into())
}
