//! What a change of a shared pool leaves to be done outside of its lock.

use std::collections::VecDeque;
use std::task::Waker;

use smtp_proto::Mail;

use super::state::Entry;

/// Something that may run code of a caller.
pub(super) enum Left<C> {
    Wake(Waker),
    // To be dropped.
    Connection(C),
    Ticket(Entry<C>),
    Mail(Mail),
    Waker(Waker),
}

impl<C> Left<C> {
    /// Does it.
    pub(super) fn settle(self) {
        match self {
            Self::Wake(waker) => waker.wake(),
            Self::Connection(connection) => drop(connection),
            Self::Ticket(entry) => drop(entry),
            Self::Mail(mail) => drop(mail),
            Self::Waker(waker) => drop(waker),
        }
    }
}

/// Has a task woken.
pub(super) fn wake<C>(waker: &Option<Waker>, left: &mut VecDeque<Left<C>>) {
    left.extend(waker.clone().map(Left::Wake));
}

/// Keeps a waker in place of the one before.
pub(super) fn set_waker<C>(kept: &mut Option<Waker>, waker: &Waker, left: &mut VecDeque<Left<C>>) {
    if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        left.extend(kept.replace(waker.clone()).map(Left::Waker));
    }
}

/// Adds a waker, unless it is there.
pub(super) fn add_waker(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|other| other.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
