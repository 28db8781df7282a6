//! Servers that allow fewer connections than configured.

use smtp_pool::proto::Error;
use smtp_pool::{PoolConfig, Report};

use super::{Script, at_most};
use crate::history::dialogue::{Dialogue, greeted_with, refused};

/// The report on a message whose MAIL was rejected by this reply.
fn rejected_by(reply: &str) -> Report {
    let mut dialogue = Dialogue::used();
    let id = dialogue.submit(&["b@x.test"]);
    dialogue.say(reply);
    let is_open = dialogue.is_open();
    Report::new(&dialogue.outcome(id), is_open, false)
}

/// The reason that four connections do not suffice, after one of four failed to be opened, or one
/// of four messages was reported so.
fn allowed_after(script: &mut Script) -> String {
    for name in ["w", "x", "y", "z"] {
        script.asks(name);
    }
    script.why()
}

fn four() -> Script {
    let mut script = Script::new(at_most(4));
    for name in ["a", "b", "c", "d"] {
        script.asks(name);
    }
    script.connected(1);
    script
}

const HALVED: &str =
    "all 2 connections are in use; there are fewer since the server allowed no more";

#[test]
fn a_complaint_at_the_greeting_halves_the_connections() {
    for reply in [
        "421 busy\r\n",
        "432 busy\r\n",
        "451 4.3.2 busy\r\n",
        "450 4.7.0 busy\r\n",
        "450 4.7.28 busy\r\n",
    ] {
        let mut script = four();
        script.refused(4, greeted_with(reply));
        assert_eq!(allowed_after(&mut script), HALVED, "{reply}");
    }
    for reply in ["554 no\r\n", "450 4.7.1 later\r\n", "554 5.7.0 no\r\n"] {
        let mut script = four();
        script.refused(4, greeted_with(reply));
        assert!(!script.why().contains("fewer"), "{reply}");
    }
}

#[test]
fn a_refused_connection_halves_the_connections_if_others_are_open() {
    let mut script = four();
    script.refused(4, refused());
    assert_eq!(allowed_after(&mut script), HALVED);
    let mut script = four();
    script.refused(4, Error::connect_timeout());
    assert!(!allowed_after(&mut script).contains("fewer"));
    let mut script = Script::new(at_most(4));
    script.asks("a");
    script.asks("b");
    script.refused(1, refused());
    assert!(!allowed_after(&mut script).contains("fewer"));
}

#[test]
fn a_complaint_at_mail_halves_the_connections() {
    for reply in ["432 4.3.2 busy\r\n", "421 busy\r\n", "451 4.7.28 busy\r\n"] {
        let mut script = four();
        script.connected(2);
        let _ = script.reports(1, "a", rejected_by(reply));
        script.acts();
        assert_eq!(allowed_after(&mut script), HALVED, "{reply}");
    }
    let mut script = four();
    script.ends(1, "a", rejected_by("451 4.7.1 greylisted\r\n"));
    assert_eq!(allowed_after(&mut script), "all 4 connections are in use");
}

#[test]
fn connections_that_are_rejected_together_halve_the_connections_once() {
    let mut script = Script::new(at_most(8));
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        script.asks(name);
    }
    script.connected(1);
    for number in 5..=8 {
        script.refused(number, greeted_with("421 busy\r\n"));
    }
    assert_eq!(
        script.why(),
        "all 4 connections are in use; there are fewer since the server allowed no more"
    );
}

#[test]
fn one_connection_is_always_allowed() {
    let mut script = Script::new(at_most(1));
    script.asks("a");
    script.refused(1, greeted_with("421 busy\r\n"));
    script.asks("b");
    assert_eq!(script.waits().1, "connect 2 for b");
}

#[test]
fn idle_connections_beyond_the_reduced_number_are_closed() {
    let mut script = Script::new(PoolConfig::new());
    for name in ["a", "b", "c"] {
        script.asks(name);
    }
    script.connected(1);
    script.connected(2);
    script.connected(3);
    script.ends(1, "a", Report::accepted());
    script.ends(2, "b", Report::accepted());
    let actions = script.ends(3, "c", rejected_by("432 4.3.2 busy\r\n"));
    assert_eq!(actions, "quit 1, quit 2");
}

#[test]
fn twenty_accepted_messages_restore_a_connection() {
    let mut script = four();
    script.refused(4, refused());
    script.connected(2);
    script.connected(3);
    // `d` waits, and there are three connections where two are allowed.
    assert_eq!(script.ends(1, "a", Report::rejected()), "quit 1");
    script.closed(1);
    assert_eq!(script.ends(2, "b", Report::rejected()), "use 2 for d");
    script.ends(2, "d", Report::rejected());
    for turn in 0..20 {
        script.messages.retain(|(name, _)| *name == "c");
        script.asks("x");
        script.asks("y");
        let expected =
            "all 2 connections are in use; there are fewer since the server allowed no more";
        assert_eq!(script.why(), expected, "{turn}");
        script.cancels("y");
        script.ends(2, "x", Report::accepted());
    }
    script.messages.retain(|(name, _)| *name == "c");
    script.asks("x");
    script.asks("y");
    assert!(!script.why().contains("in use"), "{}", script.why());
}

#[test]
fn a_driver_that_can_use_one_connection_gets_no_more() {
    let mut script = Script::new(PoolConfig::new());
    script.asks("a");
    script.asks("b");
    script.connected(1);
    script.connected(2);
    script.pool.set_usable(Some(1));
    assert_eq!(script.ends(1, "a", Report::accepted()), "quit 1");
    assert_eq!(script.asks("c"), "");
    assert_eq!(script.why(), "the only connection is in use");
    script.pool.set_usable(None);
    assert_eq!(script.acts(), "connect 3 for c");
}
