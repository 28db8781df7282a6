//! The machine that a driver feeds and a caller asks.

// Each module uses only those above it in this list.
mod pending;
mod send_buffer;

mod timers;

mod io;

mod handshake;
mod progress;
mod transaction;

mod queue;

mod core;
mod failure;
mod fill;

mod questions;
mod upgrade;

mod batch;
mod wire;

use ::core::fmt;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

pub use self::batch::Batch;
#[cfg(feature = "std")]
pub use self::send_buffer::IoSlices;
pub use self::send_buffer::Transmit;
pub use self::upgrade::Upgrade;
pub use self::wire::Wire;

use self::core::{Ahead, Core, EventCursor, InputBudget, Phase};
use self::fill::Filled;
use self::handshake::{ServerInfo, State, TlsStart};
use self::io::Io;
use self::progress::FillMode;
use self::queue::Queue;
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
/// | `handle_*` | this happened outside; never fails, a failure shows in `poll_*` |
/// | `poll_*` | what to do, or what came of it; a call too many changes nothing |
/// | plain verbs | what the caller wants; takes effect at once, blocks on nothing |
///
/// A question, such as [`poll_outcome`](Self::poll_outcome), is answered with
/// [`Poll`](::core::task::Poll): `Pending` until bytes move or time passes. Events and output are
/// taken one after the other and are an `Option`, which is `None` when there is nothing for now.
///
/// A driver moves bytes by the [`Wire`](crate::Wire) methods until the question that it has is answered:
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
/// After a failure every question is answered with the same [`Error`], but for the outcomes of messages that were under
/// way. A connection that has failed or ended never comes back.
pub struct Connection {
    reply_reader: ReplyReader,
    core: Filled,
}

impl Connection {
    /// A connection that is about to begin.
    ///
    /// `seed` makes the nonces of SASL mechanisms unpredictable: usually [`Seed::random`].
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
                done: VecDeque::new(),
                announced: EventCursor::Nothing,
                next_id: 0,
            }),
        }
    }

    /// Lets so much be unanswered at one time, unless the policy says how much.
    ///
    /// For the driver to say what suits it: [`Window::FULL_DUPLEX`] if it reads while it writes.
    pub fn set_window(&mut self, window: Window) {
        if self.core.io.config.window.is_none() {
            self.core.change().io.pending.set_window(window);
        }
    }

    /// Sends so far ahead of the replies, unless the policy says how far.
    ///
    /// For whoever hands over many messages at once: [`Pipelining::Transactions`] saves a round trip a message.
    pub fn set_pipelining(&mut self, level: Pipelining) {
        if self.core.io.config.pipelining.is_none() {
            self.core.change().set_pipelining(level);
        }
    }

    /// Names the server for the errors of this connection.
    ///
    /// For the driver to say to what it connects, and at which address.
    pub fn set_peer(&mut self, peer: Peer) {
        self.core.change().io.peer = Some(Arc::new(peer));
    }

    // What happened outside.

    /// Takes in bytes that the peer sent; all of them, however they are cut.
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

    /// Takes the first reply from the input, or the part of it that is there.
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
        // Counted as it is taken, so that what an outcome tells does not depend on what came in one piece with it.
        let taken = before.saturating_sub(rest.len());
        core.io.received(taken);
        *input = input.get(taken..).unwrap_or_default();
        match next {
            Ok(None) => Ok(()),
            Ok(Some(reply)) => core
                .handle_reply(now, reply)
                .inspect_err(|_| core.io.read_something(now)),
            Err(error) => Err(Error::protocol(core.stage(), ProtocolError::Reply(error))),
        }
    }

    /// Takes what comes after a failure, which is of no interest.
    fn ignore_input(&mut self, input: &[u8]) {
        if self.is_closed() {
            return;
        }
        let core = self.core.change();
        if core.io.is_quiet() {
            // The last QUIT is not sent yet.
            core.ignore(input.len());
        } else {
            // The answer to it, whatever that is. A server that does not stop to speak is not waited for.
            core.io.close();
        }
    }

    /// Records that the peer will send nothing more.
    pub fn handle_eof(&mut self, now: Time) {
        self.core.unchanged().io.begin(now);
        self.lose(|stage| Error::new(stage, ErrorKind::ConnectionLost));
    }

    /// Records that the first `count` bytes of the last offer went out.
    ///
    /// What was offered before a failure may be acknowledged after it; that changes nothing. To acknowledge more than was
    /// offered is misuse, by which the connection fails.
    pub fn handle_sent(&mut self, _now: Time, count: usize) {
        if !self.is_closed()
            && let Err(misuse) = self.core.change().io.sent(count)
        {
            self.stop(Error::misuse(self.core.stage(), misuse));
        }
    }

    /// Records that time has passed and nothing came; does nothing before the time that
    /// [`poll_timeout`](Self::poll_timeout) named.
    ///
    /// Call it only after a read found that nothing had come: what has come is not late.
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

    /// Records that reading failed.
    pub fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.core.unchanged().io.begin(now);
        self.lose(|stage| Error::new(stage, ErrorKind::Transport(error)));
    }

    /// Records that writing failed.
    ///
    /// Nothing more is offered. The peer may have said why before it closed, so go on reading until it has closed or the
    /// time is up.
    pub fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.core.unchanged().io.begin(now);
        match self.core.phase.state() {
            Ok(State::ExpectQuit | State::Ended) => self.end(),
            Err(_) => self.core.change().io.close(),
            Ok(_) => {
                let error = Error::new(self.core.stage(), ErrorKind::Transport(error));
                self.core.change().drain(now, error);
            }
        }
    }

    // What the driver must do.

    /// What to send now: offered again until [`handle_sent`](Self::handle_sent) acknowledges it.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.core.unchanged().io.begin(now);
        if self.wants_tls() {
            self.core.unchanged().io.begin_tls(now);
        }
        if self.core.io.may_send(now) {
            self.fill(FillMode::Send);
            // To fill it may have failed, and the last QUIT is said at another time.
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

    /// Until when the driver may wait for bytes.
    ///
    /// This may be the present, or earlier: then read what has come without waiting, and if it is nothing, call
    /// [`handle_timeout`](Self::handle_timeout). So it is whenever something is to be sent while no reply is due: a reply that
    /// had come before would answer what it does not belong to.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.deadline().map(|(until, _)| until)
    }

    /// Whether the connection has failed or ended, and will never do anything again.
    ///
    /// A connection that has failed while both sides understood each other still says QUIT, which the server is owed (RFC 5321,
    /// section 4.1.1.10): it is over when that is answered, or the limit for QUIT is up.
    pub fn is_closed(&self) -> bool {
        match &self.core.phase {
            Phase::Failed(_) => self.core.io.pending.is_empty(),
            phase => phase.is_ended(),
        }
    }

    /// Whether there is something to send; begins nothing that has not begun.
    fn has_more_to_send(&mut self) -> bool {
        self.fill(FillMode::Probe);
        !matches!(self.core.phase, Phase::Draining { .. })
            && (self.core.is_probed() || !self.core.io.send_buffer.is_empty())
    }

    /// Whether all is answered that was sent, and there is more to send, of which nothing has been sent.
    fn is_about_to_send(&mut self) -> bool {
        self.core.io.is_quiet()
            && self.core.io.has_just_read()
            && self.has_more_to_send()
            && self.core.phase.state().is_ok()
    }

    /// Queues whatever may be sent now.
    ///
    /// Every question goes on with what has begun: what that finds out, such as a message that this server cannot take, may be
    /// the answer, and nothing from outside would ever lead to it.
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

    /// Fails for something that came from outside; the reply that had begun to come may say more of it.
    fn fail(&mut self, error: Error) {
        let error = if error.partial_reply().is_none() {
            error.with_fragment(self.reply_reader.partial_reply())
        } else {
            error
        };
        self.stop(error);
    }

    /// Fails for something of the caller's, with which no reply has to do.
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
