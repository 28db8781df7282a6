//! Many messages one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::iter::{Fuse, FusedIterator};
use std::task::Poll;

use smtp_driver::pool::Finished;
use smtp_driver::smtp_pool::{ConnectionId, PoolError, SendError, Ticket};
use smtp_proto::{Batch, Mail, Outcome};

use super::Mailer;
use super::member::Member;
use super::turn::Turn;

/// The outcomes of many messages, each with the number of its message in the order given.
///
/// Created by [`Mailer::send_all`]. Outcomes come in the order of the messages, except that a
/// message which is sent again over another connection comes later. Messages are taken from the
/// iterator when they are about to be sent; while threads [run](Mailer::run) the mailer, up to 128
/// ahead.
///
/// If it is dropped, the messages that were taken and have no outcome yet are given up, and so is
/// their connection: they may or may not have been sent. Those that other threads send are
/// withdrawn if they wait.
#[must_use = "nothing is sent until outcomes are awaited"]
pub struct SendAll<'a, I: Iterator<Item = Mail>> {
    mailer: &'a Mailer,
    source: Source<I>,
    /// Messages that were handed over to the threads that run the mailer.
    handed_over: VecDeque<(usize, Ticket)>,
    /// The connection that this thread uses.
    own: Option<Own<'a>>,
    /// Messages whose connection was lost, and that wait for another one.
    again: VecDeque<(usize, Turn<'a>, Mail)>,
}

/// The messages, with their numbers.
struct Source<I: Iterator<Item = Mail>> {
    mails: Fuse<I>,
    next: usize,
    /// A message that was taken, and is not on the connection of the one before.
    held: Option<(usize, Mail)>,
}

/// A connection, and the messages on it.
struct Own<'a> {
    mailer: &'a Mailer,
    id: ConnectionId,
    /// Until the pool takes it back.
    member: Option<Member>,
    batch: Batch<()>,
    /// The message to begin with.
    first: Option<Mail>,
    flight: VecDeque<(usize, Turn<'a>)>,
    /// How many bytes the connection had sent before the only message on it.
    before: u64,
}

type Item = (usize, Result<Outcome, SendError>);

impl<'a, I: Iterator<Item = Mail>> SendAll<'a, I> {
    pub(super) fn new(mailer: &'a Mailer, mails: I) -> Self {
        Self {
            mailer,
            source: Source {
                mails: mails.fuse(),
                next: 0,
                held: None,
            },
            handed_over: VecDeque::new(),
            own: None,
            again: VecDeque::new(),
        }
    }

    /// Hands over as many messages as may wait. Returns one that is not accepted.
    fn hand_over(&mut self) -> Option<Item> {
        while let Some(crew) = self.mailer.inner.crew()
            && self.handed_over.len() < WAITING
            && let Some((number, mail)) = self.source.take()
        {
            match self.mailer.hand_over(crew, mail) {
                Ok(ticket) => self.handed_over.push_back((number, ticket)),
                Err(error) if matches!(error.kind(), PoolError::NoDriver) => {
                    self.source.held = Some((number, error.into_mail()));
                    break;
                }
                Err(error) => return Some((number, Err(error))),
            }
        }
        None
    }

    /// Waits for a connection for this message.
    fn begin(&mut self, number: usize, mut turn: Turn<'a>, mail: Mail) -> Option<Item> {
        match turn.connection() {
            Err(error) => Some((number, Err(SendError::new(error, mail)))),
            Ok((id, member)) => {
                self.own = Some(Own {
                    mailer: self.mailer,
                    id,
                    before: member.client.connection().stats().bytes_sent(),
                    member: Some(member),
                    batch: Batch::new(()),
                    first: Some(mail),
                    flight: [(number, turn)].into(),
                });
                None
            }
        }
    }

    /// Waits for the next outcome on the own connection.
    fn drive(&mut self, mut own: Own<'a>) -> Option<Item> {
        let outcome = own.next_outcome(&mut self.source)?;
        let (number, turn, finished) = own.finish(outcome)?;
        if own.member.is_some() {
            self.own = Some(own);
        }
        match finished {
            Finished::Final(outcome) => {
                turn.end();
                Some((number, Ok(outcome)))
            }
            Finished::Again(mail) => {
                self.again.push_back((number, turn, mail));
                None
            }
        }
    }
}

impl<I: Iterator<Item = Mail>> Source<I> {
    fn take(&mut self) -> Option<(usize, Mail)> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let mail = self.mails.next()?;
        let number = self.next;
        self.next = self.next.saturating_add(1);
        Some((number, mail))
    }
}

impl<'a> Own<'a> {
    fn next_outcome<I>(&mut self, source: &mut Source<I>) -> Option<Outcome>
    where
        I: Iterator<Item = Mail>,
    {
        let Self {
            mailer,
            id,
            member,
            batch,
            first,
            flight,
            before,
        } = self;
        let inner = &*mailer.inner;
        let member = member.as_mut()?;
        member.client.drive(|smtp| {
            batch.poll_outcome_from(smtp, |()| {
                if let Some(mail) = first.take() {
                    return Poll::Ready(Some(mail));
                }
                let Some((number, mail)) = source.take() else {
                    return Poll::Pending;
                };
                let now = inner.now();
                let ticket = match mail.size() {
                    Some(_) => inner
                        .pool
                        .request_same(now, *id, mailer.request(now, &mail)),
                    None => None,
                };
                match ticket {
                    None => {
                        source.held = Some((number, mail));
                        Poll::Pending
                    }
                    Some(ticket) => {
                        *before = u64::MAX;
                        flight.push_back((number, Turn::new(inner, ticket)));
                        Poll::Ready(Some(mail))
                    }
                }
            })
        })
    }
}

impl<'a> Own<'a> {
    /// Reports the outcome of the oldest message. After the last one the pool takes the connection
    /// back.
    fn finish(&mut self, outcome: Outcome) -> Option<(usize, Turn<'a>, Finished)> {
        let (number, turn) = self.flight.pop_front()?;
        let inner = &*self.mailer.inner;
        let place = (self.id, turn.ticket);
        let finished = if self.flight.is_empty() {
            let mut member = self.member.take()?;
            // Ends the batch.
            let smtp = member.client.connection_mut();
            _ = self.batch.poll_outcome_from(smtp, |()| Poll::Ready(None));
            let pool = &inner.pool;
            pool.finish(inner.now(), place, outcome, self.before, member)
        } else {
            let member = self.member.as_mut()?;
            inner.pool.finish_one(inner.now(), place, outcome, member)
        };
        Some((number, turn, finished))
    }
}

/// Breaks the connection off if messages are on it, and reports their outcomes to the pool alone.
impl Drop for Own<'_> {
    fn drop(&mut self) {
        while let Some(member) = &mut self.member {
            member.client.break_off();
            let smtp = member.client.connection_mut();
            let first = &mut self.first;
            let outcome = self
                .batch
                .poll_outcome_from(smtp, |()| Poll::Ready(first.take()));
            let Poll::Ready(Some(outcome)) = outcome else {
                return;
            };
            if let Some((_, turn, Finished::Final(_))) = self.finish(outcome) {
                turn.end();
            }
        }
    }
}

impl<I: Iterator<Item = Mail>> Iterator for SendAll<'_, I> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let item = if let Some(own) = self.own.take() {
                self.drive(own)
            } else if let Some((number, turn, mail)) = self.again.pop_front() {
                self.begin(number, turn, mail)
            } else if let Some(failed) = self.hand_over() {
                Some(failed)
            } else if let Some((number, ticket)) = self.handed_over.pop_front() {
                match self.mailer.inner.result(ticket)? {
                    // The threads that ran the mailer have ended.
                    Err(error) if matches!(error.kind(), PoolError::NoDriver) => {
                        match self.mailer.turn(error.into_mail()) {
                            Ok((turn, mail)) => self.begin(number, turn, mail),
                            Err(error) => Some((number, Err(error))),
                        }
                    }
                    result => Some((number, result)),
                }
            } else {
                let (number, mail) = self.source.take()?;
                match self.mailer.turn(mail) {
                    Ok((turn, mail)) => self.begin(number, turn, mail),
                    Err(error) => Some((number, Err(error))),
                }
            };
            if item.is_some() {
                return item;
            }
        }
    }
}

impl<I: Iterator<Item = Mail>> FusedIterator for SendAll<'_, I> {}

/// The results of messages that were handed over are not asked for any more.
impl<I: Iterator<Item = Mail>> Drop for SendAll<'_, I> {
    fn drop(&mut self) {
        let inner = &*self.mailer.inner;
        for (_, ticket) in self.handed_over.drain(..) {
            inner.pool.forget(inner.now(), ticket);
        }
    }
}

impl<I: Iterator<Item = Mail>> fmt::Debug for SendAll<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("taken", &self.source.next)
            .finish_non_exhaustive()
    }
}

/// How many messages are taken ahead of their outcomes: enough to keep a few connections busy.
const WAITING: usize = 128;
