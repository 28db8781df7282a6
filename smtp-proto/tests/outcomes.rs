//! What became of each recipient, wherever and however a session breaks: the machine's word against a second reading of
//! the wire, and against what the server stored.

mod common;

use std::sync::Arc;

use common::dialogue::Dialogue;
use common::invariants::{check_commands, check_fates};
use common::pair::{Cut, Fault, Pair};
use smtp_proto::{
    Config, Connection, Error, ErrorKind, Fate, Mail, Outcome, Pipelining, ProtocolError, Security,
};
use smtp_test::{Action, Machine, Output, Peer, Stage};

/// The envelopes of the session that is broken everywhere.
const MAILS: [(&str, &[&str]); 4] = [
    ("one@x.test", &["a@x.test", "no-b@x.test", "later-c@x.test", "d@x.test"]),
    ("two@x.test", &["no-b@x.test", "later-c@x.test"]),
    ("spam@x.test", &["a@x.test", "d@x.test"]),
    ("four@x.test", &["e@x.test", "no-b@x.test"]),
];

fn policy(pipelining: Pipelining) -> Arc<Config> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(pipelining);
    Arc::new(config.build().unwrap())
}

fn server() -> smtp_test::Config {
    smtp_test::Config::new()
        .refuse("no-b@x.test", "550 5.1.1 no such user")
        .refuse("later-c@x.test", "451-4.2.1 mailbox\n451 4.2.1 is locked")
        .on(Stage::Mail.nth(3), Action::reply("553 5.7.1 not you"))
}

fn text(sender: &str) -> String {
    format!("Subject: from {sender}\r\n\r\n.dots\r\n")
}

/// The session, broken in this way: asserts all that must hold, and returns how it went.
fn run(pipelining: Pipelining, server: smtp_test::Config, cut: Option<Cut>) -> Run {
    let context = format!("{pipelining:?}, {cut:?}");
    let mut pair = Pair::new(policy(pipelining), Machine::new(&server));
    // A byte at a time wherever it matters: an acknowledgement or a fault can come between any two.
    pair.cut = cut;
    let ids: Vec<_> = MAILS
        .iter()
        .map(|(sender, recipients)| {
            let mail = Mail::new(*sender, recipients.iter().copied(), text(sender)).unwrap();
            pair.connection.submit(mail)
        })
        .collect();
    pair.connection.quit();
    let (mut outcomes, end) = pair.finish();
    outcomes.sort_by_key(|(id, _)| *id);
    assert!(
        outcomes.iter().map(|(id, _)| *id).eq(ids),
        "{context}: not one outcome for each mail"
    );
    let log = pair.peer.log();
    check_commands(&log);
    let dialogue = Dialogue::read(&pair.offered, &pair.heard);
    let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    for ((sender, _), outcome) in MAILS.iter().zip(&outcomes) {
        dialogue.check(sender, outcome, &context);
        check_fates(outcome, &log.mails(), text(sender).as_bytes());
        for delivery in outcome.deliveries() {
            if let Fate::NotSent(error) | Fate::InDoubt(error) = delivery.fate() {
                let failure = end.as_ref().expect_err("a failure that has no end");
                assert_eq!(error.to_string(), failure.to_string(), "{context}");
            }
        }
    }
    Run {
        outcomes,
        end,
        heard: pair.heard.len(),
        sent: pair.sent.len(),
    }
}

struct Run {
    outcomes: Vec<Outcome>,
    end: Result<(), Error>,
    heard: usize,
    sent: usize,
}

const LEVELS: [Pipelining; 2] = [Pipelining::Off, Pipelining::Envelope];

const OVERLONG: [u8; 4096] = [b'x'; 4096];

#[test]
fn an_undisturbed_session_is_what_the_reference_says() {
    for level in LEVELS {
        let run = run(level, server(), None);
        run.end.unwrap();
        let fates: Vec<String> = run
            .outcomes
            .iter()
            .flat_map(Outcome::deliveries)
            .map(|delivery| delivery.fate().to_string())
            .collect();
        let starts = [
            "accepted: 250",
            "refused at RCPT: 550",
            "refused at RCPT: 451",
            "accepted: 250",
            "refused at RCPT: 550",
            "refused at RCPT: 451",
            "refused at MAIL: 553",
            "refused at MAIL: 553",
            "accepted: 250",
            "refused at RCPT: 550",
        ];
        assert_eq!(fates.len(), starts.len());
        for (fate, start) in fates.iter().zip(starts) {
            assert!(fate.starts_with(start), "{fate}, and not {start}");
        }
    }
}

#[test]
fn v40_every_fate_is_right_wherever_the_servers_words_end() {
    let faults: [Fault; 7] = [
        Fault::Eof,
        Fault::ReadError,
        Fault::WriteErrorAndEof,
        Fault::Silence,
        Fault::Says(b"\0"),
        Fault::Says(&OVERLONG),
        Fault::Says(b"\x00250 ok\r\n"),
    ];
    for level in LEVELS {
        let whole = run(level, server(), None).heard;
        for after in 0..whole {
            for eager in [true, false] {
                for fault in faults {
                    let cut = Cut::Input {
                        after,
                        eager,
                        fault,
                    };
                    let run = run(level, server(), Some(cut));
                    match (fault, run.end) {
                        (_, Ok(())) => {}
                        (Fault::Eof, Err(error)) => {
                            assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
                        }
                        (Fault::Silence, Err(error)) => {
                            assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
                        }
                        (Fault::Says(_), Err(error)) => {
                            assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
                        }
                        (_, Err(error)) => {
                            assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn v40_every_fate_is_right_wherever_the_clients_words_end() {
    for level in LEVELS {
        let whole = run(level, server(), None).sent;
        for after in 0..whole {
            for reaches in [true, false] {
                for fault in [
                    Fault::Eof,
                    Fault::ReadError,
                    Fault::WriteError,
                    Fault::WriteErrorAndEof,
                    Fault::Silence,
                ] {
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
}
