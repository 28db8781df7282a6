//! The state machine: what happened goes in, actions come out.

mod serve;

use alloc::collections::VecDeque;
use core::fmt;
use core::num::NonZeroU32;

use smtp_proto::{Error, ErrorKind, Stage, Time};

use crate::action::Verdict;
use crate::backoff::Backoff;
use crate::capacity::Capacity;
use crate::config::PoolConfig;
use crate::connections::{ConnectionId, Connections, Slot, SlotState, User};
use crate::error::{Limit, PoolError};
use crate::rate::Meter;
use crate::report::{Kind, Report, is_throttling};
use crate::stats::PoolStats;
use crate::waiting::{Request, Ticket, Waiting};

/// A pool of connections to one server, as a state machine.
///
/// | the driver | calls |
/// | --- | --- |
/// | wants something | [`request`](Self::request), [`cancel`](Self::cancel), [`take`](Self::take), [`refresh`](Self::refresh), [`close`](Self::close) |
/// | reports what happened | `handle_…` |
/// | asks what to do | [`poll_action`](Self::poll_action), [`poll_timeout`](Self::poll_timeout) |
/// | looks | [`explain`](Self::explain), [`stats`](Self::stats), [`is_closed`](Self::is_closed) |
///
/// After every other call, and when the time of [`poll_timeout`](Self::poll_timeout) has come, the
/// driver takes actions until there is none. A report on a connection that the pool does not know
/// does nothing.
///
/// A pool serves one endpoint: one host, one login, one TLS configuration.
pub struct Pool {
    config: PoolConfig,
    connections: Connections,
    waiting: Waiting,
    /// Tickets that are to be told of a failure.
    failed: VecDeque<(Ticket, PoolError)>,
    capacity: Capacity,
    backoff: Backoff,
    meters: Meters,
    life: Life,
    /// Counts refreshed credentials.
    generation: u32,
    /// The last id given to a ticket or a connection.
    last_id: u64,
    stats: PoolStats,
}

/// The events counted against the rates.
struct Meters {
    messages: Meter,
    recipients: Meter,
    connections: Meter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    Closing {
        until: Time,
    },
    /// The time for closing is over.
    Dropping,
}

// What the driver wants.

impl Pool {
    /// A pool without connections. The seed makes pauses after failures differ between programs; it
    /// need not be secret.
    pub fn new(config: PoolConfig, seed: u64) -> Self {
        Self {
            config,
            connections: Connections::default(),
            waiting: Waiting::default(),
            failed: VecDeque::new(),
            capacity: Capacity::new(config.max_connections),
            backoff: Backoff::new(seed),
            meters: Meters {
                messages: Meter::new(config.message_rate),
                recipients: Meter::new(config.recipient_rate),
                connections: Meter::new(config.connection_rate),
            },
            life: Life::Open,
            generation: 0,
            last_id: 0,
            stats: PoolStats::default(),
        }
    }

    /// Requests a connection for a message.
    ///
    /// # Errors
    /// If the pool is closed, or too many requests wait.
    pub fn request(&mut self, _now: Time, request: Request) -> Result<Ticket, PoolError> {
        let limit = self.config.max_waiting;
        let error = if self.life != Life::Open {
            PoolError::Closed
        } else if self.waiting.len() >= limit {
            PoolError::Full { limit }
        } else {
            let ticket = Ticket(self.new_id());
            self.waiting.insert(ticket, request);
            return Ok(ticket);
        };
        self.stats.unserved = self.stats.unserved.saturating_add(1);
        Err(error)
    }

    /// Gives up a request that waits, or the connection that its message is on.
    ///
    /// The driver must have dropped a connection that was being opened for it or that it used:
    /// its state is unknown. To cancel a message that is on a connection with others does nothing:
    /// its outcome is reported as usual.
    ///
    /// ```
    /// use smtp_pool::{Action, Pool, PoolConfig, Request};
    /// use smtp_pool::proto::Time;
    ///
    /// let now = Time::ORIGIN;
    /// let mut pool = Pool::new(PoolConfig::new(), 7);
    /// let ticket = pool.request(now, Request::new()).expect("the pool is open");
    /// assert!(matches!(pool.poll_action(now), Some(Action::Connect { .. })));
    /// // The caller has dropped the attempt to connect.
    /// pool.cancel(now, ticket);
    /// assert_eq!(pool.stats().connecting, 0);
    /// ```
    pub fn cancel(&mut self, _now: Time, ticket: Ticket) {
        if self.waiting.remove(ticket).is_some() {
            return;
        }
        self.failed.retain(|(failed, _)| *failed != ticket);
        let id = self.connections.of_ticket(ticket);
        if let Some(slot) = id.and_then(|id| self.connections.get_mut(id))
            && slot.users.len() == 1
        {
            let id = slot.id;
            self.connections.remove(id);
        }
    }

    /// Gives up a request that still waits. Returns whether it did.
    pub fn withdraw(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(ticket).is_some()
    }

    /// Closes the pool: takes nothing new, and lets everything that waits or is being sent end
    /// until `until`. What is not done by then is dropped, and has an outcome too.
    ///
    /// An earlier deadline replaces a later one.
    pub fn close(&mut self, _now: Time, until: Time) {
        self.life = match self.life {
            Life::Open => Life::Closing { until },
            Life::Closing { until: before } => Life::Closing {
                until: before.min(until),
            },
            Life::Dropping => Life::Dropping,
        };
    }

    /// Has at most `usable` connections open at a time, for a driver that cannot use more; 0 counts
    /// as 1, and `None` is no limit.
    pub fn set_usable(&mut self, usable: Option<u32>) {
        self.capacity.set_usable(usable.unwrap_or(u32::MAX).max(1));
    }

    /// Records that the credentials have changed, such as by a refreshed token. Connections that
    /// were opened before take no further message.
    ///
    /// The connection that is being opened with the new credentials is reported
    /// [connected](Self::handle_connected) afterwards.
    pub fn refresh(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let connecting = |slot: &&mut Slot| slot.state == SlotState::Connecting;
        for slot in self.connections.iter_mut().filter(connecting) {
            slot.generation = generation;
        }
    }
}

// What happened.

impl Pool {
    /// A connection is open and ready for messages. `mail_max` is the server's MAILMAX (RFC 9422).
    ///
    /// Returns the ticket whose message is to be sent over it; the pool counts on that. `None`
    /// means that the driver has to drop the connection.
    pub fn handle_connected(
        &mut self,
        now: Time,
        connection: ConnectionId,
        mail_max: Option<NonZeroU32>,
    ) -> Option<Ticket> {
        let most = self.config.max_messages;
        let slot = self.connections.get_mut(connection)?;
        if slot.state != SlotState::Connecting {
            return None;
        }
        slot.state = SlotState::Open;
        slot.history.opened = now;
        slot.history.last_used = now;
        slot.limit = mail_max.map_or(most, |limit| limit.get().min(most));
        let ticket = slot.users.first().map(|user| user.ticket);
        self.backoff.succeeded();
        self.stats.connected = self.stats.connected.saturating_add(1);
        ticket
    }

    /// A connection could not be opened.
    ///
    /// If no other connection is open or being opened, everything that waits fails with this error.
    /// Otherwise the message that it was opened for waits again.
    pub fn handle_connect_failed(&mut self, now: Time, connection: ConnectionId, error: Error) {
        let all = self.connections.len();
        let Some(slot) = self.connections.remove_connecting(connection) else {
            return;
        };
        self.stats.connect_failed = self.stats.connect_failed.saturating_add(1);
        self.backoff.failed(slot.history.opened, now);
        let stands = self.connections.count(SlotState::Open) > 0;
        let is_refused =
            error.stage() == Stage::Connect && matches!(error.kind(), ErrorKind::Transport(_));
        for User {
            ticket,
            request,
            epoch,
            ..
        } in slot.users
        {
            if error.reply().is_some_and(is_throttling) || (stands && is_refused) {
                self.capacity.complaint(epoch, all);
            }
            if request.is_fresh {
                self.fail(ticket, PoolError::Connect(error.clone()));
            } else {
                self.waiting.insert(ticket, request);
            }
        }
        // One that is being opened may be among those that the server allows.
        if !stands && self.connections.count(SlotState::Connecting) == 0 {
            self.fail_waiting(&PoolError::Connect(error));
        }
    }

    /// A message has an outcome. Returns whether that is final.
    ///
    /// Messages on the same connection are reported in the order in which they were sent.
    pub fn handle_outcome(
        &mut self,
        now: Time,
        connection: ConnectionId,
        ticket: Ticket,
        report: Report,
    ) -> Verdict {
        let all = self.connections.len();
        let Some(slot) = self.connections.get_mut(connection) else {
            return Verdict::Final;
        };
        if slot.is_connecting() {
            return Verdict::Final;
        }
        let Some(index) = slot.users.iter().position(|user| user.ticket == ticket) else {
            return Verdict::Final;
        };
        let user = slot.users.remove(index);
        slot.history.last_used = now;
        if report.kind == Kind::Unused {
            slot.history.begun = slot.history.begun.saturating_sub(1);
        } else if report.is_open {
            slot.history.ended = slot.history.ended.saturating_add(1);
            slot.history.is_proven = true;
        } else if slot.state == SlotState::Open {
            slot.state = SlotState::Failed;
        }
        if slot.is_closing() && slot.users.is_empty() {
            self.connections.remove(connection);
        }
        if report.throttled {
            self.capacity.complaint(user.epoch, all);
        }
        self.decide(user, report.kind)
    }

    /// A connection is closed that was idle, or that the driver was told to close.
    ///
    /// If messages are on it, it stays until their outcomes are reported.
    pub fn handle_closed(&mut self, _now: Time, connection: ConnectionId) {
        if let Some(slot) = self.connections.get_mut(connection)
            && !slot.is_connecting()
        {
            if !slot.is_closing() {
                slot.state = SlotState::Failed;
            }
            if slot.users.is_empty() {
                self.connections.remove(connection);
            }
            return;
        }
        let Some(slot) = self.connections.remove_connecting(connection) else {
            return;
        };
        for User {
            ticket, request, ..
        } in slot.users
        {
            match self.life {
                Life::Dropping => self.fail(ticket, PoolError::Closed),
                _ => self.waiting.insert(ticket, request),
            }
        }
    }

    /// Counts a message that has an outcome, and decides whether it is sent again.
    fn decide(&mut self, user: User, kind: Kind) -> Verdict {
        let User {
            ticket,
            mut request,
            on_used,
            was_idle,
            ..
        } = user;
        let counter = match kind {
            Kind::Untouched if on_used || was_idle => {
                self.waiting.insert(ticket, request);
                return Verdict::Again;
            }
            Kind::Lost if on_used && !request.is_again => {
                request.is_again = true;
                self.waiting.insert(ticket, request);
                self.stats.retried = self.stats.retried.saturating_add(1);
                return Verdict::Again;
            }
            Kind::Accepted => {
                self.capacity.accepted();
                &mut self.stats.sent
            }
            Kind::InDoubt => &mut self.stats.in_doubt,
            Kind::Unused => return Verdict::Final,
            Kind::Failed | Kind::Lost | Kind::Untouched => &mut self.stats.failed,
        };
        *counter = counter.saturating_add(1);
        Verdict::Final
    }
}

// Looking.

impl Pool {
    /// What holds up the request that waits longest; `None` if none waits.
    ///
    /// See [`Limit`] for an example.
    pub fn explain(&self, now: Time) -> Option<Limit> {
        self.hold_up(now)
    }

    /// Whether this request waits for a connection.
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.waiting.contains(ticket)
    }

    /// The ticket of the request that waits longest.
    pub fn first_waiting(&self) -> Option<Ticket> {
        self.waiting.first().map(|(ticket, _)| ticket)
    }

    /// The counters.
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            open: self.connections.count(SlotState::Open),
            connecting: self.connections.count(SlotState::Connecting),
            idle: self.connections.idle().count(),
            waiting: self.waiting.len(),
            ..self.stats
        }
    }

    /// Whether the driver has to keep this connection, since nothing has been reported that ends it.
    pub fn is_open(&self, connection: ConnectionId) -> bool {
        let is_open = |slot: &Slot| slot.id == connection && slot.state == SlotState::Open;
        self.connections.iter().any(is_open)
    }

    /// Whether a request is not [rejected](PoolError::Full) for want of room. That of a closed pool
    /// is rejected for another reason.
    pub fn has_room(&self) -> bool {
        self.life != Life::Open || self.waiting.len() < self.config.max_waiting
    }

    /// Whether the time for [closing](Self::close) was over before everything had ended.
    pub fn is_dropping(&self) -> bool {
        self.life == Life::Dropping
    }

    /// Whether the pool was closed, and nothing is left to be done.
    pub fn is_closed(&self) -> bool {
        self.life != Life::Open
            && self.connections.is_empty()
            && self.waiting.is_empty()
            && self.failed.is_empty()
    }

    fn new_id(&mut self) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    fn fail(&mut self, ticket: Ticket, error: PoolError) {
        self.stats.unserved = self.stats.unserved.saturating_add(1);
        self.failed.push_back((ticket, error));
    }

    fn fail_waiting(&mut self, error: &PoolError) {
        while let Some((ticket, _)) = self.waiting.first() {
            self.waiting.remove(ticket);
            self.fail(ticket, error.clone());
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("life", &self.life)
            .field("allowed", &self.capacity.allowed())
            .field("connections", &self.connections)
            .field("waiting", &self.waiting.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
