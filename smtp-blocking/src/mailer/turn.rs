//! A caller's turn: it waits for a connection, and sends its message.

use smtp_driver::pool::{Finished, Grant};
use smtp_driver::smtp_pool::{ConnectionId, PoolError, Ticket};
use smtp_proto::Mail;

use super::Inner;
use super::member::Member;
use super::waiter::Waiter;

/// A caller with a ticket. Dropped before its end, it gives up the ticket and its connection.
pub(super) struct Turn<'a> {
    inner: &'a Inner,
    pub(super) ticket: Ticket,
    is_over: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(inner: &'a Inner, ticket: Ticket) -> Self {
        Self {
            inner,
            ticket,
            is_over: false,
        }
    }

    /// Waits for a connection, and opens it if it is to be opened.
    pub(super) fn connection(&mut self) -> Result<(ConnectionId, Member), PoolError> {
        let inner = self.inner;
        loop {
            let id = match self.grant() {
                Grant::Use(id, member) => return Ok((id, member)),
                Grant::Connect(id) => id,
                Grant::Failed(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            };
            if let Some(member) = inner.open(id) {
                return Ok((id, member));
            }
        }
    }

    /// Sends a message over the connection, and waits for its outcome.
    pub(super) fn send(&mut self, id: ConnectionId, mut member: Member, mail: Mail) -> Finished {
        let client = &mut member.client;
        let sent = client.connection().stats().bytes_sent();
        let mail = client.submit(mail);
        let outcome = client.wait_outcome(mail);
        let outcome = outcome.expect("the outcome of a whole message is returned once");
        let inner = self.inner;
        let place = (id, self.ticket);
        let finished = inner.pool.finish(inner.now(), place, outcome, sent, member);
        self.is_over = matches!(finished, Finished::Final(_));
        finished
    }

    /// Returns the connection unused.
    pub(super) fn release(mut self, id: ConnectionId, member: Member) {
        self.is_over = true;
        let inner = self.inner;
        inner.pool.release(inner.now(), id, self.ticket, member);
    }

    /// The message has its outcome, and the pool has the connection.
    pub(super) fn end(mut self) {
        self.is_over = true;
    }

    /// Waits for the grant, and keeps the time of the pool meanwhile.
    fn grant(&self) -> Grant<Member> {
        let Inner { pool, .. } = self.inner;
        let mut waiter = Waiter::of_thread();
        self.inner.wait(&mut waiter, |now, waker| {
            let granted = pool.poll_grant(now, self.ticket, waker);
            (granted, || pool.alarm(self.ticket))
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.inner.pool.cancel(self.inner.now(), self.ticket);
        }
    }
}
