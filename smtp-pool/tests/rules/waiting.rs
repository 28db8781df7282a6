//! Who waits, in which order, for how long, and how a failed attempt to connect ends it.

use smtp_pool::{PoolError, Report, Request};

use super::{Script, at_most, seconds};
use crate::history::dialogue::{greeted_with, refused};

#[test]
fn messages_are_served_in_the_order_of_their_requests() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    script.connected(1);
    assert_eq!(script.ends(1, "a", Report::accepted()), "use 1 for b");
    assert_eq!(script.ends(1, "b", Report::accepted()), "use 1 for c");
}

#[test]
fn a_request_fails_at_its_own_deadline_with_the_reason() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    let in_seconds =
        |script: &Script, count| Request::new().with_deadline(script.now + seconds(count));
    let (late, soon) = (in_seconds(&script, 20), in_seconds(&script, 5));
    script.asks_for("late", late);
    script.asks_for("soon", soon);
    let reason = "no connection in time: the only connection is in use";
    assert_eq!(script.waits(), (5.0, format!("fail soon: {reason}")));
    assert_eq!(script.waits(), (15.0, format!("fail late: {reason}")));
    assert_eq!(script.pool.poll_timeout(), None);
}

#[test]
fn a_request_past_its_deadline_is_not_taken() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    let deadline = script.now + seconds(1);
    script.asks_for("b", Request::new().with_deadline(deadline));
    script.now = deadline;
    assert_eq!(script.takes(1), None);
}

#[test]
fn no_more_requests_wait_than_configured() {
    let mut script = Script::new(at_most(1).with_max_waiting(2));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    let error = script.pool.request(script.now, Request::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 messages wait for a connection already"
    );
    script.cancels("b");
    assert_eq!(script.asks("d"), "");
    assert_eq!(script.pool.stats().unserved, 1);
}

#[test]
fn a_limit_of_no_requests_is_one() {
    let mut script = Script::new(at_most(1).with_max_waiting(0));
    assert_eq!(script.asks("a"), "connect 1 for a");
    script.asks("b");
    let error = script.pool.request(script.now, Request::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 message waits for a connection already"
    );
}

#[test]
fn a_caller_that_gives_up_leaves_no_trace() {
    let mut script = Script::new(at_most(1));
    let empty = script.pool.stats();
    let deadline = script.now + seconds(9);
    assert_eq!(script.asks("a"), "connect 1 for a");
    script.asks_for("b", Request::new().with_deadline(deadline));
    // While it waits.
    assert_eq!(script.cancels("b"), "");
    assert_eq!(script.pool.poll_timeout(), None);
    // While its connection is being opened.
    assert_eq!(script.cancels("a"), "");
    assert_eq!(script.pool.stats(), empty);
    let id = script.id(1);
    assert_eq!(script.pool.handle_connected(script.now, id, None), None);
    // While it is being sent.
    assert_eq!(script.asks("c"), "connect 2 for c");
    script.connected(2);
    script.asks("d");
    assert_eq!(script.cancels("c"), "connect 3 for d");
    assert_eq!(script.cancels("d"), "");
    let left = script.pool.stats();
    assert_eq!((left.open, left.connecting, left.waiting), (0, 0, 0));
}

#[test]
fn a_caller_that_gives_up_is_not_told_of_a_failure() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    script.asks("b");
    let (now, id, b) = (script.now, script.id(1), script.ticket("b"));
    script.pool.handle_connect_failed(now, id, refused());
    script.pool.cancel(now, b);
    assert_eq!(script.acts(), "fail a: connecting: the transport failed");
}

#[test]
fn a_message_beside_others_on_its_connection_is_not_cancelled() {
    let mut script = Script::with_idle(at_most(1));
    script.asks("a");
    script.asks("b");
    assert_eq!(script.takes(1), Some("b"));
    assert_eq!(script.cancels("b"), "");
    assert_eq!(script.ends(1, "a", Report::accepted()), "");
    assert_eq!(script.ends(1, "b", Report::accepted()), "");
    assert_eq!(script.pool.stats().sent, 3);
}

#[test]
fn a_failed_attempt_to_connect_fails_all_that_wait() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    let failed = script.refused(1, greeted_with("554 5.3.2 no\r\n"));
    let error = "at the greeting: rejected; the server said: 554 5.3.2 no";
    assert_eq!(
        failed,
        format!("fail a: {error}, fail b: {error}, fail c: {error}")
    );
}

#[test]
fn a_failed_attempt_fails_nobody_while_another_connection_is_open() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.asks("b");
    script.connected(1);
    assert_eq!(script.refused(2, greeted_with("554 5.3.2 no\r\n")), "");
    assert!(
        script
            .why()
            .starts_with("the last attempt to connect failed"),
        "{}",
        script.why()
    );
    assert_eq!(script.ends(1, "a", Report::accepted()), "use 1 for b");
}

#[test]
fn a_failed_attempt_fails_nobody_while_another_one_goes_on() {
    let mut script = Script::new(at_most(3));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    script.asks("d");
    let too_many = "421 4.7.0 too many connections\r\n";
    assert_eq!(script.refused(2, greeted_with(too_many)), "");
    assert_eq!(script.refused(3, greeted_with(too_many)), "");
    script.connected(1);
    assert_eq!(script.ends(1, "a", Report::accepted()), "use 1 for b");
}

#[test]
fn the_last_of_several_attempts_fails_all_that_wait() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    assert_eq!(script.refused(2, refused()), "");
    let error = "connecting: the transport failed";
    assert_eq!(
        script.refused(1, refused()),
        format!("fail a: {error}, fail b: {error}, fail c: {error}")
    );
}

#[test]
fn a_fresh_request_fails_with_its_own_attempt() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.connected(1);
    script.asks_for("test", Request::new().fresh());
    let failed = script.refused(2, refused());
    assert_eq!(failed, "fail test: connecting: the transport failed");
}

#[test]
fn the_next_attempt_follows_after_a_pause_that_doubles() {
    let mut script = Script::new(at_most(1));
    assert_eq!(script.asks("a"), "connect 1 for a");
    script.refused(1, refused());
    for (number, longest) in [
        (2, 1.0),
        (3, 2.0),
        (4, 4.0),
        (5, 8.0),
        (6, 16.0),
        (7, 32.0),
        (8, 60.0),
        (9, 60.0),
    ] {
        script.messages.clear();
        assert_eq!(script.asks("a"), "");
        let (pause, actions) = script.waits();
        assert_eq!(actions, format!("connect {number} for a"));
        assert!((longest / 2.0..=longest).contains(&pause), "{pause}");
        script.refused(number, refused());
    }
    script.messages.clear();
    script.asks("a");
    script.waits();
    script.connected(10);
    script.ends(10, "a", Report::in_doubt());
    script.messages.clear();
    assert_eq!(script.asks("a"), "connect 11 for a");
}

#[test]
fn attempts_that_fail_together_count_as_one() {
    let mut script = Script::new(at_most(3));
    script.asks("a");
    script.asks("b");
    script.asks("c");
    script.refused(1, refused());
    script.refused(2, refused());
    script.refused(3, refused());
    script.messages.clear();
    script.asks("d");
    let (pause, actions) = script.waits();
    assert_eq!(actions, "connect 4 for d");
    assert!(pause <= 1.0, "{pause}");
}

#[test]
fn a_message_that_waits_for_rates_and_a_connection_causes_no_busy_loop() {
    let rate = smtp_pool::Rate::new(10, seconds(10));
    let mut script = Script::new(at_most(1).with_message_rate(rate));
    for name in ["a", "b"] {
        script.asks(name);
    }
    script.later(seconds(100));
    assert_eq!(script.pool.poll_timeout(), None);
}

#[test]
fn errors_say_whether_to_try_later() {
    let later = |error: &PoolError| error.is_transient();
    assert!(!later(&PoolError::Closed));
    assert!(later(&PoolError::Connect(refused())));
    assert!(!later(&PoolError::Connect(greeted_with("554 no\r\n"))));
}
