//! The threads that send the messages of all callers.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use smtp_driver::pool::{CrewId, Sent, Task};
use smtp_driver::smtp_pool::{ConnectionId, PoolError, Ticket};
use smtp_proto::{Batch, Mail, Outcome};

use super::Inner;
use super::member::Member;
use super::waiter::{Signal, Waiter};

/// The threads that send the messages of all callers.
pub(super) struct Crew {
    pub(super) id: CrewId,
    /// Wakes those that have nothing to do.
    signal: Arc<Signal>,
    threads: u32,
}

/// A thread of the crew.
pub(super) struct Worker<'a> {
    inner: &'a Inner,
    crew: CrewId,
    waiter: Waiter,
}

impl<'a> Worker<'a> {
    /// Joins the crew, or begins it.
    pub(super) fn join(inner: &'a Inner) -> Self {
        let mut crew = inner.crew.lock().unwrap_or_else(PoisonError::into_inner);
        let crew = crew.get_or_insert_with(|| Crew {
            id: inner.pool.begin_crew(false, false),
            signal: Arc::default(),
            threads: 0,
        });
        crew.threads = crew.threads.saturating_add(1);
        // A thread drives one connection at a time.
        inner.pool.set_usable(inner.now(), Some(crew.threads));
        Self {
            inner,
            crew: crew.id,
            waiter: Waiter::new(Arc::clone(&crew.signal)),
        }
    }

    /// Works until the mailer is closed and nothing is left.
    pub(super) fn run(mut self) {
        let Inner { pool, .. } = self.inner;
        while let Some(task) = self.inner.wait(&mut self.waiter, |now, waker| {
            let task = match pool.poll_task(now, self.crew, waker) {
                Poll::Pending => pool.poll_closed(now, waker).map(|()| None),
                task => task.map(Some),
            };
            (task, || pool.crew_alarm())
        }) {
            self.work(task);
        }
    }

    fn work(&self, task: Task<Member>) {
        let Inner { pool, .. } = self.inner;
        match task {
            Task::Connect(id, ticket) => {
                let begun = Begun {
                    worker: self,
                    ticket,
                };
                let opened = self.inner.open(id);
                std::mem::forget(begun);
                if let Some(member) = opened {
                    self.send(id, ticket, member);
                }
            }
            Task::Send(id, ticket, member) => self.send(id, ticket, member),
            Task::Quit(id, member) => {
                member.client.part();
                pool.closed(self.inner.now(), id);
            }
        }
    }

    /// Sends a message, and those that wait, until there is none or the connection takes no more.
    fn send(&self, id: ConnectionId, ticket: Ticket, member: Member) {
        let Inner { pool, .. } = self.inner;
        let Some(mail) = pool.begin(ticket) else {
            return pool.release(self.inner.now(), id, ticket, member);
        };
        let mut sending = Sending {
            worker: self,
            id,
            member: Some(member),
            batch: Batch::new(()),
            first: None,
            flight: VecDeque::new(),
        };
        sending.begin(ticket, mail);
        sending.run();
    }
}

/// Leaves the crew; the last one ends it.
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let Inner { pool, .. } = self.inner;
        let mut kept = self
            .inner
            .crew
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(crew) = &mut *kept else { return };
        crew.threads = crew.threads.saturating_sub(1);
        let now = self.inner.now();
        if crew.threads > 0 {
            pool.set_usable(now, Some(crew.threads));
            return;
        }
        *kept = None;
        drop(kept);
        pool.end_crew(now, self.crew);
        pool.set_usable(now, None);
    }
}

/// A message whose connection is being opened. A panic returns it to its caller.
struct Begun<'a> {
    worker: &'a Worker<'a>,
    ticket: Ticket,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let Inner { pool, .. } = self.worker.inner;
        if let Some(mail) = pool.begin(self.ticket) {
            let now = self.worker.inner.now();
            pool.fail(now, self.ticket, PoolError::NoDriver, mail);
        }
    }
}

/// A connection that sends messages, ahead of the replies.
struct Sending<'a> {
    worker: &'a Worker<'a>,
    id: ConnectionId,
    /// Until the pool takes it back.
    member: Option<Member>,
    batch: Batch<()>,
    /// The message to begin with.
    first: Option<Mail>,
    /// The messages without an outcome; and how many bytes the connection had sent, for one that
    /// was submitted to it while it was idle.
    flight: VecDeque<(Ticket, Option<u64>)>,
}

impl Sending<'_> {
    /// Begins with a message on an idle connection.
    fn begin(&mut self, ticket: Ticket, mail: Mail) {
        let member = self.member.as_ref();
        let sent = member.map(|member| member.client.connection().stats().bytes_sent());
        self.batch = Batch::new(());
        self.first = Some(mail);
        self.flight.push_back((ticket, sent));
    }

    fn run(&mut self) {
        while let Some(outcome) = self.next_outcome() {
            self.finish(outcome);
        }
    }

    /// Drives the connection until the next message has its outcome; `None` if there is none.
    fn next_outcome(&mut self) -> Option<Outcome> {
        let (inner, crew, id) = (self.worker.inner, self.worker.crew, self.id);
        let (first, flight, batch) = (&mut self.first, &mut self.flight, &mut self.batch);
        let client = &mut self.member.as_mut()?.client;
        client.drive(|smtp| {
            batch.poll_outcome_from(smtp, |()| {
                if let Some(mail) = first.take() {
                    return Poll::Ready(Some(mail));
                }
                match inner.pool.next_mail(inner.now(), crew, id) {
                    None => Poll::Pending,
                    Some((ticket, mail)) => {
                        flight.push_back((ticket, None));
                        Poll::Ready(Some(mail))
                    }
                }
            })
        })
    }

    /// Reports an outcome. After the last one the connection is idle, unless another message waits.
    fn finish(&mut self, outcome: Outcome) {
        let inner = self.worker.inner;
        let Some((ticket, before)) = self.flight.pop_front() else {
            return;
        };
        let is_last = self.flight.is_empty();
        if let Some(member) = self.member.as_mut().filter(|_| is_last) {
            // Ends the batch.
            let smtp = member.client.connection_mut();
            _ = self.batch.poll_outcome_from(smtp, |()| Poll::Ready(None));
        }
        let sent = Sent {
            ticket,
            outcome,
            before,
        };
        let place = (self.worker.crew, self.id);
        let pool = &inner.pool;
        let next = pool.finish_in_crew(inner.now(), place, sent, &mut self.member, is_last);
        if let Some((ticket, mail)) = next {
            self.begin(ticket, mail);
        }
    }
}

/// After a panic, breaks the connection off, so that every message has an outcome.
impl Drop for Sending<'_> {
    fn drop(&mut self) {
        while !self.flight.is_empty()
            && let Some(member) = &mut self.member
        {
            member.client.break_off();
            let smtp = member.client.connection_mut();
            let first = &mut self.first;
            let outcome = self
                .batch
                .poll_outcome_from(smtp, |()| Poll::Ready(first.take()));
            match outcome {
                Poll::Ready(Some(outcome)) => self.finish(outcome),
                _ => return,
            }
        }
    }
}
