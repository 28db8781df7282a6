//! Who is served next, and by which connection.

use smtp_proto::Time;

use super::{Life, Meters, Pool};
use crate::action::Action;
use crate::connections::{ConnectionId, Slot, SlotState, User};
use crate::error::{Limit, PoolError};
use crate::waiting::{Request, Ticket};

/// How the oldest request can be served now.
enum Service {
    Idle(ConnectionId),
    Connect,
    /// A test of connecting needs the place of an idle connection.
    Replace(ConnectionId),
}

impl Pool {
    /// The next action; `None` if there is none until something happens, or time has passed.
    ///
    /// ```
    /// use smtp_pool::{Action, Pool};
    /// use smtp_pool::proto::Time;
    ///
    /// fn act(pool: &mut Pool, now: Time) {
    ///     while let Some(action) = pool.poll_action(now) {
    ///         match action {
    ///             Action::Connect { connection, ticket, .. } => println!("open {connection:?}"),
    ///             Action::Use { connection, ticket, .. } => println!("send over {connection:?}"),
    ///             Action::Quit(connection) => println!("end {connection:?}"),
    ///             Action::Drop(connection) => println!("drop {connection:?}"),
    ///             Action::Fail { ticket, error, .. } => println!("tell {ticket:?}: {error}"),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// # let _: fn(&mut Pool, Time) = act;
    /// ```
    pub fn poll_action(&mut self, now: Time) -> Option<Action> {
        let action = self
            .drop_late(now)
            .or_else(|| self.fail_next(now))
            .or_else(|| self.quit_idle(now))
            .or_else(|| self.serve(now))?;
        #[cfg(feature = "tracing")]
        tracing::debug!(?action, stats = ?self.stats(), "pool");
        Some(action)
    }

    /// When to take actions next, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        if !self.failed.is_empty() {
            return Some(Time::ORIGIN);
        }
        let idle = self.connections.idle().map(|slot| self.expires(slot)).min();
        let deadline = self.waiting.first_deadline().map(|(deadline, _)| deadline);
        let closing = match self.life {
            Life::Closing { until } if !self.is_closed() => Some(until),
            _ => None,
        };
        let served = self.served_at();
        [idle, deadline, closing, served]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the oldest request for a connection that is open and in use, if it may carry another
    /// message now.
    ///
    /// For a driver that sends ahead of the replies: it asks when its connection has room. A
    /// connection that has just been opened, or was idle for a second, carries one message until
    /// that has ended. The second value tells whether to be [cautious](Action::Use::is_cautious).
    ///
    /// ```
    /// use smtp_pool::{Pool, PoolConfig, Report, Request};
    /// use smtp_pool::proto::Time;
    ///
    /// let now = Time::ORIGIN;
    /// let mut pool = Pool::new(PoolConfig::new().with_max_connections(1), 7);
    /// let mut request = || pool.request(now, Request::new()).expect("the pool is open");
    /// let [first, second, third] = [request(), request(), request()];
    /// # let Some(smtp_pool::Action::Connect { connection, .. }) = pool.poll_action(now) else { panic!() };
    /// pool.handle_connected(now, connection, None);
    /// assert_eq!(pool.take(now, connection), None);
    /// let _ = pool.handle_outcome(now, connection, first, Report::accepted());
    /// assert_eq!(pool.take(now, connection), Some((second, false)));
    /// assert_eq!(pool.take(now, connection), Some((third, false)));
    /// ```
    pub fn take(&mut self, now: Time, connection: ConnectionId) -> Option<(Ticket, bool)> {
        let (ticket, request) = self.waiting.first()?;
        let is_late = request.deadline.is_some_and(|deadline| deadline <= now)
            || matches!(self.life, Life::Closing { until } if until <= now);
        if is_late || request.is_fresh || self.rate_limit(now, &request).is_some() {
            return None;
        }
        let slot = self.connections.iter().find(|slot| slot.id == connection)?;
        let (is_proven, expires) = if slot.users.is_empty() {
            (true, self.expires(slot))
        } else {
            let expires = slot.history.opened.saturating_add(self.config.max_age);
            (slot.history.is_proven, expires)
        };
        let fits = slot.state == SlotState::Open
            && is_proven
            && !slot.is_full()
            && !self.is_crowded()
            && slot.generation == self.generation
            && expires > now;
        fits.then(|| (ticket, self.assign(now, connection, ticket, request)))
    }

    /// Drops what is left when the time for closing is over.
    fn drop_late(&mut self, now: Time) -> Option<Action> {
        match self.life {
            Life::Closing { until } if until <= now && !self.is_closed() => {
                self.life = Life::Dropping;
            }
            Life::Dropping => {}
            Life::Open | Life::Closing { .. } => return None,
        }
        // Also those that would be sent again.
        self.fail_waiting(&PoolError::Closed);
        let is_told = |state| matches!(state, SlotState::Dropped | SlotState::DroppedConnecting);
        let mut left = self.connections.iter_mut();
        let slot = left.find(|slot| !is_told(slot.state))?;
        slot.state = match slot.state {
            SlotState::Connecting => SlotState::DroppedConnecting,
            _ => SlotState::Dropped,
        };
        Some(Action::Drop(slot.id))
    }

    fn fail_next(&mut self, now: Time) -> Option<Action> {
        while let Some((deadline, ticket)) = self.waiting.first_deadline()
            && deadline <= now
        {
            let limit = self.explain(now).unwrap_or(Limit::Driver);
            self.waiting.remove(ticket);
            self.fail(ticket, PoolError::Deadline(limit));
        }
        let (ticket, error) = self.failed.pop_front()?;
        Some(Action::Fail { ticket, error })
    }

    /// Ends an idle connection that is of no further use.
    fn quit_idle(&mut self, now: Time) -> Option<Action> {
        let is_closing = self.life != Life::Open && self.waiting.is_empty();
        let useless = |slot: &&Slot| {
            is_closing
                || slot.is_full()
                || slot.generation != self.generation
                || self.expires(slot) <= now
        };
        let useless = self.connections.idle().find(useless).map(|slot| slot.id);
        let id = match useless {
            None if self.is_crowded() => self.connections.oldest_idle()?,
            useless => useless?,
        };
        Some(self.quit(id))
    }

    fn serve(&mut self, now: Time) -> Option<Action> {
        let (ticket, request) = self.waiting.first()?;
        let connection = match self.service(now, &request).ok()? {
            Service::Replace(id) => return Some(self.quit(id)),
            Service::Idle(connection) => {
                let is_cautious = self.assign(now, connection, ticket, request);
                return Some(Action::Use {
                    connection,
                    ticket,
                    is_cautious,
                });
            }
            Service::Connect => ConnectionId(self.new_id()),
        };
        self.waiting.remove(ticket);
        self.meters.connections.count(now, 1);
        let user = User {
            ticket,
            request: self.counted(now, request),
            on_used: false,
            was_idle: false,
            epoch: self.capacity.epoch(),
        };
        self.connections
            .open(connection, now, self.generation, user);
        Some(Action::Connect { connection, ticket })
    }

    /// Gives an open connection to a request. Returns whether to be cautious.
    fn assign(
        &mut self,
        now: Time,
        connection: ConnectionId,
        ticket: Ticket,
        request: Request,
    ) -> bool {
        self.waiting.remove(ticket);
        let request = self.counted(now, request);
        let epoch = self.capacity.epoch();
        let Some(slot) = self.connections.get_mut(connection) else {
            return true;
        };
        let is_idle = slot.users.is_empty();
        let is_cautious = is_idle && slot.has_paused(now);
        if is_idle {
            self.stats.reused = self.stats.reused.saturating_add(1);
            slot.history.is_proven &= !is_cautious;
        }
        slot.history.begun = slot.history.begun.saturating_add(1);
        slot.history.last_used = now;
        slot.users.push(User {
            ticket,
            request,
            on_used: slot.history.ended > 0,
            was_idle: is_idle,
            epoch,
        });
        is_cautious
    }

    /// Counts a request against the rates, once.
    fn counted(&mut self, now: Time, request: Request) -> Request {
        if !request.is_counted {
            self.meters.messages.count(now, 1);
            self.meters.recipients.count(now, request.recipients);
        }
        Request {
            is_counted: true,
            ..request
        }
    }

    /// How a request can be served now, or what holds it up.
    fn service(&self, now: Time, request: &Request) -> Result<Service, Limit> {
        if let Some(limit) = self.rate_limit(now, request) {
            return Err(limit);
        }
        let service = self.way(request)?;
        if !matches!(service, Service::Connect) {
            return Ok(service);
        }
        let until = self.backoff.until();
        if until > now {
            let left = until.saturating_since(now);
            return Err(Limit::Backoff { until, left });
        }
        let left = self.meters.connections.ready_at(1).saturating_since(now);
        if !left.is_zero() {
            return Err(Limit::ConnectionRate(left));
        }
        Ok(Service::Connect)
    }

    /// How a request can be served, apart from limits that end by themselves.
    fn way(&self, request: &Request) -> Result<Service, Limit> {
        if !request.is_fresh
            && let Some(id) = self.connections.newest_idle()
        {
            return Ok(Service::Idle(id));
        }
        let allowed = self.capacity.allowed();
        if self.connections.len() < allowed {
            return Ok(Service::Connect);
        }
        match self.connections.oldest_idle() {
            // Another one may be on its way out already.
            Some(id) if self.connections.closing() == 0 => Ok(Service::Replace(id)),
            _ => Err(Limit::Connections {
                allowed,
                is_reduced: self.capacity.is_reduced(),
            }),
        }
    }

    fn rate_limit(&self, now: Time, request: &Request) -> Option<Limit> {
        if request.is_counted {
            return None;
        }
        let (messages, recipients) = self.rates_at(request);
        let left = messages.max(recipients).saturating_since(now);
        (!left.is_zero()).then_some(if messages >= recipients {
            Limit::MessageRate(left)
        } else {
            Limit::RecipientRate(left)
        })
    }

    /// When the rates of messages and of recipients allow a request that they have not counted.
    fn rates_at(&self, request: &Request) -> (Time, Time) {
        let Meters {
            messages,
            recipients,
            ..
        } = &self.meters;
        (
            messages.ready_at(1),
            recipients.ready_at(request.recipients),
        )
    }

    /// What holds up the oldest request.
    pub(super) fn hold_up(&self, now: Time) -> Option<Limit> {
        let (_, request) = self.waiting.first()?;
        let limit = self.service(now, &request).err();
        Some(limit.unwrap_or(Limit::Driver))
    }

    /// When the oldest request can be served, if time alone is missing.
    fn served_at(&self) -> Option<Time> {
        let (_, request) = self.waiting.first()?;
        let rates = match self.rates_at(&request) {
            _ if request.is_counted => Time::ORIGIN,
            (messages, recipients) => messages.max(recipients),
        };
        match self.way(&request).ok()? {
            Service::Idle(_) | Service::Replace(_) => Some(rates),
            Service::Connect => {
                let connections = self.meters.connections.ready_at(1);
                Some(rates.max(connections).max(self.backoff.until()))
            }
        }
    }

    fn quit(&mut self, id: ConnectionId) -> Action {
        if let Some(slot) = self.connections.get_mut(id) {
            slot.state = SlotState::Quitting;
        }
        Action::Quit(id)
    }

    /// Whether there are more connections than allowed.
    fn is_crowded(&self) -> bool {
        let closing = self.connections.closing();
        self.connections.len().saturating_sub(closing) > self.capacity.allowed()
    }

    fn expires(&self, slot: &Slot) -> Time {
        slot.expires(self.config.idle_timeout, self.config.max_age)
    }
}
