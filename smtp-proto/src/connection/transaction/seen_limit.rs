//! How many recipients of a message a server takes, as its replies show.

/// The limit of a server on the recipients of a transaction that only its replies show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SeenLimit {
    /// The most recipients that it has taken.
    taken: usize,
    /// Whether it takes no more.
    is_full: bool,
}

impl SeenLimit {
    /// The most recipients to ask for in a transaction.
    pub(super) const fn most(&self) -> usize {
        if self.is_full { self.taken } else { usize::MAX }
    }

    /// How many RCPT commands may be without a reply, when the server has accepted this many
    /// recipients of the transaction.
    ///
    /// A server that takes 100 recipients rejects those beyond, and may count that against the
    /// client. So the number grows with what is accepted, by powers of three.
    pub(super) fn ahead(&self, accepted: usize) -> usize {
        let shown = self.taken.max(accepted);
        FIRST_AHEAD.saturating_add(shown.saturating_mul(2))
    }

    /// Records what a transaction has shown.
    pub(super) fn record(&mut self, shown: Shown) {
        match shown {
            // RFC 5321, section 4.5.3.1.10: the rest goes into further transactions.
            Shown::Limit(accepted) => (self.taken, self.is_full) = (accepted, true),
            Shown::NoLimit => self.is_full = false,
            Shown::Taken(accepted) => self.taken = self.taken.max(accepted),
        }
    }
}

/// What the replies in a transaction have shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// The server takes this many recipients, and no more.
    Limit(usize),
    /// It rejects recipients as too many, but not for their number.
    NoLimit,
    /// It takes this many recipients.
    Taken(usize),
}

/// Every server takes 100 recipients (RFC 5321, section 4.5.3.1.8).
const FIRST_AHEAD: usize = 128;
