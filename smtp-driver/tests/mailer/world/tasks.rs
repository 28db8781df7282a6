//! Tasks on one thread, and a clock that jumps when all of them wait.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::World;

/// Alarms that are awaited, by their times.
#[derive(Default)]
pub(super) struct Alarms {
    wakers: BTreeMap<(Duration, u64), Waker>,
    last: u64,
}

/// A future that is ready at a certain time. Dropped, it wakes no task.
pub(crate) struct Alarm {
    world: World,
    at: Duration,
    key: Option<(Duration, u64)>,
}

impl Alarm {
    pub(super) fn new(world: World, at: Duration) -> Self {
        Self {
            world,
            at,
            key: None,
        }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut state = this.world.lock();
        if state.now >= this.at {
            return Poll::Ready(());
        }
        let last = &mut state.alarms.last;
        *last += 1;
        let key = *this.key.get_or_insert((this.at, *last));
        state.alarms.wakers.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.lock().alarms.wakers.remove(&key);
        }
    }
}

/// Tasks of a test.
pub(crate) struct Tasks<'a> {
    world: World,
    tasks: Vec<Option<Task<'a>>>,
    /// How many polls there were.
    pub(crate) polls: usize,
}

struct Task<'a> {
    future: Pin<Box<dyn Future<Output = ()> + 'a>>,
    flag: Arc<Flag>,
}

struct Flag {
    world: World,
    is_woken: AtomicBool,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
        self.world.run_probe();
    }
}

impl<'a> Tasks<'a> {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            tasks: Vec::new(),
            polls: 0,
        }
    }

    /// Adds a task, and returns its number.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'a) -> usize {
        let flag = Flag {
            world: self.world.clone(),
            is_woken: AtomicBool::new(true),
        };
        self.tasks.push(Some(Task {
            future: Box::pin(future),
            flag: Arc::new(flag),
        }));
        self.tasks.len() - 1
    }

    /// Drops a task that has not ended.
    pub(crate) fn kill(&mut self, number: usize) {
        self.tasks[number] = None;
    }

    pub(crate) fn has_ended(&self, number: usize) -> bool {
        self.tasks[number].is_none()
    }

    /// Whether every task has ended.
    pub(crate) fn have_ended(&self) -> bool {
        self.tasks.iter().all(Option::is_none)
    }

    /// Polls each task that is woken. Returns whether there was one.
    pub(crate) fn turn(&mut self) -> bool {
        let mut was_woken = false;
        for place in &mut self.tasks {
            let Some(task) = place else {
                continue;
            };
            if !task.flag.is_woken.swap(false, Ordering::Relaxed) {
                continue;
            }
            was_woken = true;
            self.polls += 1;
            assert!(self.polls < MOST_POLLS, "a task is woken without end");
            let waker = Waker::from(Arc::clone(&task.flag));
            let polled = task.future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                *place = None;
            }
        }
        was_woken
    }

    /// Runs until every task waits for more than this world has at this time.
    pub(crate) fn settle(&mut self) {
        while self.turn() {}
    }

    /// Advances the clock to the next alarm, until `end` at most. Returns whether there was one.
    pub(crate) fn advance(&self, end: Duration) -> bool {
        let due = {
            let mut state = self.world.lock();
            let Some((at, _)) = state.alarms.wakers.first_key_value().map(|(key, _)| *key) else {
                return false;
            };
            if at > end {
                state.now = end;
                return false;
            }
            state.now = state.now.max(at);
            let later = state.alarms.wakers.split_off(&(at, u64::MAX));
            std::mem::replace(&mut state.alarms.wakers, later)
        };
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Runs until no task can ever go on, or all have ended.
    pub(crate) fn run(&mut self) {
        loop {
            self.settle();
            if self.have_ended() || !self.advance(Duration::MAX) {
                return;
            }
        }
    }

    /// Runs until this task has ended.
    #[track_caller]
    pub(crate) fn run_task(&mut self, number: usize) {
        while !self.has_ended(number) {
            if !self.turn() && !self.advance(Duration::MAX) {
                panic!("the task waits for what never comes");
            }
        }
    }

    /// Runs for some time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.world.lock().now + time;
        loop {
            self.settle();
            if !self.advance(end) {
                break;
            }
        }
        self.world.lock().now = end;
        self.settle();
    }
}

/// Is pending once.
pub(crate) async fn yield_now() {
    let mut has_pended = false;
    poll_fn(|cx| super::pend_once(&mut has_pended, cx)).await;
}

/// More than any test needs.
const MOST_POLLS: usize = 1_000_000;
