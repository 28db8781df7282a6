//! The limits on the recipients of a transaction (RFC 9422).

use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::rcpt::{Addressee, RcptState};
use crate::extension::ServerLimits;

/// The limits of one transaction (RFC 9422, sections 4.2 and 4.3), and how much of them is used.
#[derive(Debug)]
pub(super) struct TransactionLimits {
    recipients: usize,
    domains: usize,
    /// The index of one recipient for each domain sent so far, in the order of the domains. Empty
    /// without a limit on domains.
    seen: Vec<usize>,
}

impl TransactionLimits {
    /// Transaction limits from the server's LIMITS keyword.
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            recipients: limit_or_max(limits.rcpt_max()),
            domains: limit_or_max(limits.rcpt_domain_max()),
            seen: Vec::new(),
        }
    }

    /// Begins another transaction.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
    }

    /// The next recipient to send, from `index` on, after `asked` recipients.
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

/// Domains are case-insensitive (RFC 5321, section 2.4).
fn folded(domain: &str) -> impl Iterator<Item = u8> {
    domain.bytes().map(|byte| byte.to_ascii_lowercase())
}
