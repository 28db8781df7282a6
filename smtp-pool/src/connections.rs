//! The connections of a pool.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use smtp_proto::Time;

use crate::waiting::{Request, Ticket};

/// A connection of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: ConnectionId,
    pub(crate) state: SlotState,
    /// The messages on it that have no outcome yet; the one that it was opened for.
    pub(crate) users: Vec<User>,
    pub(crate) history: History,
    /// How many messages it may carry.
    pub(crate) limit: u32,
    /// The credentials that were current when it was opened.
    pub(crate) generation: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    Connecting,
    Open,
    /// QUIT is under way.
    Quitting,
    /// Failed or closed: outcomes of messages on it are missing.
    Failed,
    /// To be dropped, after it was open.
    Dropped,
    /// To be dropped, while it is being opened.
    DroppedConnecting,
}

/// What a connection has carried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) opened: Time,
    /// When its last message began or ended.
    pub(crate) last_used: Time,
    /// Messages begun.
    pub(crate) begun: u32,
    /// Messages ended, with the connection still open.
    pub(crate) ended: u32,
    /// Whether a message has ended since the connection was opened or idle for long.
    pub(crate) is_proven: bool,
}

/// A message on a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) ticket: Ticket,
    pub(crate) request: Request,
    /// Whether the connection had carried a message before.
    pub(crate) on_used: bool,
    /// Whether the connection was idle when the message began.
    pub(crate) was_idle: bool,
    /// The epoch of the capacity when the message, or the connection for it, began.
    pub(crate) epoch: u32,
}

impl Slot {
    /// Whether it is on its way out: it takes no message any more.
    pub(crate) const fn is_closing(&self) -> bool {
        !matches!(self.state, SlotState::Connecting | SlotState::Open)
    }

    /// Whether it is being opened, also if that is to be dropped.
    pub(crate) const fn is_connecting(&self) -> bool {
        matches!(
            self.state,
            SlotState::Connecting | SlotState::DroppedConnecting
        )
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == SlotState::Open && self.users.is_empty()
    }

    /// When an idle connection is to be closed.
    pub(crate) fn expires(&self, idle_timeout: Duration, max_age: Duration) -> Time {
        let History {
            opened, last_used, ..
        } = self.history;
        let too_old = opened.saturating_add(max_age);
        last_used.saturating_add(idle_timeout).min(too_old)
    }

    /// Whether it has been idle for so long that the next message has to be careful.
    pub(crate) fn has_paused(&self, now: Time) -> bool {
        self.history.ended > 0 && now.saturating_since(self.history.last_used) >= PAUSE
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.history.begun >= self.limit
    }
}

/// The connections, in the order in which they were opened. There are few.
#[derive(Debug, Default)]
pub(crate) struct Connections(Vec<Slot>);

impl Connections {
    pub(crate) fn open(&mut self, id: ConnectionId, now: Time, generation: u32, user: User) {
        self.0.push(Slot {
            id,
            state: SlotState::Connecting,
            users: vec![user],
            history: History {
                opened: now,
                last_used: now,
                begun: 1,
                ended: 0,
                is_proven: false,
            },
            limit: u32::MAX,
            generation,
        });
    }

    /// How many there are, with those being opened or closed.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.0.iter_mut()
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.0.iter_mut().find(|slot| slot.id == id)
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Slot> {
        let index = self.0.iter().position(|slot| slot.id == id)?;
        Some(self.0.remove(index))
    }

    /// Removes a connection that is being opened.
    pub(crate) fn remove_connecting(&mut self, id: ConnectionId) -> Option<Slot> {
        let wanted = |slot: &Slot| slot.id == id && slot.is_connecting();
        let index = self.0.iter().position(wanted)?;
        Some(self.0.remove(index))
    }

    /// The connection that a message is on, or was opened for.
    pub(crate) fn of_ticket(&self, ticket: Ticket) -> Option<ConnectionId> {
        let uses = |slot: &&Slot| slot.users.iter().any(|user| user.ticket == ticket);
        self.0.iter().find(uses).map(|slot| slot.id)
    }

    /// The number of connections in this state.
    pub(crate) fn count(&self, state: SlotState) -> usize {
        self.0.iter().filter(|slot| slot.state == state).count()
    }

    /// How many are on their way out.
    pub(crate) fn closing(&self) -> u32 {
        let closing = self.0.iter().filter(|slot| slot.is_closing()).count();
        u32::try_from(closing).unwrap_or(u32::MAX)
    }

    pub(crate) fn idle(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().filter(|slot| slot.is_idle())
    }

    /// The idle connection that was used last.
    pub(crate) fn newest_idle(&self) -> Option<ConnectionId> {
        let newest = self.idle().max_by_key(|slot| slot.history.last_used)?;
        Some(newest.id)
    }

    /// The idle connection that has been idle for longest.
    pub(crate) fn oldest_idle(&self) -> Option<ConnectionId> {
        let oldest = self.idle().min_by_key(|slot| slot.history.last_used)?;
        Some(oldest.id)
    }
}

/// A pause after which a connection may well have been closed.
const PAUSE: Duration = Duration::from_secs(1);
