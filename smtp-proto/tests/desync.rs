//! A server with a surplus, missing, repeated or misplaced reply: no reply is matched to another
//! message, and no recipient joins another transaction.

use crate::common::Answered as _;
use crate::common::pair::{next_event, transmit};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;

use crate::common::pair::{Cut, Fault, Pair};
use crate::common::raw_mail;
use crate::common::scripted_server::{Entry, ScriptedServer};
use smtp_proto::{
    ApiMisuse, Config, Connection, ErrorKind, Mail, Outcome, Pipelining, ProtocolError,
    RecipientStatus, Security, Seed, Stage, Time,
};
use smtp_test::{Action, Machine};

fn config(pipelining: Pipelining) -> Arc<Config> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(pipelining);
    Arc::new(config.build().unwrap())
}

/// A sender, recipients with the code that each earns, and the final reply's code.
type Envelope = (&'static str, &'static [(&'static str, u16)], u16);

const MAILS: [Envelope; 5] = [
    ("A", &[("a1", 250), ("a2", 550), ("a3", 250)], 250),
    ("B", &[("b1", 250), ("b2", 450)], 554),
    ("C", &[("c1", 550)], 0),
    ("D", &[("d1", 250)], 250),
    ("E", &[("e1", 250), ("e2", 250)], 250),
];

/// The true replies of the session, each with the name of its command and its flight.
fn truth(level: Pipelining) -> Vec<(Entry, usize)> {
    let mut entries = vec![
        (Entry::new("220 hi"), 0),
        (Entry::new("250-hi\n250 PIPELINING"), 1),
    ];
    let mut flight = 2;
    let mut left_over = false;
    for (sender, recipients, final_reply) in MAILS {
        let mut say = |code: u16, what: &str, last: bool| {
            entries.push((Entry::new(&format!("{code} #{sender}.{what}")), flight));
            flight += usize::from(last || level == Pipelining::Off);
        };
        if left_over {
            say(250, "rset", false);
        }
        say(250, "mail", false);
        for (recipient, code) in recipients {
            say(*code, recipient, false);
        }
        let rejected = recipients.iter().all(|(_, code)| *code >= 400);
        left_over = rejected || final_reply >= 400;
        if !rejected {
            say(354, "data", true);
            say(final_reply, "end", true);
        } else if level == Pipelining::Envelope {
            say(554, "data", true);
        }
    }
    entries.push((Entry::new("221 #bye"), flight));
    entries
}

#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Before(&'static str),
    After(&'static str),
    Delete,
    Double,
    /// With the reply after it.
    Swap,
}

const CHANGES: [Change; 11] = [
    Change::Before("250 #extra"),
    Change::Before("550 #extra"),
    Change::Before("354 #extra"),
    Change::Before("421 #extra"),
    Change::After("250 #extra"),
    Change::After("550 #extra"),
    Change::After("354 #extra"),
    Change::After("421 #extra"),
    Change::Delete,
    Change::Double,
    Change::Swap,
];

/// The session with one change; `None` if the change is not possible there.
fn changed(level: Pipelining, at: usize, change: Change) -> Option<Vec<Entry>> {
    let truth = truth(level);
    let mut entries: Vec<Entry> = truth.iter().map(|(entry, _)| entry.clone()).collect();
    let extra = |text: &str| Entry::new(text).said;
    let said = entries[at].said.clone();
    match change {
        Change::None => {}
        Change::Before(text) => entries[at].said = [extra(text), said].concat(),
        Change::After(text) => entries[at].said = [said, extra(text)].concat(),
        Change::Delete => entries[at].said = Vec::new(),
        Change::Double => entries[at].said = [said.clone(), said].concat(),
        Change::Swap => {
            // Only replies of the same flight can change places.
            let (_, flight) = truth.get(at + 1)?;
            if *flight != truth[at].1 {
                return None;
            }
            entries[at].said = std::mem::replace(&mut entries[at + 1].said, said);
        }
    }
    Some(entries)
}

fn run(level: Pipelining, entries: Vec<Entry>) -> (Vec<Outcome>, Pair<ScriptedServer>) {
    let mut pair = Pair::new(config(level), ScriptedServer::new(entries));
    for (sender, recipients, _) in MAILS {
        let recipients = recipients.iter().map(|(name, _)| format!("{name}@x.test"));
        let mail = raw_mail(format!("{sender}@x.test"), recipients, "hello\r\n").unwrap();
        pair.connection.submit(mail);
    }
    pair.connection.quit();
    let (mut outcomes, _) = pair.finish();
    outcomes.sort_by_key(|(id, _)| *id);
    assert_eq!(outcomes.len(), MAILS.len());
    (
        outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        pair,
    )
}

/// The tag of the reply, and the tag that it should have.
fn tags(sender: &str, recipient: &str, fate: &RecipientStatus) -> Option<(String, String)> {
    let (reply, what) = match fate {
        RecipientStatus::Accepted(reply) => (reply, "end"),
        RecipientStatus::Rejected { stage, reply, .. } => (
            reply,
            match stage {
                Stage::Mail => "mail",
                Stage::Rcpt => recipient.split('@').next().unwrap(),
                Stage::Data => "data",
                _ => "end",
            },
        ),
        RecipientStatus::NotSent(_) | RecipientStatus::InDoubt(_) => return None,
    };
    let text = reply.to_string();
    let (_, tag) = text.split_once('#').unwrap();
    Some((tag.to_owned(), format!("{sender}.{what}")))
}

#[test]
fn v24_no_changed_reply_is_matched_to_another_message() {
    for level in [Pipelining::Off, Pipelining::Envelope] {
        for at in 0..truth(level).len() {
            for change in CHANGES {
                let Some(entries) = changed(level, at, change) else {
                    continue;
                };
                let context = format!("{level:?}, {change:?} at {:?}", truth(level)[at].0);
                let (outcomes, pair) = run(level, entries);
                for ((sender, _, _), outcome) in MAILS.iter().zip(&outcomes) {
                    let stored: Vec<_> = pair
                        .peer
                        .stored
                        .iter()
                        .filter(|mail| mail.sender == format!("{sender}@x.test"))
                        .collect();
                    assert!(stored.len() <= 1, "{context}");
                    for delivery in outcome.recipients() {
                        let recipient = delivery.recipient().as_str();
                        let Some((tag, own)) = tags(sender, recipient, delivery.status()) else {
                            continue;
                        };
                        // Within the envelope of one flight a shifted reply cannot be told from a
                        // true one before the end of the flight. The effect stays within that
                        // envelope, and no content is sent.
                        let in_flight = level == Pipelining::Envelope
                            && !own.ends_with(".end")
                            && tag.starts_with(&format!("{sender}."));
                        assert!(
                            tag == own || tag == "extra" || in_flight,
                            "{context}: {recipient} got #{tag} in place of #{own}"
                        );
                        let has = stored
                            .iter()
                            .any(|mail| mail.recipients.iter().any(|each| each == recipient));
                        let swapped = matches!(change, Change::Swap);
                        match delivery.status() {
                            RecipientStatus::Accepted(_) if tag == own => {
                                assert!(has || swapped, "{context}: {recipient}")
                            }
                            RecipientStatus::Rejected { .. } if tag == own => {
                                assert!(!has || swapped, "{context}: {recipient}")
                            }
                            _ => {}
                        }
                    }
                    if outcome
                        .recipients()
                        .iter()
                        .all(|each| matches!(each.status(), RecipientStatus::NotSent(_)))
                    {
                        assert!(
                            stored.is_empty(),
                            "{context}: stored, and reported as not sent"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn v24_an_unchanged_session_matches_every_reply_to_its_command() {
    for level in [Pipelining::Off, Pipelining::Envelope] {
        let (outcomes, pair) = run(level, changed(level, 0, Change::None).unwrap());
        for ((sender, recipients, final_reply), outcome) in MAILS.iter().zip(&outcomes) {
            for ((name, code), delivery) in recipients.iter().zip(outcome.recipients()) {
                let (tag, own) = tags(sender, name, delivery.status()).unwrap();
                assert_eq!(tag, own);
                let expected = if *code == 250 { *final_reply } else { *code };
                assert_eq!(delivery.status().reply().unwrap().code().as_u16(), expected);
            }
        }
        let stored: Vec<_> = pair
            .peer
            .stored
            .iter()
            .map(|mail| (mail.sender.as_str(), mail.recipients.len()))
            .collect();
        assert_eq!(stored, [("A@x.test", 2), ("D@x.test", 1), ("E@x.test", 2)]);
    }
}

#[test]
fn v24_a_lost_or_doubled_reply_ends_the_connection() {
    for level in [Pipelining::Off, Pipelining::Envelope] {
        let count = truth(level).len();
        for at in 0..count - 1 {
            for change in [Change::Delete, Change::Double] {
                let (outcomes, pair) = run(level, changed(level, at, change).unwrap());
                // The last message is after every change except those in its own transaction.
                let own = at >= count - 6;
                let last = outcomes.last().unwrap();
                assert!(
                    own || last.error().is_some(),
                    "{change:?} at {at}: {last:?}"
                );
                assert!(
                    own || !pair.sent.windows(9).any(|part| part == b"FROM:<E@x"),
                    "{change:?} at {at}"
                );
            }
        }
    }
}

/// A ready connection, with a message to three recipients queued.
fn ready_with_mail() -> Connection {
    let mut connection = Connection::new(config(Pipelining::Envelope), Seed::from_bytes([0; 32]));
    connection.handle_input(Time::ORIGIN, b"220 hi\r\n");
    let count = transmit(&mut connection, Time::ORIGIN).unwrap().len();
    connection.handle_sent(Time::ORIGIN, count);
    connection.handle_input(Time::ORIGIN, b"250-hi\r\n250 PIPELINING\r\n");
    connection.submit(
        raw_mail(
            "a@x.test",
            ["b@x.test", "c@x.test", "d@x.test"],
            "hello\r\n",
        )
        .unwrap(),
    );
    connection
}

#[test]
fn i4_a_reply_before_its_command_is_transmitted_whole_is_fatal_in_a_flight() {
    let now = Time::ORIGIN;
    let flight: Vec<u8> = transmit(&mut ready_with_mail(), now)
        .unwrap()
        .iter()
        .flatten()
        .copied()
        .collect();
    assert_eq!(flight.split_inclusive(|byte| *byte == b'\n').count(), 5);
    for sent in 0..flight.len() {
        let whole = flight[..sent].iter().filter(|byte| **byte == b'\n').count();
        let mut connection = ready_with_mail();
        transmit(&mut connection, now);
        connection.handle_sent(now, sent);
        for _ in 0..whole {
            connection.handle_input(now, b"250 ok\r\n");
        }
        assert!(
            connection.poll_timeout().is_some(),
            "failed too early, {sent} bytes sent"
        );
        connection.handle_input(now, b"250 ok\r\n");
        let error = loop {
            match connection.poll_event().unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Protocol(ProtocolError::UnexpectedReply)
            ),
            "{sent} bytes sent: {error:#}"
        );
        assert!(connection.poll_transmit(now).is_none());
    }
}

#[test]
fn i4_a_reply_before_its_command_is_transmitted_whole_is_fatal_without_pipelining() {
    let session = |cut| {
        let mut pair = Pair::new(
            config(Pipelining::Off),
            Machine::new(&smtp_test::Config::new()),
        );
        pair.cut = cut;
        for sender in ["one@x.test", "two@x.test"] {
            let mail = raw_mail(sender, ["b@x.test", "c@x.test"], "hello\r\n").unwrap();
            pair.connection.submit(mail);
        }
        let (mut delivered, mut undelivered) = (0, 0);
        let end = loop {
            match pair.drive(|connection| {
                let event = next_event(connection);
                if event.is_pending() && connection.is_idle() {
                    connection.quit();
                }
                event
            }) {
                Ok(smtp_proto::Event::Outcome(_, outcome)) if outcome.is_accepted() => {
                    delivered += 1
                }
                Ok(smtp_proto::Event::Outcome(..)) => undelivered += 1,
                Ok(smtp_proto::Event::Closed) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        assert_eq!(delivered + undelivered, 2);
        (end, pair)
    };
    let (end, whole) = session(None);
    end.unwrap();
    let quit = whole.sent.len() - "QUIT\r\n".len();
    for after in 0..quit {
        for reply in [&b"250 early\r\n"[..], b"354 early\r\n", b"550 early\r\n"] {
            let cut = Cut::Output {
                after,
                reaches: false,
                fault: Fault::Input(reply),
            };
            let (end, pair) = session(Some(cut));
            let error = end.expect_err("a reply to nothing");
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Protocol(ProtocolError::UnexpectedReply | ProtocolError::EarlyReply)
                ),
                "{after}: {error:#}"
            );
            assert_eq!(pair.sent.len(), after);
        }
    }
}

#[test]
fn i4_a_reply_whose_first_byte_came_too_early_answers_nothing() {
    let now = Time::ORIGIN;
    let mut connection = ready_with_mail();
    connection.handle_input(now, b"2");
    assert!(transmit(&mut connection, now).is_none());
    connection.handle_input(now, b"50 ok\r\n");
    assert!(matches!(
        connection.poll_ready(),
        Poll::Ready(Err(error)) if matches!(error.kind(), ErrorKind::Protocol(ProtocolError::UnexpectedReply))
    ));
}

/// A message that is submitted while a failing connection reads the rest of an early reply is not
/// affected by it.
#[test]
fn a_message_after_an_early_reply_may_be_retried() {
    let now = Time::ORIGIN;
    let mut connection = ready_with_mail();
    connection.handle_input(now, b"2");
    let mail = Mail::new("c@x.test", ["d@y.test"], "From: c@x.test\r\n\r\n").unwrap();
    let late = connection.submit(mail);
    let outcome = connection.poll_outcome(late).answer().unwrap();
    let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
        panic!("{outcome:?}");
    };
    assert!(matches!(error.kind(), ErrorKind::Earlier(_)), "{error:#}");
    assert!(error.is_transient());
    // The error of the connection itself is the original one.
    let Poll::Ready(Err(error)) = connection.poll_outcome(late) else {
        panic!("reported twice");
    };
    assert!(matches!(
        error.kind(),
        ErrorKind::Protocol(ProtocolError::UnexpectedReply)
    ));
}

#[test]
fn i4_acknowledging_more_than_was_transmitted_is_an_error_of_its_own() {
    let now = Time::ORIGIN;
    for more in [1, usize::MAX] {
        let mut connection = ready_with_mail();
        let count = transmit(&mut connection, now).unwrap().len();
        connection.handle_sent(now, count.saturating_add(more));
        assert!(connection.is_closed());
        let error = connection.poll_closed().answer().unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::Misuse(ApiMisuse::SentTooMuch)
        ));
        assert!(transmit(&mut connection, now).is_none());
    }
}

#[test]
fn v39_the_next_message_has_only_its_own_recipients_wherever_the_one_before_failed() {
    use smtp_test::Stage;
    for level in [Pipelining::Off, Pipelining::Envelope] {
        for (failing, reset) in [
            (vec![], false),
            (vec![(Stage::Mail.nth(1), "550 5.7.1 not you")], false),
            (vec![(Stage::Mail.nth(1), "451 4.3.0 not now")], false),
            (vec![(Stage::Rcpt(1).nth(1), "550 5.1.1 no")], false),
            (
                vec![
                    (Stage::Rcpt(1).nth(1), "550 5.1.1 no"),
                    (Stage::Rcpt(2).nth(1), "450 4.2.1 later"),
                ],
                true,
            ),
            (vec![(Stage::Data.nth(1), "451 4.3.0 not now")], true),
            (vec![(Stage::Data.nth(1), "554 5.7.1 no")], true),
            (vec![(Stage::EndOfData.nth(1), "554 5.7.1 spam")], true),
            (vec![(Stage::EndOfData.nth(1), "452 4.3.1 full")], true),
        ] {
            let mut server = smtp_test::Config::new();
            for (stage, reply) in &failing {
                server = server.on(*stage, Action::reply(reply));
            }
            let mut pair = Pair::new(config(level), Machine::new(&server));
            for (sender, recipients) in [
                ("one@x.test", ["a@x.test", "b@x.test"]),
                ("two@x.test", ["c@x.test", "d@x.test"]),
            ] {
                pair.connection
                    .submit(raw_mail(sender, recipients, "hello\r\n").unwrap());
            }
            pair.connection.quit();
            let (outcomes, end) = pair.finish();
            end.unwrap();
            assert!(outcomes[1].1.is_accepted());
            let log = pair.peer.log();
            log.assert_clean();
            let second = log.mails().pop().unwrap();
            assert_eq!(second.sender(), "two@x.test");
            assert_eq!(second.addresses(), ["c@x.test", "d@x.test"]);
            let resets = log
                .session()
                .commands()
                .iter()
                .filter(|line| *line == "RSET")
                .count();
            assert_eq!(resets, usize::from(reset), "{level:?}, {failing:?}");
        }
    }
}

#[test]
fn v39_a_server_that_rejects_rset_gets_no_further_message() {
    use smtp_test::Stage;
    for reply in [
        "500 5.5.1 what",
        "451 4.3.0 not now",
        "354 go on",
        "421 4.3.2 down",
    ] {
        for level in [Pipelining::Off, Pipelining::Envelope] {
            let server = smtp_test::Config::new()
                .on(Stage::Data.nth(1), Action::reply("451 4.3.0 not now"))
                .on(Stage::Rset, Action::reply(reply));
            let mut pair = Pair::new(config(level), Machine::new(&server));
            for sender in ["one@x.test", "two@x.test"] {
                pair.connection
                    .submit(raw_mail(sender, ["a@x.test"], "hello\r\n").unwrap());
            }
            pair.connection.quit();
            let (outcomes, end) = pair.finish();
            assert_eq!(end.unwrap_err().reply().unwrap().to_string(), reply);
            assert!(matches!(
                outcomes[1].1.recipients()[0].status(),
                RecipientStatus::NotSent(_)
            ));
            assert!(pair.peer.log().mails().is_empty());
        }
    }
}

#[test]
fn v39_a_withdrawn_message_leaves_no_recipient_behind() {
    let mut pair = Pair::new(
        config(Pipelining::Envelope),
        Machine::new(&smtp_test::Config::new()),
    );
    let ids: BTreeSet<_> = ["one@x.test", "two@x.test", "three@x.test"]
        .map(|sender| {
            pair.connection
                .submit(raw_mail(sender, [format!("to-{sender}")], "hello\r\n").unwrap())
        })
        .into();
    pair.connection.abandon(*ids.iter().nth(1).unwrap());
    pair.connection.quit();
    let (outcomes, end) = pair.finish();
    end.unwrap();
    assert_eq!(
        outcomes.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(),
        ids
    );
    let mails = pair.peer.log().mails();
    let stored: Vec<_> = mails.iter().map(|mail| mail.addresses()).collect();
    assert_eq!(stored, [["to-one@x.test"], ["to-three@x.test"]]);
}

#[test]
fn v39_a_rejected_rset_of_the_caller_resets_nothing() {
    use smtp_test::Stage;
    let server = smtp_test::Config::new()
        .on(Stage::Data.nth(1), Action::reply("451 4.3.0 not now"))
        .on(Stage::Rset.nth(1), Action::reply("502 5.5.1 no"));
    let mut pair = Pair::new(config(Pipelining::Envelope), Machine::new(&server));
    pair.connection
        .submit(raw_mail("one@x.test", ["a@x.test"], "hello\r\n").unwrap());
    let reset = pair.connection.command(smtp_proto::Command::rset());
    let id = pair
        .connection
        .submit(raw_mail("two@x.test", ["b@x.test"], "hello\r\n").unwrap());
    let reply = pair.drive(|c| c.poll_reply(reset)).unwrap();
    assert_eq!(reply.code().as_u16(), 502);
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    let log = pair.peer.log();
    assert_eq!(log.mails()[0].addresses(), ["b@x.test"]);
    let commands = log.session().commands().to_vec();
    assert_eq!(commands.iter().filter(|line| *line == "RSET").count(), 2);
}
