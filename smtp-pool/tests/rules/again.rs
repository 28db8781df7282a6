//! Which message is sent again.

use smtp_pool::{Report, Request};

use super::{Script, at_most};

#[test]
fn a_message_lost_on_a_used_connection_is_sent_again_once() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.is_again(1, "a", Report::lost()), "connect 2 for a");
    script.connected(2);
    assert_eq!(script.ends(2, "a", Report::lost()), "");
    assert_eq!(script.pool.stats().failed, 1);
}

#[test]
fn a_message_is_not_sent_again_twice_on_used_connections_either() {
    let mut script = Script::new(at_most(2));
    script.asks("x");
    script.asks("y");
    script.connected(1);
    script.connected(2);
    script.ends(1, "x", Report::accepted());
    script.ends(2, "y", Report::accepted());
    assert_eq!(script.asks("a"), "use 2 for a");
    assert_eq!(script.is_again(2, "a", Report::lost()), "use 1 for a");
    assert_eq!(script.ends(1, "a", Report::lost()), "");
}

#[test]
fn a_message_lost_on_a_new_connection_is_not_sent_again() {
    let mut script = Script::new(at_most(1));
    for report in [Report::lost(), Report::untouched(), Report::in_doubt()] {
        let number = script.connections.len() + 1;
        assert_eq!(script.asks("a"), format!("connect {number} for a"));
        script.connected(number);
        assert_eq!(script.ends(number, "a", report), "");
        script.messages.clear();
    }
}

#[test]
fn a_message_in_doubt_is_never_sent_again() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.ends(1, "a", Report::in_doubt()), "");
    assert_eq!(script.pool.stats().in_doubt, 1);
}

#[test]
fn a_rejected_message_is_not_sent_again() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.ends(1, "a", Report::rejected()), "");
    assert_eq!(script.pool.stats().failed, 1);
}

#[test]
fn messages_behind_the_one_that_failed_wait_again_in_order() {
    let mut script = Script::with_idle(at_most(1));
    assert_eq!(script.asks("a"), "use 1 for a");
    for name in ["b", "c", "d"] {
        script.asks(name);
    }
    assert_eq!(script.takes(1), Some("b"));
    assert_eq!(script.takes(1), Some("c"));
    assert_eq!(script.ends(1, "a", Report::in_doubt()), "");
    assert_eq!(script.is_again(1, "b", Report::lost()), "");
    assert_eq!(script.is_again(1, "c", Report::lost()), "connect 2 for b");
    script.connected(2);
    assert_eq!(script.ends(2, "b", Report::accepted()), "use 2 for c");
    assert_eq!(script.takes(2), Some("d"));
}

#[test]
fn a_test_of_connecting_is_no_message_that_the_connection_carried() {
    let mut script = Script::new(at_most(1));
    script.asks_for("check", Request::new().fresh());
    script.connected(1);
    assert_eq!(script.ends(1, "check", Report::unused()), "");
    let stats = script.pool.stats();
    assert_eq!((stats.idle, stats.sent, stats.failed), (1, 0, 0));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.ends(1, "a", Report::lost()), "");
}
