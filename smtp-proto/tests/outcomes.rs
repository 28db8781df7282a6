//! The outcome of each recipient, wherever and however a session fails, compared with the reference
//! and with the messages that the server stored.

use std::sync::Arc;

use crate::common::Answered as _;
use crate::common::dialogue::Dialogue;
use crate::common::invariants::{cause, check_commands, check_fates};
use crate::common::pair::{Cut, Fault, Pair};
use crate::common::raw_mail;
use crate::common::scripted_server::ScriptedServer;
use crate::exhaustive::in_turn;
use smtp_proto::{
    Config, Connection, Error, ErrorKind, MailId, Outcome, Pipelining, ProtocolError,
    RecipientStatus, Security,
};
use smtp_test::{Action, Machine, Stage};

/// The envelopes of the session, which fails everywhere.
const MAILS: [(&str, &[&str]); 4] = [
    (
        "one@x.test",
        &["a@x.test", "no-b@x.test", "later-c@x.test", "d@x.test"],
    ),
    ("two@x.test", &["no-b@x.test", "later-c@x.test"]),
    ("spam@x.test", &["a@x.test", "d@x.test"]),
    ("four@x.test", &["e@x.test", "no-b@x.test"]),
];

fn config(pipelining: Pipelining) -> Arc<Config> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(pipelining);
    Arc::new(config.build().unwrap())
}

fn server() -> smtp_test::Config {
    smtp_test::Config::new()
        .reject("no-b@x.test", "550 5.1.1 no such user")
        .reject("later-c@x.test", "451-4.2.1 mailbox\n451 4.2.1 is locked")
        .on(Stage::Mail.nth(3), Action::reply("553 5.7.1 not you"))
}

fn text(sender: &str) -> String {
    format!("Subject: from {sender}\r\n\r\n.dots\r\n")
}

/// The session with this failure: asserts the invariants, and returns the results.
fn run(pipelining: Pipelining, server: smtp_test::Config, cut: Option<Cut>) -> Run {
    let mut pair = Pair::new(config(pipelining), Machine::new(&server));
    pair.cut = cut.clone();
    let context = (pipelining, cut);
    let ids: Vec<_> = MAILS
        .iter()
        .map(|(sender, recipients)| {
            let mail = raw_mail(*sender, recipients.iter().copied(), text(sender)).unwrap();
            pair.connection.submit(mail)
        })
        .collect();
    pair.connection.quit();
    let (mut outcomes, end) = pair.finish();
    outcomes.sort_by_key(|(id, _)| *id);
    assert!(
        outcomes.iter().map(|(id, _)| *id).eq(ids),
        "{context:?}: not one outcome for each message"
    );
    let log = pair.peer.log();
    check_commands(&log);
    let dialogue = Dialogue::read(&pair.transmitted, &pair.received);
    let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    for ((sender, _), outcome) in MAILS.iter().zip(&outcomes) {
        dialogue.check(sender, outcome, &context);
        check_fates(outcome, &log.mails(), text(sender).as_bytes());
        for delivery in outcome.recipients() {
            if let RecipientStatus::NotSent(error) | RecipientStatus::InDoubt(error) =
                delivery.status()
            {
                let failure = end.as_ref().expect_err("a failure that has no end");
                assert_eq!(
                    format!("{:#}", cause(error)),
                    format!("{failure:#}"),
                    "{context:?}"
                );
            }
        }
    }
    Run {
        outcomes,
        end,
        received: pair.received.len(),
        sent: pair.sent.len(),
    }
}

struct Run {
    outcomes: Vec<Outcome>,
    end: Result<(), Error>,
    received: usize,
    sent: usize,
}

const LEVELS: [Pipelining; 3] = [
    Pipelining::Off,
    Pipelining::Envelope,
    Pipelining::Transactions,
];

const OVERLONG: [u8; 4096] = [b'x'; 4096];

#[test]
fn an_undisturbed_session_agrees_with_the_reference() {
    for level in LEVELS {
        let run = run(level, server(), None);
        run.end.unwrap();
        let statuses: Vec<String> = run
            .outcomes
            .iter()
            .flat_map(Outcome::recipients)
            .map(|delivery| format!("{:#}", delivery.status()))
            .collect();
        let starts = [
            "accepted: 250",
            "rejected at RCPT: 550",
            "rejected at RCPT: 451",
            "accepted: 250",
            "rejected at RCPT: 550",
            "rejected at RCPT: 451",
            "rejected at MAIL: 553",
            "rejected at MAIL: 553",
            "accepted: 250",
            "rejected at RCPT: 550",
        ];
        assert_eq!(statuses.len(), starts.len());
        for (fate, start) in statuses.iter().zip(starts) {
            assert!(fate.starts_with(start), "{fate:#}, and not {start}");
        }
    }
}

#[test]
fn v40_every_outcome_is_right_wherever_the_input_ends() {
    let faults = [
        (Fault::Eof, true),
        (Fault::Eof, false),
        (Fault::ReadError, false),
        (Fault::Silence, false),
        (Fault::Input(b"\x00250 ok\r\n"), true),
        (Fault::Input(&OVERLONG), false),
    ];
    for (number, level) in LEVELS.into_iter().enumerate() {
        let whole = run(level, server(), None).received;
        for after in 0..whole {
            for &(fault, eager) in in_turn(&faults, after + number) {
                let cut = Cut::Input {
                    after,
                    eager,
                    fault,
                };
                let Err(error) = run(level, server(), Some(cut)).end else {
                    continue;
                };
                let expected = match fault {
                    Fault::Eof => matches!(error.kind(), ErrorKind::ConnectionLost),
                    Fault::Silence => matches!(error.kind(), ErrorKind::Timeout(_)),
                    // The line has no end yet, however long it is.
                    Fault::Input(bytes) if bytes == OVERLONG => {
                        matches!(error.kind(), ErrorKind::Timeout(_))
                    }
                    Fault::Input(_) => matches!(error.kind(), ErrorKind::Protocol(_)),
                    _ => matches!(error.kind(), ErrorKind::Transport(_)),
                };
                assert!(expected, "{fault:?}: {error:#}");
            }
        }
    }
}

#[test]
fn v40_every_outcome_is_right_wherever_the_output_ends() {
    let faults = [
        (Fault::Eof, true),
        (Fault::Eof, false),
        (Fault::ReadError, false),
        (Fault::WriteError, true),
        (Fault::WriteError, false),
        (Fault::WriteErrorAndEof, true),
        (Fault::Silence, true),
    ];
    for (number, level) in LEVELS.into_iter().enumerate() {
        let whole = run(level, server(), None).sent;
        for after in 0..whole {
            for &(fault, reaches) in in_turn(&faults, after + number) {
                let cut = Cut::Output {
                    after,
                    reaches,
                    fault,
                };
                run(level, server(), Some(cut));
            }
        }
    }
}

#[test]
fn v27_a_421_ends_the_connection_at_every_stage_and_every_outcome_is_right() {
    let stages = [
        Stage::Greeting.into(),
        Stage::Ehlo.into(),
        Stage::Mail.nth(1),
        Stage::Rcpt(1).nth(1),
        Stage::Rcpt(2).nth(1),
        Stage::Rcpt(4).nth(1),
        Stage::Data.nth(1),
        Stage::Body(10).nth(1),
        Stage::EndOfData.nth(1),
        Stage::Mail.nth(2),
        Stage::Rcpt(2).nth(2),
        Stage::Rset.nth(1),
        Stage::EndOfData.nth(2),
    ];
    let reply = "421 4.3.2 going down";
    let whole = || Action::reply(reply);
    let half = || Action::raw(&reply[..10]);
    for level in LEVELS {
        for stage in stages {
            for (action, is_whole) in [
                (whole(), true),
                (whole().then_close(), true),
                (whole().then_reset(), true),
                (half(), false),
                (half().then_close(), false),
                (half().then_reset(), false),
            ] {
                // A server that sends this inside the content and reads the rest breaks every rule.
                let closes = format!("{action:?}").contains("end: Some");
                if stage == Stage::Body(10).nth(1) && !closes {
                    continue;
                }
                let server = server().on(stage, action);
                let error = run(level, server, None).end.unwrap_err();
                if is_whole {
                    assert_eq!(error.reply().unwrap().code().as_u16(), 421, "{error:#}");
                } else if closes {
                    assert_eq!(
                        error.partial_reply(),
                        Some(&reply.as_bytes()[..10]),
                        "{stage:?}: {error:#}"
                    );
                }
            }
        }
    }
}

#[test]
fn v27_a_421_to_the_end_of_the_data_is_a_transient_rejection() {
    for level in LEVELS {
        let server = server().on(Stage::EndOfData, Action::reply("421 4.3.2 going down"));
        let run = run(level, server, None);
        let fate = run.outcomes[0].recipients()[0].status();
        assert!(
            matches!(
                fate,
                RecipientStatus::Rejected {
                    stage: smtp_proto::Stage::EndOfData,
                    ..
                }
            ),
            "{fate:#}"
        );
        assert!(fate.is_transient() && fate.is_safe_to_retry());
    }
}

#[test]
fn v27_a_421_on_an_idle_connection_ends_it() {
    let mut pair = Pair::new(config(Pipelining::Envelope), Machine::new(&server()));
    pair.drive(Connection::poll_ready).unwrap();
    pair.connection
        .handle_input(pair.now, b"421 4.4.2 idle too long\r\n");
    let error = pair.drive(Connection::poll_ready).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionLost),
        "{error:#}"
    );
    assert_eq!(error.reply().unwrap().code().as_u16(), 421);
}

#[test]
fn failures_at_quit_change_no_outcome() {
    let says = |bytes: &'static [u8]| Action::raw(bytes);
    for level in LEVELS {
        for action in [
            Action::reply("421 4.3.2 going down"),
            Action::reply("500 5.5.1 what"),
            Action::reply("354 go on"),
            Action::reply("221-bye\n221 bye").append(b"250 and more\r\n"),
            says(b"no reply at all\r\n"),
            says(b"\0"),
            says(&OVERLONG),
            says(b"22").then_close(),
            says(b"221 by").then_reset(),
            says(b"221"),
            Action::close(),
            Action::reset(),
            Action::silent(),
        ] {
            let run = run(level, server().on(Stage::Quit, action.clone()), None);
            assert!(run.end.is_ok(), "{action:?}: {:?}", run.end);
            assert!(matches!(
                run.outcomes[0].recipients()[0].status(),
                RecipientStatus::Accepted(_)
            ));
        }
    }
}

#[test]
fn v40_a_partial_final_reply_is_not_a_reply() {
    for part in [
        "2",
        "25",
        "250",
        "250 ok",
        "250 ok\r",
        "250-",
        "250-queued",
        "250-queued\r\n",
        "250-queued\r\n250",
        "250-queued\r\n250 ok\r",
        "550 5.7.1 no",
        "451-4",
        "\r",
    ] {
        for action in [
            Action::raw(part),
            Action::raw(part).then_close(),
            Action::raw(part).then_cut(),
            Action::raw(part).then_reset(),
        ] {
            // With more messages in one flight, the next reply completes the line.
            for level in [Pipelining::Off, Pipelining::Envelope] {
                let run = run(level, server().on(Stage::EndOfData, action.clone()), None);
                let fate = run.outcomes[0].recipients()[0].status();
                assert!(
                    matches!(fate, RecipientStatus::InDoubt(_)),
                    "{part:?}: {fate:#}"
                );
                let error = run.end.unwrap_err();
                assert_eq!(error.partial_reply(), Some(part.as_bytes()));
                assert_eq!(error.stage(), smtp_proto::Stage::EndOfData);
            }
        }
    }
}

#[test]
fn v26_an_invalid_final_reply_leaves_the_message_in_doubt() {
    for reply in [
        "354 go on\r\n",
        "334 \r\n",
        "150 wait\r\n",
        "199\r\n",
        "650 what\r\n",
        "000 what\r\n",
        "queued\r\n",
        "25\r\n",
        "2500 ok\r\n",
        "250_ok\r\n",
        "\r\n",
        " 250 ok\r\n",
        "250-one\r\n251 two\r\n",
        "250-one\r\n550 two\r\n",
        "250 o\0k\r\n",
        "\x16\x03\x01",
    ] {
        for level in LEVELS {
            let run = run(
                level,
                server().on(Stage::EndOfData, Action::raw(reply)),
                None,
            );
            for index in [0, 3] {
                let fate = run.outcomes[0].recipients()[index].status();
                let RecipientStatus::InDoubt(error) = fate else {
                    panic!("{reply:?}: {fate:#}");
                };
                assert!(
                    matches!(error.kind(), ErrorKind::Protocol(_)),
                    "{reply:?}: {error:#}"
                );
            }
        }
    }
}

#[test]
fn v26_a_reply_of_a_wrong_class_before_the_content_means_not_sent() {
    for (stage, reply) in [
        (Stage::Mail, "354 go on"),
        (Stage::Rcpt(4), "334 x"),
        (Stage::Data, "250 ok"),
        (Stage::Data, "220 ok"),
    ] {
        for level in LEVELS {
            let run = run(level, server().on(stage, Action::reply(reply)), None);
            let fate = run.outcomes[0].recipients()[0].status();
            assert!(
                matches!(fate, RecipientStatus::NotSent(_)),
                "{stage:?}: {fate:#}"
            );
            let error = run.end.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Protocol(ProtocolError::WrongClass)),
                "{error:#}"
            );
            assert_eq!(error.reply().unwrap().to_string(), reply);
        }
    }
}

/// A session with one message of `text`, driven until the content is due.
fn at_the_text(server: &smtp_test::Config, text: String) -> (Pair<Machine>, MailId) {
    let mut pair = Pair::new(config(Pipelining::Envelope), Machine::new(server));
    let mail = raw_mail("one@x.test", ["a@x.test"], text).unwrap();
    let id = pair.connection.submit(mail);
    loop {
        pair.read();
        let said: Vec<u8> = pair.received.iter().map(|(_, byte)| *byte).collect();
        if said.windows(4).any(|part| part == b"354 ") {
            return (pair, id);
        }
        assert!(pair.write_some(usize::MAX));
    }
}

fn long_text() -> String {
    "Subject: long\r\n\r\n".to_owned() + &"0123456789abcdef0123456789abcdef\r\n".repeat(6000)
}

#[test]
fn v26_any_reply_before_the_end_of_the_data_is_transmitted_stops_the_content() {
    for reply in [
        "250 2.0.0 ok",
        "552 5.3.4 too large",
        "452 4.3.1 full",
        "354 go on",
        "421 4.3.2 down",
    ] {
        for end in [
            Action::reply(reply),
            Action::reply(reply).then_close(),
            Action::reply(reply).then_reset(),
        ] {
            for at in [1, 1000, 65_536, 100_000] {
                let server = server().on(Stage::Body(at), end.clone());
                let (mut pair, id) = at_the_text(&server, long_text());
                while !pair.read() {
                    assert!(pair.write_some(1000));
                }
                let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
                let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
                    panic!("{reply} at {at}: {outcome:?}");
                };
                assert!(
                    matches!(error.kind(), ErrorKind::Protocol(ProtocolError::EarlyReply)),
                    "{error:#}"
                );
                assert_eq!(error.reply().unwrap().to_string(), reply);
                assert_eq!(error.is_transient(), reply.starts_with('4'));
                assert!(!pair.transmitted.ends_with(b"\r\n.\r\n"));
                assert!(pair.peer.log().mails().is_empty());
            }
        }
    }
}

#[test]
fn v26_a_reply_that_began_before_the_end_of_the_data_is_not_the_final_reply() {
    // The first bytes come inside the content, the rest after its end.
    let (mut pair, id) = at_the_text(&server(), "Subject: t\r\n\r\nhello\r\n".to_owned());
    pair.write_some(10);
    pair.connection.handle_input(pair.now, b"25");
    pair.write();
    pair.connection.handle_input(pair.now, b"0 ok\r\n");
    let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
    assert!(outcome.is_in_doubt(), "{outcome:?}");
}

#[test]
fn v40_replies_are_read_after_writing_failed() {
    for reply in ["552 5.3.4 too large", "250 2.0.0 ok"] {
        let (mut pair, id) = at_the_text(&server(), long_text());
        pair.write_some(1000);
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        pair.connection.handle_write_error(pair.now, broken.into());
        assert!(pair.connection.poll_transmit(pair.now).is_none());
        let said = format!("{reply}\r\n");
        pair.connection.handle_input(pair.now, said.as_bytes());
        let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome:?}");
        };
        assert_eq!(error.reply().unwrap().to_string(), reply);
    }
}

#[test]
fn v24_a_354_after_all_recipients_were_rejected_gets_a_lone_dot_and_delivers_nothing() {
    let start = [
        "220 hi",
        "250-hi\n250 PIPELINING",
        "250 ok",
        "550 no",
        "450 not now",
        "354 go on",
    ];
    for final_reply in ["250 ok", "554 none", "451 none"] {
        let server = ScriptedServer::saying(&[&start[..], &[final_reply, "221 bye"]].concat());
        let mut pair = Pair::new(config(Pipelining::Envelope), server);
        let mail = raw_mail("a@x.test", ["b@x.test", "c@x.test"], "secret words\r\n").unwrap();
        pair.connection.submit(mail);
        pair.connection.quit();
        let (outcomes, end) = pair.finish();
        end.unwrap();
        let statuses: Vec<_> = outcomes[0]
            .1
            .recipients()
            .iter()
            .map(|each| format!("{:#}", each.status()))
            .collect();
        assert_eq!(
            statuses,
            ["rejected at RCPT: 550 no", "rejected at RCPT: 450 not now"]
        );
        assert!(pair.sent.ends_with(b"DATA\r\n.\r\nQUIT\r\n"));
        assert!(pair.peer.stored.is_empty());
    }
}

#[test]
fn v40_a_message_accepted_after_its_sender_was_rejected_is_in_doubt() {
    let start = [
        "220 hi",
        "250-hi\n250 PIPELINING",
        "550 not you",
        "250 ok",
        "354 go on",
    ];
    for (final_reply, fate) in [
        ("250 ok", "in doubt: "),
        ("554 none", "rejected at MAIL: 550 not you"),
    ] {
        let server = ScriptedServer::saying(&[&start[..], &[final_reply, "221 bye"]].concat());
        let mut pair = Pair::new(config(Pipelining::Envelope), server);
        let mail = raw_mail("a@x.test", ["b@x.test"], "secret words\r\n").unwrap();
        pair.connection.submit(mail);
        pair.connection.quit();
        let (outcomes, end) = pair.finish();
        assert_eq!(end.is_ok(), final_reply.starts_with('5'));
        let told = format!("{:#}", outcomes[0].1.recipients()[0].status());
        assert!(told.starts_with(fate), "{told}");
        assert!(
            pair.sent
                .windows(12)
                .any(|part| part == b"DATA\r\n.\r\nQUI")
                || end.is_err()
        );
    }
}

#[test]
fn the_outcome_of_a_message_that_cannot_be_sent_comes_without_waiting() {
    let server = server()
        .without("8BITMIME")
        .without("SMTPUTF8")
        .size_limit(100);
    let mut pair = Pair::new(config(Pipelining::Envelope), Machine::new(&server));
    pair.drive(Connection::poll_ready).unwrap();
    for text in ["\r\ngr\u{fc}n\r\n".to_owned(), "too much\r\n".repeat(100)] {
        let sent = pair.sent.len();
        let id = pair
            .connection
            .submit(raw_mail("a@x.test", ["b@x.test"], text).unwrap());
        let outcome = pair.connection.poll_outcome(id).answer().unwrap();
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome:?}");
        };
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Unsupported(_)
                    | ErrorKind::LimitExceeded(_)
                    | ErrorKind::TooLarge { .. }
            ),
            "{error:#}"
        );
        pair.exchange();
        assert_eq!(pair.sent.len(), sent);
        assert!(pair.connection.is_idle());
    }
}
