//! How many connections the server seems to allow.

/// How many connections there may be: as configured, and fewer after the server complained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    most: u32,
    allowed: u32,
    /// How many the driver can use at a time.
    usable: u32,
    /// Accepted messages since the last change.
    good: u32,
    /// Counts the reductions. Complaints about connections from before one have been heard.
    epoch: u32,
}

impl Capacity {
    pub(crate) const fn new(most: u32) -> Self {
        Self {
            most,
            allowed: most,
            usable: u32::MAX,
            good: 0,
            epoch: 0,
        }
    }

    pub(crate) fn allowed(&self) -> u32 {
        self.allowed.min(self.usable)
    }

    /// Allows no more than the driver can use at a time.
    pub(crate) const fn set_usable(&mut self, usable: u32) {
        self.usable = usable;
    }

    pub(crate) const fn is_reduced(&self) -> bool {
        self.allowed < self.most
    }

    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Halves the number after a complaint about what began in `epoch`, when `open` connections
    /// were there.
    ///
    /// Several connections may be rejected at the same time. Only the first counts, or the number
    /// would fall to one at once.
    pub(crate) fn complaint(&mut self, epoch: u32, open: u32) {
        if epoch == self.epoch {
            self.allowed = (self.allowed.min(open) / 2).max(1);
            self.good = 0;
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// Counts an accepted message.
    pub(crate) fn accepted(&mut self) {
        if !self.is_reduced() {
            return;
        }
        self.good = self.good.saturating_add(1);
        if self.good >= GOOD {
            self.good = 0;
            self.allowed = self.allowed.saturating_add(1);
        }
    }
}

/// How many accepted messages restore a connection.
const GOOD: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_halves_once_and_twenty_accepted_messages_restore_one() {
        let mut capacity = Capacity::new(8);
        let epoch = capacity.epoch();
        for _ in 0..3 {
            capacity.complaint(epoch, 8);
        }
        assert_eq!(capacity.allowed(), 4);
        capacity.complaint(capacity.epoch(), 3);
        assert_eq!(capacity.allowed(), 1);
        capacity.complaint(capacity.epoch(), 1);
        assert_eq!(capacity.allowed(), 1);
        for _ in 0..19 {
            capacity.accepted();
        }
        assert_eq!(capacity.allowed(), 1);
        for _ in 0..1 + 20 * 10 {
            capacity.accepted();
        }
        assert_eq!(capacity.allowed(), 8);
        assert!(!capacity.is_reduced());
    }
}
