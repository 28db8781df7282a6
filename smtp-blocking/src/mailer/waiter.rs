//! How a thread waits: on a condition variable, which its waker signals.

use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};
use std::time::Instant;

// A model checker puts its own types in their place.
use super::sync::{Condvar, Mutex, MutexGuard};

/// Counts how often it was woken, for any number of threads that wait.
#[derive(Debug, Default)]
pub(super) struct Signal {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut count = self.lock();
        *count = count.wrapping_add(1);
        drop(count);
        self.changed.notify_all();
    }
}

/// A thread that asks a question again each time it is woken.
///
/// The question gets the [`waker`](Self::waker). If it is not answered, the thread
/// [waits](Self::wait). It does not miss a wake between the two.
pub(crate) struct Waiter {
    signal: Arc<Signal>,
    waker: Waker,
    /// The wakes after which the question was asked.
    seen: u64,
}

impl Waiter {
    /// The waiter of this thread: a thread waits for one thing at a time.
    pub(crate) fn of_thread() -> Self {
        thread_local! {
            static SIGNAL: Arc<Signal> = Arc::default();
        }
        // A thread that is ending has none any more.
        Self::new(SIGNAL.try_with(Arc::clone).unwrap_or_default())
    }

    /// A waiter for a signal that threads share.
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        let seen = *signal.lock();
        Self {
            waker: Arc::clone(&signal).into(),
            signal,
            seen,
        }
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Waits until the waker was used since the last wait, or this time has come.
    pub(crate) fn wait(&mut self, until: Option<Instant>) {
        let signal = Arc::clone(&self.signal);
        let mut count = signal.lock();
        while *count == self.seen {
            let changed = &signal.changed;
            count = match until {
                None => changed.wait(count).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return;
                    }
                    let waited = changed.wait_timeout(count, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        self.seen = *count;
    }
}
