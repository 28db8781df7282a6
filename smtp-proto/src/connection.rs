//! The public state machine: a driver feeds it, and a caller asks it.

// Each module uses only those above it in this list.
mod pending;
mod send_buffer;

mod timers;

mod io;

mod auth_exchange;
mod handshake;
mod progress;
mod transaction;

mod queue;
mod results;

mod core;
mod failure;
mod fill;

mod questions;
mod token;
mod upgrade;

mod batch;
mod wire;

#[cfg(test)]
mod growth;

use ::core::fmt;
use alloc::sync::Arc;

pub use self::batch::Batch;
pub use self::send_buffer::Transmit;
pub use self::upgrade::Upgrade;
pub use self::wire::Wire;

use self::core::{Ahead, Core, EventCursor, InputBudget, Phase};
use self::fill::Filled;
use self::handshake::{ServerInfo, State, TlsStart};
use self::io::Io;
use self::progress::FillMode;
use self::queue::Queue;
use self::results::Results;
use self::transaction::Leftover;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Peer, ProtocolError, TransportError};
use crate::pipelining::{Pipelining, Window};
use crate::reply_reader::ReplyReader;
use crate::seed::Seed;
use crate::stage::Stage;
use crate::time::Time;

/// An SMTP connection, from the greeting to QUIT, as a state machine without I/O.
///
/// | name | meaning |
/// | --- | --- |
/// | `handle_*` | reports what happened outside; never fails, a failure shows in `poll_*` |
/// | `poll_*` | asks what to do, or for a result; an extra call changes nothing |
/// | plain verbs | request an action; take effect at once, and never block |
///
/// A question, such as [`poll_outcome`](Self::poll_outcome), is answered with
/// [`Poll`](::core::task::Poll): `Pending` until bytes move or time passes. Events and output are
/// taken one after the other and are an `Option`, which is `None` when there is nothing for now.
///
/// A driver moves bytes by the [`Wire`](crate::Wire) methods until its question is answered:
///
/// ```
/// use std::sync::Arc;
/// use std::task::Poll;
/// use smtp_proto::{Config, Connection, Mail, Security, Seed, Time, Wire};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// let mut connection = Connection::new(Arc::new(config), Seed::random());
/// let mail = Mail::new("a@example.org", ["b@example.net"], "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n")?;
/// let id = connection.submit(mail);
///
/// let now = Time::ORIGIN;
/// let mut server = ["220 ready\r\n", "250 hello\r\n", "250 ok\r\n", "250 ok\r\n", "354 go on\r\n", "250 taken\r\n"].into_iter();
/// let outcome = loop {
///     if let Poll::Ready(outcome) = connection.poll_outcome(id) {
///         break outcome?;
///     }
///     let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
///     connection.handle_sent(now, count);
///     connection.handle_input(now, server.next().unwrap_or_default().as_bytes());
/// };
/// assert!(outcome.is_accepted());
/// # Ok(())
/// # }
/// ```
///
/// After a failure every question returns the same [`Error`], except for the outcomes of messages
/// that had begun. A connection that has failed or closed cannot be reused.
pub struct Connection {
    reply_reader: ReplyReader,
    core: Filled,
}

impl Connection {
    /// Creates a connection that waits for the greeting.
    ///
    /// `seed` makes the nonces of SASL mechanisms unpredictable; usually it is [`Seed::random`].
    pub fn new(config: Arc<Config>, seed: Seed) -> Self {
        let level = config.pipelining.unwrap_or_default();
        let mut io = Io::new(config);
        let state = State::begin(&mut io);
        Self {
            reply_reader: ReplyReader::default(),
            core: Filled::new(Core {
                seed,
                io,
                server: ServerInfo::default(),
                phase: Phase::Open(state),
                queue: Queue::new(),
                leftover: Leftover::Nothing,
                ahead: Ahead::new(level),
                budget: InputBudget::default(),
                done: Results::default(),
                announced: EventCursor::Nothing,
                next_id: 0,
            }),
        }
    }

    /// Limits commands and replies in flight. No effect if the configuration sets a window.
    ///
    /// The driver sets the window that suits it: [`Window::FULL_DUPLEX`] if it reads while it
    /// writes.
    pub fn set_window(&mut self, window: Window) {
        if self.core.io.config.window.is_none() {
            self.core.change().io.pending.set_window(window);
        }
    }

    /// Sets the level of pipelining. No effect if the configuration sets one.
    ///
    /// For many messages at once, [`Pipelining::Transactions`] saves a round trip for each message.
    pub fn set_pipelining(&mut self, level: Pipelining) {
        if self.core.io.config.pipelining.is_none() {
            self.core.change().set_pipelining(level);
        }
    }

    /// Sends no more ahead of the replies than the envelope, whatever the level of pipelining.
    ///
    /// For the first message after a pause, in which the server may have closed the connection: the
    /// content of a message that was sent ahead would then be in doubt.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Connection, Mail, MailId};
    ///
    /// fn submit_after_pause(connection: &mut Connection, mail: Mail) -> MailId {
    ///     connection.set_cautious(true);
    ///     connection.submit(mail)
    ///     // Once its outcome is known: `connection.set_cautious(false)`.
    /// }
    /// # let _: fn(&mut Connection, Mail) -> MailId = submit_after_pause;
    /// ```
    pub fn set_cautious(&mut self, cautious: bool) {
        if self.core.ahead.cautious != cautious {
            self.core.change().set_cautious(cautious);
        }
    }

    /// Names the server in the errors of this connection.
    ///
    /// The driver knows which server it connects to, and at which address.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Peer;
    /// # use std::sync::Arc;
    /// # use std::task::Poll;
    /// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    ///
    /// connection.set_peer(Peer::host("mail.example.org", 587));
    /// connection.handle_eof(Time::ORIGIN);
    /// let Poll::Ready(Err(error)) = connection.poll_ready() else { unreachable!() };
    /// assert_eq!(error.endpoint(), Some("mail.example.org:587"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_peer(&mut self, peer: Peer) {
        self.core.change().io.peer = Some(Arc::new(peer));
    }

    // Reports.

    /// Reports bytes from the peer. All of them are taken, however they are cut.
    pub fn handle_input(&mut self, now: Time, mut input: &[u8]) {
        self.core.unchanged().io.begin(now);
        if input.is_empty() {
            return;
        }
        while !input.is_empty() {
            match self.core.phase.state() {
                Ok(State::Ended) => return,
                Ok(State::AwaitTls(start) | State::TlsHandshake(start)) => {
                    let stage = match start {
                        TlsStart::StartTls => Stage::StartTls,
                        TlsStart::FirstByte => Stage::TlsHandshake,
                    };
                    return self.fail(Error::protocol(stage, ProtocolError::InjectedBeforeTls));
                }
                Ok(_) => {}
                Err(_) => return self.ignore_input(input),
            }
            if let Err(error) = self.take_reply(now, &mut input) {
                return self.fail(error);
            }
        }
        self.core.change().io.read_something(now);
    }

    /// Takes the first reply from the input, or the available part of it.
    fn take_reply(&mut self, now: Time, input: &mut &[u8]) -> Result<(), Error> {
        let core = self.core.change();
        if self.reply_reader.partial_reply().is_empty() {
            core.reply_begins(now);
        }
        let left = core.input_left();
        if left == 0 {
            return Err(Error::protocol(core.stage(), ProtocolError::TooMuchInput));
        }
        let limits = core.reply_limits();
        let mut rest = input.get(..left).unwrap_or(input);
        let before = rest.len();
        let next = self.reply_reader.next(&mut rest, &limits);
        // Count per reply, not per read, so that the statistics in an outcome do not depend on how
        // the input is cut.
        let taken = before.saturating_sub(rest.len());
        core.io.received(now, taken);
        *input = input.get(taken..).unwrap_or_default();
        match next {
            Ok(None) => Ok(()),
            Ok(Some(reply)) => core
                .handle_reply(now, reply)
                .inspect_err(|_| core.io.read_something(now)),
            Err(error) => Err(Error::protocol(core.stage(), ProtocolError::Reply(error))),
        }
    }

    /// Discards input after a failure.
    fn ignore_input(&mut self, input: &[u8]) {
        if self.is_closed() {
            return;
        }
        let core = self.core.change();
        if core.io.is_quiet() {
            // The last QUIT has not been sent.
            core.ignore(input.len());
        } else {
            // The reply to QUIT, whatever it is. Input without an end does not delay the close.
            core.io.close();
        }
    }

    /// Reports that the peer has closed its side.
    pub fn handle_eof(&mut self, now: Time) {
        self.core.unchanged().io.begin(now);
        self.lose(|stage| Error::new(stage, ErrorKind::ConnectionLost));
    }

    /// Acknowledges that the first `count` bytes of the last [`Transmit`] were sent.
    ///
    /// Bytes handed out before a failure may be acknowledged after it, without effect. To
    /// acknowledge more bytes than were handed out is misuse, and the connection fails.
    pub fn handle_sent(&mut self, _now: Time, count: usize) {
        if !self.is_closed()
            && let Err(misuse) = self.core.change().io.sent(count)
        {
            self.stop(Error::misuse(self.core.stage(), misuse));
        }
    }

    /// Begins an operation that owns the bytes acknowledged last, for
    /// [`Wire::handle_submitted`](crate::Wire::handle_submitted).
    pub(crate) fn begin_operation(&mut self, now: Time) {
        self.core.unchanged().io.begin_operation(now);
    }

    /// Ends that operation.
    pub(crate) fn end_operation(&mut self) {
        self.core.unchanged().io.end_operation();
    }

    /// Reports that the time of [`poll_timeout`](Self::poll_timeout) has come. Does nothing before
    /// that time.
    ///
    /// Call it only after a read found no input: input that has arrived is not late.
    pub fn handle_timeout(&mut self, now: Time) {
        self.core.unchanged().io.begin(now);
        if self.core.io.is_holding() {
            self.core.change().io.read_nothing(now);
        }
        let Some((until, limit)) = self.core.deadline() else {
            return;
        };
        if now >= until {
            self.lose(|stage| Error::new(stage, ErrorKind::Timeout(limit)));
        }
    }

    /// Reports that reading failed.
    pub fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.core.unchanged().io.begin(now);
        self.lose(|stage| Error::new(stage, ErrorKind::Transport(error)));
    }

    /// Reports that writing failed.
    ///
    /// Nothing more is handed out. The peer may have sent its reason before it closed, so continue
    /// reading until it has closed or the time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.core.unchanged().io.begin(now);
        self.end_operation();
        match self.core.phase.state() {
            Ok(State::ExpectQuit | State::Ended) => self.end(),
            Err(_) => self.core.change().io.close(),
            Ok(_) => {
                let error = Error::new(self.core.stage(), ErrorKind::Transport(error));
                self.core.change().drain(now, error);
            }
        }
    }

    /// Reports that the proxy opened no tunnel to the server: it rejected the request, or the
    /// connection to it failed.
    ///
    /// For a layer that opens a tunnel and gives the connection nothing before the tunnel is open.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Connection, Time, TransportError};
    ///
    /// fn on_rejection(connection: &mut Connection, now: Time, reply: std::io::Error) {
    ///     connection.handle_proxy_error(now, TransportError::new(reply).permanent());
    /// }
    /// ```
    pub fn handle_proxy_error(&mut self, now: Time, error: TransportError) {
        self.core.unchanged().io.begin(now);
        self.lose(|_| Error::proxy(error));
    }

    /// Reports that the proxy took too long to open a tunnel to the server.
    pub fn handle_proxy_timeout(&mut self, now: Time) {
        self.core.unchanged().io.begin(now);
        self.lose(|_| Error::proxy_timeout());
    }

    // Instructions to the driver.

    /// The bytes to send now, repeated until [`handle_sent`](Self::handle_sent) acknowledges them.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.core.unchanged().io.begin(now);
        if self.wants_tls() {
            self.core.unchanged().io.begin_tls(now);
        }
        if self.core.io.may_send(now) {
            self.fill(FillMode::Send);
            // Filling may have failed, and the last QUIT is sent later.
            if !matches!(self.core.phase, Phase::Draining { .. }) && self.core.io.may_send(now) {
                return self.core.unchanged().io.offer(now);
            }
        } else if self.has_more_to_send() {
            self.core.unchanged().io.hold(now);
        } else {
            self.core.unchanged().io.wait(now);
        }
        None
    }

    /// The time until which the driver may wait for input.
    ///
    /// The time may be the present or the past. Then read available input without waiting, and if
    /// there is none, call [`handle_timeout`](Self::handle_timeout). This happens before each
    /// output while no reply is pending: a reply that had already arrived would be taken as the
    /// reply to the next command.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.deadline().map(|(until, _)| until)
    }

    /// Whether the connection has failed or closed, and will do nothing more.
    ///
    /// A connection that failed while both sides were in order still sends QUIT (RFC 5321, section
    /// 4.1.1.10). It is closed when the reply arrives, or when the time limit for QUIT expires.
    pub fn is_closed(&self) -> bool {
        match &self.core.phase {
            Phase::Failed(_) => self.core.io.pending.is_empty(),
            phase => phase.is_ended(),
        }
    }

    /// Whether there is something to send, without beginning a new item.
    fn has_more_to_send(&mut self) -> bool {
        self.fill(FillMode::Probe);
        !matches!(self.core.phase, Phase::Draining { .. })
            && (self.core.is_probed() || !self.core.io.send_buffer.is_empty())
    }

    /// Whether every sent command has its replies, and the next bytes to send are waiting.
    fn is_about_to_send(&mut self) -> bool {
        self.core.io.is_quiet()
            && self.core.io.has_just_read()
            && self.has_more_to_send()
            && self.core.phase.state().is_ok()
    }

    /// Queues everything that may be sent now.
    ///
    /// Every question calls this, because filling can determine the result itself, such as for a
    /// message that the server cannot take. No event from outside would ever lead to it.
    fn fill(&mut self, mode: FillMode) {
        if let Err(error) = self.core.fill(mode) {
            self.stop(error);
        }
    }

    fn lose(&mut self, error: impl FnOnce(Stage) -> Error) {
        match &self.core.phase {
            Phase::Failed(_) => self.core.change().io.close(),
            Phase::Open(State::ExpectQuit | State::Ended)
            | Phase::Draining {
                state: State::ExpectQuit,
                ..
            } => self.end(),
            Phase::Draining { error, .. } => self.fail(error.clone()),
            Phase::Open(_) => self.fail(error(self.core.stage())),
        }
    }

    fn end(&mut self) {
        if !self.core.phase.is_ended() {
            self.core.change().enter(State::Ended);
        }
        self.reply_reader.clear();
    }

    /// Fails for an external reason. A partly received reply may explain it.
    fn fail(&mut self, error: Error) {
        let error = if error.partial_reply().is_none() {
            error.with_fragment(self.reply_reader.partial_reply())
        } else {
            error
        };
        self.stop(error);
    }

    /// Fails for a reason on the caller's side, which no reply explains.
    fn stop(&mut self, error: Error) {
        if matches!(self.core.phase.state(), Ok(State::ExpectQuit)) {
            return self.end();
        }
        self.reply_reader.clear();
        self.core.change().fail(error);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("phase", &self.core.phase)
            .field("server", &self.core.server)
            .field("queued", &self.core.queue.len())
            .finish_non_exhaustive()
    }
}
