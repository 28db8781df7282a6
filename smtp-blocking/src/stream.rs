//! What a blocking client asks of a stream.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::mem::MaybeUninit;
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(unix)]
use socket2::SockRef;

/// A blocking stream that can be told how long it may block.
///
/// This is all that keeps a client from waiting for ever, so it has to hold for every read and write.
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::TcpStream;
/// use std::time::Duration;
/// use smtp_blocking::Stream;
///
/// /// Some TLS stack's stream.
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
    /// Lets each read and each write from now on block for `limit` at most, which is never zero.
    ///
    /// One that takes longer fails with [`WouldBlock`](io::ErrorKind::WouldBlock) or
    /// [`TimedOut`](io::ErrorKind::TimedOut), and has moved nothing.
    ///
    /// # Errors
    /// If it cannot be had. The client then does not read or write.
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()>;

    /// Reads what has already come, without waiting: if nothing has, it fails with [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// By default `None`: it cannot. The client then lets it block for a millisecond, and tells it a limit once more.
    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let _ = buffer;
        None
    }

    /// Whether it may keep back what it took until it is flushed; by default, it may.
    ///
    /// One that does not saves the client the question.
    fn is_buffered(&self) -> bool {
        true
    }

    /// Says that nothing more will be written, in good order; by default by flushing only, since the stream is about to be
    /// dropped.
    ///
    /// # Errors
    /// Those of the stream; they are of no consequence.
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

/// Whether a read would find something, if only the end: one system call, and nothing is taken.
#[cfg(unix)]
fn has_come(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    let mut byte = [MaybeUninit::uninit()];
    SockRef::from(socket)
        .recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT)
        .map(|_| ())
}
