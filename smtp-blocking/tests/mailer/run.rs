//! Threads that send the messages of all others.

use std::thread;

use smtp_blocking::{Mail, Mailer, PoolConfig, PoolError};
use smtp_test::{Action, Config, Stage};

use super::{CloseOnDrop, LONG, mailer, numbered, start, stored, until};

#[test]
fn ten_thousand_messages_are_stored_once_each() {
    for threads in [1, 2] {
        let server = start(Config::new().discard_bodies().discard_transcripts());
        let mailer = mailer(&server);
        thread::scope(|scope| {
            let _close = CloseOnDrop(&mailer);
            for _ in 0..threads {
                scope.spawn(|| mailer.run());
            }
            let senders: Vec<_> = (0..4)
                .map(|sender| {
                    let mailer = &mailer;
                    scope.spawn(move || {
                        let numbers = (0..2_500).map(|number| sender * 2_500 + number);
                        for (_, result) in mailer.send_all(numbers.map(numbered)) {
                            assert!(result.unwrap().is_accepted());
                        }
                    })
                })
                .collect();
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            assert!(mailer.close(LONG));
        });
        assert_eq!(stored(&server.log()).len(), 10_000);
        assert_eq!(mailer.stats().sent, 10_000);
        server.log().assert_clean();
    }
}

#[test]
fn messages_that_wait_go_out_ahead_of_the_replies() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        scope.spawn(|| mailer.run());
        until(|| mailer.submit(numbered(0)).is_ok());
        let tickets: Vec<_> = (1..50)
            .map(|number| mailer.submit(numbered(number)).unwrap())
            .collect();
        for ticket in tickets {
            assert!(mailer.outcome(ticket).unwrap().unwrap().is_accepted());
        }
        assert!(mailer.close(LONG));
    });
    let sessions = server.wait_for_sessions(1, LONG);
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].mails(), 50);
    // Fewer than two for each message, although the first is alone.
    assert!(
        sessions[0].round_trips() < 80,
        "{}",
        sessions[0].round_trips()
    );
    server.log().assert_clean();
}

#[test]
fn a_message_of_a_batch_that_is_lost_is_sent_again_once() {
    let config = Config::new().on(Stage::Mail.nth(10).connection(1), Action::close());
    let server = start(config);
    let mailer = mailer(&server);
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        scope.spawn(|| mailer.run());
        let mails = (0..30).map(numbered).inspect(|_| ());
        until(|| mailer.submit(numbered(30)).is_ok());
        for (number, result) in mailer.send_all(mails) {
            assert!(result.unwrap().is_accepted(), "{number}");
        }
        assert!(mailer.close(LONG));
    });
    assert_eq!(stored(&server.log()).len(), 31);
    assert!(mailer.stats().retried > 0 && mailer.stats().failed == 0);
}

#[test]
fn without_a_thread_that_runs_the_mailer_nothing_is_handed_over() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    let error = mailer.submit(numbered(0)).unwrap_err();
    assert_eq!(*error.kind(), PoolError::NoDriver);
    let _: Mail = error.into_mail();
    // A closed mailer is run for nothing.
    assert!(mailer.close(LONG));
    mailer.run();
}

#[test]
fn a_check_gets_a_connection_beside_a_thread_that_is_busy() {
    let server = start(Config::new());
    let mailer = Mailer::with_config(super::endpoint(&server), PoolConfig::new());
    thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        scope.spawn(|| mailer.run());
        until(|| mailer.submit(numbered(0)).is_ok());
        for number in 1..20 {
            mailer.submit(numbered(number)).unwrap();
        }
        mailer.check().unwrap();
        assert!(mailer.close(LONG));
    });
    assert_eq!(stored(&server.log()).len(), 20);
}
