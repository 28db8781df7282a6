//! The pause after a failed attempt to connect.

use core::time::Duration;

use smtp_proto::Time;

/// The pause before the next attempt to connect: 1 second after a failure, twice as long after each
/// further one, 60 seconds at most. A random part of up to a half is taken off, so that many
/// programs do not come back at the same time.
///
/// Attempts that were made at the same time fail together, and count as one.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    /// When the last attempt failed.
    failed: Time,
    until: Time,
    random: u64,
}

impl Backoff {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            failed: Time::ORIGIN,
            until: Time::ORIGIN,
            random: seed,
        }
    }

    /// When the next attempt may begin.
    pub(crate) const fn until(&self) -> Time {
        self.until
    }

    /// An attempt failed that began at `began`.
    pub(crate) fn failed(&mut self, began: Time, now: Time) {
        // None begins between a failure and the end of its pause.
        if self.failures > 0 && began <= self.failed {
            return;
        }
        self.failed = now;
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let longest = SHORTEST.saturating_mul(doubled).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let part = longest.checked_div(DRAWS.saturating_mul(2));
        let less = part.unwrap_or_default().saturating_mul(self.draw());
        self.until = now.saturating_add(longest.saturating_sub(less));
    }

    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
        self.until = Time::ORIGIN;
    }

    /// A number below [`DRAWS`], by the generator SplitMix64.
    fn draw(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let drawn = mixed.checked_rem(u64::from(DRAWS)).unwrap_or(0);
        u32::try_from(drawn).unwrap_or(0)
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How fine the random part is.
const DRAWS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_to_a_minute_and_loses_half_of_itself_at_most() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(seed);
            let mut now = Time::from_origin(Duration::from_secs(1000));
            for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                backoff.failed(now, now);
                let pause = backoff.until().saturating_since(now);
                assert!(pause <= Duration::from_secs(longest), "{pause:?}");
                assert!(
                    pause > Duration::from_millis(longest * 500 - 1),
                    "{pause:?}"
                );
                now = backoff.until();
            }
            backoff.succeeded();
            assert!(backoff.until() <= now);
            backoff.failed(now, now);
            assert!(backoff.until() <= now + SHORTEST);
        }
    }

    #[test]
    fn attempts_that_fail_together_count_as_one() {
        let at = |seconds| Time::from_origin(Duration::from_secs(seconds));
        let mut backoff = Backoff::new(1);
        backoff.failed(at(10), at(11));
        let until = backoff.until();
        for _ in 0..10 {
            backoff.failed(at(10), at(11));
        }
        assert_eq!(backoff.until(), until);
        backoff.failed(at(12), at(12));
        assert!(backoff.until() >= at(13));
    }

    #[test]
    fn seeds_give_different_pauses() {
        let pause = |seed| {
            let mut backoff = Backoff::new(seed);
            backoff.failed(Time::ORIGIN, Time::ORIGIN);
            backoff.until()
        };
        let mut pauses: std::vec::Vec<_> = (0..20).map(pause).collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 15, "{}", pauses.len());
    }
}
