//! A strict server with a surplus, missing, repeated or misplaced reply, at the levels that send
//! further ahead than one envelope, with chunks, and in LMTP: a reply never counts outside its
//! flight, and no recipient joins the transaction of another message.
//!
//! Within one flight a shifted reply cannot be told from a true one. At its end there is a surplus
//! or missing reply, and nothing more is sent.

use crate::common::pair::Pair;
use crate::common::raw_mail;
use crate::common::session::{MAILS, MODES, Mode};
use crate::common::tampering_peer::{Change, TamperingPeer};
use crate::exhaustive::in_turn;
use smtp_proto::{Error, Outcome, Pipelining, RecipientStatus};
use smtp_test::{Action, Machine, Stage};

/// The results of a session.
struct Run {
    outcomes: Vec<Outcome>,
    end: Result<(), Error>,
    pair: Pair<TamperingPeer<Machine>>,
    /// The flight of the changed reply.
    disturbed: Option<usize>,
    /// Whether the content was in the same flight as the envelope.
    speculates: bool,
}

fn run(mode: Mode, change: Option<(usize, Change)>) -> Run {
    let server = mode.server();
    let mut pair = Pair::new(
        mode.config(),
        TamperingPeer::new(Machine::new(&server), change),
    );
    for (sender, recipients) in MAILS {
        let text = format!("Subject: {sender}\r\n\r\nhello\r\n");
        let mail = raw_mail(sender, recipients.iter().copied(), text).unwrap();
        pair.connection.submit(mail);
    }
    pair.connection.quit();
    let (mut outcomes, end) = pair.finish();
    outcomes.sort_by_key(|(id, _)| *id);
    assert_eq!(outcomes.len(), MAILS.len());
    let disturbed = change
        .and_then(|(number, _)| pair.peer.replies.get(number))
        .map(|(flight, _)| *flight);
    Run {
        disturbed,
        speculates: mode.level == Pipelining::Speculative,
        outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        end,
        pair,
    }
}

impl Run {
    /// The flights with commands or replies of this message. The last one does not count if it is
    /// of the next message alone.
    fn flights(&self, sender: &str) -> Vec<usize> {
        let flights = &self.pair.peer.flights;
        let mut own = Vec::new();
        let mut open = false;
        for (number, flight) in flights.iter().enumerate() {
            let flight = String::from_utf8_lossy(flight);
            let mut here = open;
            for (_, rest) in flight
                .match_indices("MAIL FROM:<")
                .map(|(at, _)| flight.split_at(at + 11))
            {
                open = rest.starts_with(sender);
                here |= open;
            }
            if here {
                own.push(number);
            }
        }
        own
    }

    /// The message that the reply of this number accepted.
    fn accepted_by(&self, number: usize) -> Option<String> {
        let replies = &self.pair.peer.replies;
        let accepts = |text: &str| {
            text.starts_with("250") && (text.contains("queued") || text.contains("delivered"))
        };
        let before = replies[..number]
            .iter()
            .filter(|(_, text)| accepts(text))
            .count();
        let mails = self.pair.peer.peer.log().mails();
        accepts(&replies[number].1).then(|| mails[before].sender().to_owned())
    }

    fn check(&self, context: &str) {
        let stored = self.pair.peer.peer.log().mails();
        for mail in &stored {
            let (_, own) = MAILS
                .iter()
                .find(|(sender, _)| *sender == mail.sender())
                .unwrap();
            let text = format!("Subject: {}\r\n\r\nhello\r\n", mail.sender());
            assert_eq!(mail.body(), text.as_bytes(), "{context}");
            for address in mail.addresses() {
                assert!(own.contains(&address), "{context}: {address} got {text}");
            }
        }
        for ((sender, _), outcome) in MAILS.iter().zip(&self.outcomes) {
            let flights = self.flights(sender);
            // Within an envelope, replies of recipients cannot be told apart from outside.
            let disturbed = self
                .disturbed
                .is_some_and(|flight| flights.contains(&flight));
            for delivery in outcome.recipients() {
                let recipient = delivery.recipient().as_str();
                let count = stored
                    .iter()
                    .filter(|mail| {
                        mail.sender() == *sender && mail.addresses().contains(&recipient)
                    })
                    .count();
                assert!(
                    count <= 1 || disturbed,
                    "{context}: {recipient} got it {count} times"
                );
                let reply = match delivery.status() {
                    RecipientStatus::NotSent(_) => {
                        assert!(
                            count == 0 || (disturbed && self.speculates),
                            "{context}: {recipient}: {}",
                            delivery.status()
                        );
                        continue;
                    }
                    RecipientStatus::InDoubt(_) => continue,
                    RecipientStatus::Accepted(reply) | RecipientStatus::Rejected { reply, .. } => {
                        reply.to_string()
                    }
                };
                let rejected = matches!(delivery.status(), RecipientStatus::Rejected { .. });
                assert!(
                    !rejected || count == 0 || disturbed,
                    "{context}: {recipient}: {reply}"
                );
                let (_, tag) = reply.rsplit_once('#').unwrap();
                let Ok(number) = tag.parse::<usize>() else {
                    assert_eq!(tag, "extra");
                    continue;
                };
                let (flight, _) = self.pair.peer.replies[number];
                assert!(
                    flights.contains(&flight),
                    "{context}: {sender} to {recipient}: #{number} is of flight {flight}, and not of {flights:?}"
                );
                if matches!(delivery.status(), RecipientStatus::Accepted(_))
                    && self.accepted_by(number).as_deref() == Some(sender)
                    && !disturbed
                {
                    assert_eq!(count, 1, "{context}: {recipient}: accepted, and not stored");
                }
            }
        }
    }
}

#[test]
fn v24_a_changed_reply_has_no_effect_outside_its_flight() {
    for (turn, mode) in MODES.into_iter().enumerate() {
        let whole = run(mode, None);
        whole.end.as_ref().unwrap();
        whole.check("undisturbed");
        for number in 0..whole.pair.peer.replies.len() {
            for &change in in_turn(&Change::ALL, number + turn) {
                let run = run(mode, Some((number, change)));
                let said = &whole.pair.peer.replies[number].1;
                run.check(&format!("{mode:?}, {change:?} at {number}, {said}"));
            }
        }
    }
}

#[test]
fn v24_a_lost_or_doubled_reply_ends_the_connection_with_its_flight() {
    let changes = [Change::Delete, Change::Double, Change::After("250 #extra")];
    for (turn, mode) in MODES.into_iter().enumerate() {
        let replies = run(mode, None).pair.peer.replies;
        // The last reply is that to QUIT.
        let (_, replies) = replies.split_last().unwrap();
        for (number, (flight, said)) in replies.iter().enumerate() {
            for &change in in_turn(&changes, number + turn) {
                let run = run(mode, Some((number, change)));
                let context = format!("{mode:?}, {change:?} at {number}, {said}");
                assert!(run.end.is_err(), "{context}");
                assert!(
                    run.pair.peer.flights.len() <= flight + 2,
                    "{context}: {} flights",
                    run.pair.peer.flights.len()
                );
            }
        }
    }
}

#[test]
fn v39_the_next_message_has_only_its_own_recipients_wherever_the_one_before_failed() {
    for mode in MODES {
        for failing in [
            vec![],
            vec![(Stage::Mail.nth(1), "550 5.7.1 not you")],
            vec![(Stage::Rcpt(1).nth(1), "550 5.1.1 no")],
            vec![
                (Stage::Rcpt(1).nth(1), "550 5.1.1 no"),
                (Stage::Rcpt(2).nth(1), "450 4.2.1 later"),
            ],
            vec![(Stage::Data.nth(1), "451 4.3.0 not now")],
            vec![(Stage::Bdat(1).nth(1), "452 4.3.1 full")],
            vec![(Stage::Bdat(2).nth(1), "452 4.3.1 full")],
            vec![(Stage::EndOfData.nth(1), "554 5.7.1 spam")],
            vec![
                (Stage::EndOfData.nth(1), "554 5.7.1 spam"),
                (Stage::EndOfData.nth(2), "554 5.7.1 spam"),
            ],
        ] {
            let mut server = mode.plain_server();
            for (stage, reply) in &failing {
                server = server.on(*stage, Action::reply(reply));
            }
            let mut pair = Pair::new(mode.config(), Machine::new(&server));
            for (sender, recipients) in [
                ("one@x.test", ["a@x.test", "b@x.test"]),
                ("two@x.test", ["c@x.test", "d@x.test"]),
                ("three@x.test", ["e@x.test", "f@x.test"]),
            ] {
                let mail = raw_mail(sender, recipients, "Subject: hello\r\n\r\nhello\r\n");
                pair.connection.submit(mail.unwrap());
            }
            pair.connection.quit();
            let (outcomes, end) = pair.finish();
            end.unwrap();
            assert!(outcomes[2].1.is_accepted(), "{mode:?}, {failing:?}");
            let log = pair.peer.log();
            log.assert_clean();
            for mail in log.mails() {
                let own: &[&str] = match mail.sender() {
                    "one@x.test" => &["a@x.test", "b@x.test"],
                    "two@x.test" => &["c@x.test", "d@x.test"],
                    _ => &["e@x.test", "f@x.test"],
                };
                assert!(mail.addresses().iter().all(|each| own.contains(each)));
            }
        }
    }
}
