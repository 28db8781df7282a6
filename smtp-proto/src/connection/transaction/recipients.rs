//! The recipients of a message, in the order of their RCPT commands, which may take several
//! transactions.
//!
//! A position is a place in that order. Each transaction looks only at the positions from the first
//! recipient without a final status to the last one asked for, so that the work of all transactions
//! grows with the recipients, not with their square.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::rcpt::{Addressee, RcptState};
use crate::extension::ServerLimits;
use crate::steps::step;

#[derive(Debug)]
pub(super) struct Recipients {
    /// As the caller gave them.
    list: Vec<Addressee>,
    /// The index of the recipient at each position: those of one domain follow each other, and
    /// within a transaction they are in the caller's order. Empty without a limit on domains, where
    /// positions are indices.
    order: Vec<usize>,
    /// The number of the domain of each recipient, by its index; empty with the order.
    domains: Vec<Option<usize>>,
    limits: Limits,
    /// The first position without a final status.
    open: usize,
    /// The position after the last one asked for, in any transaction.
    asked: usize,
    /// The position after those whose domains this transaction admits.
    end: usize,
    /// The number of recipients to ask for, in this transaction or another.
    left: usize,
}

/// The limits of one transaction (RFC 9422, sections 4.2 and 4.3).
#[derive(Clone, Copy, Debug)]
struct Limits {
    recipients: usize,
    domains: usize,
}

impl Recipients {
    pub(super) fn new(list: Vec<Addressee>) -> Self {
        Self {
            left: list.len(),
            end: list.len(),
            list,
            order: Vec::new(),
            domains: Vec::new(),
            limits: Limits::of(ServerLimits::default()),
            open: 0,
            asked: 0,
        }
    }

    /// Applies the limits that the server advertises.
    pub(super) fn limit(&mut self, limits: ServerLimits) {
        self.limits = Limits::of(limits);
        if self.limits.domains < self.list.len() {
            (self.order, self.domains) = by_domain(&self.list);
        }
    }

    /// The recipients, in the caller's order.
    pub(super) fn all(&self) -> &[Addressee] {
        &self.list
    }

    pub(super) fn into_all(self) -> Vec<Addressee> {
        self.list
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Addressee> {
        self.list.get_mut(index)
    }

    /// The index of the recipient at this position.
    pub(super) fn index(&self, position: usize) -> Option<usize> {
        if self.order.is_empty() {
            (position < self.list.len()).then_some(position)
        } else {
            self.order.get(position).copied()
        }
    }

    /// Begins a transaction: decides which domains it is for. `most` is the limit that earlier
    /// replies have shown.
    pub(super) fn begin(&mut self, most: usize) {
        if self.order.is_empty() {
            return;
        }
        // More are not asked for, and stay where they are.
        let most = self.limits.recipients.min(most);
        let end = (self.order.len()).min(self.open.saturating_add(most));
        // Those that an earlier transaction left are in the caller's order, so a domain may come
        // more than once.
        let (mut seen, mut last) = (BTreeSet::new(), None);
        let beyond = |position: &usize| {
            let domain = self.domain(*position);
            if domain != last {
                seen.extend(domain);
                last = domain;
            }
            seen.len() > self.limits.domains
        };
        self.end = (self.open..end).find(beyond).unwrap_or(end);
        if let Some(part) = self.order.get_mut(self.open..self.end) {
            part.sort_unstable();
        }
    }

    /// The position of the next recipient to ask for, from `position` on, after `asked` of this
    /// transaction. `most` is the limit that earlier replies have shown.
    pub(super) fn next(&self, position: usize, asked: usize, most: usize) -> Option<usize> {
        if asked >= self.limits.recipients.min(most) {
            return None;
        }
        let is_left = |position: &usize| {
            let recipient = self.at(*position);
            recipient.is_some_and(|each| matches!(each.answer, RcptState::None))
        };
        (position.max(self.open)..self.end).find(is_left)
    }

    /// Records that RCPT was sent for this position.
    pub(super) fn ask(&mut self, position: usize) {
        if let Some(recipient) = self.at_mut(position) {
            recipient.answer = RcptState::Asked;
        }
        self.left = self.left.saturating_sub(1);
        self.asked = self.asked.max(position.saturating_add(1));
    }

    /// Records that a recipient has to be asked for again, in another transaction.
    pub(super) fn defer(&mut self) {
        self.left = self.left.saturating_add(1);
    }

    /// Whether recipients are left for another transaction.
    pub(super) const fn remain(&self) -> bool {
        self.left > 0
    }

    /// The recipients that the server has accepted in this transaction, in the order of their
    /// commands, from this position on; each with its position.
    pub(super) fn accepted(&mut self, from: usize) -> Option<(usize, &mut Addressee)> {
        let is_accepted = |position: &usize| {
            let recipient = self.at(*position);
            recipient.is_some_and(|each| matches!(each.answer, RcptState::Accepted))
        };
        let position = (from.max(self.open)..self.asked).find(is_accepted)?;
        self.at_mut(position).map(|recipient| (position, recipient))
    }

    /// Ends a transaction after which another follows.
    pub(super) fn restart(&mut self) {
        // From the last one on, those that are to be asked for again move up to the others that are
        // left. Without an order they stay where they are.
        let mut open = self.asked;
        for position in (self.open..self.asked).rev() {
            let Some(recipient) = self.at_mut(position) else {
                continue;
            };
            recipient.answer = recipient.answer.take().into_next();
            if matches!(recipient.answer, RcptState::None) {
                if self.order.is_empty() {
                    open = position;
                } else {
                    open = open.saturating_sub(1);
                    self.order.swap(open, position);
                }
            }
        }
        self.open = open;
    }

    /// The number of the domain of the recipient at this position, if it has one.
    fn domain(&self, position: usize) -> Option<usize> {
        step();
        let index = self.index(position)?;
        self.domains.get(index).copied().flatten()
    }

    fn at(&self, position: usize) -> Option<&Addressee> {
        step();
        self.index(position).and_then(|index| self.list.get(index))
    }

    fn at_mut(&mut self, position: usize) -> Option<&mut Addressee> {
        step();
        let index = self.index(position)?;
        self.list.get_mut(index)
    }
}

impl Limits {
    fn of(limits: ServerLimits) -> Self {
        Self {
            recipients: limit_or_max(limits.rcpt_max()),
            domains: limit_or_max(limits.rcpt_domain_max()),
        }
    }
}

fn limit_or_max(limit: Option<NonZeroU32>) -> usize {
    limit.map_or(usize::MAX, |most| {
        usize::try_from(most.get()).unwrap_or(usize::MAX)
    })
}

/// Domains are case-insensitive (RFC 5321, section 2.4).
fn same_domain(one: Option<&str>, other: Option<&str>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return one == other;
    };
    one.eq_ignore_ascii_case(other)
}

/// The indices of the recipients, those of one domain after each other: domains in the order in
/// which they first occur, after the recipients without one. And the number of the domain of each
/// recipient, by its index.
fn by_domain(list: &[Addressee]) -> (Vec<usize>, Vec<Option<usize>>) {
    let domain = |index: usize| list.get(index).and_then(|each| each.path.domain());
    let folded = |index: usize| {
        let domain = domain(index).unwrap_or_default();
        domain.bytes().map(|byte| byte.to_ascii_lowercase())
    };
    let mut sorted: Vec<usize> = (0..list.len()).collect();
    sorted.sort_by(|one, other| folded(*one).cmp(folded(*other)));
    let mut groups: Vec<&[usize]> = sorted
        .chunk_by(|one, other| same_domain(domain(*one), domain(*other)))
        .collect();
    groups.sort_by_key(|group| {
        let first = group.first().copied();
        (first.and_then(domain).is_some(), first)
    });
    let mut numbers = alloc::vec![None; list.len()];
    for (number, group) in groups.iter().enumerate() {
        for index in *group {
            if let Some(place) = numbers.get_mut(*index) {
                *place = domain(*index).map(|_| number);
            }
        }
    }
    (groups.concat(), numbers)
}
