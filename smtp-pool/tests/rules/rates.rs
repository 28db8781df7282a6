//! Limits on how often something happens.

use smtp_pool::{Rate, Report, Request};

use super::{Script, at_most, seconds};

#[test]
fn messages_keep_their_rate_after_the_burst() {
    let rate = Rate::new(60, seconds(60)).with_burst(2);
    let mut script = Script::with_idle(at_most(1).with_message_rate(rate));
    assert_eq!(script.asks("a"), "use 1 for a");
    script.ends(1, "a", Report::accepted());
    assert_eq!(script.asks("b"), "");
    assert_eq!(script.why(), "the rate of messages, for 1.0 s");
    assert_eq!(script.waits(), (1.0, "use 1 for b with caution".to_owned()));
    script.ends(1, "b", Report::accepted());
    assert_eq!(script.asks("c"), "");
    assert_eq!(script.waits().0, 1.0);
}

#[test]
fn recipients_keep_their_rate_over_all_messages() {
    let rate = Rate::new(10, seconds(10));
    let mut script = Script::with_idle(at_most(1).with_recipient_rate(rate));
    let nine = Request::new().with_recipients(9);
    assert_eq!(script.asks_for("a", nine), "use 1 for a");
    script.ends(1, "a", Report::accepted());
    script.asks_for("b", Request::new().with_recipients(3));
    assert_eq!(script.why(), "the rate of recipients, for 3.0 s");
    // The messages behind it keep their places.
    assert_eq!(script.asks("c"), "");
    assert_eq!(script.waits(), (3.0, "use 1 for b with caution".to_owned()));
}

#[test]
fn a_message_with_more_recipients_than_the_burst_is_sent() {
    let rate = Rate::new(10, seconds(10));
    let mut script = Script::with_idle(at_most(1).with_recipient_rate(rate));
    script.asks_for("a", Request::new().with_recipients(500));
    assert_eq!(script.waits(), (1.0, "use 1 for a with caution".to_owned()));
    script.ends(1, "a", Report::accepted());
    script.asks("b");
    assert_eq!(script.why(), "the rate of recipients, for 491.0 s");
}

#[test]
fn connections_keep_their_rate() {
    let rate = Rate::new(1, seconds(10));
    let mut script = Script::new(at_most(3).with_connection_rate(rate));
    assert_eq!(script.asks("a"), "connect 1 for a");
    assert_eq!(script.asks("b"), "");
    assert_eq!(script.why(), "the rate of connections, for 10.0 s");
    assert_eq!(script.waits(), (10.0, "connect 2 for b".to_owned()));
}

#[test]
fn a_message_that_is_sent_again_counts_once() {
    let rate = Rate::new(2, seconds(1000));
    let mut script = Script::with_idle(at_most(1).with_message_rate(rate));
    assert_eq!(script.asks("a"), "use 1 for a");
    assert_eq!(script.is_again(1, "a", Report::lost()), "connect 2 for a");
}
