//! An alarm that follows a time limit without being set anew each time the limit moves.

use std::pin::Pin;
use std::task::{Context, Poll};

use smtp_proto::Time;

use crate::Clock;

/// An alarm that is set anew only if the limit is sooner than the alarm, or when it rings too soon.
///
/// The limit moves with every reply, nearly always to a later time, and setting an alarm wakes the
/// timer of some runtimes.
pub(crate) struct LazyAlarm<'a, C: Clock> {
    alarm: Pin<&'a mut Option<C::Alarm>>,
    rings: Option<Time>,
}

impl<'a, C: Clock> LazyAlarm<'a, C> {
    /// An alarm that is not set, in a place that the caller has pinned.
    pub(crate) const fn new(alarm: Pin<&'a mut Option<C::Alarm>>) -> Self {
        Self { alarm, rings: None }
    }

    /// Sets the alarm, unless it is set.
    pub(crate) fn prepare(&mut self, cx: &mut Context<'_>, clock: &C, until: Time) {
        if self.rings.is_none() {
            _ = self.poll(cx, clock, until);
        }
    }

    /// Waits until the time limit, or until an earlier one that was waited for before.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, clock: &C, until: Time) -> Poll<()> {
        if self.rings.is_none_or(|rings| until < rings) {
            self.alarm.set(clock.alarm(until));
            self.rings = Some(until);
        }
        let Some(alarm) = self.alarm.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let rung = alarm.poll(cx);
        if rung.is_ready() {
            self.rings = None;
        }
        rung.map(|_| ())
    }
}
