//! A caller's turn: it waits for a connection, and sends its message.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use smtp_pool::{ConnectionId, Limit, PoolError, Ticket};
use smtp_proto::{Connection, Mail, MailId, Outcome, Time};

use super::{Connected, Connector, Inner};
use crate::Clock;
use crate::connecting::before;
use crate::pool::{Finished, Grant};

/// A caller with a ticket. Dropped before its end, it gives up the ticket and its connection.
pub(super) struct Turn<'a, K: Connector> {
    inner: &'a Inner<K>,
    ticket: Ticket,
    /// Until when it may wait for a connection.
    deadline: Time,
    /// The waker that the pool has.
    waker: Option<Waker>,
    is_over: bool,
}

impl<'a, K: Connector> Turn<'a, K> {
    pub(super) fn new(inner: &'a Inner<K>, ticket: Ticket, deadline: Time) -> Self {
        Self {
            inner,
            ticket,
            deadline,
            waker: None,
            is_over: false,
        }
    }

    /// Waits for a connection, and opens it if it is to be opened.
    pub(super) async fn connection(
        &mut self,
    ) -> Result<(ConnectionId, Box<Connected<K>>), PoolError> {
        let Inner {
            connector,
            clock,
            pool,
            ..
        } = self.inner;
        loop {
            let id = match self.grant().await {
                Grant::Use(id, driver) => return Ok((id, driver)),
                Grant::Connect(id) => id,
                Grant::Failed(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            };
            // In a box, since most messages never need it, and it is much larger than the rest.
            let mut connecting = Box::pin(async { connector.connect().await.map(Box::new) });
            let alarm = pin!(clock.alarm(self.deadline));
            let in_time = before(alarm.as_pin_mut(), connecting.as_mut());
            let connected = match self.unless_dropped(in_time).await {
                Some(None) => return Err(PoolError::Deadline(Limit::Connecting)),
                Some(connected) => connected,
                None => None,
            };
            let now = clock.now();
            match connected {
                Some(Ok(mut driver)) => {
                    if pool.connected(now, id, &mut driver) {
                        return Ok((id, driver));
                    }
                    pool.closed(now, id);
                }
                Some(Err(error)) => pool.connect_failed(now, id, error),
                None => pool.closed(now, id),
            }
        }
    }

    /// Sends a message over the connection, and returns its outcome; or the message, if it has to
    /// be sent again.
    pub(super) async fn send(
        &mut self,
        id: ConnectionId,
        mut driver: Box<Connected<K>>,
        mail: Mail,
    ) -> Result<Outcome, Mail> {
        let sent = driver.smtp().stats().bytes_sent();
        let mail = driver.smtp_mut().submit(mail);
        let driving = driver.drive(|smtp| outcome(smtp, mail));
        let outcome = match self.unless_dropped(driving).await {
            Some(outcome) => outcome,
            None => {
                driver.smtp_mut().abandon(mail);
                driver.drive(|smtp| outcome(smtp, mail)).await
            }
        };
        let Inner { clock, pool, .. } = self.inner;
        let place = (id, self.ticket);
        match pool.finish(clock.now(), place, outcome, sent, driver) {
            Finished::Final(outcome) => {
                self.is_over = true;
                Ok(outcome)
            }
            Finished::Again(mail) => Err(mail),
        }
    }

    /// Returns the connection unused.
    pub(super) fn release(mut self, id: ConnectionId, driver: Box<Connected<K>>) {
        self.is_over = true;
        let Inner { clock, pool, .. } = self.inner;
        pool.release(clock.now(), id, self.ticket, driver);
    }

    /// Waits for the grant, and keeps the time of the pool meanwhile.
    async fn grant(&mut self) -> Grant<Box<Connected<K>>> {
        let Inner { clock, pool, .. } = self.inner;
        let mut alarm = pin!(None);
        let mut armed = None;
        poll_fn(|cx| {
            loop {
                let granted = pool.poll_grant(clock.now(), self.ticket, cx.waker());
                if granted.is_ready() {
                    self.waker = Some(cx.waker().clone());
                    return granted;
                }
                let at = pool.alarm(self.ticket);
                // One that rings too early costs less than a new one each time.
                let is_sooner = at.is_some_and(|at| armed.is_none_or(|armed| at < armed));
                if is_sooner {
                    armed = at;
                    alarm.set(at.and_then(|at| clock.alarm(at)));
                }
                let rings = alarm.as_mut().as_pin_mut().map(|alarm| alarm.poll(cx));
                if !matches!(rings, Some(Poll::Ready(_))) {
                    return Poll::Pending;
                }
                armed = None;
                alarm.set(None);
            }
        })
        .await
    }

    /// The output of a future; `None` if the pool drops what is left before.
    async fn unless_dropped<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.register(cx);
            if self.inner.pool.is_dropping() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn register(&mut self, cx: &Context<'_>) {
        let is_known = (self.waker.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker()));
        if !is_known {
            self.inner.pool.set_waker(self.ticket, cx.waker());
            self.waker = Some(cx.waker().clone());
        }
    }
}

impl<K: Connector> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        if !self.is_over {
            let Inner { clock, pool, .. } = self.inner;
            pool.cancel(clock.now(), self.ticket);
        }
    }
}

/// Asks for the outcome of a message that was submitted whole.
fn outcome(smtp: &mut Connection, id: MailId) -> Poll<Outcome> {
    smtp.poll_outcome(id)
        .map(|outcome| outcome.expect("the outcome of a whole message is returned once"))
}
