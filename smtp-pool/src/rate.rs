//! Limits on how often something happens.

use core::time::Duration;

use smtp_proto::Time;

/// A limit on how often something happens: a number in a period, and how many at once.
///
/// It is kept by the generic cell rate algorithm: each event uses a part of the burst, which is
/// restored evenly over the period.
///
/// ```
/// use std::time::Duration;
/// use smtp_pool::Rate;
///
/// // 30 in each minute. After a pause all 30 may come at once.
/// let relaxed = Rate::new(30, Duration::from_secs(60));
/// // One every two seconds.
/// let strict = relaxed.with_burst(1);
/// assert_ne!(relaxed, strict);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time between two events on average.
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// `count` events in each `period`, all of which may come at once. A count of 0 counts as 1.
    pub fn new(count: u32, period: Duration) -> Self {
        let count = count.max(1);
        Self {
            interval: period.checked_div(count).unwrap_or(period),
            burst: count,
        }
    }

    /// The same rate with at most `burst` events at once; 0 counts as 1.
    #[must_use]
    pub const fn with_burst(self, burst: u32) -> Self {
        let burst = if burst == 0 { 1 } else { burst };
        Self { burst, ..self }
    }
}

/// The events counted so far against a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    rate: Option<Rate>,
    /// When the whole burst is restored.
    restored: Time,
}

impl Meter {
    pub(crate) const fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            restored: Time::ORIGIN,
        }
    }

    /// The earliest time for `count` events at once. More than a burst have to wait until the whole
    /// burst is restored.
    pub(crate) fn ready_at(&self, count: u32) -> Time {
        let Some(rate) = self.rate else {
            return Time::ORIGIN;
        };
        let spare = rate.burst.saturating_sub(count);
        let early = rate.interval.saturating_mul(spare);
        Time::from_origin(self.restored.since_origin().saturating_sub(early))
    }

    /// Counts events.
    pub(crate) fn count(&mut self, now: Time, count: u32) {
        if let Some(rate) = self.rate {
            let cost = rate.interval.saturating_mul(count);
            self.restored = self.restored.max(now).saturating_add(cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn a_burst_passes_at_once_and_is_restored_evenly() {
        let mut meter = Meter::new(Some(Rate::new(6, Duration::from_secs(60)).with_burst(2)));
        let now = at(100);
        for _ in 0..2 {
            assert!(meter.ready_at(1) <= now);
            meter.count(now, 1);
        }
        assert_eq!(meter.ready_at(1), at(110));
        assert_eq!(meter.ready_at(2), at(120));
        // A pause restores no more than the burst.
        let now = at(1000);
        assert!(meter.ready_at(2) <= now);
        meter.count(now, 2);
        assert_eq!(meter.ready_at(1), at(1010));
    }

    #[test]
    fn more_events_than_the_burst_wait_for_the_whole_of_it() {
        let mut meter = Meter::new(Some(Rate::new(1, Duration::from_secs(1)).with_burst(5)));
        meter.count(at(0), 1);
        assert_eq!(meter.ready_at(500), at(1));
        meter.count(at(1), 500);
        assert_eq!(meter.ready_at(1), at(497));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut meter = Meter::new(None);
        meter.count(at(0), u32::MAX);
        assert_eq!(meter.ready_at(u32::MAX), Time::ORIGIN);
    }
}
