//! What the server machine says, does and holds against the client.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::time::Duration;

use crate::common::{ask, broken, greeted, read};
use proptest::prelude::*;
use smtp_test::{Action, Config, Machine, Output, Peer, Rule, Split, Stage, TlsInfo};

#[test]
fn every_byte_that_is_not_a_command_line_is_held_against_the_client() {
    let config = Config::new();
    for (flight, rule) in [
        (b"NOOP\n".as_slice(), Rule::BareLf),
        (b"NO\rOP\r\n", Rule::BareCr),
        (b"NOOP\r\r\n", Rule::BareCr),
        (b"NOOP\0\r\n", Rule::Nul),
        (b"NOOP \x1b[0m\r\n", Rule::Control),
        (b"NOOP \x7f\r\n", Rule::Control),
        (b"NOOP \xff\r\n", Rule::EightBit),
        (b"MAIL FROM: <a@x.test>\r\n", Rule::Syntax),
        (
            b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test> \r\n",
            Rule::Syntax,
        ),
        (b"\r\n", Rule::Syntax),
        (b"RCPT TO:<b@x.test>\r\n", Rule::OutOfSequence),
        (b"DATA\r\n", Rule::OutOfSequence),
        (b"MAIL FROM:<a@x.test>\r\nDATA\r\n", Rule::OutOfSequence),
        (
            b"MAIL FROM:<a@x.test>\r\nMAIL FROM:<a@x.test>\r\n",
            Rule::OutOfSequence,
        ),
        (b"STARTTLS\r\n", Rule::NotAdvertised),
        (b"AUTH PLAIN\r\n", Rule::NotAdvertised),
        (
            b"MAIL FROM:<a@x.test> MT-PRIORITY=3\r\n",
            Rule::NotAdvertised,
        ),
        (
            b"MAIL FROM:<a@x.test> BODY=BINARYMIME\r\n",
            Rule::NotAdvertised,
        ),
        (
            b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test> RRVS=1\r\n",
            Rule::NotAdvertised,
        ),
        ("MAIL FROM:<\u{e4}@x.test>\r\n".as_bytes(), Rule::EightBit),
        (b"NOOP\r\nNOOP\r\n", Rule::DidNotWait),
        (b"EHLO client.test\r\nNOOP\r\n", Rule::DidNotWait),
        (b"QUIT\r\nNOOP\r\n", Rule::DidNotWait),
        (
            b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nx\r\n.\r\n",
            Rule::DidNotWait,
        ),
    ] {
        assert_eq!(broken(&config, flight), [rule], "{}", flight.escape_ascii());
    }
    let long = format!("NOOP {}\r\n", "x".repeat(506));
    assert_eq!(broken(&config, &long), [Rule::LineTooLong]);
    assert_eq!(
        broken(&config, &long[1..]),
        [],
        "512 bytes with CRLF are allowed"
    );
    assert_eq!(broken(&config, "x".repeat(70_000)), [Rule::LineTooLong]);
}

#[test]
fn what_the_standards_allow_is_not_held_against_the_client() {
    let config = Config::new()
        .with("MT-PRIORITY")
        .reject("bad@x.test", "550 no")
        .size_limit(10);
    for flight in [
        "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n",
        // All recipients rejected in the same flight, or MAIL itself: the client could not know.
        "MAIL FROM:<a@x.test>\r\nRCPT TO:<bad@x.test>\r\nDATA\r\n",
        "MAIL FROM:<a@x.test> SIZE=11\r\nRCPT TO:<b@x.test>\r\nDATA\r\n",
        "MAIL FROM:<a@x.test>\r\nRSET\r\nMAIL FROM:<> MT-PRIORITY=3\r\n",
        "MAIL FROM:<\u{e4}@x.test> SMTPUTF8 BODY=8BITMIME RET=HDRS\r\nRCPT TO:<\u{e4}@\u{f6}.test> NOTIFY=NEVER\r\n",
        "EHLO again.test\r\n",
        "XCUSTOM with text\r\n",
    ] {
        assert_eq!(broken(&config, flight), [], "{flight}");
    }
}

#[test]
fn pipelining_is_allowed_only_where_it_is_offered() {
    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n";
    assert_eq!(broken(&Config::new(), flight), []);
    assert_eq!(
        broken(&Config::new().without("PIPELINING"), flight),
        [Rule::NotPipelining]
    );
    let lie = Config::new().on(Stage::Ehlo, Action::reply("250 mail.test"));
    assert_eq!(
        broken(&lie, flight),
        [Rule::NotPipelining],
        "what counts is the reply that was sent"
    );
}

#[test]
fn a_client_that_talks_before_the_greeting_is_caught() {
    let mut machine = Machine::new(&Config::new());
    machine.handle_input(b"EHLO client.test\r\n");
    assert_eq!(machine.log().violations()[0].rule(), Rule::DidNotWait);
}

#[test]
fn a_message_is_stored_without_its_stuffing_and_its_faults_are_found() {
    for (wire, body, rules) in [
        (b".\r\n".as_slice(), b"".as_slice(), vec![]),
        (b"..\r\n.\r\n", b".\r\n", vec![]),
        (b"a\nb\r\n.\r\n", b"a\nb\r\n", vec![Rule::BareLf]),
        (b"a\rb\r\n.\r\n", b"a\rb\r\n", vec![Rule::BareCr]),
        (b"a\0\r\n.\r\n", b"a\0\r\n", vec![Rule::Nul]),
        (b".a\r\n.\r\n", b"a\r\n", vec![Rule::SingleDot]),
        (b"\xe4\r\n.\r\n", b"\xe4\r\n", vec![Rule::EightBit]),
    ] {
        let mut machine = greeted(&Config::new());
        ask(
            &mut machine,
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n",
        );
        assert_eq!(ask(&mut machine, wire), "250 2.0.0 queued\r\n");
        let log = machine.log();
        assert_eq!(log.mails()[0].body(), body);
        assert_eq!(
            log.mails()[0].body_len(),
            u64::try_from(body.len()).unwrap()
        );
        let found: Vec<Rule> = log
            .violations()
            .iter()
            .map(|violation| violation.rule())
            .collect();
        assert_eq!(found, rules, "{}", wire.escape_ascii());
    }
    let long = format!("{}\r\n.\r\n", "x".repeat(999));
    for (wire, rules) in [
        (&long[1..], vec![]),
        (&long[..], vec![Rule::BodyLineTooLong]),
    ] {
        let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n";
        let mut machine = greeted(&Config::new());
        ask(&mut machine, flight);
        ask(&mut machine, wire);
        let found: Vec<Rule> = machine
            .log()
            .violations()
            .iter()
            .map(|violation| violation.rule())
            .collect();
        assert_eq!(found, rules);
    }
}

#[test]
fn limits_and_rejections_are_enforced() {
    let config = Config::new()
        .size_limit(5)
        .max_recipients(1)
        .reject("No@x.test", "551 5.1.6 moved");
    let mut machine = greeted(&config);
    assert_eq!(
        ask(&mut machine, "MAIL FROM:<a@x.test> SIZE=6\r\n"),
        "552 5.3.4 message too big\r\n"
    );
    let replies = ask(
        &mut machine,
        "MAIL FROM:<a@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n",
    );
    let codes: Vec<&str> = replies.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "551", "250", "452", "354"]);
    assert_eq!(
        ask(&mut machine, "123456\r\n.\r\n"),
        "552 5.3.4 message too big\r\n"
    );
    assert_eq!(machine.log().mails(), []);
    machine.log().assert_clean();
}

#[test]
fn all_mechanisms_know_their_users() {
    let config = Config::new().user("tim", "tanstaaf").token("tim", "t0k");
    let good = "dXNlcj10aW0BYXV0aD1CZWFyZXIgdDBrAQE=";
    let bad = "dXNlcj10aW0BYXV0aD1CZWFyZXIgeHh4AQE=";
    for (flights, codes) in [
        (vec!["AUTH PLAIN AHRpbQB0YW5zdGFhZg=="], "235"),
        (vec!["AUTH PLAIN", "AHRpbQB0YW5zdGFhZg=="], "334 235"),
        (vec!["AUTH PLAIN AHRpbQB3cm9uZw=="], "535"),
        (vec!["AUTH PLAIN", "*"], "334 501"),
        (vec!["AUTH LOGIN", "dGlt", "dGFuc3RhYWY="], "334 334 235"),
        (vec!["AUTH LOGIN dGlt", "dGFuc3RhYWY="], "334 235"),
        (vec!["AUTH LOGIN", "dGlt", "d3Jvbmc="], "334 334 535"),
        (vec!["AUTH XOAUTH2", good], "334 235"),
        (vec![&format!("AUTH XOAUTH2 {good}")], "235"),
        (vec![&format!("AUTH XOAUTH2 {bad}"), ""], "334 535"),
    ] {
        let mut machine = greeted(&config);
        let got: Vec<String> = flights
            .iter()
            .map(|flight| ask(&mut machine, format!("{flight}\r\n"))[..3].to_owned())
            .collect();
        assert_eq!(got.join(" "), codes, "{flights:?}");
        let session = machine.log().session();
        assert_eq!(
            session.authenticated_as(),
            codes.ends_with("235").then_some("tim")
        );
        machine.log().assert_clean();
    }
    for (flights, rule) in [
        (vec!["AUTH PLAIN AHRpbQB0YW5zdGFhZg"], Rule::Sasl),
        (vec!["AUTH PLAIN", "AHRpbQ=="], Rule::Sasl),
        (vec!["AUTH PLAIN ="], Rule::Sasl),
        (vec![&format!("AUTH XOAUTH2 {bad}"), "AQ=="], Rule::Sasl),
        (vec!["AUTH SCRAM-SHA-256"], Rule::NotAdvertised),
    ] {
        let mut machine = greeted(&config);
        for flight in &flights {
            ask(&mut machine, format!("{flight}\r\n"));
        }
        assert_eq!(machine.log().violations()[0].rule(), rule, "{flights:?}");
    }
}

#[test]
fn an_endless_challenge_can_be_asked_for() {
    let config = Config::new()
        .user("a", "b")
        .on(Stage::AnyAuthStep, Action::reply("334 "));
    let mut machine = greeted(&config);
    ask(&mut machine, "AUTH LOGIN\r\n");
    for _ in 0..20 {
        assert_eq!(ask(&mut machine, "eA==\r\n"), "334 \r\n");
    }
}

#[test]
fn the_reply_that_is_sent_decides_what_happened() {
    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n";
    let run = |config: Config| {
        let mut machine = greeted(&config);
        let replies = ask(&mut machine, flight);
        if replies.contains("354") {
            ask(&mut machine, "x\r\n.\r\n");
        }
        machine.log().mails()
    };
    assert_eq!(run(Config::new()).len(), 1);
    assert!(run(Config::new().on(Stage::Mail, Action::reply("451 later"))).is_empty());
    assert_eq!(
        run(Config::new().on(Stage::Rcpt(1), Action::reply("550 no")))[0].addresses(),
        ["c@x.test"]
    );
    assert!(run(Config::new().on(Stage::AnyRcpt, Action::reply("550 no"))).is_empty());
    assert!(run(Config::new().on(Stage::Data, Action::reply("554 no"))).is_empty());
    assert!(run(Config::new().on(Stage::EndOfData, Action::reply("452 full"))).is_empty());
    let rejected_but_go = Config::new()
        .on(Stage::AnyRcpt, Action::reply("550 no"))
        .on(Stage::Data, Action::reply("354 go on"));
    assert!(run(rejected_but_go).is_empty());
    // A lost reply does not undo what was done.
    assert_eq!(
        run(Config::new().on(Stage::EndOfData, Action::normal().cut_at(2))).len(),
        1
    );
    assert_eq!(
        run(Config::new().on(Stage::EndOfData, Action::silent())).len(),
        1
    );
    assert_eq!(
        run(Config::new().on(Stage::EndOfData, Action::cut())).len(),
        1
    );
}

#[test]
fn actions_shape_the_output() {
    let outputs = |action: Action| {
        let mut machine = greeted(&Config::new().on(Stage::Noop, action));
        machine.handle_input(b"NOOP\r\n");
        let outputs: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
        (outputs, machine.is_closed(), machine.wants_input())
    };
    let write = |text: &str| Output::Write(text.as_bytes().to_vec());
    let pause = Duration::from_secs(1);
    for (action, expected, closed, reads) in [
        (
            Action::normal(),
            vec![write("250 2.0.0 ok\r\n")],
            false,
            true,
        ),
        (
            Action::reply("250-a\n250 b"),
            vec![write("250-a\r\n250 b\r\n")],
            false,
            true,
        ),
        (
            Action::raw("\x16\x03"),
            vec![write("\x16\x03")],
            false,
            true,
        ),
        (Action::silent(), vec![], false, true),
        (Action::close(), vec![Output::Close], true, true),
        (Action::cut(), vec![Output::Cut], true, true),
        (
            Action::close().delay(pause),
            vec![Output::Delay(pause), Output::Close],
            true,
            true,
        ),
        (Action::reset(), vec![Output::Reset], true, true),
        (
            Action::reply("250 a").append("250 b\r\n"),
            vec![write("250 a\r\n250 b\r\n")],
            false,
            true,
        ),
        (
            Action::reply("250 a").then("250 b\r\n").then("x"),
            vec![write("250 a\r\n"), write("250 b\r\n"), write("x")],
            false,
            true,
        ),
        (
            Action::reply("250 a").delay(pause),
            vec![Output::Delay(pause), write("250 a\r\n")],
            false,
            true,
        ),
        (
            Action::reply("250 a").split_at([6, 2, 99]),
            vec![write("25"), write("0 a\r"), write("\n")],
            false,
            true,
        ),
        (
            Action::reply("25").drip(pause),
            vec![
                Output::Delay(pause),
                write("2"),
                Output::Delay(pause),
                write("5"),
                Output::Delay(pause),
                write("\r"),
                Output::Delay(pause),
                write("\n"),
            ],
            false,
            true,
        ),
        (
            Action::reply("250 a").cut_at(3),
            vec![write("250"), Output::Cut],
            true,
            true,
        ),
        (Action::normal().cut_at(0), vec![Output::Cut], true, true),
        (
            Action::reply("421 a").then_close(),
            vec![write("421 a\r\n"), Output::Close],
            true,
            true,
        ),
        (
            Action::reply("250 a").stop_reading(),
            vec![write("250 a\r\n")],
            false,
            false,
        ),
    ] {
        let name = format!("{action:?}");
        assert_eq!(outputs(action), (expected, closed, reads), "{name}");
    }
}

#[test]
fn moments_narrow_a_stage_and_the_last_hook_wins() {
    let config = Config::new()
        .on(Stage::AnyCommand, Action::reply("250 any"))
        .on(Stage::Command(3), Action::reply("250 third"))
        .on(Stage::Noop.nth(3), Action::reply("250 third noop"));
    let mut machine = greeted(&config);
    let replies: Vec<String> = (0..3).map(|_| ask(&mut machine, "NOOP\r\n")).collect();
    assert_eq!(
        replies,
        ["250 any\r\n", "250 third\r\n", "250 third noop\r\n"]
    );
}

#[test]
fn the_server_can_answer_in_the_middle_of_a_message() {
    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n";
    let config = Config::new().on(Stage::Body(5), Action::reply("552 too much").then_close());
    for chunk in [1, 2, 100] {
        let mut machine = greeted(&config);
        ask(&mut machine, flight);
        let mut said = String::new();
        for part in b"0123456789\r\n.\r\n".chunks(chunk) {
            said.push_str(&ask(&mut machine, part));
        }
        assert_eq!(said, "552 too much\r\n<Close>");
        assert!(machine.log().mails().is_empty());
    }
    let mut machine = greeted(&Config::new().on(Stage::Body(5), Action::normal().stop_reading()));
    ask(&mut machine, flight);
    assert_eq!(ask(&mut machine, "0123456789\r\n.\r\n"), "");
    assert!(!machine.wants_input());
}

#[test]
fn round_trips_commands_and_bytes_are_counted() {
    let mut machine = greeted(&Config::new());
    ask(
        &mut machine,
        "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n",
    );
    ask(&mut machine, "x\r\n.\r\n");
    ask(&mut machine, "QUIT\r\n");
    machine.handle_eof();
    let session = machine.log().session();
    assert_eq!(session.round_trips(), 4);
    assert_eq!(session.bytes_in(), 18 + 22 + 20 + 6 + 6 + 6);
    assert_eq!(session.client_name(), Some("client.test"));
    assert_eq!(session.commands().len(), 5);
    assert_eq!(
        session.lines()[session.lines().len() - 10..],
        [
            "C: MAIL FROM:<a@x.test>",
            "C: RCPT TO:<b@x.test>",
            "C: DATA",
            "S: 250 2.1.0 ok",
            "S: 250 2.1.5 ok",
            "S: 354 end with a line that is a dot",
            "C: <body of 3 bytes>",
            "S: 250 2.0.0 queued",
            "C: QUIT",
            "S: 221 2.0.0 bye",
        ]
        .map(str::to_owned)
        .iter()
        .chain(&["S: <eof>".to_owned(), "C: <eof>".to_owned()])
        .cloned()
        .collect::<Vec<_>>()[2..]
    );
}

#[test]
fn tls_can_be_pretended_and_forgets_everything() {
    let config = Config::new()
        .advertise_starttls()
        .user("a", "b")
        .require_tls();
    let mut machine = greeted(&config);
    assert!(!machine.poll_upgrade());
    machine.handle_input(b"STARTTLS\r\n");
    assert!(!machine.poll_upgrade(), "the 220 was not taken");
    assert_eq!(read(&mut machine), "220 2.0.0 go ahead\r\n");
    assert!(machine.poll_upgrade());
    assert!(!machine.poll_upgrade());
    machine.handle_tls(TlsInfo::pretended());
    ask(&mut machine, "MAIL FROM:<a@x.test>\r\n");
    assert_eq!(
        machine.log().violations()[0].rule(),
        Rule::OutOfSequence,
        "EHLO must be said again"
    );
    let capabilities = ask(&mut machine, "EHLO client.test\r\n");
    assert!(capabilities.contains("AUTH PLAIN LOGIN") && !capabilities.contains("STARTTLS"));
    assert!(ask(&mut machine, "MAIL FROM:<a@x.test>\r\n").starts_with("250"));

    let mut machine = Machine::new(&Config::new().implicit_tls());
    assert_eq!(machine.poll_output(), None);
    assert!(machine.poll_upgrade());
    machine.handle_tls(TlsInfo::pretended());
    assert_eq!(read(&mut machine), "220 mail.test ESMTP\r\n");
}

#[test]
fn anything_behind_starttls_ends_the_connection() {
    for behind in ["X", "\r\n", "EHLO client.test\r\n"] {
        let mut machine = greeted(&Config::new().advertise_starttls());
        let said = ask(&mut machine, format!("STARTTLS\r\n{behind}"));
        assert!(said.ends_with("<Cut>"), "{said}");
        assert_eq!(machine.log().violations()[0].rule(), Rule::DidNotWait);
        assert!(!machine.poll_upgrade());
    }
}

#[test]
#[should_panic(expected = "bare line feed: NOOP\\n")]
fn assert_clean_tells_what_was_wrong() {
    let mut machine = greeted(&Config::new());
    ask(&mut machine, "NOOP\n");
    machine.log().assert_clean();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The split of the input changes neither what is said nor what is recorded.
    #[test]
    fn any_split_of_the_input_is_the_same(
        lines in proptest::collection::vec(prop_oneof![
            Just("EHLO a.test\r\n"), Just("MAIL FROM:<a@x.test>\r\n"), Just("RCPT TO:<b@x.test>\r\n"),
            Just("DATA\r\n"), Just("x\r\n..y\r\n.\r\n"), Just("RSET\r\n"), Just("NOOP\n"), Just("\0\r\n"),
            Just("AUTH PLAIN\r\n"), Just("*\r\n"), Just("AHgAeQ==\r\n"),
        ], 1..12),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        split in prop_oneof![Just(Split::Whole), Just(Split::Line), Just(Split::Byte)],
    ) {
        let input = lines.concat().into_bytes();
        let run = |cuts: &[usize], split| {
            let mut machine = Machine::new(&Config::new().user("x", "y").split(split));
            let mut said = read(&mut machine);
            let mut start = 0;
            for &cut in cuts.iter().chain([&input.len()]) {
                machine.handle_input(&input[start..cut]);
                start = cut;
            }
            said.push_str(&read(&mut machine));
            let session = machine.log().session();
            (said, session.violations().to_vec(), session.transcript(), machine.log().mails())
        };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(run(&cuts, split), run(&[], Split::Whole));
    }

    /// No input makes the server fail or stop.
    #[test]
    fn no_input_brings_the_server_down(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut machine = greeted(&Config::new());
        ask(&mut machine, &input);
        machine.handle_eof();
        prop_assert!(read(&mut machine).contains("<C"));
    }
}
