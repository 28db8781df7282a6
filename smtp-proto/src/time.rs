//! Points in time, handed in by whoever drives the machine.

use core::ops::Add;
use core::time::Duration;

/// A point in monotonic time: how long after an origin that the driver picks.
///
/// The machine reads no clock. A driver keeps the instant at which it began and hands in what has passed since;
/// a test hands in whatever it likes. All that matters is that time does not run backwards.
///
/// ```
/// use core::time::Duration;
/// use smtp_proto::Time;
///
/// let now = Time::from_origin(Duration::from_secs(3));
/// assert_eq!((now + Duration::from_secs(2)).since_origin(), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The origin itself.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The point that lies `elapsed` after the origin.
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the origin this point lies.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The point that lies `duration` after this one, or the last that there is.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long after `earlier` this point lies; zero if it does not.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}
