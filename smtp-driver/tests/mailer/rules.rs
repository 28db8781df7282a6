//! What a mailer promises, case by case.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_lite::StreamExt;
use smtp_driver::Mails;
use smtp_driver::smtp_pool::{PoolConfig, PoolError};
use smtp_proto::Mail;
use smtp_test::{Action, Config, Stage};

use crate::world::{Fault, LIMIT, MAX_WAIT, Status, Tasks, World, assert_quiet, mail, status};

#[test]
fn many_senders_share_three_connections_and_each_message_is_stored_once() {
    for with_driver in [false, true] {
        let world = World::new(Config::new());
        let mailer = world.mailer(PoolConfig::new());
        let accepted = Cell::new(0);
        let mut tasks = Tasks::new(&world);
        let driver = with_driver.then(|| tasks.spawn(mailer.driver().unwrap()));
        for number in 0..100 {
            let (mailer, accepted) = (&mailer, &accepted);
            tasks.spawn(async move {
                let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
                assert_eq!(status(&outcome), Status::Accepted);
                accepted.set(accepted.get() + 1);
            });
        }
        tasks.settle();
        assert_eq!(accepted.get(), 100);
        assert_eq!(world.most_open(), 3);
        assert_eq!(world.connects(), 3);
        assert!(world.stored().into_values().eq([1; 100]));
        assert_quiet(mailer.stats());
        let closing = tasks.spawn(async { assert!(mailer.close(LIMIT).await) });
        tasks.run_task(closing);
        tasks.settle();
        assert_eq!((world.open(), world.quits()), (0, 3));
        assert!(driver.is_none_or(|driver| tasks.has_ended(driver)));
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up_at_the_time_limit() {
    for with_driver in [false, true] {
        let world = World::new(Config::new().on(Stage::EndOfData, Action::silent()));
        let mailer = world.mailer(PoolConfig::new());
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        let sending = tasks.spawn(async {
            let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
            assert_eq!(status(&outcome), Status::InDoubt);
        });
        tasks.run_task(sending);
        assert_quiet(mailer.stats());
    }
}

#[test]
fn a_check_is_no_message() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new().with_max_messages(1));
    let mut tasks = Tasks::new(&world);
    let checking = tasks.spawn(async {
        mailer.check(MAX_WAIT).await.unwrap();
        let stats = mailer.stats();
        assert_eq!((stats.failed, stats.sent, stats.idle), (0, 0, 1));
        let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
        assert_eq!(status(&outcome), Status::Accepted);
    });
    tasks.run_task(checking);
    assert_eq!(world.connects(), 1, "the connection is kept for a message");
}

#[test]
fn a_connection_that_was_only_checked_may_be_closed_meanwhile() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    let checking = tasks.spawn(async { _ = mailer.check(MAX_WAIT).await.unwrap() });
    tasks.run_task(checking);
    world.faults(|moment| (moment.connection == 1).then_some(Fault::Eof));
    let sending = tasks.spawn(async {
        let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
        assert_eq!(status(&outcome), Status::Accepted);
    });
    tasks.run_task(sending);
    assert_eq!(world.connects(), 2);
    assert_eq!(world.stored()[&0], 1);
}

#[test]
fn a_message_whose_sender_leaves_while_a_connection_is_opened_is_not_sent() {
    for refuse in [false, true] {
        let world = World::new(Config::new());
        if refuse {
            world.refuse([1]);
        }
        let mailer = world.mailer(PoolConfig::new());
        let mut tasks = Tasks::new(&world);
        tasks.spawn(mailer.driver().unwrap());
        let sending = tasks.spawn(async { _ = mailer.send(mail(0), MAX_WAIT).await });
        while world.connects() == 0 {
            tasks.turn();
        }
        tasks.kill(sending);
        tasks.settle();
        assert!(world.stored().is_empty(), "it was withdrawn");
        assert_quiet(mailer.stats());
        assert_eq!(mailer.explain(), None);
        assert_eq!(mailer.stats().idle, usize::from(!refuse));
        let sending = tasks.spawn(async {
            let outcome = mailer.send(mail(1), MAX_WAIT).await.unwrap();
            assert_eq!(status(&outcome), Status::Accepted);
        });
        tasks.run_task(sending);
        assert_eq!(world.connects(), 1 + usize::from(refuse));
    }
}

#[test]
fn an_idle_connection_that_the_server_closed_costs_no_message() {
    let came = [
        Fault::Eof,
        Fault::Reset,
        Fault::Says("421 4.4.2 idle for too long\r\n"),
        Fault::Says("250 surplus\r\n"),
    ];
    for with_driver in [false, true] {
        for fault in came {
            let world = World::new(Config::new());
            let mailer = world.mailer(PoolConfig::new());
            let mut tasks = Tasks::new(&world);
            if with_driver {
                tasks.spawn(mailer.driver().unwrap());
            }
            for number in 0..3 {
                let mailer = &mailer;
                tasks.spawn(async move {
                    let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
                    assert_eq!(status(&outcome), Status::Accepted);
                });
            }
            tasks.settle();
            let idle = mailer.stats().idle;
            // A driver needs fewer connections.
            assert!(idle == 3 || with_driver, "{idle}");
            let before = world.connects();
            world.faults(move |moment| (moment.connection <= before).then_some(fault));
            let sending = tasks.spawn(async {
                let outcome = mailer.send(mail(3), MAX_WAIT).await.unwrap();
                assert_eq!(status(&outcome), Status::Accepted);
            });
            tasks.run_task(sending);
            assert_eq!(world.connects(), before + 1);
            let stats = mailer.stats();
            assert_eq!((stats.retried, stats.idle, stats.sent), (0, 1, 4));
            assert!(world.stored().into_values().eq([1; 4]));
            for commands in world.commands().iter().take(before) {
                let mails = commands.iter().filter(|line| line.starts_with("MAIL"));
                assert_eq!(mails.count(), 3 / before, "the message was not begun");
            }
        }
    }
}

#[test]
fn a_message_that_a_used_connection_loses_is_sent_again_once() {
    let stages = [Stage::Mail, Stage::Rcpt(1), Stage::Data];
    for with_driver in [false, true] {
        for stage in stages {
            for lost in [1, 2] {
                let config = Config::new().on(stage.nth(2), Action::close());
                let world = World::new(config);
                let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
                let mut tasks = Tasks::new(&world);
                if with_driver {
                    tasks.spawn(mailer.driver().unwrap());
                }
                let sending = tasks.spawn(async {
                    let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
                    assert_eq!(status(&outcome), Status::Accepted);
                    if lost == 2 {
                        // A new connection is not tried again.
                        world.set_server(Config::new().on(stage, Action::close()));
                    }
                    let outcome = mailer.send(mail(1), MAX_WAIT).await.unwrap();
                    let expected = [Status::Accepted, Status::NotSent][lost - 1];
                    assert_eq!(status(&outcome), expected, "{stage:?}");
                });
                tasks.run_task(sending);
                assert_eq!(world.connects(), 2);
                assert_eq!(mailer.stats().retried, 1);
                assert_eq!(world.stored().len(), 3 - lost);
                assert_quiet(mailer.stats());
            }
        }
    }
}

#[test]
fn a_message_in_doubt_is_never_sent_again() {
    for with_driver in [false, true] {
        for action in [
            Action::close(),
            Action::reset(),
            Action::raw("25").then_close(),
        ] {
            let world = World::new(Config::new().on(Stage::EndOfData.nth(2), action));
            let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
            let mut tasks = Tasks::new(&world);
            if with_driver {
                tasks.spawn(mailer.driver().unwrap());
            }
            let sending = tasks.spawn(async {
                for expected in [Status::Accepted, Status::InDoubt] {
                    let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
                    assert_eq!(status(&outcome), expected);
                }
            });
            tasks.run_task(sending);
            assert_eq!((world.connects(), mailer.stats().in_doubt), (1, 1));
            assert_quiet(mailer.stats());
        }
    }
}

#[test]
fn a_server_that_cannot_be_reached_fails_all_at_once_and_is_tried_after_a_pause() {
    for with_driver in [false, true] {
        let world = World::new(Config::new());
        world.refuse(1..=3);
        let mailer = world.mailer(PoolConfig::new());
        let failed = Cell::new(0);
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        for number in 0..10 {
            let (mailer, failed) = (&mailer, &failed);
            tasks.spawn(async move {
                let error = mailer.send(mail(number), MAX_WAIT).await.unwrap_err();
                assert!(matches!(error.kind(), PoolError::Connect(_)), "{error:?}");
                failed.set(failed.get() + 1);
            });
        }
        tasks.settle();
        assert_eq!(failed.get(), 10, "at once");
        assert_quiet(mailer.stats());
        let attempts = world.connects();
        assert!(attempts <= 3);
        let sending = tasks.spawn(async {
            let outcome = mailer.send(mail(10), MAX_WAIT).await.unwrap();
            assert_eq!(status(&outcome), Status::Accepted);
        });
        tasks.settle();
        assert_eq!(world.connects(), attempts, "the pause is not over");
        let limit = mailer.explain().unwrap().to_string();
        assert!(
            limit.starts_with("the last attempt to connect failed"),
            "{limit}"
        );
        tasks.run_task(sending);
        let waited = world.lock().now;
        assert!(waited <= Duration::from_secs(1), "{waited:?}");
    }
}

#[test]
fn a_message_waits_no_longer_than_it_may_and_a_full_queue_takes_none() {
    for with_driver in [false, true] {
        let world = World::new(Config::new().on(Stage::EndOfData, Action::silent()));
        let config = PoolConfig::new()
            .with_max_connections(1)
            .with_max_waiting(2);
        let mailer = world.mailer(config);
        let heard = RefCell::new(Vec::new());
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        for number in 0..4 {
            let (mailer, heard, world) = (&mailer, &heard, &world);
            let wait = Duration::from_secs(if number == 1 { 3 } else { 2 });
            tasks.spawn(async move {
                let result = mailer.send(mail(number), wait).await;
                let text = match result {
                    Ok(outcome) => format!("{:?}", status(&outcome)),
                    Err(error) => error.to_string(),
                };
                heard
                    .borrow_mut()
                    .push((number, world.lock().now.as_secs(), text));
            });
            tasks.settle();
        }
        tasks.run_for(LIMIT);
        let texts = [
            (3, 0, "2 messages wait for a connection already".to_owned()),
            (
                2,
                2,
                "no connection in time: the only connection is in use".to_owned(),
            ),
            (
                1,
                3,
                "no connection in time: the only connection is in use".to_owned(),
            ),
            (0, LIMIT.as_secs(), "InDoubt".to_owned()),
        ];
        assert_eq!(*heard.borrow(), texts);
        assert_quiet(mailer.stats());
    }
}

#[test]
fn a_closed_mailer_takes_nothing() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let other = mailer.clone();
    let mut tasks = Tasks::new(&world);
    let task = tasks.spawn(async {
        assert!(other.close(LIMIT).await);
        let error = mailer.send(mail(0), MAX_WAIT).await.unwrap_err();
        assert!(matches!(error.kind(), PoolError::Closed), "{error}");
        let error = mailer.check(MAX_WAIT).await.unwrap_err();
        assert!(matches!(error, PoolError::Closed), "{error}");
        let mut all = mailer.send_all(Mails::new((0..3).map(mail)));
        let mut count = 0;
        while let Some((number, result)) = all.next().await {
            assert_eq!(number, count);
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), PoolError::Closed), "{error}");
            count += 1;
        }
        assert_eq!(count, 3);
        assert!(other.close(LIMIT).await, "again");
    });
    tasks.run_task(task);
    assert_eq!(world.connects(), 0);
}

#[test]
fn what_is_left_at_the_end_of_closing_is_dropped_and_every_sender_hears() {
    for with_driver in [false, true] {
        for stage in [Stage::Greeting, Stage::Data, Stage::EndOfData] {
            let world = World::new(Config::new().on(stage, Action::silent()));
            let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
            let heard = RefCell::new(Vec::new());
            let time = Duration::from_secs(5);
            let mut tasks = Tasks::new(&world);
            if with_driver {
                tasks.spawn(mailer.driver().unwrap());
            }
            for number in 0..3 {
                let (mailer, heard) = (&mailer, &heard);
                tasks.spawn(async move {
                    let text = match mailer.send(mail(number), MAX_WAIT).await {
                        Ok(outcome) => format!("{:?}", status(&outcome)),
                        Err(error) => error.to_string(),
                    };
                    heard.borrow_mut().push((number, text));
                });
            }
            tasks.settle();
            let closing = tasks.spawn(async {
                assert!(!mailer.close(time).await, "{stage:?}, driver {with_driver}");
            });
            tasks.run_task(closing);
            assert_eq!(world.lock().now, time);
            tasks.settle();
            let first = match stage {
                Stage::Greeting => "the mailer is closed",
                Stage::Data => "NotSent",
                _ => "InDoubt",
            };
            let mut heard = heard.take();
            heard.sort();
            let expected = [first, "the mailer is closed", "the mailer is closed"];
            let heard: Vec<_> = heard.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(heard, expected, "{stage:?}, driver {with_driver}");
            assert_eq!(world.open(), 0);
            assert!(tasks.have_ended());
        }
    }
}

#[test]
fn the_last_mailer_ends_idle_connections() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let other = mailer.clone();
    let mut tasks = Tasks::new(&world);
    let sending = tasks.spawn(async move {
        let outcome = mailer.send(mail(0), MAX_WAIT).await.unwrap();
        assert_eq!(status(&outcome), Status::Accepted);
    });
    tasks.run_task(sending);
    assert_eq!(world.open(), 1);
    drop(other);
    assert_eq!((world.open(), world.quits()), (0, 1));
}

#[test]
fn those_who_wait_are_not_polled() {
    for with_driver in [false, true] {
        let world = World::new(Config::new().on(Stage::EndOfData, Action::silent()));
        let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        for number in 0..50 {
            let mailer = &mailer;
            tasks.spawn(async move { _ = mailer.send(mail(number), MAX_WAIT).await });
        }
        tasks.settle();
        let polls = tasks.polls;
        tasks.run_for(LIMIT - Duration::from_secs(1));
        assert!(tasks.polls <= polls + 2, "{} polls", tasks.polls - polls);
    }
}

#[test]
fn a_server_that_limits_messages_gets_no_more_on_a_connection() {
    for with_driver in [false, true] {
        for limit in [1, 2] {
            let world = World::new(Config::new().with(format!("LIMITS MAILMAX={limit}")));
            let mailer = world.mailer(PoolConfig::new());
            let mut tasks = Tasks::new(&world);
            if with_driver {
                tasks.spawn(mailer.driver().unwrap());
            }
            for number in 0..10 {
                let mailer = &mailer;
                tasks.spawn(async move {
                    let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
                    assert_eq!(status(&outcome), Status::Accepted);
                });
            }
            tasks.settle();
            assert!(world.stored().into_values().eq([1; 10]));
            assert!(
                world
                    .log()
                    .sessions()
                    .iter()
                    .all(|each| each.mails() <= limit)
            );
            assert!(world.connects() <= 10 / limit + 1);
            assert!(world.most_open() <= 3);
            world.log().assert_clean();
        }
    }
}

#[test]
fn a_connection_is_used_again_after_a_rejection() {
    for with_driver in [false, true] {
        let world = World::new(Config::new().reject("bob1@example.net", "550 5.1.1 who?"));
        let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
        let mut tasks = Tasks::new(&world);
        if with_driver {
            tasks.spawn(mailer.driver().unwrap());
        }
        let sending = tasks.spawn(async {
            for number in 0..3 {
                let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
                let expected = [Status::Accepted, Status::Rejected, Status::Accepted][number];
                assert_eq!(status(&outcome), expected);
            }
        });
        tasks.run_task(sending);
        assert_eq!(world.connects(), 1);
        let stats = mailer.stats();
        assert_eq!((stats.sent, stats.failed, stats.idle), (2, 1, 1));
    }
}

#[test]
fn a_greeting_that_says_too_many_halves_the_connections() {
    let config = Config::new().on(
        Stage::Greeting.connection(3),
        Action::reply("421 4.7.0 too many connections").then_close(),
    );
    let world = World::new(config);
    let mailer = world.mailer(PoolConfig::new().with_max_connections(4));
    let mut tasks = Tasks::new(&world);
    let first = tasks.spawn(async { _ = mailer.send(mail(40), MAX_WAIT).await.unwrap() });
    tasks.run_task(first);
    for number in 0..40 {
        let mailer = &mailer;
        tasks.spawn(async move {
            let outcome = mailer.send(mail(number), MAX_WAIT).await.unwrap();
            assert_eq!(status(&outcome), Status::Accepted);
        });
    }
    tasks.run();
    assert!(tasks.have_ended());
    assert!(world.stored().into_values().eq([1; 41]));
    assert_eq!(mailer.stats().connect_failed, 1);
    assert!(
        mailer.stats().open <= 3,
        "half of four, and one more for twenty messages"
    );
}

#[test]
fn streamed_content_is_returned() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new());
    let mut tasks = Tasks::new(&world);
    let task = tasks.spawn(async {
        let streamed = || {
            Mail::builder()
                .sender("alice@example.org")
                .recipients(["bob@example.net"])
                .without_header_check()
                .streamed(smtp_proto::StreamedContent::new())
                .build()
                .unwrap()
        };
        let error = mailer.send(streamed(), MAX_WAIT).await.unwrap_err();
        assert!(matches!(error.kind(), PoolError::Streamed), "{error}");
        let mut all = mailer.send_all(Mails::new([streamed(), mail(0)]));
        let (number, result) = all.next().await.unwrap();
        assert_eq!(number, 0);
        assert!(matches!(result.unwrap_err().kind(), PoolError::Streamed));
        let (number, result) = all.next().await.unwrap();
        assert_eq!((number, status(&result.unwrap())), (1, Status::Accepted));
    });
    tasks.run_task(task);
}

/// Each connection counts its time from its own start.
#[test]
fn the_age_of_a_mailer_does_not_count_for_its_connections() {
    let world = World::new(Config::new());
    let mailer = world.mailer(PoolConfig::new().with_max_connections(1));
    world.lock().now += Duration::from_secs(3 * 60 * 60);
    let mut tasks = Tasks::new(&world);
    let task = tasks.spawn(async {
        // By a caller, by a crew, and by a caller again, over the same connection.
        for round in 0..4 {
            let outcome = match round % 2 {
                0 => mailer.send(mail(round), MAX_WAIT).await.unwrap(),
                _ => {
                    let mut all = mailer.send_all(Mails::new([mail(round)]));
                    all.next().await.unwrap().1.unwrap()
                }
            };
            assert_eq!(status(&outcome), Status::Accepted, "{outcome}");
        }
    });
    tasks.run_task(task);
    assert_eq!(world.connects(), 1);
}
