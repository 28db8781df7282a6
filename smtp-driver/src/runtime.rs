//! What a driver asks of a runtime.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use smtp_proto::Time;

/// The clock of a runtime.
///
/// A clock is created with its connection. The connection's time begins there.
pub trait Clock {
    /// A future that is ready at a certain time, however busy its task is: a budget of the runtime
    /// for a task's turn must not apply to it.
    type Alarm: Future;

    /// The time since the clock was created.
    fn now(&self) -> Time;

    /// An alarm for the time `at`; `None` if the clock cannot represent that time.
    fn alarm(&self, at: Time) -> Option<Self::Alarm>;

    /// Wakes the task after the runtime has looked for input.
    ///
    /// By default the task is woken at once. That is right for a runtime whose reactor runs on a
    /// thread of its own, or between any two polls of a task.
    fn wake_later(cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// The operations of a runtime on its streams.
///
/// They are those of the runtime's own traits, as `poll` functions. A type of the adapter
/// implements `Runtime<S>` for every `S` with these traits.
pub trait Runtime<S>: Clock {
    /// Reads once, and passes the bytes to `input`; no bytes at the end of the stream.
    ///
    /// # Errors
    /// Those of the stream. [`Interrupted`](io::ErrorKind::Interrupted) leads to another read.
    fn poll_read(
        stream: &mut S,
        cx: &mut Context<'_>,
        input: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>>;

    /// Writes once, and returns how many bytes were written.
    ///
    /// # Errors
    /// Those of the stream. [`Interrupted`](io::ErrorKind::Interrupted) leads to another write.
    fn poll_write(
        stream: &mut S,
        cx: &mut Context<'_>,
        output: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Flushes what the stream has buffered.
    ///
    /// # Errors
    /// Those of the stream.
    fn poll_flush(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Shuts the stream down: nothing more will be written.
    ///
    /// # Errors
    /// Those of the stream. The driver ignores them.
    fn poll_close(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
