//! The connection without its reply reader: dispatches replies, fails, and keeps results.

use alloc::boxed::Box;
use core::fmt;

use crate::config::Protocol;
use crate::connection::handshake::{CLOSING, Context, ServerInfo, State, UNAVAILABLE};
use crate::connection::io::Io;
use crate::connection::pending::PendingReply;
use crate::connection::queue::{Queue, Queued};
use crate::connection::results::{Completed, Results};
use crate::connection::transaction::{Leftover, Transaction};
use crate::error::{ApiMisuse, Error, ErrorKind, ProtocolError};
use crate::event::MailId;
use crate::pipelining::Pipelining;
use crate::reply::{ReplyRef, Severity};
use crate::reply_reader::ReplyLimits;
use crate::seed::Seed;
use crate::stage::{Stage, Timeout};
use crate::time::Time;
use crate::transcript::TranscriptEntry;

/// The connection without its reply reader, from which the current reply is borrowed.
pub(crate) struct Core {
    pub(crate) seed: Seed,
    pub(crate) io: Io,
    pub(crate) server: ServerInfo,
    pub(crate) phase: Phase,
    pub(crate) queue: Queue,
    pub(crate) leftover: Leftover,
    pub(crate) ahead: Ahead,
    pub(crate) budget: InputBudget,
    pub(crate) done: Results,
    pub(crate) announced: EventCursor,
    pub(crate) next_id: u64,
}

/// The phase of the dialogue.
#[derive(Debug)]
pub(crate) enum Phase {
    /// In progress, or closed in order.
    Open(State),
    /// Nothing more is sent. Until `until` the peer may still explain; then `error` is the failure.
    Draining {
        state: State,
        error: Error,
        until: Time,
    },
    /// Failed. Only the reply to a last QUIT may be pending.
    Failed(Error),
}

/// How far to send ahead of the replies, if the server allows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub(crate) level: Pipelining,
    /// Whether a batch is being sent, whose messages follow each other closely.
    pub(crate) batching: bool,
    /// Whether the server may have closed the connection during a pause.
    pub(crate) cautious: bool,
}

/// Counts the bytes that a server may send.
#[derive(Debug, Default)]
pub(crate) struct InputBudget {
    /// The number of commands sent, each of which allows some bytes.
    commands: u64,
    /// Bytes that arrived after a failure, before the last QUIT was sent.
    ignored: usize,
}

/// The results that `poll_event` has already returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventCursor {
    #[default]
    Nothing,
    TokenWanted,
    Ready,
    Ended,
}

// Replies.

impl Core {
    /// Handles one complete reply.
    pub(crate) fn handle_reply(&mut self, now: Time, reply: ReplyRef<'_>) -> Result<(), Error> {
        self.show_reply(reply);
        let Some(answered) = self.io.replied() else {
            return Err(self.unexpected(reply));
        };
        let stage = answered.stage;
        if reply.code().as_u16() == CLOSING && stage != Stage::Quit {
            // Not a reply to a command: the server announces that it closes.
            return Err(Error::new(stage, ErrorKind::ConnectionLost).with_reply(reply.to_reply()));
        }
        match stage {
            Stage::Rset => self.on_rset_reply(reply)?,
            Stage::Command => self.on_command_reply(reply)?,
            _ if stage.is_of_transaction() => self.on_transaction_reply(now, answered, reply)?,
            _ => self.on_session_reply(now, reply)?,
        }
        self.finish_front();
        if reply.code().as_u16() == UNAVAILABLE && !self.phase.is_ended() {
            return Err(Error::rejected(stage, reply.to_reply()));
        }
        Ok(())
    }

    /// Records a reply, which is copied only for an observer.
    fn show_reply(&mut self, reply: ReplyRef<'_>) {
        let of_mail = (self.io.pending.front()).is_some_and(|next| next.stage.is_of_transaction());
        self.io.set_subject(match self.queue.front() {
            Some(Queued::Mail(transaction)) if of_mail => Some(&transaction.trace),
            _ => None,
        });
        if self.io.is_observed() {
            let in_auth = matches!(self.phase.state(), Ok(State::ExpectAuth(_)));
            if in_auth && reply.code().as_u16() == 334 {
                let len = reply.lines().map(<[u8]>::len).sum();
                self.io.show(|| TranscriptEntry::Challenge(len));
            } else {
                let reply = reply.to_reply();
                self.io.show(|| TranscriptEntry::Reply(&reply));
            }
        }
    }

    fn on_rset_reply(&mut self, reply: ReplyRef<'_>) -> Result<(), Error> {
        if reply.code().completes() {
            self.leftover = self.leftover.reset_done();
            Ok(())
        } else if !reply.code().is_rejection() {
            Err(Error::protocol(Stage::Rset, ProtocolError::WrongClass)
                .with_reply(reply.to_reply()))
        } else if self.leftover.may_be_open() {
            Err(Error::rejected(Stage::Rset, reply.to_reply()))
        } else {
            Ok(())
        }
    }

    fn on_transaction_reply(
        &mut self,
        now: Time,
        answered: PendingReply,
        reply: ReplyRef<'_>,
    ) -> Result<(), Error> {
        let by_recipient = self.io.config.protocol == Protocol::Lmtp;
        let Some(Queued::Mail(transaction)) = self.queue.front_mut() else {
            return Ok(());
        };
        let more = transaction
            .handle_reply(answered, reply, by_recipient)
            .map_err(|error| Error::protocol(answered.stage, error).with_reply(reply.to_reply()))?;
        if more {
            self.io.expect_again(now, answered);
        }
        Ok(())
    }

    fn on_command_reply(&mut self, reply: ReplyRef<'_>) -> Result<(), Error> {
        let severity = reply.code().severity();
        if severity == Severity::Intermediate {
            // The server requests more lines, in a dialogue that this connection does not support.
            return Err(Error::protocol(Stage::Command, ProtocolError::WrongClass)
                .with_reply(reply.to_reply()));
        }
        let Some(item) = self.queue.front_mut() else {
            return Ok(());
        };
        if let Queued::Command(id, command) = item
            && !(severity == Severity::Completion && command.advance())
        {
            if command.is_rset() && reply.code().completes() {
                self.leftover = Leftover::Nothing;
            }
            self.done
                .push(Completed::Command(*id, Ok(reply.to_reply())));
            _ = item.finish();
        }
        Ok(())
    }

    fn on_session_reply(&mut self, now: Time, reply: ReplyRef<'_>) -> Result<(), Error> {
        let state = match &mut self.phase {
            Phase::Open(state) | Phase::Draining { state, .. } => {
                core::mem::replace(state, State::Ended)
            }
            Phase::Failed(error) => return Err(error.clone()),
        };
        let state = state.advance(reply, &mut self.context())?;
        if matches!(state, State::AwaitToken(_)) {
            self.io.begin_token(now);
        }
        self.enter(state);
        Ok(())
    }

    /// The parts of the connection that a transition uses.
    pub(crate) fn context(&mut self) -> Context<'_> {
        Context {
            level: self.ahead.level(),
            io: &mut self.io,
            server: &mut self.server,
            seed: &self.seed,
        }
    }

    /// Records the first byte of a reply. If no command awaits it, nothing more is sent, and the
    /// reply only explains the failure.
    pub(crate) fn reply_begins(&mut self, now: Time) {
        self.io.reply_begins();
        if self.io.is_quiet() {
            let error = if self.is_in_content() {
                Error::protocol(Stage::Content, ProtocolError::EarlyReply)
            } else {
                Error::protocol(self.stage(), ProtocolError::UnexpectedReply)
            };
            self.drain(now, error);
        }
    }

    pub(crate) fn is_in_content(&self) -> bool {
        match self.queue.front() {
            Some(Queued::Mail(transaction)) => transaction.is_in_content(&self.io),
            _ => false,
        }
    }

    pub(crate) fn reply_limits(&self) -> ReplyLimits {
        let limits = self.io.config.reply_limits;
        match self.io.pending.front() {
            Some(next) if next.stage == Stage::Auth => limits.for_challenge(),
            _ => limits,
        }
    }
}

// Results.

impl Core {
    /// Removes the completed items at the front, and releases memory that only a busy connection
    /// needs.
    #[inline]
    pub(crate) fn finish_front(&mut self) {
        if !matches!(self.queue.front(), Some(Queued::Mail(front)) if !front.is_complete(&self.io))
        {
            self.finish_all();
        }
    }

    fn finish_all(&mut self) {
        loop {
            match self.queue.front_mut() {
                Some(Queued::Finished(_)) => {}
                Some(Queued::Mail(front)) if front.is_complete(&self.io) => {
                    self.leftover = self.leftover.and(front.leftover());
                    front.seen(&mut self.server.recipients);
                    if front.restart_for_remaining() {
                        self.queue.put_back_front();
                        continue;
                    }
                }
                _ => break,
            }
            if let Some(Queued::Mail(transaction)) = self.queue.finish_front() {
                self.complete(transaction, None);
            }
        }
        if self.is_idle() {
            self.release();
        }
    }

    /// Stores the outcome of a message.
    pub(crate) fn complete(&mut self, transaction: Box<Transaction>, failure: Option<Error>) {
        let id = transaction.id;
        let trace = transaction.trace.clone();
        let outcome = transaction.outcome(failure, &self.io, self.server.tls.clone());
        trace.outcome(&outcome);
        // The message's span ends here.
        self.io.set_subject(None);
        self.done.push(Completed::Mail(id, outcome));
    }

    /// Removes a message of which nothing was sent.
    pub(crate) fn withdraw(&mut self, id: MailId, error: Error) {
        if let Some(transaction) = self.queue.withdraw(id) {
            self.complete(transaction, Some(error));
        }
        self.finish_front();
    }

    /// Whether the outcome of a message is known and has not been returned.
    pub(crate) fn known_outcome(&self, id: MailId) -> Result<(), ApiMisuse> {
        if self.done.has_mail(id) {
            Ok(())
        } else {
            Err(ApiMisuse::UnknownId)
        }
    }

    /// Releases memory that only a busy connection needs.
    fn release(&mut self) {
        self.queue.release();
        self.done.release();
        self.io.pending.release();
        self.set_batching(false);
    }

    /// Appends an item to the queue.
    pub(crate) fn push(&mut self, item: Queued) {
        if self.queue.is_empty() {
            self.io.resume();
        }
        self.queue.push(item);
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        id
    }
}

// Facts.

impl Core {
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.io.pending.is_empty() && self.io.send_buffer.is_empty()
    }

    /// The stage of the dialogue, according to the next reply.
    ///
    /// A queued command does not count before it is sent: whether it is queued depends on what the
    /// caller asked.
    pub(crate) fn stage(&self) -> Stage {
        if let Some(next) = self.io.awaited() {
            let in_content = next.stage == Stage::EndOfData && !self.io.was_offered(next.end);
            return if in_content {
                Stage::Content
            } else {
                next.stage
            };
        }
        match (self.phase.state(), self.queue.next()) {
            (Ok(State::Ready), Some(Queued::Mail(transaction)))
                if transaction.sends_content(&self.io) =>
            {
                Stage::Content
            }
            (Ok(state), _) => state.stage(),
            (Err(error), _) => error.stage(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<(Time, Timeout)> {
        match &self.phase {
            Phase::Open(State::Ended) => None,
            Phase::Failed(_) if self.io.pending.is_empty() => None,
            Phase::Draining { until, .. } => Some((*until, Timeout::Write)),
            Phase::Open(_) | Phase::Failed(_) => self.io.deadline(),
        }
    }

    /// How many more bytes the server may send.
    pub(crate) fn input_left(&self) -> usize {
        let left = SESSION_INPUT
            .saturating_add(self.budget.commands.saturating_mul(COMMAND_INPUT))
            .saturating_sub(self.io.stats().bytes_received());
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Counts bytes that arrived after a failure, before the last QUIT was sent. QUIT is not sent
    /// after too many.
    pub(crate) fn ignore(&mut self, count: usize) {
        self.budget.ignored = self.budget.ignored.saturating_add(count);
        if self.budget.ignored > IGNORED {
            self.io.close();
        }
    }
}

impl InputBudget {
    /// Adds the bytes allowed in reply to one command.
    pub(crate) fn add_command(&mut self) {
        self.commands = self.commands.saturating_add(1);
    }
}

impl Ahead {
    pub(crate) const fn new(level: Pipelining) -> Self {
        Self {
            level,
            batching: false,
            cautious: false,
        }
    }

    /// The current level of pipelining.
    pub(crate) fn level(self) -> Pipelining {
        if self.cautious {
            self.level.min(Pipelining::Envelope)
        } else if self.batching {
            self.level.max(Pipelining::Transactions)
        } else {
            self.level
        }
    }
}

impl Phase {
    /// The state of the dialogue, or the failure.
    pub(crate) const fn state(&self) -> Result<&State, &Error> {
        match self {
            Self::Open(state) | Self::Draining { state, .. } => Ok(state),
            Self::Failed(error) => Err(error),
        }
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self, Self::Open(State::Ended))
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// Bytes that a server may send in a session besides those allowed for each command: far more than
/// any dialogue needs.
const SESSION_INPUT: u64 = 1 << 20;

/// Bytes that a server may send after a failure, before the last QUIT is sent.
const IGNORED: usize = 1 << 16;

/// Bytes that a server may send for each command.
const COMMAND_INPUT: u64 = 4096;
