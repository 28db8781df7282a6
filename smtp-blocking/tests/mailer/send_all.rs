//! Many messages of one thread.

use smtp_blocking::{Mailer, PoolConfig, PoolError};
use smtp_test::{Action, Config, Stage};

use super::{CloseOnDrop, LONG, endpoint, mailer, numbered, single, start, stored};

#[test]
fn outcomes_come_with_the_numbers_of_their_messages_over_as_many_connections_as_it_takes() {
    let server = start(Config::new().reject("m7@example.org", "550 5.7.1 not you"));
    let config = PoolConfig::new().with_max_messages(10);
    let mailer = Mailer::with_config(endpoint(&server), config);
    let results: Vec<_> = mailer.send_all((0..35).map(numbered)).collect();
    let numbers: Vec<_> = results.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..35).collect::<Vec<_>>());
    assert!(results.into_iter().all(|(_, result)| result.is_ok()));
    assert_eq!(mailer.stats().connected, 4);
    assert_eq!(mailer.stats().open, mailer.stats().idle);
    drop(mailer);
    server.wait_for_sessions(4, LONG);
    server.log().assert_clean();
}

#[test]
fn messages_behind_one_that_is_lost_are_sent_over_another_connection() {
    let config = Config::new().on(Stage::Mail.nth(10).connection(1), Action::close());
    let server = start(config);
    let mailer = mailer(&server);
    let mut numbers: Vec<_> = mailer
        .send_all((0..30).map(numbered))
        .map(|(number, result)| {
            assert!(result.unwrap().is_accepted(), "{number}");
            number
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    assert_eq!(stored(&server.log()).len(), 30);
}

#[test]
fn dropped_in_the_middle_it_gives_its_connection_up() {
    let server = start(Config::new());
    let mailer = single(&server);
    let mut all = mailer.send_all((0..30).map(numbered));
    for _ in 0..5 {
        assert!(all.next().unwrap().1.unwrap().is_accepted());
    }
    drop(all);
    assert_eq!(mailer.stats().open, 0);
    assert!(mailer.send(numbered(30)).unwrap().is_accepted());
    stored(&server.log());
}

#[test]
fn a_message_of_another_thread_gets_its_turn_between() {
    let server = start(Config::new());
    let mailer = single(&server);
    let mut all = mailer.send_all((0..20).map(numbered));
    // The first message is alone on its connection.
    assert!(all.next().is_some() && all.next().is_some());
    std::thread::scope(|scope| {
        let _close = CloseOnDrop(&mailer);
        let other = scope.spawn(|| mailer.send(numbered(20)));
        super::until(|| mailer.stats().waiting == 1);
        // No more is taken for this connection, so it is free after those on it.
        assert!(all.by_ref().take(18).all(|(_, result)| result.is_ok()));
        assert!(other.join().unwrap().unwrap().is_accepted());
    });
    assert!(all.next().is_none());
    assert_eq!(stored(&server.log()).len(), 21);
    assert_eq!(mailer.stats().connected, 1);
}

#[test]
fn a_streamed_message_between_others_is_returned() {
    let server = start(Config::new());
    let mailer = mailer(&server);
    let mails = [
        numbered(0),
        numbered(1),
        adapter_tests::common::streamed(),
        numbered(3),
    ];
    let results: Vec<_> = mailer.send_all(mails).collect();
    let error = results[2].1.as_ref().unwrap_err();
    assert_eq!(*error.kind(), PoolError::Streamed);
    assert_eq!(stored(&server.log()).len(), 3);
    assert_eq!(mailer.stats().connected, 1);
}
