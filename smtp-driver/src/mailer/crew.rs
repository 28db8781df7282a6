//! A crew: the connections that one future drives for the messages of others.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use smtp_pool::{ConnectionId, PoolError, Ticket};
use smtp_proto::{Batch, Error, Mail, Outcome, Time};

use super::signal::{Part, Whole};
use super::{Connected, Connector, Inner};
use crate::Clock;
use crate::pool::{CrewId, Sent, Task};

/// The connections that one future drives for the messages of others.
pub(super) struct Crew<K: Connector> {
    pub(super) inner: Arc<Inner<K>>,
    pub(super) id: CrewId,
    members: Vec<(ConnectionId, Part, Member<K>)>,
    alarm: Alarm<K>,
    /// The waker that the pool has.
    pool: Part,
    whole: Whole,
}

/// An alarm that outlives the polls of a future.
struct Alarm<K: Connector>(Option<(Time, Pin<Box<AlarmOf<K>>>)>);

type AlarmOf<K> = <<K as Connector>::Runtime as Clock>::Alarm;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A connection of a crew.
enum Member<K: Connector> {
    Connecting(Ticket, BoxFuture<Result<Box<Connected<K>>, Error>>),
    Sending(Box<Sending<K>>),
    Quitting(BoxFuture<()>),
}

/// A connection that sends messages, ahead of the replies.
struct Sending<K: Connector> {
    inner: Arc<Inner<K>>,
    crew: CrewId,
    id: ConnectionId,
    /// Until the pool takes it back.
    driver: Option<Box<Connected<K>>>,
    batch: Batch<()>,
    /// The message to begin with.
    first: Option<(Ticket, Mail)>,
    /// The messages without an outcome, and whether each was submitted to an idle connection.
    flight: VecDeque<(Ticket, bool)>,
    /// How many bytes the connection had sent when it was idle.
    sent_before: u64,
    /// The time limit of the connection.
    alarm: Alarm<K>,
    /// The time of the pool in this turn.
    now: Time,
    /// Whether no further message is taken.
    is_ending: bool,
}

impl<K: Connector> Crew<K> {
    pub(super) fn new(inner: Arc<Inner<K>>, collects: bool) -> Self {
        let whole = Whole::default();
        Self {
            id: inner.pool.begin_crew(collects, !collects),
            inner,
            members: Vec::new(),
            alarm: Alarm(None),
            pool: Part::new(&whole),
            whole,
        }
    }

    /// Does everything that can be done now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.whole.register(cx.waker());
        loop {
            if self.pool.take() {
                // There may be messages for any connection.
                self.members.iter().for_each(|(_, part, _)| part.mark());
            }
            let now = self.inner.clock.now();
            while let Poll::Ready(task) = self.inner.pool.poll_task(now, self.id, self.pool.waker())
            {
                self.begin(task);
            }
            if self.inner.pool.is_dropping() {
                self.drop_members();
            }
            let before = self.members.len();
            self.poll_members();
            // A member that ended may have made room for another.
            if self.members.len() == before && self.poll_alarm(cx).is_pending() {
                return;
            }
        }
    }

    /// Works until the pool is closed and nothing is left, or this time has come. Returns whether
    /// everything ended in time.
    pub(super) async fn run_until_closed(&mut self, until: Time) -> bool {
        let inner = Arc::clone(&self.inner);
        let mut alarm = pin!(inner.clock.alarm(until));
        poll_fn(|cx| {
            self.poll(cx);
            if inner.pool.is_closed() {
                return Poll::Ready(!inner.pool.is_dropping());
            }
            let rings = alarm.as_mut().as_pin_mut().map(|alarm| alarm.poll(cx));
            match rings {
                Some(Poll::Ready(_)) => {
                    // What is left is told that the time is over.
                    self.poll(cx);
                    Poll::Ready(false)
                }
                _ => Poll::Pending,
            }
        })
        .await
    }

    fn begin(&mut self, task: Task<Box<Connected<K>>>) {
        let (id, member) = match task {
            Task::Connect(id, ticket) => {
                let inner = Arc::clone(&self.inner);
                let connecting =
                    Box::pin(async move { inner.connector.connect().await.map(Box::new) });
                (id, Some(Member::Connecting(ticket, connecting)))
            }
            Task::Send(id, ticket, driver) => (id, self.sending(id, ticket, driver)),
            Task::Quit(id, mut driver) => {
                let quitting = Box::pin(async move { _ = driver.quit().await });
                (id, Some(Member::Quitting(quitting)))
            }
        };
        let part = Part::new(&self.whole);
        self.members.extend(member.map(|member| (id, part, member)));
    }

    /// `None` if the caller of the message has gone.
    fn sending(
        &self,
        id: ConnectionId,
        ticket: Ticket,
        driver: Box<Connected<K>>,
    ) -> Option<Member<K>> {
        let Inner { clock, pool, .. } = &*self.inner;
        let Some(mail) = pool.begin(ticket) else {
            pool.release(clock.now(), id, ticket, driver);
            return None;
        };
        Some(Member::Sending(Box::new(Sending {
            inner: Arc::clone(&self.inner),
            crew: self.id,
            id,
            sent_before: driver.smtp().stats().bytes_sent(),
            driver: Some(driver),
            batch: Batch::new(()),
            first: Some((ticket, mail)),
            flight: VecDeque::new(),
            alarm: Alarm(None),
            now: clock.now(),
            is_ending: false,
        })))
    }

    fn poll_members(&mut self) {
        let mut index = 0;
        while let Some((id, part, member)) = self.members.get_mut(index) {
            if !part.take() {
                index = index.saturating_add(1);
                continue;
            }
            let cx = &mut part.context();
            let (id, pool) = (*id, &self.inner.pool);
            let next = match member {
                Member::Connecting(ticket, connecting) => {
                    let (ticket, connected) = (*ticket, connecting.as_mut().poll(cx));
                    connected.map(|connected| self.connected(id, ticket, connected))
                }
                Member::Sending(sending) => sending.poll(cx).map(|()| None),
                Member::Quitting(quitting) => quitting.as_mut().poll(cx).map(|()| {
                    pool.closed(self.inner.clock.now(), id);
                    None
                }),
            };
            match next {
                Poll::Pending => index = index.saturating_add(1),
                Poll::Ready(None) => _ = self.members.swap_remove(index),
                Poll::Ready(Some(member)) => {
                    if let Some((_, part, place)) = self.members.get_mut(index) {
                        part.mark();
                        *place = member;
                    }
                }
            }
        }
    }

    fn connected(
        &self,
        id: ConnectionId,
        ticket: Ticket,
        connected: Result<Box<Connected<K>>, Error>,
    ) -> Option<Member<K>> {
        let Inner { clock, pool, .. } = &*self.inner;
        match connected {
            Ok(mut driver) => {
                if pool.connected(clock.now(), id, &mut driver) {
                    return self.sending(id, ticket, driver);
                }
                pool.closed(clock.now(), id);
                None
            }
            Err(error) => {
                pool.connect_failed(clock.now(), id, error);
                None
            }
        }
    }

    /// Is ready when the pool has to be looked at.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.inner.pool.crew_alarm();
        self.alarm.poll(&self.inner.clock, at, cx)
    }

    /// Drops every connection. The messages on them get their outcomes.
    fn drop_members(&mut self) {
        for (id, _, member) in self.members.drain(..) {
            match member {
                Member::Sending(mut sending) => sending.give_up(),
                Member::Connecting(..) | Member::Quitting(_) => {
                    drop(member);
                    self.inner.pool.closed(self.inner.clock.now(), id);
                }
            }
        }
    }
}

impl<K: Connector> Drop for Crew<K> {
    fn drop(&mut self) {
        self.drop_members();
        self.inner.pool.end_crew(self.inner.clock.now(), self.id);
    }
}

impl<K: Connector> Alarm<K> {
    /// Is ready at this time, or before it.
    fn poll(&mut self, clock: &K::Runtime, at: Option<Time>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at else {
            self.0 = None;
            return Poll::Pending;
        };
        // One that rings too early costs less than a new one for each message.
        if self.0.as_ref().is_none_or(|(armed, _)| at < *armed) {
            self.0 = clock.alarm(at).map(|alarm| (at, Box::pin(alarm)));
        }
        let Some((_, alarm)) = &mut self.0 else {
            return Poll::Pending;
        };
        let rings = alarm.as_mut().poll(cx).map(|_| ());
        if rings.is_ready() {
            self.0 = None;
        }
        rings
    }
}

impl<K: Connector> Sending<K> {
    /// Sends messages until there is none left for this connection.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.now = self.inner.clock.now();
        // The connection counts its time from its own start.
        let mut now = self
            .driver
            .as_ref()
            .map_or(Time::ORIGIN, |driver| driver.now());
        loop {
            while let Poll::Ready(outcome) = self.poll_outcome() {
                match outcome {
                    Some(outcome) => self.finish(outcome),
                    None => self.end(),
                }
            }
            let Some(driver) = &mut self.driver else {
                return Poll::Ready(());
            };
            match driver.poll_step(cx, now) {
                Poll::Ready(true) => driver.handle_timeout(now),
                Poll::Ready(false) => {}
                Poll::Pending => {
                    // A limit that is reached has woken the task already.
                    let until = driver.poll_timeout().filter(|until| *until > now);
                    if self.alarm.poll(driver.clock(), until, cx).is_pending() {
                        return Poll::Pending;
                    }
                    now = driver.now();
                }
            }
        }
    }

    /// The next outcome; `None` at the end. Pending without a connection.
    fn poll_outcome(&mut self) -> Poll<Option<Outcome>> {
        let Some(driver) = &mut self.driver else {
            return Poll::Pending;
        };
        if self.flight.is_empty() {
            self.sent_before = driver.smtp().stats().bytes_sent();
        }
        let pool = &self.inner.pool;
        self.batch.poll_outcome_from(driver.smtp_mut(), |()| {
            let next = self.first.take();
            let next = next.or_else(|| match self.is_ending {
                true => None,
                false => pool.next_mail(self.now, self.crew, self.id),
            });
            match next {
                Some((ticket, mail)) => {
                    self.flight.push_back((ticket, self.flight.is_empty()));
                    Poll::Ready(Some(mail))
                }
                None if self.is_ending => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some((ticket, was_alone)) = self.flight.pop_front() else {
            return;
        };
        let is_last = self.flight.is_empty();
        let pool = &self.inner.pool;
        let sent = Sent {
            ticket,
            outcome,
            before: was_alone.then_some(self.sent_before),
        };
        let place = (self.crew, self.id);
        self.first = pool.finish_in_crew(self.now, place, sent, &mut self.driver, is_last);
        if is_last {
            self.batch = Batch::new(());
        }
    }

    /// Ends without the messages that the batch did not take. There is one only if the connection
    /// ended while it was idle.
    fn end(&mut self) {
        let pool = &self.inner.pool;
        self.driver = None;
        match self.first.take() {
            Some((ticket, mail)) => pool.fail(self.now, ticket, PoolError::NoDriver, mail),
            None => pool.closed(self.now, self.id),
        }
    }

    /// Drops the connection, and reports the outcomes that its messages then have.
    fn give_up(&mut self) {
        self.is_ending = true;
        self.now = self.inner.clock.now();
        if let Some(driver) = &mut self.driver {
            driver.break_off(io::Error::other("the mailer stopped sending"));
        }
        while let Poll::Ready(outcome) = self.poll_outcome() {
            match outcome {
                Some(outcome) => self.finish(outcome),
                None => self.end(),
            }
        }
        self.driver = None;
    }
}
