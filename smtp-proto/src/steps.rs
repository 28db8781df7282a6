//! Counts the steps of searches, for tests of how the work grows. Elsewhere it is nothing.

#[cfg(test)]
std::thread_local! {
    static STEPS: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}

/// Counts a step: an item that is looked at.
#[inline(always)]
pub(crate) fn step() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get().saturating_add(1)));
}

/// The number of steps that `run` takes.
#[cfg(test)]
pub(crate) fn of(run: impl FnOnce()) -> u64 {
    let before = STEPS.with(core::cell::Cell::get);
    run();
    STEPS.with(core::cell::Cell::get).saturating_sub(before)
}
