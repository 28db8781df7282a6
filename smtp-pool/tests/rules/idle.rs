//! Connections that were closed while they were idle.

use smtp_pool::{PoolConfig, Report};

use super::{Script, at_most, millis, seconds};

#[test]
fn a_message_that_finds_its_connection_closed_waits_again_at_its_place() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.asks("b"), "");
    let again = script.is_again(1, "a", Report::untouched());
    assert_eq!(again, "connect 2 for a");
}

#[test]
fn a_message_that_was_untouched_keeps_its_one_retry() {
    let mut script = Script::new(at_most(2));
    script.asks("x");
    script.asks("y");
    script.connected(1);
    script.connected(2);
    script.ends(1, "x", Report::accepted());
    script.later(millis(1));
    script.ends(2, "y", Report::accepted());
    assert_eq!(script.asks("a"), "use 2 for a");
    assert_eq!(script.is_again(2, "a", Report::untouched()), "use 1 for a");
    assert_eq!(script.is_again(1, "a", Report::lost()), "connect 3 for a");
    assert_eq!(script.pool.stats().retried, 1);
}

#[test]
fn an_idle_connection_that_closes_is_replaced_when_it_is_needed() {
    let mut script = Script::with_idle(PoolConfig::new());
    assert_eq!(script.closed(1), "");
    assert_eq!(script.asks("a"), "connect 2 for a");
}

#[test]
fn the_first_message_after_a_second_is_cautious_and_alone() {
    let mut script = Script::with_idle(at_most(1));
    script.later(millis(999));
    assert_eq!(script.asks("a"), "use 1 for a");
    script.asks("b");
    assert_eq!(script.takes(1), Some("b"));
    script.ends(1, "a", Report::accepted());
    script.ends(1, "b", Report::accepted());
    script.later(seconds(1));
    assert_eq!(script.asks("c"), "use 1 for c with caution");
    script.asks("d");
    script.asks("e");
    assert_eq!(script.takes(1), None);
    assert_eq!(script.ends(1, "c", Report::accepted()), "use 1 for d");
    assert_eq!(script.takes(1), Some("e"));
}

#[test]
fn the_first_message_of_a_new_connection_is_alone() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    script.asks("b");
    assert_eq!(script.connections.len(), 1);
    assert_eq!(script.takes(1), None);
    script.connected(1);
    assert_eq!(script.takes(1), None);
    assert_eq!(script.ends(1, "a", Report::rejected()), "use 1 for b");
}
