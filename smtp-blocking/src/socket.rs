//! The stream of a client that connects to an endpoint.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use smtp_driver::finish_connect;
use smtp_rustls::Target;

use crate::Stream;

/// The socket of a [`Client`](crate::Client) that is connected to an
/// [`Endpoint`](crate::Endpoint).
#[derive(Debug)]
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
    /// The socket for a connect that has ended. It sends each flight at once.
    pub(crate) fn finish_tcp(stream: TcpStream) -> io::Result<Self> {
        finish_connect(&stream)?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Connects to a Unix socket.
    pub(crate) fn connect_unix(target: &Target) -> io::Result<Self> {
        match target {
            #[cfg(unix)]
            Target::Unix(path) => Ok(Self::Unix(UnixStream::connect(path)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Another handle to the same socket.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Ends every read and write of any handle to this socket.
    pub(crate) fn break_off(&self) {
        // One that is closed already needs no more.
        _ = each!(self, stream => stream.shutdown(std::net::Shutdown::Both));
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

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.read_vectored(buffers))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => stream.flush())
    }
}

impl Stream for Socket {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        each!(self, stream => stream.set_timeouts(limit))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        each!(self, stream => stream.try_read(buffer))
    }

    fn is_buffered(&self) -> bool {
        each!(self, stream => stream.is_buffered())
    }

    fn shut_down(&mut self) -> io::Result<()> {
        each!(self, stream => stream.shut_down())
    }
}

#[cfg(unix)]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, stream => stream.as_fd())
    }
}
