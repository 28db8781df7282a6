//! What a blocking client requires of a stream.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::mem::MaybeUninit;
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(unix)]
use socket2::SockRef;

/// A blocking stream whose reads and writes have a timeout.
///
/// Only the timeout keeps a client from waiting forever, so it must apply to every read and write.
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::TcpStream;
/// use std::time::Duration;
/// use smtp_blocking::Stream;
///
/// /// The stream of another TLS stack.
/// struct Secured(TcpStream);
/// # impl Read for Secured {
/// #     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
/// #         self.0.read(buffer)
/// #     }
/// # }
/// # impl Write for Secured {
/// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
/// #         self.0.write(bytes)
/// #     }
/// #     fn flush(&mut self) -> io::Result<()> {
/// #         self.0.flush()
/// #     }
/// # }
///
/// impl Stream for Secured {
///     fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
///         self.0.set_timeouts(limit)
///     }
/// }
/// ```
pub trait Stream: Read + Write {
    /// Limits each read and each write from now on to `limit`, which is never zero.
    ///
    /// An operation that takes longer fails with [`WouldBlock`](io::ErrorKind::WouldBlock) or
    /// [`TimedOut`](io::ErrorKind::TimedOut), and has moved nothing.
    ///
    /// # Errors
    /// If the stream cannot be limited. The client then does not read or write.
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()>;

    /// Reads what has arrived, without waiting. If nothing has, it fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// `None`, the default, means that the stream cannot do so. The client then reads with a
    /// timeout of a millisecond, and sets the timeouts again.
    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let _ = buffer;
        None
    }

    /// Whether the stream may buffer what is written to it until it is flushed; by default, it may.
    ///
    /// A stream that returns `false` is not flushed.
    fn is_buffered(&self) -> bool {
        true
    }

    /// Shuts the stream down: nothing more will be written. By default the stream is flushed, since
    /// it is about to be dropped.
    ///
    /// # Errors
    /// Those of the stream. The client ignores them.
    fn shut_down(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Stream for TcpStream {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }

    #[cfg(unix)]
    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(has_come(&*self).and_then(|()| self.read(buffer)))
    }

    #[cfg(not(unix))]
    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        if let Err(error) = self.set_nonblocking(true) {
            return Some(Err(error));
        }
        let result = self.read(buffer);
        Some(self.set_nonblocking(false).and(result))
    }

    fn is_buffered(&self) -> bool {
        false
    }

    fn shut_down(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(has_come(&*self).and_then(|()| self.read(buffer)))
    }

    fn is_buffered(&self) -> bool {
        false
    }

    fn shut_down(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        (**self).set_timeouts(limit)
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        (**self).try_read(buffer)
    }

    fn is_buffered(&self) -> bool {
        (**self).is_buffered()
    }

    fn shut_down(&mut self) -> io::Result<()> {
        (**self).shut_down()
    }
}

/// Fails unless a read would return at once, with input or the end: one system call, which takes
/// nothing.
#[cfg(unix)]
fn has_come(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    let mut byte = [MaybeUninit::uninit()];
    SockRef::from(socket)
        .recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT)
        .map(|_| ())
}
