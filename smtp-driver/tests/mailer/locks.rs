//! No code of a caller runs while the mailer is locked.

use std::cell::Cell;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::StreamExt;
use smtp_driver::Mails;
use smtp_driver::smtp_pool::PoolConfig;
use smtp_test::{Action, Config, Stage};

use crate::world::{LIMIT, MAX_WAIT, Tasks, World, WorldMailer, assert_quiet, mail};

/// A waker that looks at the mailer when it is woken and when it is dropped.
struct Curious(Mutex<Option<WorldMailer>>);

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        if let Some(mailer) = &*self.0.lock().unwrap() {
            let _ = mailer.stats();
        }
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        if let Some(mailer) = self.0.get_mut().unwrap().take() {
            let _ = mailer.stats();
        }
    }
}

#[test]
fn tasks_that_are_woken_and_streams_that_are_dropped_may_use_the_mailer() {
    for with_driver in [false, true] {
        let config = Config::new()
            .on(Stage::EndOfData.nth(3), Action::close())
            .on(Stage::EndOfData.connection(4), Action::silent());
        let world = World::new(config);
        let mailer = world.mailer(PoolConfig::new().with_max_messages(5));
        let other = mailer.clone();
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        world.probe(move || {
            let _ = (other.stats(), other.explain());
            *count.lock().unwrap() += 1;
        });
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        tasks.spawn(async {
            let mut all = mailer.send_all(Mails::new((100..120).map(mail)));
            while all.next().await.is_some() {}
        });
        for number in 0..20 {
            let mailer = &mailer;
            tasks.spawn(async move { _ = mailer.send(mail(number), MAX_WAIT).await });
        }
        tasks.run_for(Duration::from_secs(70));
        assert_quiet(mailer.stats());
        let closing = tasks.spawn(async { _ = mailer.close(LIMIT).await });
        tasks.run_task(closing);
        assert!(*seen.lock().unwrap() > 100);
        // The probe has a mailer.
        world.probe(|| {});
    }
}

#[test]
fn a_waker_that_is_replaced_is_dropped_outside_of_the_lock() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
    let curious = || Waker::from(Arc::new(Curious(Mutex::new(Some(mailer.clone())))));
    let mut first = pin!(mailer.send(mail(0), MAX_WAIT));
    let mut second = pin!(mailer.send(mail(1), MAX_WAIT));
    let mut batch = mailer.send_all(Mails::new([mail(2)]));
    let ended = Cell::new(0);
    for _ in 0..200 {
        // Each with a waker of its own, of which the mailer has the last copy.
        let (waker, others) = (curious(), [curious(), curious()]);
        if ended.get() & 1 == 0
            && first
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        {
            ended.set(ended.get() | 1);
        }
        drop(waker);
        let [waker, other] = others;
        if ended.get() & 2 == 0
            && second
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        {
            ended.set(ended.get() | 2);
        }
        drop(waker);
        if let Poll::Ready(None) = batch.poll_next(&mut Context::from_waker(&other)) {
            ended.set(ended.get() | 4);
        }
    }
    assert_eq!(ended.get(), 7);
    assert_eq!(world.stored().len(), 3);
}
