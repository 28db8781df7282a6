//! The clock of tokio, and its operations on a stream.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use smtp_driver::{Clock, Runtime};
use smtp_proto::Time;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::{Unconstrained, unconstrained, yield_now};
use tokio::time::{Instant, Sleep, sleep_until};

/// The runtime of a client. Its instants are tokio's, so a paused clock works.
pub(crate) struct Tokio {
    epoch: Instant,
}

impl Tokio {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }
}

impl Clock for Tokio {
    /// Outside of tokio's cooperative budget: a future beside the alarm that uses up the budget in
    /// each turn, such as a handshake with a peer that never stops sending, would delay it forever.
    type Alarm = Unconstrained<Sleep>;

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }

    fn alarm(&self, at: Time) -> Option<Self::Alarm> {
        let instant = self.epoch.checked_add(at.since_origin())?;
        Some(unconstrained(sleep_until(instant)))
    }

    fn wake_later(cx: &mut Context<'_>) {
        // Defers the waking until the I/O driver has had its turn.
        _ = pin!(yield_now()).poll(cx);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Runtime<S> for Tokio {
    fn poll_read(
        stream: &mut S,
        cx: &mut Context<'_>,
        input: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut memory = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut memory);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        input(buffer.filled());
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
        Pin::new(stream).poll_shutdown(cx)
    }
}

/// How many bytes are read at a time: more than nearly every reply, and a TLS handshake in a few.
const READ: usize = 8 * 1024;
