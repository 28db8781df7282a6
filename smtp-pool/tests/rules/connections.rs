//! How many connections there are, which one is used, and for how long.

use std::num::NonZeroU32;

use smtp_pool::{PoolConfig, Report, Request};

use super::{Script, at_most, millis, seconds};

#[test]
fn three_connections_are_opened_by_default_and_the_fourth_message_waits() {
    let mut script = Script::new(PoolConfig::new());
    assert_eq!(script.asks("a"), "connect 1 for a");
    assert_eq!(script.asks("b"), "connect 2 for b");
    assert_eq!(script.asks("c"), "connect 3 for c");
    assert_eq!(script.asks("d"), "");
    assert_eq!(script.why(), "all 3 connections are in use");
    assert_eq!(script.pool.poll_timeout(), None);
    script.connected(2);
    assert_eq!(script.ends(2, "b", Report::accepted()), "use 2 for d");
}

#[test]
fn a_connection_counts_until_it_is_reported_closed() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.later(seconds(30)), "quit 1");
    assert_eq!(script.asks("a"), "");
    assert_eq!(script.closed(1), "connect 2 for a");
}

#[test]
fn a_failed_connection_counts_until_its_last_message_has_an_outcome() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.asks("b"), "");
    assert_eq!(script.takes(1), Some("b"));
    assert_eq!(script.ends(1, "a", Report::in_doubt()), "");
    assert_eq!(script.asks("c"), "");
    assert_eq!(script.is_again(1, "b", Report::lost()), "connect 2 for b");
}

#[test]
fn the_connection_that_was_used_last_is_used_next() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.asks("b");
    script.connected(1);
    script.connected(2);
    script.ends(2, "b", Report::accepted());
    script.later(millis(10));
    script.ends(1, "a", Report::accepted());
    assert_eq!(script.asks("c"), "use 1 for c");
    assert_eq!(script.asks("d"), "use 2 for d");
}

#[test]
fn a_connection_is_idle_for_30_seconds_at_most() {
    let mut script = Script::with_idle(PoolConfig::new());
    assert_eq!(script.waits(), (30.0, "quit 1".to_owned()));
    assert_eq!(script.closed(1), "");
    assert_eq!(script.pool.poll_timeout(), None);
}

#[test]
fn no_message_begins_on_a_connection_that_is_300_seconds_old() {
    let mut script = Script::with_idle(PoolConfig::new());
    for (index, name) in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
        .iter()
        .enumerate()
    {
        assert_eq!(script.later(seconds(29)), "");
        assert_eq!(script.asks(name), format!("use 1 for {name} with caution"));
        assert_eq!(script.ends(1, name, Report::accepted()), "", "{index}");
    }
    assert_eq!(script.waits(), (10.0, "quit 1".to_owned()));
}

#[test]
fn a_message_may_outlast_the_age_of_its_connection() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.asks("b"), "");
    assert_eq!(script.later(seconds(400)), "");
    assert_eq!(script.takes(1), None);
    assert_eq!(script.ends(1, "a", Report::accepted()), "quit 1");
    assert_eq!(script.closed(1), "connect 2 for b");
}

#[test]
fn an_idle_connection_is_not_taken_past_its_time() {
    let mut script = Script::with_idle(at_most(1));
    script.now = script.now + seconds(30);
    let request = script.pool.request(script.now, Request::new());
    assert!(request.is_ok());
    let id = script.id(1);
    assert_eq!(script.pool.take(script.now, id), None);
}

#[test]
fn a_connection_carries_100_messages() {
    let mut script = Script::with_idle(PoolConfig::new());
    for _ in 1..99 {
        assert_eq!(script.asks("a"), "use 1 for a");
        assert_eq!(script.ends(1, "a", Report::accepted()), "");
        script.messages.pop();
    }
    assert_eq!(script.asks("last"), "use 1 for last");
    assert_eq!(script.ends(1, "last", Report::accepted()), "quit 1");
}

#[test]
fn a_connection_carries_no_more_messages_than_the_server_allows() {
    let mut script = Script::new(at_most(1));
    assert_eq!(script.asks("a"), "connect 1 for a");
    let id = script.id(1);
    let ticket = script
        .pool
        .handle_connected(script.now, id, NonZeroU32::new(2));
    assert!(ticket.is_some());
    script.asks("b");
    script.asks("c");
    assert_eq!(script.ends(1, "a", Report::rejected()), "use 1 for b");
    assert_eq!(script.takes(1), None);
    assert_eq!(script.ends(1, "b", Report::rejected()), "quit 1");
    assert_eq!(script.closed(1), "connect 2 for c");
}

#[test]
fn a_fresh_request_takes_the_place_of_an_idle_connection() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks_for("test", Request::new().fresh()), "quit 1");
    assert_eq!(script.why(), "the only connection is in use");
    assert_eq!(script.closed(1), "connect 2 for test");
}

#[test]
fn a_fresh_request_quits_one_connection_only() {
    let mut script = Script::new(at_most(2));
    script.asks("a");
    script.asks("b");
    script.connected(1);
    script.connected(2);
    script.ends(1, "a", Report::accepted());
    script.ends(2, "b", Report::accepted());
    assert_eq!(script.asks_for("test", Request::new().fresh()), "quit 1");
    assert_eq!(script.acts(), "");
}

#[test]
fn a_refreshed_token_closes_the_connections_that_used_the_old_one() {
    let mut script = Script::new(PoolConfig::new());
    script.asks("a");
    script.asks("b");
    script.asks("c");
    script.connected(1);
    script.connected(2);
    script.ends(1, "a", Report::accepted());
    script.pool.refresh();
    assert_eq!(script.acts(), "quit 1");
    // A message that is being sent ends first.
    script.asks("d");
    assert_eq!(script.takes(2), None);
    assert_eq!(script.ends(2, "b", Report::accepted()), "quit 2");
    // The connection that is being opened has the new token.
    script.connected(3);
    assert_eq!(script.ends(3, "c", Report::accepted()), "use 3 for d");
}

#[test]
fn a_report_on_an_unknown_connection_does_nothing() {
    let mut script = Script::with_idle(at_most(1));
    script.asks("a");
    script.ends(1, "a", Report::in_doubt());
    let (now, id, a) = (script.now, script.id(1), script.ticket("a"));
    let before = script.pool.stats();
    script.pool.handle_closed(now, id);
    script
        .pool
        .handle_connect_failed(now, id, crate::history::dialogue::refused());
    assert_eq!(script.pool.handle_connected(now, id, None), None);
    let _ = script.pool.handle_outcome(now, id, a, Report::lost());
    script.pool.cancel(now, a);
    assert_eq!(script.pool.take(now, id), None);
    assert_eq!(script.pool.stats(), before);
}

#[test]
fn messages_on_a_connection_that_is_reported_closed_keep_their_outcomes() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.closed(1), "");
    assert_eq!(script.ends(1, "a", Report::in_doubt()), "");
    assert_eq!(script.pool.stats().in_doubt, 1);
    assert_eq!(script.asks("b"), "connect 2 for b");
}
