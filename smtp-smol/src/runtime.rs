//! The clock of async-io, and the operations of futures-io on a stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_io::Timer;
use futures_io::{AsyncRead, AsyncWrite};
use smtp_driver::{Clock, Runtime};
use smtp_proto::Time;

/// The runtime of a client.
pub(crate) struct Smol {
    epoch: Instant,
}

impl Smol {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }
}

impl Clock for Smol {
    type Alarm = Timer;

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }

    fn alarm(&self, at: Time) -> Option<Timer> {
        let instant = self.epoch.checked_add(at.since_origin())?;
        Some(Timer::at(instant))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Runtime<S> for Smol {
    fn poll_read(
        stream: &mut S,
        cx: &mut Context<'_>,
        input: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; READ];
        let count = ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        input(buffer.get(..count).unwrap_or(&buffer));
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        stream: &mut S,
        cx: &mut Context<'_>,
        output: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(stream).poll_write_vectored(cx, output)
    }

    fn poll_flush(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_close(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(stream).poll_close(cx)
    }
}

/// How many bytes are read at a time: more than nearly every reply, and few to clear each time.
const READ: usize = 2 * 1024;
