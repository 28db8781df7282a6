//! Every order in which threads of `smtp_blocking::Mailer` can wait and be woken.
//!
//! The file of the waiter is that of the mailer, with the mutex and the condition variable of loom.

#![cfg(test)]

#[path = "../../src/mailer/waiter.rs"]
#[allow(dead_code, reason = "the signal of a thread is not used")]
mod waiter;

mod sync {
    pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};
}

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use waiter::{Signal, Waiter};

/// What a pool has for those that wait: tasks, and the waker of those that do them.
#[derive(Default)]
struct Pool {
    tasks: VecDeque<u32>,
    is_closed: bool,
    waker: Option<Waker>,
}

/// As of a shared pool: everything is under one lock, and wakers are used under it.
#[derive(Clone)]
struct Shared(loom::sync::Arc<sync::Mutex<Pool>>);

impl Shared {
    fn new() -> Self {
        Self(loom::sync::Arc::new(sync::Mutex::new(Pool::default())))
    }

    /// The next task, or `None` at the end; otherwise the waker is kept.
    fn poll(&self, waker: &Waker) -> Option<Option<u32>> {
        let mut pool = self.0.lock().unwrap();
        pool.waker = Some(waker.clone());
        match pool.tasks.pop_front() {
            Some(task) => Some(Some(task)),
            None => pool.is_closed.then_some(None),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Pool)) {
        let mut pool = self.0.lock().unwrap();
        change(&mut pool);
        if let Some(waker) = &pool.waker {
            waker.wake_by_ref();
        }
    }

    /// Does tasks until the end.
    fn run(&self, mut waiter: Waiter) -> u32 {
        let mut done = 0;
        loop {
            match self.poll(waiter.waker()) {
                Some(Some(_)) => done += 1,
                Some(None) => return done,
                None => waiter.wait(None),
            }
        }
    }
}

#[test]
fn a_thread_misses_no_wake_between_its_question_and_its_wait() {
    loom::model(|| {
        let shared = Shared::new();
        let other = shared.clone();
        let thread = thread::spawn(move || other.run(Waiter::new(Arc::default())));
        shared.change(|pool| pool.tasks.push_back(1));
        shared.change(|pool| pool.is_closed = true);
        assert_eq!(thread.join().unwrap(), 1);
    });
}

#[test]
fn threads_that_share_a_signal_do_every_task_and_end() {
    // All orders of three threads would take hours.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Shared::new();
        let signal: Arc<Signal> = Arc::default();
        let threads = [(); 2].map(|()| {
            let (shared, signal) = (shared.clone(), Arc::clone(&signal));
            thread::spawn(move || shared.run(Waiter::new(signal)))
        });
        shared.change(|pool| pool.tasks.extend([1, 2]));
        shared.change(|pool| pool.is_closed = true);
        let done: u32 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(done, 2);
    });
}
