//! Many messages in a row: how many to queue, and the outcome of each in order.

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

/// Sends messages over one connection as fast as it accepts them, and returns their outcomes in
/// order.
///
/// Adapters drive a batch like any other question: with [`poll_outcome`](Self::poll_outcome), or
/// with [`poll_outcome_from`](Self::poll_outcome_from) if messages arrive over time.
///
/// A message is taken from its source only when [`wants_mail`](Connection::wants_mail) asks for it,
/// so memory does not grow with the batch. Every message taken has an outcome. The batch ends early
/// if the connection fails, or if the server accepts no further message in this session (MAILMAX,
/// RFC 9422). The outcome of the last message taken then says why, and
/// [`into_rest`](Self::into_rest) returns the messages that were not taken.
///
/// A batch sends at the level [`Pipelining::Transactions`] or higher, unless the configuration sets
/// a level.
///
/// Streamed messages are not sent; their outcome is an error.
///
/// # Examples
/// ```
/// use std::task::Poll;
/// use smtp_proto::{Batch, Mail};
/// # use std::sync::Arc;
/// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
/// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// # let mut connection = Connection::new(Arc::new(config), Seed::random());
/// # let now = Time::ORIGIN;
///
/// let message = "From: alice@example.org\r\n\r\nHello\r\n";
/// let mails = ["bob@example.net", "carol@example.net"]
///     .map(|recipient| Mail::new("alice@example.org", [recipient], message).unwrap());
/// let mut batch = Batch::new(mails.into_iter());
/// let mut accepted = 0;
/// # let mut replies = "220 ready\r\n250 hello\r\n".split_inclusive('\n')
/// #     .chain("250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n".split_inclusive('\n').cycle());
/// loop {
///     match batch.poll_outcome(&mut connection) {
///         Poll::Ready(Some(outcome)) => accepted += usize::from(outcome.is_accepted()),
///         Poll::Ready(None) => break,
///         // The driver moves bytes here, until there is an outcome.
///         Poll::Pending => {
/// #             let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
/// #             connection.handle_sent(now, count);
/// #             connection.handle_input(now, replies.next().unwrap().as_bytes());
///         }
///     }
/// }
/// assert_eq!(accepted, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is sent until outcomes are asked for"]
pub struct Batch<M> {
    mails: M,
    /// Messages taken whose outcome has not been returned.
    taken: VecDeque<MailId>,
    /// Whether no further message is taken: there is none, or an outcome says why.
    ended: bool,
    /// The message whose outcome waits until later commands are sent, and the number of bytes sent
    /// when it arrived.
    waits: Option<(MailId, u64)>,
}

impl<M> Batch<M> {
    /// Creates a batch of these messages. None is taken yet.
    pub const fn new(mails: M) -> Self {
        Self {
            mails,
            taken: VecDeque::new(),
            ended: false,
            waits: None,
        }
    }

    /// Submits as many messages as the connection wants and `next` returns, and returns the outcome
    /// of the next message in order. `Ready(None)` at the end of the batch.
    ///
    /// `next` is called again after it returned `Pending`, and never after it returned `None`. The
    /// batch also ends if every message taken has its outcome and the connection fails while `next`
    /// is pending.
    ///
    /// All calls must use the same connection.
    pub fn poll_outcome_from(
        &mut self,
        connection: &mut Connection,
        mut next: impl FnMut(&mut M) -> Poll<Option<Mail>>,
    ) -> Poll<Option<Outcome>> {
        loop {
            self.take(connection, &mut next);
            let Some(&id) = self.taken.front() else {
                // Otherwise the next message is pending, or other items are queued before these.
                self.ended |= matches!(connection.core.stuck(), Poll::Ready(why) if !is_idle(&why));
                if !self.ended {
                    return Poll::Pending;
                }
                connection.core.change().set_batching(false);
                return Poll::Ready(None);
            };
            if connection.core.known_outcome(id).is_ok() && connection.is_about_to_send() {
                // The caller may take time to handle the outcome, and input that arrives meanwhile
                // must be read before more is sent. So the commands that follow are sent first.
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
                // Waiting is pointless: the error becomes the outcome of the message.
                Err(error) if connection.core.unchanged().is_untouched(id) => {
                    connection.core.change().withdraw(id, error);
                    self.ended = true;
                }
                // Already taken through `poll_event` or `poll_outcome`.
                Err(_) => _ = self.taken.pop_front(),
            }
        }
    }

    /// Returns the messages that were not taken.
    ///
    /// Messages already taken remain queued; [`poll_event`](Connection::poll_event) returns their
    /// outcomes.
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
    /// Submits as many messages as the connection wants, and returns the outcome of the next one in
    /// order. `Ready(None)` at the end of the batch.
    ///
    /// All calls must use the same connection.
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
    /// Whether one more message in the queue would speed up the connection.
    ///
    /// More messages than that only occupy memory. Four are enough for all levels of [`Pipelining`]
    /// except [`Speculative`](Pipelining::Speculative), which uses up to twice the bytes that
    /// [`SpeculationLimits`](crate::SpeculationLimits) allows in flight, but at most 2,000
    /// messages. Before the server is ready, one is enough. None is wanted by a connection that has
    /// failed or is closing, or if the server accepts no further message in this session.
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
    /// Whether the server accepts another message in this session, according to its limits.
    fn has_room_in_session(&self) -> bool {
        if !self.takes_work() {
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

    /// Rejects the last message in the queue if it is streamed, because a batch has no source for
    /// its content.
    fn reject_streamed(&mut self, id: MailId) {
        if self.queue.ends_with_streamed(id) {
            self.withdraw(
                id,
                Error::misuse(Stage::Content, ApiMisuse::ContentUnfinished),
            );
        }
    }
}

/// Whether the only problem is that nothing is pending.
fn is_idle(why: &Error) -> bool {
    matches!(why.kind(), ErrorKind::Misuse(ApiMisuse::NothingUnderWay))
}

/// The queue length that keeps the pipeline full: one message awaiting replies, one being sent, two
/// spare in case one cannot be sent.
const IN_LINE: usize = 4;

/// The queue length for small messages sent without waiting for any reply.
const IN_LINE_AHEAD: usize = 2000;
