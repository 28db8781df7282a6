//! Points in time, passed in by the driver.

use core::ops::Add;
use core::time::Duration;

/// A point in monotonic time, measured from an origin that the driver chooses.
///
/// A connection reads no clock. A driver notes the instant at which it began and passes in the time
/// elapsed since; a test passes in any time. Time must not run backwards.
///
/// ```
/// use core::time::Duration;
/// use smtp_proto::Time;
///
/// let now = Time::from_origin(Duration::from_secs(3));
/// assert_eq!((now + Duration::from_secs(2)).since_origin(), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Enough for 584 years, and cheaper to add and compare than a `Duration`.
    nanos: u64,
}

impl Time {
    /// The origin itself.
    pub const ORIGIN: Self = Self { nanos: 0 };

    /// The point `elapsed` after the origin.
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self::ORIGIN.saturating_add(elapsed)
    }

    /// The time since the origin.
    pub const fn since_origin(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The point `duration` after this one, or the last point of the range.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u32 to u64 loses nothing, and `From` is not const"
    )]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        let whole = duration.as_secs().saturating_mul(NANOS_A_SECOND);
        let rest = duration.subsec_nanos() as u64;
        Self {
            nanos: self.nanos.saturating_add(whole).saturating_add(rest),
        }
    }

    /// The time since `earlier`; zero if that is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

const NANOS_A_SECOND: u64 = 1_000_000_000;
