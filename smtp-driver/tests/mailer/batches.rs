//! What a mailer promises to senders of many messages.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::StreamExt;
use smtp_driver::Mails;
use smtp_driver::smtp_pool::PoolConfig;
use smtp_proto::Mail;
use smtp_test::{Action, Config, Stage};

use crate::world::{LIMIT, MAX_WAIT, Status, Tasks, World, assert_quiet, mail, status};

/// A stream of messages that never has one.
struct Never;

impl futures_lite::Stream for Never {
    type Item = Mail;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Mail>> {
        Poll::Pending
    }
}

#[test]
fn many_messages_to_a_server_that_says_nothing_are_given_up_at_the_time_limit() {
    let world = World::new(Config::new().on(Stage::Data, Action::silent()));
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    let sending = tasks.spawn(async {
        let mut all = mailer.send_all(Mails::new([mail(0)]));
        let (number, result) = all.next().await.unwrap();
        assert_eq!((number, status(&result.unwrap())), (0, Status::NotSent));
        assert!(all.next().await.is_none());
    });
    tasks.run_task(sending);
    assert_quiet(mailer.stats());
}

#[test]
fn a_batch_that_has_ended_takes_no_part_in_closing() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut all = mailer.send_all(Mails::new((0..20).map(mail)));
    let mut tasks = Tasks::new(&world);
    let sending = tasks.spawn(async {
        let mut count = 0;
        while let Some((_, result)) = all.next().await {
            assert_eq!(status(&result.unwrap()), Status::Accepted);
            count += 1;
        }
        assert_eq!(count, 20);
    });
    tasks.run_task(sending);
    let before = world.lock().now;
    let closing = tasks.spawn(async { assert!(mailer.close(LIMIT).await) });
    tasks.run_task(closing);
    assert_eq!(world.lock().now, before, "nothing is waited for");
    assert_eq!((world.open(), world.quits()), (0, world.connects()));
}

#[test]
fn a_batch_that_is_not_polled_does_not_keep_idle_connections() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    let number = tasks.spawn(async {
        for number in 0..3 {
            let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
            assert_eq!(status(&outcome), Status::Accepted);
        }
    });
    tasks.run_task(number);
    // It has a message, and its outcome is not asked for.
    let all = mailer.send_all(Mails::new([mail(3)]));
    tasks.run_for(Duration::from_secs(40));
    let sending = tasks.spawn(async {
        let outcome = mailer.send(mail(4), MAX_WAIT).await.unwrap();
        assert_eq!(status(&outcome), Status::Accepted);
    });
    let before = world.lock().now;
    tasks.run_task(sending);
    assert_eq!(world.lock().now, before, "nothing is waited for");
    assert_eq!((world.open(), world.connects(), world.quits()), (1, 2, 1));
    drop(all);
}

#[test]
fn a_batch_without_messages_rests_when_the_mailer_is_closed() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut all = mailer.send_all(Never);
    let mut tasks = Tasks::new(&world);
    tasks.spawn(async { assert!(all.next().await.is_none()) });
    tasks.settle();
    let closing = tasks.spawn(async { assert!(mailer.close(LIMIT).await) });
    tasks.run_task(closing);
    tasks.settle();
    assert!(tasks.polls < 20, "{} polls", tasks.polls);
}

#[test]
fn a_batch_of_more_messages_than_may_wait_is_sent_whole() {
    for others in [0, 20] {
        let world = World::new(Config::new());
        let mailer = world.mailer(PoolConfig::new().with_max_waiting(3));
        let accepted = Cell::new(0);
        let mut tasks = Tasks::new(&world);
        for number in 100..100 + others {
            let mailer = &mailer;
            tasks.spawn(async move {
                // Some are rejected, since too many wait.
                let _ = mailer.send(mail(number), MAX_WAIT).await;
            });
        }
        tasks.turn();
        tasks.spawn(async {
            let mut all = mailer.send_all(Mails::new((0..50).map(mail)));
            while let Some((_, result)) = all.next().await {
                assert_eq!(status(&result.unwrap()), Status::Accepted);
                accepted.set(accepted.get() + 1);
            }
        });
        tasks.settle();
        assert!(tasks.have_ended());
        assert_eq!(accepted.get(), 50);
        assert!((0..50).all(|number| world.stored()[&number] == 1));
    }
}

#[test]
fn a_batch_is_sent_whole_after_the_last_mailer_was_dropped() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    let mut all = mailer.send_all(Mails::new((0..600).map(mail)));
    drop(mailer);
    tasks.spawn(async move {
        while let Some((_, result)) = all.next().await {
            assert_eq!(status(&result.unwrap()), Status::Accepted);
        }
    });
    tasks.settle();
    assert!(tasks.have_ended());
    assert_eq!(world.stored().len(), 600);
    assert_eq!((world.open(), world.quits()), (0, world.connects()));
}

#[test]
fn batches_and_senders_share_the_connections() {
    for with_driver in [false, true] {
        let world = World::new(Config::new());
        let mailer = world.mailer(PoolConfig::new().with_max_messages(7));
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        for part in 0..2 {
            let mailer = &mailer;
            tasks.spawn(async move {
                let mut all = mailer.send_all(Mails::new((0..50).map(|n| mail(part * 50 + n))));
                while let Some((_, result)) = all.next().await {
                    assert_eq!(status(&result.unwrap()), Status::Accepted);
                }
            });
        }
        for number in 100..150 {
            let mailer = &mailer;
            tasks.spawn(async move {
                let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
                assert_eq!(status(&outcome), Status::Accepted);
            });
        }
        tasks.settle();
        assert!(world.stored().into_values().eq([1; 150]));
        assert_eq!(world.most_open(), 3);
        assert!(world.log().sessions().iter().all(|each| each.mails() <= 7));
        assert_quiet(mailer.stats());
    }
}

#[test]
fn a_batch_dropped_half_way_leaves_the_mailer_as_it_was() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    for polls in 0..100 {
        let mut tasks = Tasks::new(&world);
        let batch = tasks.spawn(async {
            let mut all = mailer.send_all(Mails::new((0..20).map(mail)));
            while all.next().await.is_some() {}
        });
        for _ in 0..polls {
            tasks.turn();
        }
        tasks.kill(batch);
        let sending = tasks.spawn(async {
            let outcome = mailer.send(mail(1000), MAX_WAIT).await.unwrap();
            assert_eq!(status(&outcome), Status::Accepted);
        });
        tasks.run_task(sending);
        assert_quiet(mailer.stats());
        assert_eq!(world.open(), mailer.stats().open);
    }
}
