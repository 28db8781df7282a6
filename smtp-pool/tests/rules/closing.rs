//! Closing the pool.

use smtp_pool::{PoolConfig, Report, Request};

use super::{Script, at_most, seconds};
use crate::history::dialogue::refused;

fn close_in_ten_seconds(script: &mut Script) -> String {
    script.pool.close(script.now, script.now + seconds(10));
    script.acts()
}

#[test]
fn a_closed_pool_takes_nothing_new() {
    let mut script = Script::new(PoolConfig::new());
    assert_eq!(close_in_ten_seconds(&mut script), "");
    let error = script.pool.request(script.now, Request::new()).unwrap_err();
    assert_eq!(error.to_string(), "the mailer is closed");
    assert!(script.pool.is_closed());
    assert_eq!(script.pool.poll_timeout(), None);
}

#[test]
fn idle_connections_end_side_by_side() {
    let mut script = Script::new(PoolConfig::new());
    for name in ["a", "b", "c"] {
        script.asks(name);
    }
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        script.connected(number);
        script.ends(number, name, Report::accepted());
    }
    assert_eq!(close_in_ten_seconds(&mut script), "quit 1, quit 2, quit 3");
    script.closed(1);
    script.closed(2);
    assert!(!script.pool.is_closed());
    script.closed(3);
    assert!(script.pool.is_closed());
}

#[test]
fn what_waits_is_still_sent() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    script.asks("b");
    assert_eq!(close_in_ten_seconds(&mut script), "");
    script.connected(1);
    assert_eq!(script.ends(1, "a", Report::accepted()), "use 1 for b");
    assert_eq!(script.is_again(1, "b", Report::lost()), "connect 2 for b");
    script.connected(2);
    assert_eq!(script.ends(2, "b", Report::accepted()), "quit 2");
    script.closed(2);
    assert!(script.pool.is_closed());
}

#[test]
fn past_the_deadline_everything_is_dropped_and_has_an_outcome() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    script.connected(1);
    close_in_ten_seconds(&mut script);
    let (pause, actions) = script.waits();
    assert_eq!(pause, 10.0);
    assert_eq!(actions, "drop 1, drop 2, fail c: the mailer is closed");
    assert_eq!(script.closed(2), "fail b: the mailer is closed");
    assert_eq!(script.ends(1, "a", Report::in_doubt()), "");
    assert!(script.pool.is_closed());
}

#[test]
fn a_connection_that_does_not_answer_quit_is_dropped_at_the_deadline() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(close_in_ten_seconds(&mut script), "quit 1");
    assert_eq!(script.waits(), (10.0, "drop 1".to_owned()));
    assert_eq!(script.pool.poll_timeout(), None);
    script.closed(1);
    assert!(script.pool.is_closed());
}

#[test]
fn past_the_deadline_a_message_that_would_be_sent_again_fails() {
    for report in [Report::lost(), Report::untouched()] {
        let mut script = Script::with_idle(at_most(1));
        assert_eq!(script.asks("a"), "use 1 for a");
        close_in_ten_seconds(&mut script);
        assert_eq!(script.later(seconds(10)), "drop 1");
        let actions = script.is_again(1, "a", report);
        assert_eq!(actions, "fail a: the mailer is closed");
        assert!(script.pool.is_closed());
    }
}

#[test]
fn past_the_deadline_a_failed_attempt_is_the_last() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.asks("b");
    script.connected(1);
    close_in_ten_seconds(&mut script);
    script.now = script.now + seconds(10);
    // The driver has not yet heard of the second connection.
    assert!(script.pool.poll_action(script.now).is_some());
    let actions = script.refused(2, refused());
    assert_eq!(actions, "fail b: connecting: the transport failed");
    script.ends(1, "a", Report::in_doubt());
    assert!(script.pool.is_closed());
}

#[test]
fn a_connection_that_opens_past_the_deadline_is_dropped() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    close_in_ten_seconds(&mut script);
    assert_eq!(script.later(seconds(11)), "drop 1");
    let id = script.id(1);
    assert_eq!(script.pool.handle_connected(script.now, id, None), None);
    assert_eq!(script.closed(1), "fail a: the mailer is closed");
    assert!(script.pool.is_closed());
}

#[test]
fn an_earlier_deadline_replaces_a_later_one() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    close_in_ten_seconds(&mut script);
    script.pool.close(script.now, script.now + seconds(99));
    script.pool.close(script.now, script.now + seconds(3));
    assert_eq!(script.waits(), (3.0, "drop 1".to_owned()));
    script.pool.close(script.now, script.now + seconds(99));
    assert_eq!(script.closed(1), "fail a: the mailer is closed");
}
