//! A pool of connections that many callers share.
//!
//! [`smtp_pool::Pool`] decides. Here are its lock, the idle connections themselves, and the wakers
//! of those who wait.

mod crew;
mod handed_over;
mod keepers;
mod left;
mod state;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use smtp_pool::{ConnectionId, Limit, PoolConfig, PoolError, PoolStats, Report, Request, Ticket};
use smtp_proto::{Connection, Error, Mail, Outcome, Time, Wire};

use crate::{Driver, Runtime};

pub use self::crew::Sent;
use self::keepers::Follow;
pub use self::state::{CrewId, Grant, Task};
use self::state::{State, Work};

/// A connection that a pool keeps.
pub trait Pooled {
    /// The connection, for its state.
    fn smtp_mut(&mut self) -> &mut Connection;

    /// Ends the connection in order, if that is possible without waiting.
    fn part(self);
}

/// A pool of connections that many callers share.
///
/// A caller [requests](Self::request) a connection for one message and waits for a [`Grant`]. It
/// then opens a connection, or gets an idle one, and sends its message itself. Messages may also be
/// [handed over](Self::hand_over) to a crew: a future that sends the messages of others, and sends
/// them ahead of the replies.
///
/// No method waits. A thread that waits for a grant passes a waker that wakes it.
pub struct SharedPool<C> {
    state: Mutex<State<C>>,
    /// Whether the time for closing is over. It is set before a waiting caller is woken.
    is_dropping: Arc<AtomicBool>,
}

/// The result of [`SharedPool::finish`].
#[derive(Debug)]
#[must_use = "a message that is sent again has no outcome yet"]
#[expect(
    clippy::exhaustive_enums,
    reason = "as for `Verdict`, there is no third"
)]
pub enum Finished {
    /// This is the outcome of the message.
    Final(Outcome),
    /// The message waits again, with the same ticket.
    Again(Mail),
}

impl<C: Pooled> SharedPool<C> {
    /// A pool without connections; the seed is that of `smtp_pool::Pool::new`.
    pub fn new(config: PoolConfig, seed: u64) -> Self {
        let is_dropping = Arc::new(AtomicBool::new(false));
        Self {
            state: Mutex::new(State::new(config, seed, Arc::clone(&is_dropping))),
            is_dropping,
        }
    }

    // For a caller that sends its message itself.

    /// Requests a connection.
    ///
    /// # Errors
    /// If the pool is closed, or too many requests wait.
    pub fn request(&self, now: Time, request: Request) -> Result<Ticket, PoolError> {
        self.with_if(now, |state| {
            let requested = state.request(now, request, Work::Caller(None));
            let requested = requested.map_err(|(error, _)| error);
            let follow = state.after_request(requested.as_ref().ok());
            (requested, follow)
        })
    }

    /// Asks whether the ticket's turn has come. Otherwise the waker is kept.
    ///
    /// The answer comes once.
    pub fn poll_grant(&self, now: Time, ticket: Ticket, waker: &Waker) -> Poll<Grant<C>> {
        self.poll(now, |state| state.take_grant(ticket, waker))
    }

    /// When to ask again, if nothing wakes the caller before.
    pub fn alarm(&self, ticket: Ticket) -> Option<Time> {
        self.lock().alarm(ticket)
    }

    /// Keeps the waker of a caller that has a connection, or opens one. It is woken when the pool
    /// [drops](Self::is_dropping) what is left.
    pub fn set_waker(&self, ticket: Ticket, waker: &Waker) {
        self.change(|state| state.set_waker(ticket, waker));
    }

    /// Whether the time for closing is over: a caller that has a connection abandons its message,
    /// and one that opens a connection drops it.
    pub fn is_dropping(&self) -> bool {
        self.is_dropping.load(Ordering::Acquire)
    }

    /// Reports a connection that was opened for a ticket. Returns whether to use it; otherwise it
    /// is to be dropped, and the caller asks for another grant.
    ///
    /// If its token was refreshed, connections with the token before it take no further message.
    pub fn connected(&self, now: Time, id: ConnectionId, connection: &mut C) -> bool {
        let smtp = connection.smtp_mut();
        let mail_max = smtp.capabilities().limits().mail_max();
        let is_refreshed = smtp.has_refreshed_token();
        self.with(now, |state| {
            if is_refreshed {
                state.pool.refresh();
            }
            state.pool.handle_connected(now, id, mail_max).is_some()
        })
    }

    /// Reports a failed attempt to connect. The caller asks for another grant, which may be the
    /// failure.
    pub fn connect_failed(&self, now: Time, id: ConnectionId, error: Error) {
        self.with(now, |state| {
            state.pool.handle_connect_failed(now, id, error)
        });
    }

    /// Reports a connection that was dropped without a message.
    pub fn closed(&self, now: Time, id: ConnectionId) {
        self.with(now, |state| state.pool.handle_closed(now, id));
    }

    /// Returns a connection that was not used: it was opened as a test (`Request::fresh`), or the
    /// caller of its message has gone.
    pub fn release(&self, now: Time, id: ConnectionId, ticket: Ticket, connection: C) {
        let report = Report::unused();
        self.with(now, |state| {
            state.remove(ticket);
            let _ = state.pool.handle_outcome(now, id, ticket, report);
            state.keep(id, connection);
        });
    }

    /// Requests the connection that the caller has, for one more message ahead of the replies.
    /// `None` if the connection takes none now, or others wait.
    pub fn request_same(&self, now: Time, id: ConnectionId, request: Request) -> Option<Ticket> {
        self.with(now, |state| {
            if state.pool.first_waiting().is_some() {
                return None;
            }
            let requested = state.request(now, request, Work::Caller(None));
            let ticket = requested.ok()?;
            if state.pool.take(now, id).is_some() {
                return Some(ticket);
            }
            state.pool.withdraw(ticket);
            state.remove(ticket);
            None
        })
    }

    /// Reports the outcome of a message while others are on its connection.
    pub fn finish_one(
        &self,
        now: Time,
        (id, ticket): (ConnectionId, Ticket),
        outcome: Outcome,
        connection: &mut C,
    ) -> Finished {
        let report = report(&outcome, connection.smtp_mut(), u64::MAX);
        self.with(now, |state| {
            state.finish_caller(now, (id, ticket), outcome, report)
        })
    }

    /// Reports the outcome of a message, and returns its connection.
    ///
    /// `sent` is how many bytes the connection had sent when the message was submitted.
    pub fn finish(
        &self,
        now: Time,
        (id, ticket): (ConnectionId, Ticket),
        outcome: Outcome,
        sent: u64,
        mut connection: C,
    ) -> Finished {
        let report = report(&outcome, connection.smtp_mut(), sent);
        self.with(now, |state| {
            let finished = state.finish_caller(now, (id, ticket), outcome, report);
            state.keep(id, connection);
            finished
        })
    }

    /// Gives up a request, or the connection of a message that is being sent; the caller drops the
    /// connection.
    pub fn cancel(&self, now: Time, ticket: Ticket) {
        self.with(now, |state| {
            state.remove(ticket);
            state.pool.cancel(now, ticket);
        });
    }

    // For all callers.

    /// Has at most `usable` connections open at a time, for crews that cannot use more; `None` is
    /// no limit.
    pub fn set_usable(&self, now: Time, usable: Option<u32>) {
        self.with(now, |state| state.pool.set_usable(usable));
    }

    /// Takes nothing new, and lets the rest end until `until`.
    pub fn close(&self, now: Time, until: Time) {
        self.with(now, |state| state.pool.close(now, until));
    }

    /// Whether the pool was closed, and nothing is left to be done.
    pub fn is_closed(&self) -> bool {
        self.lock().pool.is_closed()
    }

    /// Does what is due at this time, such as to end idle connections.
    pub fn handle_timeout(&self, now: Time) {
        self.with(now, |_| ());
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.lock().pool.poll_timeout()
    }

    /// Waits until one more request may wait, or the pool is closed.
    pub fn poll_room(&self, waker: &Waker) -> Poll<()> {
        self.change(|state| state.poll_room(waker))
    }

    /// Waits until the pool was closed, and nothing is left to be done.
    pub fn poll_closed(&self, now: Time, waker: &Waker) -> Poll<()> {
        self.with(now, |state| state.poll_closed(now, waker))
    }

    /// What holds up the request that waits longest.
    pub fn explain(&self, now: Time) -> Option<Limit> {
        self.lock().pool.explain(now)
    }

    /// The counters.
    pub fn stats(&self) -> PoolStats {
        self.lock().pool.stats()
    }

    /// Changes the state, and takes the actions that follow.
    fn with<T>(&self, now: Time, change: impl FnOnce(&mut State<C>) -> T) -> T {
        self.with_if(now, |state| (change(state), Follow::Actions))
    }

    /// Changes the state, and does what `change` says that may follow.
    fn with_if<T>(&self, now: Time, change: impl FnOnce(&mut State<C>) -> (T, Follow)) -> T {
        let (result, mut has_quits) = self.change(|state| {
            let (result, follow) = change(state);
            state.follow(now, follow);
            (result, state.has_quits())
        });
        // Connections end outside of the lock.
        while has_quits {
            let quit = self.lock().take_quit();
            has_quits = quit.is_some();
            if let Some((id, connection)) = quit {
                connection.part();
                self.change(|state| {
                    state.pool.handle_closed(now, id);
                    state.act(now);
                });
            }
        }
        result
    }

    /// Changes the state. Others are woken, and what is of no use is dropped, outside of the lock,
    /// since that may run code of a caller.
    fn change<T>(&self, change: impl FnOnce(&mut State<C>) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        while let Some(left) = state.take_left() {
            drop(state);
            left.settle();
            state = self.lock();
        }
        result
    }

    /// Asks the state, and takes actions before that only if it is time to.
    fn poll<T>(&self, now: Time, ask: impl Fn(&mut State<C>) -> Poll<T>) -> Poll<T> {
        let (answer, is_due) = self.change(|state| (ask(state), state.is_due(now)));
        if answer.is_ready() || !is_due {
            return answer;
        }
        self.handle_timeout(now);
        self.change(ask)
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // No code of a caller runs under the lock, and each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is moved often is cheaper to move in a box.
impl<C: Pooled> Pooled for Box<C> {
    fn smtp_mut(&mut self) -> &mut Connection {
        (**self).smtp_mut()
    }

    fn part(self) {
        (*self).part();
    }
}

impl<S, W: Wire, R: Runtime<S>> Pooled for Driver<S, W, R> {
    fn smtp_mut(&mut self) -> &mut Connection {
        Self::smtp_mut(self)
    }

    fn part(self) {
        Self::part(self);
    }
}

/// What the outcome of a message means for the pool.
fn report(outcome: &Outcome, connection: &mut Connection, sent: u64) -> Report {
    let is_open = matches!(connection.poll_ready(), Poll::Ready(Ok(())));
    let is_untouched = outcome.stats().bytes_sent() == sent;
    Report::new(outcome, is_open, is_untouched)
}

/// The message to send again.
fn retry(outcome: Outcome) -> Finished {
    match outcome.retry() {
        Some(mail) => Finished::Again(mail),
        // Not reached: the pool has asked the same.
        None => Finished::Final(outcome),
    }
}

impl<C> fmt::Debug for SharedPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPool").finish_non_exhaustive()
    }
}
