//! The loop between a stream and the connection, and the methods that wait in it.

use std::future::poll_fn;
use std::mem::{MaybeUninit, replace};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::BytesMut;
use smtp_proto::{
    Capabilities, Command, CommandId, Connection, ContentStatus, Error, Mail, MailId, Outcome,
    Reply, Time, TlsInfo, Window, Wire,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// An SMTP connection over a stream of tokio's.
///
/// With the feature `rustls`, `Client` alone names the usual one: over TCP, with TLS by
/// [`smtp_rustls::Session`](crate::tls::Session). It connects by [`connect`](Self::connect).
///
/// While nobody calls a method nothing moves: no task runs in the background, and an idle client holds no buffer.
///
/// Every method but [`send`](Self::send) and [`send_from`](Self::send_from) is cancel safe: to drop its future changes
/// nothing, and to call it again goes on where it was. The first failure of a connection is its last: every method then
/// gives the same error, but for the outcomes of messages that were under way.
pub struct Client<
    #[cfg(feature = "rustls")] S = tokio::net::TcpStream,
    #[cfg(feature = "rustls")] W = smtp_rustls::Session,
    #[cfg(not(feature = "rustls"))] S,
    #[cfg(not(feature = "rustls"))] W,
> {
    stream: S,
    wire: W,
    /// The zero of the connection's time: tokio's own instant, so that paused clocks work.
    epoch: Instant,
    /// Whether the stream may keep back bytes that it took.
    needs_flush: bool,
    /// Whether the runtime was given a turn, in which it may notice what has come, since the time was up.
    turned: bool,
}

impl<S, W: Wire> Client<S, W> {
    /// A client over a stream that is connected, and a wire that has not begun.
    ///
    /// It does not wait: see [`ready`](Self::ready).
    pub fn from_stream(stream: S, mut wire: W) -> Self {
        wire.smtp_mut().set_window(Window::FULL_DUPLEX);
        Self {
            stream,
            wire,
            epoch: Instant::now(),
            needs_flush: false,
            turned: false,
        }
    }

    /// Queues a message without waiting; any number may be queued.
    ///
    /// It goes out while a method waits, such as [`wait_outcome`](Self::wait_outcome).
    pub fn submit(&mut self, mail: Mail) -> MailId {
        self.wire.smtp_mut().submit(mail)
    }

    /// The extensions that the server advertises.
    pub fn capabilities(&self) -> &Capabilities {
        self.wire.smtp().capabilities()
    }

    /// The TLS connection under this one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.wire.smtp().tls()
    }

    /// The connection, to read its state: statistics, timeouts, the peer.
    pub fn connection(&self) -> &Connection {
        self.wire.smtp()
    }

    /// The connection, for everything that needs no waiting, such as the pieces of a streamed message.
    pub fn connection_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream and the wire, in the state that they are in.
    ///
    /// To drive the wire on, pass later times than it has seen: zero is when this client was created.
    pub fn into_parts(self) -> (S, W) {
        (self.stream, self.wire)
    }

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }

    /// The instant that the machine calls `time`, if the clock can show it.
    fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(time.since_origin())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Wire> Client<S, W> {
    /// Waits until the server is ready for messages: greeted, and as configured, in TLS and logged in.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The connection's failure.
    pub async fn ready(&mut self) -> Result<(), Error> {
        self.drive(Connection::poll_ready).await
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// Not cancel safe: to drop the future gives the message up. If nothing of it has been sent, it is withdrawn and the
    /// connection goes on; else the connection fails. Its outcome is for
    /// [`poll_event`](Connection::poll_event) to tell. To be able to come back to a message, use [`submit`](Self::submit)
    /// and [`wait_outcome`](Self::wait_outcome).
    ///
    /// # Errors
    /// If the message is written in pieces. A message that the server rejected, or that a failure kept from being sent, is no
    /// error: its outcome tells.
    pub async fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        let id = self.submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        sending.client.wait_outcome(id).await
    }

    /// Sends a message whose content is read from `text`, and waits for its outcome.
    ///
    /// The message is one that is [`streamed`](smtp_proto::MailBuilder::streamed). At most 64 KiB of the text are held at a
    /// time. If reading fails, the message is not sent, its outcome has the reader's error, and the connection fails, since
    /// there is no other way to take back what was sent.
    ///
    /// Not cancel safe: to drop the future gives the message up, as with [`send`](Self::send).
    ///
    /// # Errors
    /// If the message is not written in pieces; it is then given up.
    pub async fn send_from(&mut self, mail: Mail, text: impl AsyncRead) -> Result<Outcome, Error> {
        let id = self.submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        let client = &mut *sending.client;
        let mut text = pin!(text);
        let mut buffer = BytesMut::new();
        while client.content_wanted(id).await? == ContentStatus::Wanted {
            buffer.reserve(PIECE);
            match text.read_buf(&mut buffer).await {
                Ok(0) => break,
                // Never misuse: this piece was asked for.
                Ok(_) => {
                    _ = client
                        .connection_mut()
                        .write_content(id, buffer.split().freeze())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => client.wire.smtp_mut().fail_content(id, error.into()),
            }
        }
        _ = client.connection_mut().finish_content(id);
        client.wait_outcome(id).await
    }

    /// Waits until the next piece of a message's content is wanted, or none will be.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If there is no such mail, it is not written in pieces or is finished, or the connection's failure.
    pub async fn content_wanted(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        self.drive(|smtp| smtp.poll_content(id)).await
    }

    /// Waits for the outcome of a message. It is returned once.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If there is no such mail, its outcome has been told, or its text is not finished.
    pub async fn wait_outcome(&mut self, id: MailId) -> Result<Outcome, Error> {
        self.drive(|smtp| smtp.poll_outcome(id)).await
    }

    /// Sends a command outside any message, after everything that is queued, and waits for the reply.
    ///
    /// Cancel safe, but the reply is then for [`poll_event`](Connection::poll_event) to tell.
    ///
    /// # Errors
    /// The connection's failure, or that it has been ended.
    pub async fn command(&mut self, command: Command) -> Result<Reply, Error> {
        let id = self.wire.smtp_mut().command(command);
        self.wait_reply(id).await
    }

    /// Waits for the reply to a command that was [handed over](Connection::command) without waiting. It is returned once.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If there is no such command, its reply has been told, or the connection's failure.
    pub async fn wait_reply(&mut self, id: CommandId) -> Result<Reply, Error> {
        self.drive(|smtp| smtp.poll_reply(id)).await
    }

    /// Ends the connection by QUIT, after everything that is queued.
    ///
    /// To drop the future drops the connection as it is.
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub async fn quit(mut self) -> Result<(), Error> {
        self.wire.smtp_mut().quit();
        let ended = self.drive(Connection::poll_closed).await;
        self.part().await;
        ended
    }

    /// Waits until the server is ready; if that fails, ends the connection in good order.
    pub(crate) async fn into_ready(mut self) -> Result<Self, Error> {
        match self.ready().await {
            Ok(()) => Ok(self),
            Err(error) => {
                self.part().await;
                Err(error)
            }
        }
    }

    /// Says the last word of a connection that has ended or failed, and shuts the stream down.
    async fn part(&mut self) {
        self.drive(|smtp| match smtp.is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        // All is said; whether the transport's own last bytes arrive changes nothing.
        let limit = self.connection().timeouts().quit();
        let _ = timeout(limit, poll_fn(|cx| self.poll_close(cx))).await;
    }

    /// Moves bytes one way or both, or waits until it can or the time is up; `began` is the present, if that is known. Returns the
    /// time at which that was done.
    async fn step(&mut self, mut began: Option<Time>) -> Time {
        let mut alarm = pin!(None);
        let (now, late) = poll_fn(|cx| {
            let now = began.take().unwrap_or_else(|| self.now());
            let is_late = |wire: &W| wire.poll_timeout().is_some_and(|until| until <= now);
            // However much can still be written, what took too long is over.
            let wrote = if is_late(&self.wire) {
                Poll::Pending
            } else {
                self.poll_write(cx, now)
            };
            let read = self.poll_read(cx, now);
            if wrote.is_ready() || read.is_ready() {
                self.turned = false;
                return Poll::Ready((now, false));
            }
            let Some(until) = self.wire.poll_timeout() else {
                return Poll::Pending;
            };
            // A timer takes a turn of the runtime to go off, and this future may not live that long.
            if until <= now {
                // The runtime may have noticed the time before what came in it.
                if !replace(&mut self.turned, true) {
                    return pin!(yield_now()).poll(cx).map(|()| (now, false));
                }
                self.turned = false;
                return Poll::Ready((now, true));
            }
            if alarm.is_none() {
                alarm.set(self.instant(until).map(sleep_until));
            }
            let alarm = alarm.as_mut().as_pin_mut();
            // The time is up, unless something has come.
            alarm.map_or(Poll::Pending, |alarm| {
                alarm.poll(cx).map(|()| (self.now(), false))
            })
        })
        .await;
        if late {
            self.wire.handle_timeout(now);
        }
        now
    }

    pub(crate) async fn drive<T>(&mut self, mut done: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        let mut now = None;
        loop {
            if let Poll::Ready(answer) = done(self.wire.smtp_mut()) {
                return answer;
            }
            now = Some(self.step(now).await);
        }
    }

    /// Drives by a question that may itself wait for something outside, and is asked again when that wakes the task.
    pub(crate) async fn drive_with<T>(
        &mut self,
        mut done: impl FnMut(&mut Connection, &mut Context<'_>) -> Poll<T>,
    ) -> T {
        let mut now = None;
        loop {
            let asked = poll_fn(|cx| Poll::Ready(done(self.wire.smtp_mut(), cx)));
            if let Poll::Ready(answer) = asked.await {
                return answer;
            }
            let mut step = pin!(self.step(now));
            let mut woken = false;
            // Whoever woke the task, the question comes first: a step that is given up loses nothing.
            now = poll_fn(|cx| match step.as_mut().poll(cx) {
                Poll::Ready(now) => Poll::Ready(Some(now)),
                Poll::Pending if !replace(&mut woken, true) => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            })
            .await;
        }
    }

    /// Writes some of what is offered; once nothing is, sees to it that the stream keeps nothing back.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let stream = Pin::new(&mut self.stream);
        let result = if let Some(transmit) = self.wire.poll_transmit(now) {
            let written =
                ready!(transmit.with_io_slices(|slices| stream.poll_write_vectored(cx, slices)));
            self.needs_flush = true;
            match written {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written.map(|count| self.wire.handle_sent(now, count)),
            }
        } else if self.needs_flush {
            let flushed = ready!(stream.poll_flush(cx));
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

    /// Reads what has come.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let mut memory = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut memory);
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        match result {
            Ok(()) if buffer.filled().is_empty() => self.wire.handle_eof(now),
            Ok(()) => self.wire.handle_input(now, buffer.filled()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        Poll::Ready(())
    }

    /// Writes what the wire still has to say when the dialogue is over, and shuts the stream down.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.now();
        let mut stream = Pin::new(&mut self.stream);
        while let Some(transmit) = self.wire.poll_transmit(now) {
            match ready!(
                transmit.with_io_slices(|slices| stream.as_mut().poll_write_vectored(cx, slices))
            )? {
                0 => break,
                count => self.wire.handle_sent(now, count),
            }
        }
        stream.poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S, Connection> {
    /// Lets another TLS stack take the stream over at the point at which TLS begins, and waits until the server is
    /// ready for message inside it.
    ///
    /// `handshake` gets the stream in which not a byte more has been read, and gives the stream in TLS with
    /// what is known of it, or [`TlsInfo::asserted`]. It has as long as the connection's policy says.
    ///
    /// To drop the future drops the connection as it is.
    ///
    /// # Errors
    /// The connection's failure, an error of the handshake included, or misuse if it is not to have TLS.
    pub async fn upgrade<T, F>(mut self, handshake: F) -> Result<Client<T, Connection>, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        F: AsyncFnOnce(S) -> io::Result<(T, TlsInfo)>,
    {
        self.drive(|smtp| match smtp.wants_tls() {
            true => Poll::Ready(Ok(())),
            // The failure, or that the server is ready without TLS.
            false => smtp.poll_ready(),
        })
        .await?;
        let now = self.now();
        // Starts the time for the handshake.
        _ = self.wire.begin_tls(now)?;
        let until = self.wire.poll_timeout();
        let deadline = until.and_then(|until| self.instant(until));
        let Self {
            stream,
            mut wire,
            epoch,
            ..
        } = self;
        let handshake = handshake(stream);
        let result = match deadline {
            Some(until) => timeout_at(until, handshake).await.ok(),
            None => Some(handshake.await),
        };
        let now = Time::from_origin(epoch.elapsed());
        let secured = match result {
            Some(Ok(secured)) => Some(secured),
            Some(Err(error)) => {
                wire.handle_read_error(now, error.into());
                None
            }
            None => {
                wire.handle_timeout(now);
                None
            }
        };
        let Some((stream, facts)) = secured else {
            return Err(take_error(&mut wire));
        };
        let mut client = Client {
            stream,
            wire,
            epoch,
            needs_flush: false,
            turned: false,
        };
        client.wire.begin_tls(now)?.complete(now, facts);
        client.into_ready().await
    }
}

impl<S, W: fmt::Debug> fmt::Debug for Client<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

/// Gives a message up when the future that sends it is dropped; one whose outcome is known is past that.
struct AbandonOnDrop<'a, S, W: Wire> {
    client: &'a mut Client<S, W>,
    id: MailId,
}

impl<S, W: Wire> Drop for AbandonOnDrop<'_, S, W> {
    fn drop(&mut self) {
        self.client.wire.smtp_mut().abandon(self.id);
    }
}

/// The error of a connection to which a failure was just reported.
fn take_error(wire: &mut Connection) -> Error {
    match wire.poll_ready() {
        Poll::Ready(Err(error)) => error,
        _ => Error::connect_timeout(),
    }
}

/// How many bytes are read at a time: more than nearly every reply, and a TLS handshake in a few.
const READ: usize = 8 * 1024;

/// How many bytes of a message's text are asked of a reader at a time.
const PIECE: usize = 64 * 1024;
