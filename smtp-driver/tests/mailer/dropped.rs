//! Futures that are dropped after any number of polls.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_lite::StreamExt;
use smtp_driver::Mails;
use smtp_driver::smtp_pool::{PoolConfig, PoolError};
use smtp_test::Config;

use crate::world::{
    LIMIT, MAX_WAIT, Status, Tasks, World, WorldMailer, assert_quiet, mail, status,
};

/// What is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    Send,
    Check,
    Batch,
    Close,
    Driver,
    /// The future of `next`, again and again.
    Next,
    /// The future of `outcome`, again and again.
    Outcome,
}

const ALL: [Dropped; 7] = [
    Dropped::Send,
    Dropped::Check,
    Dropped::Batch,
    Dropped::Close,
    Dropped::Driver,
    Dropped::Next,
    Dropped::Outcome,
];

/// What is there before.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Idle,
    OtherSenders,
}

#[test]
fn a_future_may_be_dropped_after_any_number_of_polls() {
    for dropped in ALL {
        for with_driver in [false, true] {
            for before in [Before::Nothing, Before::Idle, Before::OtherSenders] {
                for most in [1, 3] {
                    let mut polls = 0;
                    while drop_after(polls, dropped, with_driver, before, most) {
                        polls += 1;
                        assert!(polls < 1000, "{dropped:?}: it never ends");
                    }
                    assert!(polls > 0, "{dropped:?}");
                }
            }
        }
    }
}

/// Drops a future after some polls. Returns whether it had not ended.
fn drop_after(
    polls: usize,
    dropped: Dropped,
    with_driver: bool,
    before: Before,
    most: u32,
) -> bool {
    let case = format!("{dropped:?} after {polls}, driver {with_driver}, {before:?}, {most}");
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new().with_max_connections(most));
    let accepted = RefCell::new(Vec::new());
    let mut tasks = Tasks::new(&world);
    let has_driver = with_driver || matches!(dropped, Dropped::Driver | Dropped::Outcome);
    let driver = has_driver.then(|| tasks.spawn(mailer.driver().unwrap()));
    match before {
        Before::Nothing => {}
        Before::Idle => {
            let task = tasks.spawn(send(&mailer, 100, &accepted));
            tasks.run_task(task);
            tasks.settle();
        }
        Before::OtherSenders => {
            for number in 100..110 {
                tasks.spawn(send(&mailer, number, &accepted));
            }
        }
    }
    let victim = match dropped {
        Dropped::Send => tasks.spawn(send(&mailer, 0, &accepted)),
        Dropped::Check => tasks.spawn(async { _ = mailer.check(MAX_WAIT).await.unwrap() }),
        Dropped::Close => tasks.spawn(async { assert!(mailer.close(LIMIT).await) }),
        Dropped::Driver => driver.unwrap(),
        Dropped::Batch | Dropped::Next => tasks.spawn(async {
            let mut all = mailer.send_all(Mails::new((0..5).map(mail)));
            loop {
                let next = all.next();
                let result = match dropped {
                    Dropped::Next => stubborn(next, polls).await,
                    _ => Some(next.await),
                };
                match result {
                    Some(Some((number, result))) => {
                        assert_eq!(status(&result.unwrap()), Status::Accepted);
                        accepted.borrow_mut().push(number);
                    }
                    Some(None) => break,
                    None => {}
                }
            }
        }),
        Dropped::Outcome => tasks.spawn(async {
            let ticket = mailer.submit(mail(0), MAX_WAIT).unwrap();
            loop {
                let outcome = mailer.outcome(ticket);
                if let Some(result) = stubborn(outcome, polls).await {
                    assert_eq!(status(&result.unwrap().unwrap()), Status::Accepted);
                    accepted.borrow_mut().push(0);
                    break;
                }
            }
        }),
    };
    if dropped == Dropped::Driver {
        for number in 0..5 {
            tasks.spawn(send(&mailer, number, &accepted));
        }
    }
    let is_repeated = matches!(dropped, Dropped::Next | Dropped::Outcome);
    for _ in 0..polls {
        tasks.turn();
    }
    let was_there = match is_repeated {
        true => polls < 10,
        // A driver ends with its mailer only.
        false => !tasks.has_ended(victim) && polls < 100,
    };
    if is_repeated {
        tasks.run_task(victim);
    } else {
        tasks.kill(victim);
    }
    tasks.settle();
    let is_closed = dropped == Dropped::Close && polls > 0;
    if !is_closed {
        let last = tasks.spawn(send(&mailer, 200, &accepted));
        tasks.run_task(last);
        assert!(accepted.borrow().contains(&200), "{case}: the mailer works");
    }
    tasks.settle();
    assert_quiet(mailer.stats());
    assert_eq!(mailer.explain(), None, "{case}");
    assert_eq!(world.open(), mailer.stats().open, "{case}");
    assert!(world.most_open() <= most as usize, "{case}");
    for number in accepted.borrow().iter() {
        assert_eq!(world.stored()[number], 1, "{case}: message {number}");
    }
    assert!(world.stored().values().all(|count| *count == 1), "{case}");
    // Nothing is left that keeps the driver from ending.
    let closing = tasks.spawn(async { assert!(mailer.close(LIMIT).await) });
    tasks.run_task(closing);
    tasks.settle();
    assert!(tasks.have_ended(), "{case}");
    assert_eq!(world.open(), 0, "{case}");
    assert_eq!(
        world.lock().now,
        Duration::ZERO,
        "{case}: nothing was waited for"
    );
    was_there
}

async fn send(mailer: &WorldMailer, number: usize, accepted: &RefCell<Vec<usize>>) {
    match mailer.send(mail(number), MAX_WAIT).await {
        Ok(outcome) if status(&outcome) == Status::Accepted => {
            accepted.borrow_mut().push(number);
        }
        // The driver was dropped.
        Ok(outcome) => assert_ne!(status(&outcome), Status::Rejected),
        Err(error) => {
            let is_expected = matches!(error.kind(), PoolError::NoDriver | PoolError::Closed);
            assert!(is_expected, "{error:?}");
        }
    }
}

/// The output of a future that is polled `polls` times; `None` if it is woken once more.
async fn stubborn<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls.max(1);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
