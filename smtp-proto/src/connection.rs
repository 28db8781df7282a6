//! The machine that a driver feeds and a caller asks.

// Each module uses only those above it in this list.
mod pending;
mod send_buffer;

mod io;

mod handshake;
mod transaction;

mod core;

mod batch;
mod wire;

use ::core::fmt;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

use bytes::Bytes;

pub use self::batch::Batch;
#[cfg(feature = "std")]
pub use self::send_buffer::IoSlices;
pub use self::send_buffer::Transmit;
pub use self::wire::Wire;

use self::core::{Completed, Core, EventCursor, FillMode, Queued};
use self::handshake::{AwaitTls, Context, ServerInfo, State};
use self::io::Io;
use self::transaction::Transaction;
use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::config::{Config, Security};
use crate::error::{ApiMisuse, Error, ErrorKind, Peer, ProtocolError, Stage, TransportError};
use crate::event::{CommandId, ContentStatus, Event, MailId};
use crate::mail::Mail;
use crate::outcome::{ConnectionStats, Outcome};
use crate::pipelining::{Pipelining, Window};
use crate::reply::Reply;
use crate::reply_reader::ReplyReader;
use crate::sasl;
use crate::seed::Seed;
use crate::time::Time;
use crate::timeouts::Timeouts;
use crate::tls::TlsInfo;
use crate::transcript::TranscriptEntry;

/// An SMTP connection, from the greeting to QUIT, as a state machine without I/O.
///
/// | name | meaning |
/// | --- | --- |
/// | `handle_*` | this happened outside; never fails, a failure shows in `poll_*` |
/// | `poll_*` | what to do, or what came of it; a call too many changes nothing |
/// | plain verbs | what the caller wants; takes effect at once, blocks on nothing |
///
/// A driver moves bytes by the [`Wire`](crate::Wire) methods until the question that it has is answered:
///
/// ```
/// use std::sync::Arc;
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
///     if let Some(outcome) = connection.poll_outcome(id) {
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
    pub(crate) core: Core,
}

/// The point at which TLS begins: whoever holds this is to do the handshake, and say so.
///
/// To drop it changes nothing: the connection goes on waiting.
#[derive(Debug)]
#[must_use = "the connection waits until `complete` is called"]
pub struct Upgrade<'a> {
    core: &'a mut Core,
    awaited: AwaitTls,
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
            core: Core {
                seed,
                io,
                known: ServerInfo::default(),
                state: Ok(state),
                filled: None,
                jobs: VecDeque::new(),
                text: 0,
                sending: 0,
                needs_reset: false,
                may_be_open: false,
                quit_wanted: false,
                broken: None,
                commands: 0,
                ignored: 0,
                level,
                batching: false,
                done: VecDeque::new(),
                announced: EventCursor::Nothing,
                next_id: 0,
            },
        }
    }

    /// Lets so much be unanswered at one time, unless the policy says how much.
    ///
    /// For the driver to say what suits it: [`Window::FULL_DUPLEX`] if it reads while it writes.
    pub fn set_window(&mut self, window: Window) {
        if self.core.io.config.window.is_none() {
            self.core.filled = None;
            self.core.io.pending.set_window(window);
        }
    }

    /// Sends so far ahead of the replies, unless the policy says how far.
    ///
    /// For whoever hands over many messages at once: [`Pipelining::Transactions`] saves a round trip a message.
    pub fn set_pipelining(&mut self, level: Pipelining) {
        if self.core.io.config.pipelining.is_none() {
            self.core.set_pipelining(level);
        }
    }

    /// Names the server for the errors of this connection.
    ///
    /// For the driver to say to what it connects, and at which address.
    pub fn set_peer(&mut self, peer: Peer) {
        self.core.io.peer = Some(Arc::new(peer));
    }

    // What happened outside.

    /// Takes in bytes that the peer sent; all of them, however they are cut.
    pub fn handle_input(&mut self, now: Time, mut input: &[u8]) {
        self.core.io.begin(now);
        if input.is_empty() {
            return;
        }
        while !input.is_empty() {
            match &self.core.state {
                Ok(State::Ended) => return,
                // The answer to the last word, whatever it is; before that was said it is of no interest. A server that does
                // not stop to speak is not waited for.
                Err(_) if self.is_closed() => return,
                Err(_) if self.core.io.is_quiet() => {
                    return self.core.ignore(input.len());
                }
                Err(_) => return self.core.io.close(),
                Ok(State::AwaitTls(awaited)) => {
                    let stage = if awaited.greeted {
                        Stage::StartTls
                    } else {
                        Stage::TlsHandshake
                    };
                    return self.fail(Error::protocol(stage, ProtocolError::InjectedBeforeTls));
                }
                Ok(_) => {}
            }
            if self.reply_reader.partial_reply().is_empty() {
                self.core.reply_begins(now);
            }
            let room = self.core.input_room();
            if room == 0 {
                let stage = self.core.stage();
                return self.fail(Error::protocol(stage, ProtocolError::TooMuchInput));
            }
            let limits = self.core.reply_limits();
            let mut rest = input.get(..room).unwrap_or(input);
            let before = rest.len();
            let next = self.reply_reader.next(&mut rest, &limits);
            // Counted as it is taken in, so that what an outcome tells does not depend on what came in one piece with it.
            let taken = before.saturating_sub(rest.len());
            self.core.io.received(taken);
            input = input.get(taken..).unwrap_or_default();
            match next {
                Ok(Some(reply)) => {
                    if let Err(error) = self.core.handle_reply(now, reply) {
                        self.core.io.heard_something(now);
                        return self.fail(error);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let stage = self.core.stage();
                    return self.fail(Error::protocol(stage, ProtocolError::Reply(error)));
                }
            }
        }
        self.core.io.heard_something(now);
    }

    /// Records that the peer will send nothing more.
    pub fn handle_eof(&mut self, now: Time) {
        self.core.io.begin(now);
        self.lose(|stage| Error::new(stage, ErrorKind::ConnectionLost));
    }

    /// Records that the first `count` bytes of the last offer went out.
    ///
    /// What was offered before a failure may be acknowledged after it; that changes nothing. To acknowledge more than was
    /// offered is misuse, by which the connection fails.
    pub fn handle_sent(&mut self, _now: Time, count: usize) {
        if !self.is_closed() {
            self.core.filled = None;
            if let Err(misuse) = self.core.io.sent(count) {
                self.stop(Error::misuse(self.core.stage(), misuse));
            }
        }
    }

    /// Records that time has passed and nothing came; does nothing before the time that
    /// [`poll_timeout`](Self::poll_timeout) named.
    ///
    /// Call it only after a read found that nothing had come: what has come is not late.
    pub fn handle_timeout(&mut self, now: Time) {
        self.core.io.begin(now);
        if self.core.io.is_holding() {
            self.core.io.heard_nothing(now);
        }
        let Some((until, wait)) = self.core.deadline() else {
            return;
        };
        if now >= until {
            self.lose(|stage| Error::new(stage, ErrorKind::Timeout(wait)));
        }
    }

    /// Records that reading failed.
    pub fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.core.io.begin(now);
        self.lose(|stage| Error::new(stage, ErrorKind::Transport(error)));
    }

    /// Records that writing failed.
    ///
    /// Nothing more is offered. The peer may have said why before it closed, so go on reading until it has closed or the
    /// time is up.
    pub fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.core.io.begin(now);
        match self.core.state {
            Ok(State::ExpectQuit | State::Ended) => self.end(),
            Err(_) => self.core.io.close(),
            Ok(_) => {
                let error = Error::new(self.core.stage(), ErrorKind::Transport(error));
                self.core.break_off(now, error);
            }
        }
    }

    // What the caller wants.

    /// Hands over a message; any number may wait in line.
    pub fn submit(&mut self, mail: Mail) -> MailId {
        let id = MailId(self.core.new_id());
        let trace = self.core.io.trace.mail(id);
        let transaction = Box::new(Transaction::new(id, mail, trace));
        match self.core.rejection() {
            None => self.core.push(Queued::Mail(transaction)),
            Some(error) => self.core.settle(transaction, Some(error)),
        }
        id
    }

    /// Hands over the next piece of a message's text, of any size.
    ///
    /// Memory is what pieces are waiting: hand over one whenever [`poll_content`](Self::poll_content) says that it is wanted.
    /// A piece for a message whose outcome is already known is dropped.
    ///
    /// # Errors
    /// If the message is not written in pieces, or is finished.
    pub fn write_content(&mut self, id: MailId, piece: Bytes) -> Result<(), ApiMisuse> {
        self.core.filled = None;
        match self.core.transaction(id) {
            Some(transaction) => {
                transaction.write(piece)?;
                self.core.io.rested();
                Ok(())
            }
            None => self.core.known_outcome(id),
        }
    }

    /// Says that the text of a message is whole.
    ///
    /// # Errors
    /// If the message is not written in pieces, or is finished.
    pub fn finish_content(&mut self, id: MailId) -> Result<(), ApiMisuse> {
        self.core.filled = None;
        match self.core.transaction(id) {
            Some(transaction) => {
                transaction.finish()?;
                self.core.io.rested();
                Ok(())
            }
            None => self.core.known_outcome(id),
        }
    }

    /// Gives up a message.
    ///
    /// If nothing of it has been sent it is withdrawn and the connection goes on. Else the connection closes; the message's
    /// outcome says whether it is in doubt. A message whose outcome is known keeps it.
    pub fn abandon(&mut self, id: MailId) {
        self.give_up(id, ErrorKind::Abandoned);
    }

    /// Gives up a message because the source of its text failed; like [`abandon`](Self::abandon), with the source's error as
    /// the reason.
    pub fn fail_content(&mut self, id: MailId, error: TransportError) {
        self.give_up(id, ErrorKind::Source(error));
    }

    /// Hands over a command that is no part of sending a message; it waits its turn after the messages before it.
    pub fn command(&mut self, command: Command) -> CommandId {
        let id = CommandId(self.core.new_id());
        if self.core.rejection().is_none() {
            self.core.push(Queued::Command(id, command));
        }
        id
    }

    /// Ends the connection with QUIT when all that is in line is done. What is handed over afterwards is not sent.
    pub fn quit(&mut self) {
        self.core.filled = None;
        self.core.quit_wanted = true;
        if self.core.jobs.is_empty() {
            self.core.io.rested();
        }
    }

    // What the driver must do.

    /// What to send now: offered again until [`handle_sent`](Self::handle_sent) acknowledges it.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.core.io.begin(now);
        if matches!(self.core.state, Ok(State::AwaitTls(_))) {
            self.core.io.begin_tls(now);
        }
        if self.core.io.may_speak(now) {
            self.fill(FillMode::Next);
            // To fill it may have failed, and the last word is said at another time.
            if self.core.broken.is_none() && self.core.io.may_speak(now) {
                return self.core.io.offer(now);
            }
        } else if self.has_to_say() {
            self.core.io.hold(now);
        } else {
            self.core.io.wait(now);
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

    /// The point at which TLS begins, when it is reached: everything before it has been sent and answered.
    ///
    /// # Errors
    /// The connection's failure, or misuse if it will never come to that point.
    pub fn poll_upgrade(&mut self) -> Option<Result<Upgrade<'_>, Error>> {
        match &mut self.core.state {
            Err(error) => Some(Err(error.clone())),
            Ok(State::AwaitTls(awaited)) => {
                awaited.claimed = true;
                let awaited = *awaited;
                Some(Ok(Upgrade {
                    core: &mut self.core,
                    awaited,
                }))
            }
            Ok(
                State::ExpectGreeting
                | State::ExpectEhlo
                | State::ExpectHelo
                | State::ExpectStartTls,
            ) if self.core.known.tls.is_none() => None,
            Ok(state) => Some(Err(Error::misuse(state.stage(), ApiMisuse::NoUpgrade))),
        }
    }

    /// The next thing that a caller may want to know of.
    ///
    /// # Errors
    /// The connection's failure, once all that is known of messages and commands has been told.
    pub fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        self.fill(FillMode::Begun);
        if self.core.announced == EventCursor::Nothing && self.core.is_ready() {
            self.core.announced = EventCursor::Ready;
            return Some(Ok(Event::Ready));
        }
        match self.core.done.pop_front() {
            Some(Completed::Mail(id, outcome)) => return Some(Ok(Event::Outcome(id, outcome))),
            Some(Completed::Command(id, reply)) => {
                return Some(Ok(Event::Reply(id, reply)));
            }
            None => {}
        }
        match &self.core.state {
            Err(error) => return Some(Err(error.clone())),
            Ok(State::Ended) if self.core.announced < EventCursor::Ended => {
                self.core.announced = EventCursor::Ended;
                return Some(Ok(Event::Closed));
            }
            Ok(_) => {}
        }
        let Some(Queued::Mail(transaction)) = self.core.jobs.get_mut(self.core.sending) else {
            return None;
        };
        if self.core.io.send_buffer.is_empty() && transaction.ask() {
            return Some(Ok(Event::ContentWanted(transaction.id)));
        }
        None
    }

    // Questions, made for a loop that drives until they are answered.

    /// Whether the server is ready for message.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn poll_ready(&mut self) -> Option<Result<(), Error>> {
        self.fill(FillMode::Begun);
        match &self.core.state {
            Err(error) => Some(Err(error.clone())),
            Ok(State::Ready) if self.core.broken.is_none() => Some(Ok(())),
            Ok(State::ExpectQuit | State::Ended) => Some(Err(self.core.ended())),
            Ok(_) => self.core.stuck().map(Err),
        }
    }

    /// What a message that is written in pieces wants.
    ///
    /// # Errors
    /// If there is no such mail, or the connection's failure.
    pub fn poll_content(&mut self, id: MailId) -> Option<Result<ContentStatus, Error>> {
        self.fill(FillMode::Begun);
        let Some(transaction) = self.core.transaction(id) else {
            return Some(match self.core.known_outcome(id) {
                Ok(()) => Ok(ContentStatus::Done),
                Err(_) => Err(self.core.unknown()),
            });
        };
        if !transaction.is_open() {
            return Some(Err(Error::misuse(Stage::Content, ApiMisuse::NotStreaming)));
        }
        // Not before all of the last piece is out: what waits for more could wait for long.
        if transaction.is_starved() && self.core.io.send_buffer.is_empty() {
            return Some(Ok(ContentStatus::Wanted));
        }
        self.core.stuck().map(Err)
    }

    /// What became of a message. It is told once.
    ///
    /// # Errors
    /// If there is no such mail, its outcome has been told, or its text is not finished and nothing else can happen.
    pub fn poll_outcome(&mut self, id: MailId) -> Option<Result<Outcome, Error>> {
        self.fill(FillMode::Begun);
        let of_mail = |done: &Completed| matches!(done, Completed::Mail(each, _) if *each == id);
        if let Some(Completed::Mail(_, outcome)) = self.core.take_done(of_mail) {
            return Some(Ok(outcome));
        }
        if self.core.transaction(id).is_none() {
            return Some(Err(self.core.unknown()));
        }
        self.core.stuck().map(Err)
    }

    /// The reply to a command. It is told once.
    ///
    /// # Errors
    /// If there is no such command, its reply has been told, or the connection's failure.
    pub fn poll_reply(&mut self, id: CommandId) -> Option<Result<Reply, Error>> {
        self.fill(FillMode::Begun);
        let of_command =
            |done: &Completed| matches!(done, Completed::Command(each, _) if *each == id);
        if let Some(Completed::Command(_, reply)) = self.core.take_done(of_command) {
            return Some(reply);
        }
        let waits = |job: &Queued| matches!(job, Queued::Command(each, _) if *each == id);
        if !self.core.jobs.iter().any(waits) {
            return Some(Err(self.core.unknown()));
        }
        self.core.stuck().map(Err)
    }

    /// Whether the connection has ended as [`quit`](Self::quit) asked it to.
    ///
    /// Once QUIT has been said a missing or odd reply is no failure: all messages before it have their outcome.
    ///
    /// # Errors
    /// The connection's failure before that. That the server has closed it while nothing was under way is none.
    pub fn poll_closed(&mut self) -> Option<Result<(), Error>> {
        self.fill(FillMode::Begun);
        match &self.core.state {
            Err(error) if error.is_idle_close() => Some(Ok(())),
            Err(error) => Some(Err(error.clone())),
            Ok(State::Ended) => Some(Ok(())),
            Ok(_) => self.core.stuck().map(Err),
        }
    }

    // What is known.

    /// What the server says that it can do; what it said before TLS is forgotten after it.
    pub fn capabilities(&self) -> &Capabilities {
        &self.core.known.capabilities
    }

    /// The TLS connection under this one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.core.known.tls.as_ref()
    }

    /// The SASL mechanism by which this side logged in, or tried to.
    pub fn mechanism(&self) -> Option<&'static str> {
        self.core.known.mechanism.map(sasl::Name::as_str)
    }

    /// Bytes and round trips so far.
    pub fn stats(&self) -> ConnectionStats {
        self.core.io.stats()
    }

    /// How the connection is to be secured.
    pub fn security(&self) -> Security {
        self.core.io.config.security
    }

    /// How long to wait for what.
    pub fn timeouts(&self) -> &Timeouts {
        &self.core.io.config.timeouts
    }

    /// Whether the connection has failed or ended, and will never do anything again.
    ///
    /// A connection that has failed while both sides understood each other still says QUIT, which the server is owed (RFC 5321,
    /// section 4.1.1.10): it is over when that is answered, or the limit for QUIT is up.
    pub fn is_closed(&self) -> bool {
        match self.core.state {
            Err(_) => self.core.io.pending.is_empty(),
            Ok(ref state) => matches!(state, State::Ended),
        }
    }

    /// Whether nothing is in line, due or under way on a connection that could take a message at once.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle()
            && self
                .core
                .state
                .as_ref()
                .is_ok_and(|state| matches!(state, State::Ready))
    }

    /// Whether there is something to send, by what is in line; puts nothing in it that has not begun.
    pub(crate) fn has_to_say(&mut self) -> bool {
        self.fill(FillMode::Begun);
        self.core.broken.is_none()
            && (self.core.filled == Some(FillMode::Begun) || !self.core.io.send_buffer.is_empty())
    }

    /// Whether all is answered that was sent, and there is more to send, of which nothing has gone out.
    pub(crate) fn is_about_to_speak(&mut self) -> bool {
        self.core.io.is_quiet()
            && self.core.io.has_just_heard()
            && self.has_to_say()
            && self.core.state.is_ok()
    }

    /// Queues whatever may be said now.
    ///
    /// Every question goes on with what has begun: what that finds out, such as a message that this server cannot take, may be
    /// the answer, and nothing from outside would ever lead to it.
    #[inline]
    fn fill(&mut self, reach: FillMode) {
        if self.core.filled < Some(reach) {
            self.fill_line(reach);
        }
    }

    fn fill_line(&mut self, reach: FillMode) {
        if self.core.state.is_ok()
            && self.core.broken.is_none()
            && let Err(error) = self.core.fill(reach)
        {
            self.stop(error);
        }
    }

    fn give_up(&mut self, id: MailId, reason: ErrorKind) {
        match self.core.transaction(id) {
            Some(transaction) if transaction.is_untouched() => {
                self.core.withdraw(id, Error::new(Stage::Mail, reason));
            }
            Some(_) => {
                let stage = self.core.stage();
                self.stop(Error::new(stage, reason));
            }
            None => {}
        }
    }

    fn lose(&mut self, error: impl FnOnce(Stage) -> Error) {
        match &self.core.state {
            Err(_) => self.core.io.close(),
            Ok(State::ExpectQuit | State::Ended) => self.end(),
            Ok(_) => {
                let error = match self.core.broken.take() {
                    Some((error, _)) => error,
                    None => error(self.core.stage()),
                };
                self.fail(error);
            }
        }
    }

    fn end(&mut self) {
        if !matches!(self.core.state, Ok(State::Ended)) {
            self.core.enter(State::Ended);
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
        if matches!(self.core.state, Ok(State::ExpectQuit)) {
            return self.end();
        }
        self.reply_reader.clear();
        self.core.fail(error);
    }
}

impl Upgrade<'_> {
    /// Says that TLS is done and that everything from now on goes through it.
    ///
    /// What was learnt in cleartext is forgotten, and the dialogue begins again inside TLS.
    pub fn complete(self, now: Time, facts: TlsInfo) {
        let Self { core, awaited } = self;
        core.io.begin(now);
        core.io.speak_of(None);
        core.io.show(|| TranscriptEntry::Tls(&facts));
        core.io.add_round_trips(facts.round_trips());
        core.io.heard_something(now);
        core.filled = None;
        let mut context = Context {
            level: core.ahead(),
            io: &mut core.io,
            known: &mut core.known,
            seed: &core.seed,
        };
        core.state = Ok(State::secured(awaited, facts, &mut context));
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.core.state)
            .field("known", &self.core.known)
            .field("in_line", &self.core.jobs.len())
            .finish_non_exhaustive()
    }
}
