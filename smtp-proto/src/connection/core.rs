//! What the public machine is made of, but for its reply_reader: jobs in line, the one being sent, the one being answered.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;

use crate::capabilities::Capabilities;
use crate::command::{Command, Line};
use crate::config::Protocol;
use crate::connection::handshake::{CLOSING, Context, ServerInfo, State, UNAVAILABLE};
use crate::connection::io::Io;
use crate::connection::pending::Expect;
use crate::connection::transaction::{NextAction, Transaction};
use crate::error::{ApiMisuse, Error, ErrorKind, MissingExtension, ProtocolError, Stage, Wait};
use crate::event::{CommandId, MailId};
use crate::outcome::Outcome;
use crate::pipelining::Pipelining;
use crate::reply::{Reply, ReplyRef, Severity};
use crate::reply_reader::ReplyLimits;
use crate::seed::Seed;
use crate::time::Time;
use crate::transcript::TranscriptEntry;

/// All but the reply_reader, from which the reply that is being handled is borrowed.
pub(crate) struct Core {
    pub(crate) seed: Seed,
    pub(crate) io: Io,
    pub(crate) known: ServerInfo,
    pub(crate) state: Result<State, Error>,
    /// How far the line is filled, as long as nothing has happened that could let more be said.
    pub(crate) filled: Option<FillMode>,
    pub(crate) jobs: VecDeque<Queued>,
    /// Bytes of the texts of the messages among them.
    pub(crate) text: u64,
    /// Index in `jobs` of the one that is being sent.
    pub(crate) sending: usize,
    /// Whether RSET goes before the next message: the last one did not end by being accepted.
    pub(crate) needs_reset: bool,
    /// Whether the server may still hold the last transaction open.
    pub(crate) may_be_open: bool,
    pub(crate) quit_wanted: bool,
    /// The transport takes nothing more; the peer may still say why, until then.
    pub(crate) broken: Option<(Error, Time)>,
    pub(crate) commands: u64,
    /// Bytes that came after a failure and before its last word was said.
    pub(crate) ignored: usize,
    /// How far to send ahead, where the server takes it.
    pub(crate) level: Pipelining,
    /// Whether messages of a batch are in line, which go out one close after the other.
    pub(crate) batching: bool,
    pub(crate) done: VecDeque<Completed>,
    pub(crate) announced: EventCursor,
    pub(crate) next_id: u64,
}

#[derive(Debug)]
pub(crate) enum Queued {
    /// Boxed, so that an idle connection keeps no room for the next.
    Mail(Box<Transaction>),
    Command(CommandId, Command),
    /// Its result is known; it only waits for those before it.
    Gone,
}

#[derive(Debug)]
pub(crate) enum Completed {
    Mail(MailId, Outcome),
    Command(CommandId, Result<Reply, Error>),
}

/// How far to go in filling the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FillMode {
    /// With what has begun; of what comes next, find out whether it can be.
    Begun,
    /// To what comes next.
    Next,
}

/// What `poll_event` has told already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventCursor {
    #[default]
    Nothing,
    Ready,
    Ended,
}

impl Core {
    /// Takes one whole reply.
    pub(crate) fn handle_reply(&mut self, now: Time, reply: ReplyRef<'_>) -> Result<(), Error> {
        self.filled = None;
        let asks_for_mail = (self.io.pending.front()).is_some_and(|due| due.to.is_of_mail());
        self.io.speak_of(match self.jobs.front() {
            Some(Queued::Mail(transaction)) if asks_for_mail => Some(&transaction.trace),
            _ => None,
        });
        if matches!(self.state, Ok(State::ExpectAuth(_))) && reply.code().as_u16() == 334 {
            let len = || reply.lines().map(<[u8]>::len).sum();
            self.io.show(|| TranscriptEntry::Challenge(len()));
        } else {
            self.io.show_reply(|| reply.to_reply());
        }
        let going = reply.code().as_u16() == UNAVAILABLE;
        let Some(due) = self.io.answered(now) else {
            return Err(self.unexpected(reply));
        };
        let to = due.to;
        if reply.code().as_u16() == CLOSING && to != Expect::Quit {
            // It answers nothing: the server says that it leaves.
            return Err(
                Error::new(to.stage(), ErrorKind::ConnectionLost).with_reply(reply.to_reply())
            );
        }
        match to {
            Expect::Rset => {
                if reply.code().completes() {
                    self.may_be_open = false;
                } else if reply.code().is_rejection() {
                    if self.may_be_open {
                        return Err(Error::rejected(Stage::Rset, reply.to_reply()));
                    }
                } else {
                    return Err(Error::protocol(Stage::Rset, ProtocolError::WrongClass)
                        .with_reply(reply.to_reply()));
                }
            }
            Expect::Mail
            | Expect::Rcpt(_)
            | Expect::Data
            | Expect::Chunk
            | Expect::LastChunk
            | Expect::EndOfData => {
                let by_recipient = self.io.config.protocol == Protocol::Lmtp;
                if let Some(Queued::Mail(transaction)) = self.jobs.front_mut() {
                    let more = transaction.handle_reply(to, reply, by_recipient);
                    let more = more.map_err(|error| {
                        Error::protocol(to.stage(), error).with_reply(reply.to_reply())
                    })?;
                    if more {
                        self.io.again(now, due);
                    }
                }
            }
            Expect::Command => {
                if reply.code().severity() == Severity::Intermediate {
                    // The server wants more lines, of a kind that this machine does not know.
                    return Err(Error::protocol(to.stage(), ProtocolError::WrongClass)
                        .with_reply(reply.to_reply()));
                }
                let completed = reply.code().severity() == Severity::Completion;
                if let Some(job) = self.jobs.front_mut()
                    && let Queued::Command(id, command) = job
                    && !(completed && command.advance())
                {
                    if command.is_rset() && reply.code().completes() {
                        (self.needs_reset, self.may_be_open) = (false, false);
                    }
                    self.done
                        .push_back(Completed::Command(*id, Ok(reply.to_reply())));
                    *job = Queued::Gone;
                }
            }
            Expect::Greeting
            | Expect::Ehlo
            | Expect::Helo
            | Expect::StartTls
            | Expect::Xclient
            | Expect::Auth
            | Expect::Quit => {
                let state = core::mem::replace(&mut self.state, Ok(State::Ended))?;
                let mut context = Context {
                    level: self.ahead(),
                    io: &mut self.io,
                    known: &mut self.known,
                    seed: &self.seed,
                };
                let state = state.advance(reply, &mut context)?;
                self.enter(state);
            }
        }
        self.tidy();
        if going && !matches!(self.state, Ok(State::Ended)) {
            return Err(Error::rejected(to.stage(), reply.to_reply()));
        }
        Ok(())
    }

    /// The first byte of a reply is here. If no command waits for it nothing more is sent, and all that is still of interest is
    /// what it says.
    pub(crate) fn reply_begins(&mut self, now: Time) {
        self.io.reply_begins();
        if self.io.is_quiet() {
            let error = if self.is_in_text() {
                Error::protocol(Stage::Content, ProtocolError::EarlyReply)
            } else {
                Error::protocol(self.stage(), ProtocolError::UnexpectedReply)
            };
            self.break_off(now, error);
        }
    }

    /// Sends nothing more, and lets the peer say why for a while.
    pub(crate) fn break_off(&mut self, now: Time, error: Error) {
        if self.state.is_ok() && self.broken.is_none() {
            let until = self.io.drain_until(now);
            self.broken = Some((error, until));
        }
    }

    fn is_in_text(&self) -> bool {
        match self.jobs.front() {
            Some(Queued::Mail(transaction)) => transaction.is_in_text(&self.io),
            _ => false,
        }
    }

    /// The error for a reply that belongs to no command.
    fn unexpected(&mut self, reply: ReplyRef<'_>) -> Error {
        let closes = match reply.code().as_u16() {
            CLOSING => true,
            UNAVAILABLE => !self.is_in_text(),
            _ => false,
        };
        let error = match self.broken.take() {
            Some((error, _)) if !closes || matches!(error.kind(), ErrorKind::Transport(_)) => error,
            _ if closes => Error::new(self.stage(), ErrorKind::ConnectionLost),
            _ => Error::protocol(self.stage(), ProtocolError::UnexpectedReply),
        };
        error.with_reply(reply.to_reply())
    }

    /// Queues whatever may be said now.
    pub(crate) fn fill(&mut self, reach: FillMode) -> Result<(), Error> {
        self.filled = Some(self.say_all(reach)?);
        Ok(())
    }

    /// Returns how far it came: all the way, unless `reach` stood in it.
    fn say_all(&mut self, reach: FillMode) -> Result<FillMode, Error> {
        while matches!(self.state, Ok(State::Ready)) {
            let Some(job) = self.jobs.get_mut(self.sending) else {
                if !self.quit_wanted || !self.jobs.is_empty() || !self.io.pending.is_empty() {
                    return Ok(FillMode::Next);
                }
                if reach == FillMode::Begun {
                    return Ok(reach);
                }
                self.io.speak_of(None);
                self.state = Ok(State::quit(&mut self.io));
                return Ok(FillMode::Next);
            };
            self.io.speak_of(match job {
                Queued::Mail(transaction) => Some(&transaction.trace),
                Queued::Command(..) | Queued::Gone => None,
            });
            let said = match job {
                Queued::Gone => {
                    self.sending = self.sending.saturating_add(1);
                    true
                }
                Queued::Command(id, command) => match fit(command, &self.known.capabilities) {
                    Ok(()) if reach == FillMode::Begun => return Ok(reach),
                    Ok(()) if self.needs_reset && command.is_for_next_mail() => {
                        say_rset(&mut self.io, &mut self.needs_reset)
                    }
                    Ok(()) => {
                        let said = self.io.say(&Line::User(command), Expect::Command);
                        if said && !command.has_more() {
                            self.sending = self.sending.saturating_add(1);
                        }
                        said
                    }
                    Err(need) => {
                        let error = Error::new(Stage::Command, ErrorKind::Unsupported(need));
                        let error = self.io.locate(error);
                        self.done.push_back(Completed::Command(*id, Err(error)));
                        *job = Queued::Gone;
                        self.tidy();
                        true
                    }
                },
                Queued::Mail(transaction) => match transaction.want(&self.io) {
                    NextAction::Answer => false,
                    NextAction::Nothing => {
                        self.sending = self.sending.saturating_add(1);
                        // It may be complete by now: the next reply belongs to whoever is after it.
                        self.tidy();
                        true
                    }
                    NextAction::Text => {
                        transaction
                            .write_text(&mut self.io)
                            .map_err(|reason| Error::new(Stage::Content, reason))?;
                        transaction.want(&self.io) == NextAction::Nothing
                    }
                    NextAction::Command(Expect::Mail) => {
                        let ready = transaction.prepare(&self.known.capabilities, self.io.mails);
                        match ready {
                            Ok(()) if reach == FillMode::Begun => return Ok(reach),
                            Ok(()) => {
                                let said =
                                    say_mail(transaction, &mut self.io, &mut self.needs_reset);
                                self.io.mails = self.io.mails.saturating_add(u32::from(said));
                                said
                            }
                            Err(error) => {
                                let id = transaction.id;
                                self.withdraw(id, error);
                                true
                            }
                        }
                    }
                    NextAction::Command(to) => transaction.say(to, &mut self.io),
                },
            };
            if said {
                self.commands = self.commands.saturating_add(1);
            } else {
                return Ok(FillMode::Next);
            }
        }
        Ok(FillMode::Next)
    }

    /// Takes away the jobs at the front that are done, and what only a busy connection needs.
    #[inline]
    pub(crate) fn tidy(&mut self) {
        if !matches!(self.jobs.front(), Some(Queued::Mail(transaction)) if !transaction.is_complete())
        {
            self.tidy_up();
        }
    }

    fn tidy_up(&mut self) {
        self.settle_front();
        if self.is_idle() {
            self.release();
        }
    }

    fn settle_front(&mut self) {
        loop {
            match self.jobs.front_mut() {
                Some(Queued::Gone) => {}
                Some(Queued::Mail(transaction)) if transaction.is_complete() => {
                    self.needs_reset |= transaction.needs_reset();
                    self.may_be_open |= transaction.may_be_open();
                    if transaction.restart_for_remaining() {
                        return self.put_back();
                    }
                }
                _ => return,
            }
            if let Some(Queued::Mail(transaction)) = self.jobs.pop_front() {
                self.settle(transaction, None);
            }
            self.sending = self.sending.saturating_sub(1);
        }
    }

    /// Puts the message at the front, which has to begin again, after those that have begun meanwhile.
    fn put_back(&mut self) {
        if self.sending == 0 {
            return;
        }
        if let Some(job) = self.jobs.pop_front() {
            self.sending = self.sending.saturating_sub(1);
            let begun = matches!(
                self.jobs.get(self.sending),
                Some(Queued::Mail(transaction)) if !transaction.is_untouched()
            );
            let index = self.sending.saturating_add(usize::from(begun));
            self.jobs.insert(index.min(self.jobs.len()), job);
        }
        self.tidy();
    }

    /// Stores what became of a message.
    pub(crate) fn settle(&mut self, transaction: Box<Transaction>, failure: Option<Error>) {
        let id = transaction.id;
        self.text = self.text.saturating_sub(transaction.size());
        let trace = transaction.trace.clone();
        let outcome = transaction.outcome(failure, &self.io, self.known.tls.clone());
        trace.outcome(&outcome);
        // It ends with its mail.
        self.io.speak_of(None);
        self.done.push_back(Completed::Mail(id, outcome));
    }

    /// Takes a message of which nothing was sent out of the line.
    pub(crate) fn withdraw(&mut self, id: MailId, error: Error) {
        self.filled = None;
        let found = self
            .jobs
            .iter_mut()
            .find(|job| matches!(job, Queued::Mail(transaction) if transaction.id == id));
        if let Some(job) = found
            && let Queued::Mail(transaction) = core::mem::replace(job, Queued::Gone)
        {
            self.settle(transaction, Some(error));
        }
        self.tidy();
    }

    pub(crate) fn enter(&mut self, state: State) {
        if matches!(state, State::Ended) {
            self.io.speak_of(None);
            self.io.show(|| TranscriptEntry::Ended);
            let ended = self.ended();
            self.drop_jobs(&ended);
            self.io.close();
        }
        self.state = Ok(state);
    }

    pub(crate) fn fail(&mut self, error: Error) {
        let error = match &self.state {
            Ok(state) => state.cause_of(error),
            Err(_) => return,
        };
        let error = self.io.locate(error);
        let error = match self.io.pending.level() {
            Pipelining::Off => error,
            _ if self.io.mails == 0 => error,
            _ => error.pipelined(),
        };
        self.io.speak_of(None);
        self.io.show(|| TranscriptEntry::Failed(&error));
        self.drop_jobs(&error);
        let in_order = error.leaves_order()
            && self.broken.is_none()
            && self.io.pending.is_empty()
            && self.io.send_buffer.is_empty();
        self.io.close();
        if in_order {
            // The last word: RFC 5321, section 4.1.1.10.
            self.io.say(&Line::Quit, Expect::Quit);
        }
        self.state = Err(error);
    }

    /// Gives every message in line its outcome.
    ///
    /// The error is of the one that is being answered. What is after it in line is only told that it did not come to it.
    pub(crate) fn drop_jobs(&mut self, error: &Error) {
        for (index, job) in core::mem::take(&mut self.jobs).into_iter().enumerate() {
            if let Queued::Mail(transaction) = job {
                let own = index == 0 && !transaction.is_untouched() && error.stage() != Stage::Rset;
                let error = if own {
                    error.clone()
                } else {
                    error.of_another()
                };
                self.settle(transaction, Some(error));
            }
        }
        self.sending = 0;
        self.text = 0;
    }

    pub(crate) fn take_done(&mut self, wanted: impl Fn(&Completed) -> bool) -> Option<Completed> {
        let index = self.done.iter().position(wanted)?;
        self.done.remove(index)
    }

    pub(crate) fn transaction(&mut self, id: MailId) -> Option<&mut Transaction> {
        self.jobs.iter_mut().find_map(|job| match job {
            Queued::Mail(transaction) if transaction.id == id => Some(&mut **transaction),
            _ => None,
        })
    }

    pub(crate) fn known_outcome(&self, id: MailId) -> Result<(), ApiMisuse> {
        let known = |done: &Completed| matches!(done, Completed::Mail(each, _) if *each == id);
        if self.done.iter().any(known) {
            Ok(())
        } else {
            Err(ApiMisuse::UnknownId)
        }
    }

    /// Why nothing new can be taken in, if so.
    pub(crate) fn rejection(&self) -> Option<Error> {
        match &self.state {
            Err(error) => Some(error.of_another()),
            Ok(State::Ended) => Some(self.ended()),
            Ok(_) if self.quit_wanted => Some(self.ended()),
            Ok(_) => self.broken.as_ref().map(|(error, _)| error.of_another()),
        }
    }

    /// Why nothing will ever come of waiting, if so.
    pub(crate) fn stuck(&self) -> Option<Error> {
        match &self.state {
            Err(error) => Some(error.clone()),
            Ok(State::AwaitTls(awaited)) if !awaited.claimed => Some(Error::misuse(
                Stage::TlsHandshake,
                ApiMisuse::UpgradePending,
            )),
            Ok(State::Ready) if self.broken.is_none() => match self.jobs.get(self.sending) {
                Some(Queued::Mail(transaction))
                    if transaction.is_starved()
                        && self.io.send_buffer.is_empty()
                        && self.io.pending.is_empty() =>
                {
                    Some(Error::misuse(Stage::Content, ApiMisuse::ContentUnfinished))
                }
                None if self.jobs.is_empty() && !self.quit_wanted => {
                    Some(Error::misuse(Stage::Idle, ApiMisuse::NothingUnderWay))
                }
                _ => None,
            },
            Ok(_) => None,
        }
    }

    /// The answer to a question for what is not in line: it was not taken, or nobody handed it over.
    pub(crate) fn unknown(&self) -> Error {
        match (self.rejection(), &self.state, &self.broken) {
            (_, Err(error), _) => error.clone(),
            (Some(_), Ok(_), Some((error, _))) if !self.quit_wanted => error.clone(),
            (Some(error), ..) => error,
            (None, Ok(state), _) => Error::misuse(state.stage(), ApiMisuse::UnknownId),
        }
    }

    pub(crate) fn ended(&self) -> Error {
        self.io.locate(Error::new(Stage::Idle, ErrorKind::Closed))
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(
            self.state,
            Ok(State::Ready | State::ExpectQuit | State::Ended)
        )
    }

    /// Sends so far ahead, from when the server is known to take it.
    pub(crate) fn set_pipelining(&mut self, level: Pipelining) {
        self.level = level;
        self.apply_level();
    }

    /// Sends further ahead while there is a batch, unless the policy says how far.
    pub(crate) fn set_batching(&mut self, batching: bool) {
        if self.batching != batching && self.io.config.pipelining.is_none() {
            self.batching = batching;
            self.apply_level();
        }
    }

    /// How far to send ahead now.
    pub(crate) fn ahead(&self) -> Pipelining {
        if self.batching {
            self.level.max(Pipelining::Transactions)
        } else {
            self.level
        }
    }

    fn apply_level(&mut self) {
        self.filled = None;
        if matches!(self.state, Ok(State::Ready)) && self.known.capabilities.pipelining() {
            self.io.pending.set_level(self.ahead());
        }
    }

    /// Puts something in line.
    pub(crate) fn push(&mut self, job: Queued) {
        self.filled = None;
        if self.jobs.is_empty() {
            self.io.rested();
        }
        if self.jobs.capacity() == 0 {
            // Most connections have one message at a time.
            self.jobs.reserve_exact(1);
        }
        if let Queued::Mail(transaction) = &job {
            self.text = self.text.saturating_add(transaction.size());
        }
        self.jobs.push_back(job);
    }

    /// Frees what only a busy connection needs.
    fn release(&mut self) {
        self.jobs.shrink_to(1);
        self.done.shrink_to(1);
        self.io.pending.release();
        self.set_batching(false);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.io.pending.is_empty() && self.io.send_buffer.is_empty()
    }

    /// Where in the dialogue things stand, by the reply that is due next.
    ///
    /// A command that is only in line is not due: whether it is there depends on what the caller asked.
    pub(crate) fn stage(&self) -> Stage {
        if let Some(due) = self.io.due() {
            let in_text = due.to == Expect::EndOfData && !self.io.was_offered(due.end);
            return if in_text {
                Stage::Content
            } else {
                due.to.stage()
            };
        }
        match (&self.state, self.jobs.get(self.sending)) {
            (Ok(State::Ready), Some(Queued::Mail(transaction)))
                if transaction.want(&self.io) == NextAction::Text =>
            {
                Stage::Content
            }
            (Ok(state), _) => state.stage(),
            (Err(error), _) => error.stage(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<(Time, Wait)> {
        match (&self.state, &self.broken) {
            (Ok(State::Ended), _) => None,
            (Err(_), _) => self.io.deadline().filter(|_| !self.io.pending.is_empty()),
            (Ok(_), Some((_, until))) => Some((*until, Wait::Write)),
            (Ok(State::AwaitTls(awaited)), None) => {
                self.io.deadline().map(|(until, wait)| match wait {
                    Wait::StartTls if awaited.greeted => (until, Wait::TlsHandshake),
                    Wait::StartTls => (until, Wait::ImplicitTls),
                    other => (until, other),
                })
            }
            (Ok(_), None) => self.io.deadline(),
        }
    }

    pub(crate) fn reply_limits(&self) -> ReplyLimits {
        let limits = self.io.config.reply_limits;
        match self.io.pending.front() {
            Some(due) if due.to == Expect::Auth => limits.for_challenge(),
            _ => limits,
        }
    }

    /// Records bytes that came after a failure, before the last word: after too many it is not said.
    pub(crate) fn ignore(&mut self, count: usize) {
        self.ignored = self.ignored.saturating_add(count);
        if self.ignored > IGNORED {
            self.io.close();
        }
    }

    /// How many bytes more a server may send by now.
    pub(crate) fn input_room(&self) -> usize {
        let room = SESSION_INPUT
            .saturating_add(self.commands.saturating_mul(COMMAND_INPUT))
            .saturating_sub(self.io.stats().bytes_received());
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        id
    }
}

/// Makes a command fit for a server that offers this.
fn fit(command: &mut Command, offered: &Capabilities) -> Result<(), MissingExtension> {
    if !command.keep_offered(offered) {
        Err(MissingExtension::Xforward)
    } else if command.is_ascii() || offered.smtp_utf8() {
        Ok(())
    } else {
        Err(MissingExtension::SmtpUtf8)
    }
}

/// Begins a message, after RSET if the one before left something.
fn say_mail(transaction: &mut Transaction, io: &mut Io, needs_reset: &mut bool) -> bool {
    // What is not answered yet may be rejected.
    let may_be_rejected = matches!(
        io.pending.last(),
        Some(Expect::EndOfData | Expect::LastChunk)
    );
    if (*needs_reset || may_be_rejected) && !say_rset(io, needs_reset) {
        return false;
    }
    transaction.say(Expect::Mail, io)
}

fn say_rset(io: &mut Io, needs_reset: &mut bool) -> bool {
    let said = io.say(&Line::Rset, Expect::Rset);
    *needs_reset &= !said;
    said
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Bytes that a server may send in a session, beside what each command allows: far more than any dialogue has.
const SESSION_INPUT: u64 = 1 << 20;

/// Bytes that a server may send after a failure, before the last word is said.
const IGNORED: usize = 1 << 16;

/// Bytes that a server may send for each command.
const COMMAND_INPUT: u64 = 4096;
