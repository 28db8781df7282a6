//! How many recipients a server takes in one transaction.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::capabilities::ServerLimits;
use crate::mail::{Addressee, RcptState};

/// What a server takes in one transaction (RFC 9422, sections 4.2 and 4.3), and what has been asked for in this.
#[derive(Debug)]
pub(super) struct TransactionLimits {
    recipients: usize,
    domains: usize,
    /// The index of a recipient in each domain that was asked for, in the order of the domains; of none if any number may be.
    seen: Vec<usize>,
}

impl TransactionLimits {
    /// What a server takes that has said these limits.
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            recipients: limit_or_max(limits.rcpt_max()),
            domains: limit_or_max(limits.rcpt_domain_max()),
            seen: Vec::new(),
        }
    }

    /// Nothing has been asked for.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
    }

    /// The next recipient to ask for, from the one at `index` on, when so many were asked for.
    pub(super) fn next(
        &mut self,
        recipients: &[Addressee],
        index: usize,
        asked: usize,
    ) -> Option<usize> {
        if asked >= self.recipients {
            return None;
        }
        (index..recipients.len()).find(|&index| {
            let recipient = recipients.get(index);
            recipient.is_some_and(|each| matches!(each.answer, RcptState::None))
                && self.admits(recipients, index)
        })
    }

    fn admits(&mut self, recipients: &[Addressee], index: usize) -> bool {
        if self.domains == usize::MAX {
            return true;
        }
        let domain = |index: usize| recipients.get(index).and_then(|each| each.path.domain());
        let Some(wanted) = domain(index) else {
            return true;
        };
        let found = self.seen.binary_search_by(|&other| {
            let other = domain(other).unwrap_or_default();
            folded(other).cmp(folded(wanted))
        });
        match found {
            Ok(_) => true,
            Err(at) if self.seen.len() < self.domains => {
                self.seen.insert(at, index);
                true
            }
            Err(_) => false,
        }
    }
}

fn limit_or_max(limit: Option<NonZeroU32>) -> usize {
    limit.map_or(usize::MAX, |most| {
        usize::try_from(most.get()).unwrap_or(usize::MAX)
    })
}

/// Domains are the same in any case (RFC 5321, section 2.4).
fn folded(domain: &str) -> impl Iterator<Item = u8> {
    domain.bytes().map(|byte| byte.to_ascii_lowercase())
}
