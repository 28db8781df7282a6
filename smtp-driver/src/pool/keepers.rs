//! Who looks at a shared pool when it is time to, and what follows a change.

use smtp_pool::Ticket;
use smtp_proto::Time;

use super::Pooled;
use super::left::wake;
use super::state::{State, Work};

/// Those who look at the pool when it is time to.
#[derive(Default)]
pub(super) struct TimeKeepers {
    /// The request that waits longest, whose caller keeps the time of the pool, and the time for
    /// which it does.
    pub(super) leader: Option<Ticket>,
    pub(super) armed: Option<Time>,
    /// The time for which the crews do the same.
    pub(super) crew_armed: Option<Time>,
}

/// What may follow a change of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// Actions of the pool.
    Actions,
    /// Another time at which the pool has to be looked at.
    Time,
    Nothing,
}

impl<C: Pooled> State<C> {
    /// What follows a new request. Only the first may be served: those before another wait already.
    pub(super) fn after_request(&self, ticket: Option<&Ticket>) -> Follow {
        let Some(ticket) = ticket else {
            return Follow::Nothing;
        };
        if self.pool.first_waiting().as_ref() == Some(ticket) {
            return Follow::Actions;
        }
        let deadline = self.tickets.get(ticket).and_then(|entry| entry.deadline);
        let Some(deadline) = deadline else {
            return Follow::Nothing;
        };
        let is_sooner = |armed: Option<Time>| armed.is_some_and(|armed| armed <= deadline);
        let is_known = is_sooner(self.time.armed)
            && (self.crews.is_empty() || is_sooner(self.time.crew_armed));
        match is_known {
            true => Follow::Nothing,
            false => Follow::Time,
        }
    }

    /// Does what may follow a change.
    pub(super) fn follow(&mut self, now: Time, follow: Follow) {
        match follow {
            Follow::Actions => return self.act(now),
            Follow::Time => self.choose_leader(),
            Follow::Nothing => {}
        }
        self.acting = None;
    }

    /// When the caller with this ticket has to ask again.
    pub(super) fn alarm(&mut self, ticket: Ticket) -> Option<Time> {
        if self.pool.first_waiting() == Some(ticket) {
            self.time.leader = Some(ticket);
            self.time.armed = self.pool.poll_timeout();
            return self.time.armed;
        }
        let is_waiting = self.pool.is_waiting(ticket);
        self.tickets.get(&ticket)?.deadline.filter(|_| is_waiting)
    }

    /// When a crew has to act.
    pub(super) fn crew_alarm(&mut self) -> Option<Time> {
        self.time.crew_armed = self.pool.poll_timeout();
        self.time.crew_armed
    }

    /// Whether actions may have to be taken because of the time.
    pub(super) fn is_due(&self, now: Time) -> bool {
        let is_due = |armed: Option<Time>| armed.is_some_and(|at| at <= now);
        is_due(self.time.armed) || is_due(self.time.crew_armed)
    }

    /// Wakes those who keep the time of the pool, if it has to be looked at sooner than they know.
    pub(super) fn choose_leader(&mut self) {
        let first = self.pool.first_waiting();
        if first != self.time.leader {
            self.time.leader = first;
            self.time.armed = self.welcome_leader();
        }
        let Some(timeout) = self.pool.poll_timeout() else {
            return;
        };
        if self.time.armed.is_none_or(|armed| timeout < armed) {
            self.time.armed = Some(timeout);
            if let Some(entry) = first.and_then(|ticket| self.tickets.get(&ticket)) {
                wake(&entry.waker, &mut self.left);
            }
        }
        if !self.crews.is_empty() && self.time.crew_armed.is_none_or(|armed| timeout < armed) {
            self.time.crew_armed = Some(timeout);
            self.wake_crews();
        }
    }

    /// Wakes the crew of the request that waits longest, whose connections may have room for it.
    /// Returns until when the caller of the request sleeps, if that is known.
    fn welcome_leader(&mut self) -> Option<Time> {
        let entry = self.tickets.get(&self.time.leader?)?;
        match &entry.work {
            Work::Caller(_) => entry.deadline.filter(|_| entry.waker.is_some()),
            Work::Crew(message) => {
                let id = message.crew;
                if self.acting != Some(id)
                    && let Some(crew) = self.crews.get(&id)
                {
                    wake(&crew.waker, &mut self.left);
                }
                None
            }
        }
    }
}
