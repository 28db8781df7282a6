//! The state that unaccepted transactions leave at the server, and whether RSET must come first.

/// The state left by the last transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Nothing: MAIL may be sent.
    #[default]
    Nothing,
    /// A transaction that should have ended, which not every server ensures: RSET comes before
    /// MAIL, whatever its reply.
    Ended,
    /// A transaction that may still be open: RSET comes before MAIL, and must succeed.
    Open,
    /// As `Open`, with RSET sent.
    Resetting,
}

impl Leftover {
    /// Whether RSET must be sent before the next MAIL.
    pub(crate) const fn needs_reset(self) -> bool {
        matches!(self, Self::Ended | Self::Open)
    }

    /// Whether the server may have a transaction open, so that RSET must succeed.
    pub(crate) const fn may_be_open(self) -> bool {
        matches!(self, Self::Open | Self::Resetting)
    }

    /// Adds the state that another transaction leaves.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self::of(
            self.needs_reset() || other.needs_reset(),
            self.may_be_open() || other.may_be_open(),
        )
    }

    /// The state after RSET was sent.
    pub(crate) const fn reset_sent(self) -> Self {
        Self::of(false, self.may_be_open())
    }

    /// The state after RSET succeeded.
    pub(crate) const fn reset_done(self) -> Self {
        Self::of(self.needs_reset(), false)
    }

    pub(crate) const fn of(needs_reset: bool, may_be_open: bool) -> Self {
        match (needs_reset, may_be_open) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Ended,
            (true, true) => Self::Open,
            (false, true) => Self::Resetting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_after_two_transactions_is_the_worse_of_both() {
        use Leftover::{Ended, Nothing, Open, Resetting};
        for (one, other, both) in [
            (Nothing, Nothing, Nothing),
            (Nothing, Ended, Ended),
            (Nothing, Open, Open),
            (Nothing, Resetting, Resetting),
            (Ended, Ended, Ended),
            (Ended, Open, Open),
            (Ended, Resetting, Open),
            (Open, Resetting, Open),
            (Resetting, Resetting, Resetting),
        ] {
            assert_eq!(one.and(other), both, "{one:?} and {other:?}");
            assert_eq!(other.and(one), both, "{other:?} and {one:?}");
            assert_eq!(both.needs_reset(), both.reset_sent() != both);
        }
    }
}
