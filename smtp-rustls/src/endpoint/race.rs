//! The race of connects (RFC 8305): which target comes next, when its connect begins, and when it
//! has failed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use smtp_proto::Time;

use super::Target;

/// Targets that are connected to at the same time, until one of them is connected.
#[derive(Debug)]
pub(super) struct Race {
    /// Those not connected to at present, the next first. None of them has failed.
    waiting: VecDeque<Target>,
    /// Those being connected to, oldest first, and when each has failed.
    connecting: Vec<(Target, Time)>,
    /// When the next connect may begin.
    next: Time,
    /// How long each may take.
    limit: Duration,
}

impl Race {
    pub(super) fn new(targets: impl IntoIterator<Item = Target>, limit: Duration) -> Self {
        Self {
            waiting: targets.into_iter().collect(),
            connecting: Vec::new(),
            next: Time::ORIGIN,
            limit,
        }
    }

    /// The next target to connect to, if its time has come.
    pub(super) fn poll_connect(&mut self, now: Time) -> Option<Target> {
        if now < self.next_start()? {
            return None;
        }
        let target = self.waiting.pop_front()?;
        self.connecting.push((target.clone(), now + self.limit));
        self.next = now + SPACING;
        Some(target)
    }

    /// When a connect may begin or has failed.
    pub(super) fn timeout(&self) -> Option<Time> {
        let limits = self.connecting.iter().map(|(_, until)| *until);
        limits.chain(self.next_start()).min()
    }

    /// The connects that take too long have failed: removes one of them.
    pub(super) fn expire(&mut self, now: Time) -> Option<Target> {
        let late = self
            .connecting
            .iter()
            .position(|(_, until)| *until <= now)?;
        Some(self.remove(late))
    }

    /// A connect has failed: the next begins at once.
    pub(super) fn fail(&mut self, target: &Target) {
        if let Some(failed) = self.position(target) {
            self.remove(failed);
        }
    }

    /// A connect has succeeded. The others are cancelled; they may begin again, after the targets
    /// that have not been tried.
    pub(super) fn win(&mut self, target: &Target) {
        self.fail(target);
        let cancelled = self.connecting.drain(..).map(|(target, _)| target);
        self.waiting.extend(cancelled);
    }

    pub(super) fn is_connecting(&self, target: &Target) -> bool {
        self.position(target).is_some()
    }

    /// Whether every target was connected to, or has failed.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.connecting.is_empty()
    }

    fn next_start(&self) -> Option<Time> {
        let may = !self.waiting.is_empty() && self.connecting.len() < MOST_AT_ONCE;
        may.then_some(self.next)
    }

    fn remove(&mut self, index: usize) -> Target {
        self.next = Time::ORIGIN;
        self.connecting.remove(index).0
    }

    fn position(&self, target: &Target) -> Option<usize> {
        self.connecting.iter().position(|(each, _)| each == target)
    }
}

/// The addresses to try, in order: the families alternate, beginning with that of the first
/// address (RFC 8305, section 4). Each address is taken once, and no more than
/// [`MOST_ADDRESSES`].
pub(super) fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut first = VecDeque::new();
    let mut second = VecDeque::new();
    for address in addresses {
        let leads = |leader: &SocketAddr| leader.is_ipv4() == address.is_ipv4();
        let family = match first.front().is_none_or(leads) {
            true => &mut first,
            false => &mut second,
        };
        // More of a family cannot be among the first, and the search stays short.
        if family.len() < MOST_ADDRESSES && !family.contains(&address) {
            family.push_back(address);
        }
    }
    let mut order = Vec::new();
    while order.len() < MOST_ADDRESSES {
        let Some(address) = first.pop_front().or_else(|| second.pop_front()) else {
            break;
        };
        order.push(address);
        if !second.is_empty() {
            std::mem::swap(&mut first, &mut second);
        }
    }
    order
}

/// The Connection Attempt Delay of RFC 8305, section 5.
const SPACING: Duration = Duration::from_millis(250);

/// How many connects are in progress at most: two of each family. A network that swallows all of
/// them would swallow more, and a server that has several addresses is not flooded.
const MOST_AT_ONCE: usize = 4;

/// How many addresses are tried at most. It bounds how long a host with many addresses, all of them
/// dead, is tried: four times the limit for one.
const MOST_ADDRESSES: usize = 16;
