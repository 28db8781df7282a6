//! Which parts of a future have to be polled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// A part of a future, with a waker of its own.
pub(super) struct Part {
    signal: Arc<Signal>,
    waker: Waker,
}

/// The waker of the whole future.
#[derive(Clone, Default)]
pub(super) struct Whole(Arc<Mutex<Option<Waker>>>);

struct Signal {
    is_woken: AtomicBool,
    whole: Whole,
}

impl Part {
    /// A part that has to be polled.
    pub(super) fn new(whole: &Whole) -> Self {
        let signal = Arc::new(Signal {
            is_woken: AtomicBool::new(true),
            whole: whole.clone(),
        });
        Self {
            waker: Arc::clone(&signal).into(),
            signal,
        }
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// Has the part polled in the present turn of the whole.
    pub(super) fn mark(&self) {
        self.signal.is_woken.store(true, Ordering::Release);
    }

    /// Whether the part has to be polled, asked once.
    pub(super) fn take(&self) -> bool {
        self.signal.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl Whole {
    /// Keeps the waker of the whole.
    pub(super) fn register(&self, waker: &Waker) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            // The whole was woken for it, and has not polled it since.
            return;
        }
        let kept = self.whole.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = kept.clone();
        drop(kept);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
