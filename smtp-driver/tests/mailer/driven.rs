//! What a mailer promises with a driver.

use std::cell::Cell;
use std::time::Duration;

use smtp_driver::smtp_pool::{PoolConfig, PoolError};
use smtp_test::Config;

use crate::world::{MAX_WAIT, Status, Tasks, World, assert_quiet, mail, status};

#[test]
fn a_driver_sends_what_was_submitted_after_the_last_mailer_was_dropped() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    let driver = tasks.spawn(mailer.driver().unwrap());
    for number in 0..10 {
        mailer.submit(mail(number), MAX_WAIT).unwrap();
    }
    drop(mailer);
    tasks.settle();
    assert!(tasks.has_ended(driver));
    assert!(world.stored().into_values().eq([1; 10]));
    assert_eq!((world.open(), world.quits()), (0, world.connects()));
}

#[test]
fn the_outcome_of_a_submitted_message_is_told_once() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let error = mailer.submit(mail(0), MAX_WAIT).unwrap_err();
    assert!(matches!(error.kind(), PoolError::NoDriver), "{error}");
    let mut tasks = Tasks::new(&world);
    tasks.spawn(mailer.driver().unwrap());
    assert!(mailer.driver().is_none());
    let task = tasks.spawn(async {
        let ticket = mailer.submit(error.into_mail(), MAX_WAIT).unwrap();
        let outcome = mailer.outcome(ticket).await.unwrap().unwrap();
        assert_eq!(status(&outcome), Status::Accepted);
        assert!(mailer.outcome(ticket).await.is_none());
    });
    tasks.run_task(task);
}

#[test]
fn a_driver_that_is_dropped_tells_every_sender_and_another_may_follow() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    for turns in 0..200 {
        let heard = Cell::new(0);
        let stored = world.stored();
        let mut tasks = Tasks::new(&world);
        let driver = tasks.spawn(mailer.driver().unwrap());
        for number in 0..6 {
            let (mailer, heard, world, stored) = (&mailer, &heard, &world, &stored);
            tasks.spawn(async move {
                let number = turns * 6 + number;
                match mailer.send(mail(number), MAX_WAIT).await {
                    Ok(outcome) => {
                        let copies = world.stored().get(&number).copied().unwrap_or(0);
                        match status(&outcome) {
                            Status::Accepted => assert_eq!(copies, 1),
                            Status::InDoubt => assert!(copies <= 1),
                            other => assert_eq!(copies, 0, "{other:?}"),
                        }
                    }
                    Err(error) => {
                        assert!(matches!(error.kind(), PoolError::NoDriver), "{error}");
                        assert!(!world.stored().contains_key(&number));
                    }
                }
                assert!(stored.len() <= world.stored().len());
                heard.set(heard.get() + 1);
            });
        }
        for _ in 0..turns {
            tasks.turn();
        }
        tasks.kill(driver);
        tasks.settle();
        assert_eq!(heard.get(), 6, "after {turns} turns");
        assert_quiet(mailer.stats());
        assert_eq!(world.open(), mailer.stats().open);
    }
}

#[test]
fn a_driver_closes_idle_connections_in_time_and_rests_otherwise() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    tasks.spawn(mailer.driver().unwrap());
    let sending = tasks.spawn(async {
        let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
        assert_eq!(status(&outcome), Status::Accepted);
    });
    tasks.run_task(sending);
    tasks.settle();
    let polls = tasks.polls;
    tasks.run_for(Duration::from_secs(29));
    assert_eq!(tasks.polls, polls, "nothing is done");
    assert_eq!(world.open(), 1);
    tasks.run_for(Duration::from_secs(1));
    assert_eq!((world.open(), world.quits()), (0, 1));
    let polls = tasks.polls;
    tasks.run_for(Duration::from_secs(1000));
    assert_eq!(tasks.polls, polls, "nothing is done");
}

#[test]
fn a_driver_sends_ahead_of_the_replies() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
    let mut tasks = Tasks::new(&world);
    tasks.spawn(mailer.driver().unwrap());
    for number in 0..40 {
        mailer.submit(mail(number), MAX_WAIT).unwrap();
    }
    tasks.settle();
    assert_eq!(world.stored().len(), 40);
    let trips = world.log().session().round_trips();
    // Without: three for each message.
    assert!(trips < 2 * 40, "{trips}");
}
