//! Many messages one after the other: how many of them to have in line, and what becomes of each in turn.

use alloc::collections::VecDeque;
use core::fmt;
use core::task::{Poll, ready};

use crate::config::Protocol;
use crate::connection::Connection;
use crate::connection::core::Core;
use crate::connection::handshake::State;
use crate::error::{ApiMisuse, Error, ErrorKind};
use crate::event::MailId;
use crate::mail::Mail;
use crate::outcome::Outcome;
use crate::pipelining::Pipelining;
use crate::stage::Stage;

/// Messages that go out over one connection as fast as it can take them, with their outcomes in the same order.
///
/// Adapters drive it, like any other question, with [`poll_outcome`](Self::poll_outcome), or where messages come when they
/// come, with [`poll_outcome_from`](Self::poll_outcome_from).
///
/// No more messages are taken from their source than [`wants_mail`](Connection::wants_mail) asks for, so memory does not grow
/// with the batch. Every message that was taken has its outcome. It ends early when the connection fails, or when the server
/// takes no further mail in this session (MAILMAX, RFC 9422); then the outcome of the last message that was taken tells why,
/// and those that were not taken are still in [`into_rest`](Self::into_rest).
///
/// Meanwhile messages go out as by [`Pipelining::Transactions`] at least, unless the policy says how far to send ahead.
///
/// The messages have to be whole: one whose text comes in pieces is not sent, and the next is taken.
#[must_use = "nothing is sent until outcomes are asked for"]
pub struct Batch<M> {
    mails: M,
    /// Those that were taken and whose outcome has not been told.
    taken: VecDeque<MailId>,
    /// Whether no further mail is taken: there is none, or some outcome tells why.
    ended: bool,
    /// The message whose outcome waits for what follows to go out, and how much had gone out when it came.
    waits: Option<(MailId, u64)>,
}

impl<M> Batch<M> {
    /// A batch of these messages, none of which is taken yet.
    pub const fn new(mails: M) -> Self {
        Self {
            mails,
            taken: VecDeque::new(),
            ended: false,
            waits: None,
        }
    }

    /// Hands over as many messages as the connection wants and `next` gives, and tells what became of the one whose turn it is;
    /// `Ready(None)` when there is nothing more to tell.
    ///
    /// `next` is asked again after it has said that a message is pending, and no more after it has said that there is none. When
    /// all that was taken has been told and the connection fails while the next message is pending, the batch ends.
    ///
    /// All calls have to be with the same connection.
    pub fn poll_outcome_from(
        &mut self,
        connection: &mut Connection,
        mut next: impl FnMut(&mut M) -> Poll<Option<Mail>>,
    ) -> Poll<Option<Outcome>> {
        loop {
            self.take(connection, &mut next);
            let Some(&id) = self.taken.front() else {
                // Else the next message is pending, or others are before these in line.
                self.ended |= matches!(connection.core.stuck(), Poll::Ready(why) if !is_idle(&why));
                if !self.ended {
                    return Poll::Pending;
                }
                connection.core.change().set_batching(false);
                return Poll::Ready(None);
            };
            if connection.core.known_outcome(id).is_ok() && connection.is_about_to_send() {
                // The caller may take its time with the outcome, and meanwhile something may come that has to be read first: so
                // what follows goes out before.
                let sent = connection.stats().bytes_sent();
                let (waits, before) = *self.waits.get_or_insert((id, sent));
                if (waits, before) == (id, sent) {
                    return Poll::Pending;
                }
            }
            self.waits = None;
            match ready!(connection.poll_outcome(id)) {
                Ok(outcome) => {
                    self.taken.pop_front();
                    self.ended |= connection.core.rejection().is_some();
                    return Poll::Ready(Some(outcome));
                }
                // Nothing will come of waiting: the message's own outcome says why.
                Err(error) if connection.core.unchanged().is_untouched(id) => {
                    connection.core.change().withdraw(id, error);
                    self.ended = true;
                }
                // Somebody else has been told.
                Err(_) => _ = self.taken.pop_front(),
            }
        }
    }

    /// The messages that were not taken.
    ///
    /// Those that were stay in line; their outcomes are for [`poll_event`](Connection::poll_event) to tell.
    pub fn into_rest(self) -> M {
        self.mails
    }

    fn take(
        &mut self,
        connection: &mut Connection,
        next: &mut impl FnMut(&mut M) -> Poll<Option<Mail>>,
    ) {
        while !self.ended {
            let wanted = connection.wants_mail();
            let explains = self.taken.is_empty() && !connection.core.has_room_in_session();
            if !wanted && !explains {
                return;
            }
            let mail = match next(&mut self.mails) {
                Poll::Ready(Some(mail)) => mail,
                Poll::Ready(None) => {
                    self.ended = true;
                    return;
                }
                Poll::Pending => return,
            };
            connection.core.change().set_batching(true);
            let id = connection.submit(mail);
            connection.core.change().reject_streamed(id);
            self.taken.push_back(id);
            self.ended = explains;
        }
    }
}

impl<I: Iterator<Item = Mail>> Batch<I> {
    /// Hands over as many messages as the connection wants, and tells what became of the one whose turn it is; `Ready(None)`
    /// when there is nothing more to tell.
    ///
    /// All calls have to be with the same connection.
    pub fn poll_outcome(&mut self, connection: &mut Connection) -> Poll<Option<Outcome>> {
        self.poll_outcome_from(connection, |mails| Poll::Ready(mails.next()))
    }
}

impl<M> fmt::Debug for Batch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Whether one more mail in line now would make the connection faster.
    ///
    /// For whoever has many: more than that only take up memory. Four in line are enough for all levels of
    /// [`Pipelining`] but [`Speculative`](Pipelining::Speculative), which wants messages up to twice the bytes that
    /// [`SpeculationLimits`](crate::SpeculationLimits) lets be on their way, but at most 2,000 messages. Before the server is ready, one is
    /// enough; none is wanted by a connection that has failed or is about to end, or from a server that takes no further
    /// mail in this session.
    pub fn wants_mail(&self) -> bool {
        let core = &self.core;
        if !core.has_room_in_session() {
            return false;
        }
        let in_line = core.queue.len();
        if !matches!(core.phase.state(), Ok(State::Ready)) {
            return in_line == 0;
        }
        let level = core.io.pending.level();
        let config = &core.io.config;
        let runs_ahead = level >= Pipelining::Speculative
            && core.server.capabilities.chunking()
            && config.protocol == Protocol::Smtp;
        if !runs_ahead {
            return in_line < IN_LINE;
        }
        let bound = config.speculation.in_flight.saturating_mul(2);
        in_line < IN_LINE || (in_line < IN_LINE_AHEAD && core.queue.content_bytes() < bound)
    }
}

impl Core {
    /// Whether the server will take another message in this session, as far as it has said.
    fn has_room_in_session(&self) -> bool {
        if self.rejection().is_some() {
            return false;
        }
        let Some(most) = self.server.capabilities.limits().mail_max() else {
            return true;
        };
        let waiting = self.queue.untouched();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.io.mails.saturating_add(waiting) < most.get()
    }

    fn is_untouched(&mut self, id: MailId) -> bool {
        self.queue.mail(id).is_some_and(|each| each.is_untouched())
    }

    /// Takes the message that was queued last out of it, if nobody would write its text.
    fn reject_streamed(&mut self, id: MailId) {
        if self.queue.ends_with_streamed(id) {
            self.withdraw(
                id,
                Error::misuse(Stage::Content, ApiMisuse::ContentUnfinished),
            );
        }
    }
}

/// Whether all that is wrong is that there is nothing to wait for.
fn is_idle(why: &Error) -> bool {
    matches!(why.kind(), ErrorKind::Misuse(ApiMisuse::NothingUnderWay))
}

/// Messages in line that let one flight follow the other: the one that is answered, the one that is sent, and what makes up
/// for one that turns out not to be sendable.
const IN_LINE: usize = 4;

/// Small messages in line that may go out without waiting for any reply.
const IN_LINE_AHEAD: usize = 2000;
