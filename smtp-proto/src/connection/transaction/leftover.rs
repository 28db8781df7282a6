//! What transactions that ended otherwise than by being accepted leave at the server, and whether RSET comes first.

/// What the last transactions left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Nothing: MAIL may be sent.
    #[default]
    Nothing,
    /// A transaction that should have ended, and not every server sees to that: RSET comes before MAIL, whatever its reply.
    Ended,
    /// A transaction that may still be open: RSET comes before MAIL, and has to succeed.
    Open,
    /// The same, and RSET is sent.
    Resetting,
}

impl Leftover {
    /// Whether RSET has to be sent before the next MAIL.
    pub(crate) const fn needs_reset(self) -> bool {
        matches!(self, Self::Ended | Self::Open)
    }

    /// Whether the server may hold a transaction open, so that RSET has to succeed.
    pub(crate) const fn may_be_open(self) -> bool {
        matches!(self, Self::Open | Self::Resetting)
    }

    /// Adds what one more transaction leaves.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self::of(
            self.needs_reset() || other.needs_reset(),
            self.may_be_open() || other.may_be_open(),
        )
    }

    /// After RSET was sent.
    pub(crate) const fn reset_sent(self) -> Self {
        Self::of(false, self.may_be_open())
    }

    /// After the reply that RSET is done.
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
