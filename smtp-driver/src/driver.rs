//! The loop between a stream and a connection.

use std::future::poll_fn;
use std::mem::replace;
use std::pin::pin;
#[cfg(feature = "pool")]
use std::task::Waker;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::BytesMut;
use smtp_proto::{
    Connection, ContentStatus, Error, Mail, MailId, Outcome, Time, TlsInfo, Window, Wire,
};

use crate::Runtime;
use crate::connecting::before;
use crate::lazy_alarm::LazyAlarm;
use crate::token::forgo_token;
use crate::upgrade::{complete_tls, is_token_wanted, poll_tls};

/// A connection of `smtp-proto`, driven over a stream of a runtime.
///
/// `S` is the stream, `W` the connection or a TLS layer around it, and `R` the adapter's
/// [`Runtime`]. A method that waits reads, writes and keeps the time limits until its answer is
/// there. Nothing happens between two calls.
pub struct Driver<S, W, R> {
    stream: S,
    wire: W,
    clock: R,
    /// Whether the stream may buffer bytes that were written to it.
    needs_flush: bool,
    /// Whether the runtime has looked for input since the time limit was reached.
    looked: bool,
}

impl<S, W: Wire, R> Driver<S, W, R> {
    /// A driver for a stream that is connected and a wire that has not begun.
    pub fn new(stream: S, mut wire: W, clock: R) -> Self {
        wire.smtp_mut().set_window(Window::FULL_DUPLEX);
        Self::resume(stream, wire, clock)
    }

    /// The connection.
    pub fn smtp(&self) -> &Connection {
        self.wire.smtp()
    }

    /// The connection, for everything that needs no waiting.
    pub fn smtp_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }
}

impl<S, W, R> Driver<S, W, R> {
    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The wire.
    pub fn wire(&self) -> &W {
        &self.wire
    }

    /// The stream and the wire, in the state that they are in.
    pub fn into_parts(self) -> (S, W) {
        (self.stream, self.wire)
    }

    fn resume(stream: S, wire: W, clock: R) -> Self {
        Self {
            stream,
            wire,
            clock,
            needs_flush: false,
            looked: false,
        }
    }
}

impl<S, W: Wire, R: Runtime<S>> Driver<S, W, R> {
    /// Waits until `question` has an answer. It is asked again whenever bytes or time have passed.
    ///
    /// Cancel safe if `question` is.
    pub async fn drive<T>(&mut self, mut question: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        let alarm = pin!(None);
        let mut alarm = LazyAlarm::new(alarm);
        let mut now = None;
        loop {
            if let Poll::Ready(answer) = question(self.wire.smtp_mut()) {
                return answer;
            }
            now = Some(self.step(now, &mut alarm).await);
        }
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// Not cancel safe: dropping the future [abandons](Connection::abandon) the message.
    ///
    /// # Errors
    /// If the message is streamed.
    pub async fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        let id = self.smtp_mut().submit(mail);
        let sending = AbandonOnDrop { driver: self, id };
        let question = |smtp: &mut Connection| smtp.poll_outcome(id);
        sending.driver.drive(question).await
    }

    /// Sends a message whose content comes from a reader, and waits for its outcome.
    ///
    /// `read` polls the reader. The bytes go to the front of the buffer, which has room for
    /// [`PIECE`] bytes, and their number is returned: 0 at the end of the content.
    ///
    /// Not cancel safe: dropping the future [abandons](Connection::abandon) the message.
    ///
    /// # Errors
    /// If the message is not streamed. A reader that fails is in the outcome.
    pub async fn send_from(
        &mut self,
        mail: Mail,
        mut read: impl FnMut(&mut Context<'_>, &mut BytesMut) -> Poll<io::Result<usize>>,
    ) -> Result<Outcome, Error> {
        let id = self.smtp_mut().submit(mail);
        let sending = AbandonOnDrop { driver: self, id };
        let driver = &mut *sending.driver;
        let mut buffer = BytesMut::new();
        while driver.drive(|smtp| smtp.poll_content(id)).await? == ContentStatus::Wanted {
            buffer.reserve(PIECE.saturating_sub(buffer.len()));
            match poll_fn(|cx| read(cx, &mut buffer)).await {
                Ok(0) => break,
                // Never misuse: this piece was asked for.
                Ok(count) => {
                    let piece = buffer.split_to(count).freeze();
                    _ = driver.smtp_mut().write_content(id, piece);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => driver.smtp_mut().fail_content(id, error.into()),
            }
        }
        _ = driver.smtp_mut().finish_content(id);
        driver.drive(|smtp| smtp.poll_outcome(id)).await
    }

    /// Ends the connection by QUIT, after everything that is queued, and closes the stream. The
    /// driver is of no use afterwards.
    ///
    /// Not cancel safe: the stream may be partly closed.
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub async fn quit(&mut self) -> Result<(), Error> {
        self.smtp_mut().quit();
        forgo_token(self.smtp_mut());
        let closed = self.drive(Connection::poll_closed).await;
        self.close().await;
        closed
    }

    /// Waits until the server is ready for messages; if that fails, ends the connection in order.
    ///
    /// Not cancel safe: dropping the future drops the connection as it is.
    ///
    /// # Errors
    /// The connection's failure.
    pub async fn into_ready(self) -> Result<Self, Error> {
        self.into_state(|_| false).await
    }

    /// Waits until the server is ready for messages, or the answer to whether it is satisfies
    /// `suffices`; otherwise ends the connection in order.
    async fn into_state(mut self, suffices: impl FnOnce(&Error) -> bool) -> Result<Self, Error> {
        match self.drive(Connection::poll_ready).await {
            Ok(()) => Ok(self),
            Err(error) if suffices(&error) => Ok(self),
            Err(error) => {
                self.close().await;
                Err(error)
            }
        }
    }
}

impl<S, W: Wire, R: Runtime<S>> Driver<S, W, R> {
    /// Moves bytes one way or both, or waits until it can or a time limit is reached; `began` is
    /// the present, if known. Returns the time afterwards.
    pub(crate) async fn step(
        &mut self,
        mut began: Option<Time>,
        alarm: &mut LazyAlarm<'_, R>,
    ) -> Time {
        let (now, late) = poll_fn(|cx| {
            let now = began.take().unwrap_or_else(|| self.clock.now());
            if let Poll::Ready(late) = self.poll_step(cx, now) {
                return Poll::Ready((now, late));
            }
            let Some(until) = self.wire.poll_timeout() else {
                return Poll::Pending;
            };
            // An alarm is ready only after a turn of the runtime, which this future may not see.
            if until <= now {
                // The alarm for the reply to what is sent next is set already. While none is set,
                // the timer of a runtime sleeps, and would have to be woken.
                let until = now.saturating_add(self.smtp().timeouts().mail());
                alarm.prepare(cx, &self.clock, until);
                return Poll::Pending;
            }
            // The next step reads once more before the limit counts as reached.
            let rung = alarm.poll(cx, &self.clock, until);
            rung.map(|()| (self.clock.now(), false))
        })
        .await;
        if late {
            self.wire.handle_timeout(now);
        }
        now
    }

    /// Moves bytes one way or both. Ready with whether a time limit is reached instead.
    ///
    /// A caller that keeps an alarm of its own asks again when it rings.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<bool> {
        let is_late = |wire: &W| wire.poll_timeout().is_some_and(|until| until <= now);
        // A limit that was reached is not extended by writing.
        let wrote = if is_late(&self.wire) {
            Poll::Pending
        } else {
            self.poll_write(cx, now)
        };
        let read = self.poll_read(cx, now);
        if wrote.is_ready() || read.is_ready() {
            self.looked = false;
            return Poll::Ready(false);
        }
        if !is_late(&self.wire) {
            return Poll::Pending;
        }
        // Input may have arrived that the runtime has not noticed yet.
        if !replace(&mut self.looked, true) {
            R::wake_later(cx);
            return Poll::Pending;
        }
        self.looked = false;
        Poll::Ready(true)
    }

    /// Writes output once; when there is none, flushes the stream.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let result = if let Some(transmit) = self.wire.poll_transmit(now) {
            let stream = &mut self.stream;
            let written =
                ready!(transmit.with_io_slices(|output| R::poll_write(stream, cx, output)));
            self.needs_flush = true;
            match written {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written.map(|count| self.wire.handle_sent(now, count)),
            }
        } else if self.needs_flush {
            let flushed = ready!(R::poll_flush(&mut self.stream, cx));
            self.needs_flush = false;
            if flushed.is_ok() {
                return Poll::Pending;
            }
            flushed
        } else {
            return Poll::Pending;
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.needs_flush = true,
            Err(error) => self.wire.handle_write_error(now, error.into()),
            Ok(()) => {}
        }
        Poll::Ready(())
    }

    /// Reads input once.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let wire = &mut self.wire;
        let result = ready!(R::poll_read(&mut self.stream, cx, |input| match input {
            [] => wire.handle_eof(now),
            input => wire.handle_input(now, input),
        }));
        match result {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.wire.handle_read_error(now, error.into());
            }
            _ => {}
        }
        Poll::Ready(())
    }

    /// The clock of the connection.
    #[cfg(feature = "mailer")]
    pub(crate) fn clock(&self) -> &R {
        &self.clock
    }

    /// The time of the connection.
    #[cfg(feature = "mailer")]
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// When the time limit is reached that is due first.
    #[cfg(feature = "mailer")]
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.wire.poll_timeout()
    }

    /// Handles a time limit that is reached.
    #[cfg(feature = "mailer")]
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.wire.handle_timeout(now);
    }

    /// Breaks the connection off. Every message on it has an outcome at once.
    #[cfg(feature = "mailer")]
    pub(crate) fn break_off(&mut self, reason: io::Error) {
        let now = self.clock.now();
        self.wire.handle_read_error(now, reason.into());
    }

    /// Ends the connection in order, if that is possible without waiting. Sets no alarm, so
    /// that it also works outside of the runtime.
    #[cfg(feature = "pool")]
    pub(crate) fn part(mut self) {
        self.smtp_mut().quit();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..STEPS_TO_PART {
            let now = self.clock.now();
            if let Poll::Ready(true) = self.poll_step(&mut cx, now) {
                self.wire.handle_timeout(now);
            }
        }
        _ = self.poll_close(&mut cx);
    }

    /// Waits until a connection that was ended or has failed is closed, then closes the stream.
    pub(crate) async fn close(&mut self) {
        forgo_token(self.smtp_mut());
        self.drive(|smtp| match smtp.is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        // The outcome of every message is known. Closing gets as long as the reply to QUIT.
        let until = (self.clock.now()).saturating_add(self.smtp().timeouts().quit());
        let alarm = pin!(self.clock.alarm(until));
        let closing = pin!(poll_fn(|cx| self.poll_close(cx)));
        _ = before(alarm.as_pin_mut(), closing).await;
    }

    /// Writes the last output of the wire, such as an alert of TLS, and closes the stream.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.clock.now();
        while let Some(transmit) = self.wire.poll_transmit(now) {
            let stream = &mut self.stream;
            match ready!(transmit.with_io_slices(|output| R::poll_write(stream, cx, output)))? {
                0 => break,
                count => self.wire.handle_sent(now, count),
            }
        }
        R::poll_close(&mut self.stream, cx)
    }
}

impl<S, R: Runtime<S>> Driver<S, Connection, R> {
    /// Has another TLS stack take over the stream where TLS begins, and waits until the server is
    /// ready for messages inside it.
    ///
    /// `handshake` gets the stream, from which nothing more has been read, and returns it in TLS. If
    /// the caller has to fetch a token, this returns when the token is wanted.
    ///
    /// Not cancel safe: dropping the future drops the connection as it is.
    ///
    /// # Errors
    /// The connection's failure, which includes an error of the handshake, or misuse if the config
    /// has no TLS.
    pub async fn upgrade<T, F>(mut self, handshake: F) -> Result<Driver<T, Connection, R>, Error>
    where
        R: Runtime<T>,
        F: AsyncFnOnce(S) -> io::Result<(T, TlsInfo)>,
    {
        self.drive(poll_tls).await?;
        // Starts the time limit of the handshake.
        _ = self.wire.begin_tls(self.clock.now())?;
        let Self {
            stream,
            mut wire,
            clock,
            ..
        } = self;
        let alarm = pin!(wire.poll_timeout().and_then(|until| clock.alarm(until)));
        let secured = before(alarm.as_pin_mut(), pin!(handshake(stream))).await;
        let stream = complete_tls(&mut wire, clock.now(), secured)?;
        let driver = Driver::resume(stream, wire, clock);
        driver.into_state(is_token_wanted).await
    }
}

impl<S, W: fmt::Debug, R> fmt::Debug for Driver<S, W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

/// Abandons a message when the future that sends it is dropped. A message whose outcome is known
/// keeps it.
struct AbandonOnDrop<'a, S, W: Wire, R> {
    driver: &'a mut Driver<S, W, R>,
    id: MailId,
}

impl<S, W: Wire, R> Drop for AbandonOnDrop<'_, S, W, R> {
    fn drop(&mut self) {
        self.driver.smtp_mut().abandon(self.id);
    }
}

/// How many bytes of content a reader is asked for at a time.
pub const PIECE: usize = 64 * 1024;

/// Enough to look for input twice, to write, and to flush.
#[cfg(feature = "pool")]
const STEPS_TO_PART: usize = 5;
