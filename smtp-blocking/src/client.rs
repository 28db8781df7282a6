//! The loop between a stream and the connection, and the methods that wait in it.

use std::io::Read;
use std::ops::RangeInclusive;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{fmt, io};

use bytes::BytesMut;
use smtp_proto::{
    Capabilities, Command, CommandId, Connection, ContentStatus, Error, Mail, MailId, Outcome,
    Reply, Time, TlsInfo, Wire,
};

use crate::Stream;

/// An SMTP connection over a stream that blocks.
///
/// With the feature `rustls`, `Client` alone names the usual one: over TCP, with TLS by
/// [`smtp_rustls::Session`](crate::tls::Session). It connects by [`connect`](Self::connect).
///
/// While nobody calls a method nothing moves: no thread runs in the background, and an idle client holds no buffer. The
/// first failure of a connection is its last: every method then gives the same error, but for the outcomes of messages that
/// were under way.
pub struct Client<
    #[cfg(feature = "rustls")] S = std::net::TcpStream,
    #[cfg(feature = "rustls")] W = smtp_rustls::Session,
    #[cfg(not(feature = "rustls"))] S,
    #[cfg(not(feature = "rustls"))] W,
> {
    stream: S,
    wire: W,
    /// The zero of the connection's time.
    epoch: Instant,
    /// For how long to block what the stream was last told will do.
    timeout_range: Option<RangeInclusive<Duration>>,
    /// Whether the stream may keep back bytes that it took.
    needs_flush: bool,
}

impl<S, W: Wire> Client<S, W> {
    /// A client over a stream that is connected, and a wire that has not begun.
    ///
    /// It does not wait: see [`ready`](Self::ready).
    pub fn from_stream(stream: S, wire: W) -> Self {
        Self {
            stream,
            wire,
            epoch: Instant::now(),
            timeout_range: None,
            needs_flush: false,
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
}

impl<S: Stream, W: Wire> Client<S, W> {
    /// Waits until the server is ready for messages: greeted, and as configured, in TLS and logged in.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.drive(Connection::poll_ready)
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// More than one at a time goes out by [`submit`](Self::submit) and [`wait_outcome`](Self::wait_outcome).
    ///
    /// # Errors
    /// If the message is written in pieces. A message that the server rejected, or that a failure kept from being sent, is no
    /// error: its outcome tells.
    pub fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        let id = self.submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        sending.client.wait_outcome(id)
    }

    /// Sends a message whose content is read from `text`, and waits for its outcome.
    ///
    /// The message is one that is [`streamed`](smtp_proto::MailBuilder::streamed). At most 64 KiB of the text are held at a
    /// time. If reading fails, the message is not sent, its outcome has the reader's error, and the connection fails, since
    /// there is no other way to take back what was sent.
    ///
    /// # Errors
    /// If the message is not written in pieces; it is then given up.
    pub fn send_from(&mut self, mail: Mail, mut text: impl Read) -> Result<Outcome, Error> {
        let id = self.submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        let client = &mut *sending.client;
        let mut buffer = BytesMut::new();
        while client.content_wanted(id)? == ContentStatus::Wanted {
            buffer.resize(PIECE, 0);
            match text.read(&mut buffer) {
                Ok(0) => break,
                // Never misuse: this piece was asked for.
                Ok(count) => {
                    _ = client
                        .connection_mut()
                        .write_content(id, buffer.split_to(count).freeze())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => client.wire.smtp_mut().fail_content(id, error.into()),
            }
        }
        _ = client.connection_mut().finish_content(id);
        client.wait_outcome(id)
    }

    /// Waits until the next piece of a message's content is wanted, or none will be.
    ///
    /// # Errors
    /// If there is no such mail, it is not written in pieces or is finished, or the connection's failure.
    pub fn content_wanted(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        self.drive(|smtp| smtp.poll_content(id))
    }

    /// Waits for the outcome of a message. It is returned once.
    ///
    /// # Errors
    /// If there is no such mail, its outcome has been told, or its text is not finished.
    pub fn wait_outcome(&mut self, id: MailId) -> Result<Outcome, Error> {
        self.drive(|smtp| smtp.poll_outcome(id))
    }

    /// Sends a command outside any message, after everything that is queued, and waits for the reply.
    ///
    /// # Errors
    /// The connection's failure, or that it has been ended.
    pub fn command(&mut self, command: Command) -> Result<Reply, Error> {
        let id = self.wire.smtp_mut().command(command);
        self.wait_reply(id)
    }

    /// Waits for the reply to a command that was [handed over](Connection::command) without waiting. It is returned once.
    ///
    /// # Errors
    /// If there is no such command, its reply has been told, or the connection's failure.
    pub fn wait_reply(&mut self, id: CommandId) -> Result<Reply, Error> {
        self.drive(|smtp| smtp.poll_reply(id))
    }

    /// Ends the connection by QUIT, after everything that is queued.
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub fn quit(mut self) -> Result<(), Error> {
        self.wire.smtp_mut().quit();
        let ended = self.drive(Connection::poll_closed);
        self.part();
        ended
    }

    /// Waits until the server is ready; if that fails, ends the connection in good order.
    pub(crate) fn into_ready(mut self) -> Result<Self, Error> {
        match self.ready() {
            Ok(()) => Ok(self),
            Err(error) => {
                self.part();
                Err(error)
            }
        }
    }

    /// Says the last word of a connection that has ended or failed, and shuts the stream down.
    fn part(&mut self) {
        self.drive(|smtp| match smtp.is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        // All is said; whether the transport's own last bytes arrive changes nothing.
        let _ = self.close();
    }

    pub(crate) fn drive<T>(&mut self, mut done: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        let mut now = None;
        loop {
            if let Poll::Ready(answer) = done(self.wire.smtp_mut()) {
                return answer;
            }
            let began = now.unwrap_or_else(|| self.now());
            now = Some(self.step(began));
        }
    }

    /// Writes some of what is offered, else reads what comes, and waits for that until the time is up at most. Returns the
    /// time at which that was done.
    fn step(&mut self, now: Time) -> Time {
        // What is offered here begins a wait, and the stream has to know of the wait before it blocks.
        let offered = self.wire.poll_transmit(now).is_some();
        let until = self.wire.poll_timeout();
        if until.is_some_and(|until| until <= now) {
            return self.look();
        }
        match self.limit_blocking(now, until) {
            Err(error) => {
                self.wire.handle_read_error(now, error.into());
                now
            }
            Ok(()) if offered => self.write(now),
            Ok(()) if self.needs_flush => self.flush(),
            Ok(()) => self.read(),
        }
    }

    /// Writes some of what is offered.
    fn write(&mut self, now: Time) -> Time {
        let Some(transmit) = self.wire.poll_transmit(now) else {
            return now;
        };
        let written = transmit.with_io_slices(|slices| self.stream.write_vectored(slices));
        let now = self.now();
        self.needs_flush = self.stream.is_buffered();
        match written {
            Ok(0) => {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                self.wire.handle_write_error(now, error.into());
            }
            Ok(count) => self.wire.handle_sent(now, count),
            Err(error) if is_retryable(&error) => {}
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        now
    }

    /// Sees to it that the stream keeps nothing back.
    fn flush(&mut self) -> Time {
        let flushed = self.stream.flush();
        let now = self.now();
        self.needs_flush = false;
        match flushed {
            Ok(()) => {}
            Err(error) if is_retryable(&error) => self.needs_flush = true,
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        now
    }

    /// Waits for something to come, and reads it.
    fn read(&mut self) -> Time {
        let mut buffer = [0; READ];
        let result = self.stream.read(&mut buffer);
        self.take(&buffer, result).0
    }

    /// Reads what has come without waiting for more; if that is nothing, the time is up.
    fn look(&mut self) -> Time {
        let mut buffer = [0; READ];
        let result = match self.stream.try_read(&mut buffer) {
            Some(result) => result,
            None => {
                self.timeout_range = None;
                let limited = self.stream.set_timeouts(SHORTEST);
                limited.and_then(|()| self.stream.read(&mut buffer))
            }
        };
        let (now, came) = self.take(&buffer, result);
        if !came {
            self.wire.handle_timeout(now);
        }
        now
    }

    /// Takes what was read. Returns the time, and whether it was anything.
    fn take(&mut self, buffer: &[u8], result: io::Result<usize>) -> (Time, bool) {
        let now = self.now();
        match result {
            Ok(0) => self.wire.handle_eof(now),
            Ok(count) => self
                .wire
                .handle_input(now, buffer.get(..count).unwrap_or(buffer)),
            Err(error) if is_retryable(&error) => return (now, false),
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        (now, true)
    }

    /// Tells the stream how long it may block, if it would block for too long by what it was told last, or so short that
    /// it would wake up in vain over and over. In between, to wake up too early costs less than to tell it each time.
    fn limit_blocking(&mut self, now: Time, until: Option<Time>) -> io::Result<()> {
        let left = until.map_or(LONGEST, |until| {
            until.saturating_since(now).clamp(SHORTEST, LONGEST)
        });
        if !self
            .timeout_range
            .as_ref()
            .is_some_and(|timeout_range| timeout_range.contains(&left))
        {
            self.stream.set_timeouts(left)?;
            self.timeout_range = Some(left - left / 11..=left * 8);
        }
        Ok(())
    }

    /// Writes what the wire still has to say when the dialogue is over, and shuts the stream down. The limit for the last
    /// reply still bounds each write.
    fn close(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.wire.poll_transmit(self.now()) {
            match transmit.with_io_slices(|slices| self.stream.write_vectored(slices))? {
                0 => break,
                count => self.wire.handle_sent(self.now(), count),
            }
        }
        self.stream.shut_down()
    }
}

impl<S: Stream> Client<S, Connection> {
    /// Lets another TLS stack take the stream over at the point at which TLS begins, and waits until the server is
    /// ready for message inside it.
    ///
    /// `handshake` gets the stream in which not a byte more has been read, and gives the stream in TLS with
    /// what is known of it, or [`TlsInfo::asserted`]. Each of its reads and writes may take as long as the policy gives
    /// the handshake; one that is late in the end has failed.
    ///
    /// # Errors
    /// The connection's failure, an error of the handshake included, or misuse if it is not to have TLS.
    pub fn upgrade<T, F>(mut self, handshake: F) -> Result<Client<T, Connection>, Error>
    where
        T: Stream,
        F: FnOnce(S) -> io::Result<(T, TlsInfo)>,
    {
        self.drive(|smtp| match smtp.wants_tls() {
            true => Poll::Ready(Ok(())),
            // The failure, or that the server is ready without TLS.
            false => smtp.poll_ready(),
        })?;
        let now = self.now();
        // Starts the time for the handshake.
        _ = self.wire.begin_tls(now)?;
        // Not much too short, as would do for `step`: to whoever does the handshake an early end is a failure.
        self.timeout_range = None;
        let limited = self.limit_blocking(self.now(), self.wire.poll_timeout());
        let Self {
            stream,
            mut wire,
            epoch,
            ..
        } = self;
        let result = limited.and_then(|()| handshake(stream));
        let now = Time::from_origin(epoch.elapsed());
        wire.handle_timeout(now);
        let (stream, facts) = match result {
            Ok(secured) => secured,
            Err(error) => {
                wire.handle_read_error(now, error.into());
                return Err(take_error(&mut wire));
            }
        };
        let mut client = Client {
            stream,
            wire,
            epoch,
            timeout_range: None,
            needs_flush: false,
        };
        client.wire.begin_tls(now)?.complete(now, facts);
        client.into_ready()
    }
}

impl<S, W: fmt::Debug> fmt::Debug for Client<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

/// Gives a message up that cannot be sent as it is, or whose reader panics; one whose outcome is known is past that.
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

/// Whether an operation only has to be tried again: it was disturbed, or took as long as it may.
fn is_retryable(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// How many bytes are read at a time: more than nearly every reply, and little to clear each time.
const READ: usize = 2 * 1024;

/// How many bytes of a message's text are asked of a reader at a time.
const PIECE: usize = 64 * 1024;

/// A stream takes no limit of zero.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// Not every system takes any limit.
const LONGEST: Duration = Duration::from_secs(60 * 60);
