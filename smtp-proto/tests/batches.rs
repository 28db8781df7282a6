//! Batches in the core: when messages are taken from the source, how far ahead they are sent, and
//! their outcomes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use crate::common::harness::{Harness, ehlo};
use crate::common::pair::Pair;
use smtp_proto::{
    ApiMisuse, Batch, Config, Connection, ErrorKind, Event, Mail, Outcome, Pipelining, Security,
    SpeculationLimits, StreamedContent,
};
use smtp_test::{Action, Machine, Stage};

const TEXT: &str = "From: <a@x.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n";

fn mail(number: usize) -> Mail {
    Mail::new(format!("m{number}@x.test"), ["b@x.test"], TEXT).unwrap()
}

fn streamed() -> Mail {
    let mail = Mail::builder().sender("streamed@x.test");
    let mail = mail.recipient("b@x.test").streamed(StreamedContent::new());
    mail.build().unwrap()
}

fn config(level: Option<Pipelining>) -> Config {
    let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
    let config = level
        .into_iter()
        .fold(config, |config, level| config.pipelining(level));
    config.build().unwrap()
}

fn pair(server: &smtp_test::Config) -> Pair<Machine> {
    Pair::new(Arc::new(config(None)), Machine::new(server))
}

/// A source that counts the messages that were taken.
struct Source {
    mails: VecDeque<Mail>,
    taken: usize,
}

impl Source {
    fn new(mails: impl IntoIterator<Item = Mail>) -> Self {
        Self {
            mails: mails.into_iter().collect(),
            taken: 0,
        }
    }

    fn next(&mut self) -> Poll<Option<Mail>> {
        self.taken += usize::from(!self.mails.is_empty());
        Poll::Ready(self.mails.pop_front())
    }
}

/// The outcomes of all messages that were taken.
fn finish(batch: &mut Batch<Source>, pair: &mut Pair<Machine>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut next =
        |connection: &mut Connection| batch.poll_outcome_from(connection, Source::next).map(Ok);
    while let Some(outcome) = pair.drive(&mut next).unwrap() {
        outcomes.push(outcome);
    }
    outcomes
}

fn error(outcome: &Outcome) -> &ErrorKind {
    outcome.error().expect("a failure").kind()
}

#[test]
fn outcomes_come_in_order_and_few_are_taken_ahead_of_them() {
    let server = smtp_test::Config::new().on(Stage::Mail.nth(3), Action::reply("550 5.7.1 no"));
    let mut pair = pair(&server);
    let mut batch = Batch::new(Source::new((0..20).map(mail)));
    let mut told = Vec::new();
    let mut most = 0;
    loop {
        let mut next = |connection: &mut Connection| {
            let outcome = batch.poll_outcome_from(connection, |source| {
                most = most.max(source.taken + 1 - told.len());
                source.next()
            });
            outcome.map(Ok)
        };
        match pair.drive(&mut next).unwrap() {
            Some(outcome) => told.push(outcome.is_accepted()),
            None => break,
        }
    }
    let expected: Vec<_> = (1..=20).map(|number| number != 3).collect();
    assert_eq!(told, expected);
    // Four messages are queued, and the last replies settled some more.
    assert!(most <= 8, "{most} messages in memory");
    assert_eq!(batch.into_rest().taken, 20);
    let log = pair.peer.log();
    let stored: Vec<_> = log
        .mails()
        .iter()
        .map(|mail| mail.sender().to_owned())
        .collect();
    let expected = (0..20).filter(|number| *number != 2);
    let expected: Vec<_> = expected.map(|number| format!("m{number}@x.test")).collect();
    assert_eq!(stored, expected);
    log.assert_clean();
}

#[test]
fn only_the_first_message_is_taken_before_the_server_is_ready() {
    let mut harness = Harness::new(config(None));
    let mut batch = Batch::new(Source::new((0..9).map(mail)));
    let mut taken = |harness: &mut Harness| {
        let mut count = 0;
        let outcome = batch.poll_outcome_from(&mut harness.connection, |source| {
            count += 1;
            source.next()
        });
        assert!(outcome.is_pending());
        count
    };
    assert_eq!(taken(&mut harness), 1);
    harness.ask("220 mx.test\r\n");
    assert_eq!(taken(&mut harness), 0);
    harness.ask(ehlo("PIPELINING"));
    assert_eq!(taken(&mut harness), 3);
    assert_eq!(taken(&mut harness), 0);
}

/// The bytes right after the content of the first of two messages.
fn after_the_first(level: Option<Pipelining>, in_batch: bool) -> String {
    let mut harness = Harness::new(config(level));
    let mut batch = Batch::new(Source::new((0..2).map(mail)));
    let ids: Vec<_> = match in_batch {
        true => Vec::new(),
        false => (0..2)
            .map(|number| harness.connection.submit(mail(number)))
            .collect(),
    };
    let mut poll = |harness: &mut Harness| match in_batch {
        true => assert!(
            batch
                .poll_outcome_from(&mut harness.connection, Source::next)
                .is_pending()
        ),
        false => assert!(harness.connection.poll_outcome(ids[1]).is_pending()),
    };
    for input in [
        "220 mx.test\r\n",
        &ehlo("PIPELINING"),
        "250 ok\r\n",
        "250 ok\r\n",
    ] {
        poll(&mut harness);
        harness.ask(input);
    }
    if level == Some(Pipelining::Off) {
        // DATA waits for the reply to RCPT.
        poll(&mut harness);
    }
    poll(&mut harness);
    let mut sent = harness.ask("354 go\r\n");
    poll(&mut harness);
    sent += &harness.listen();
    let (content, after) = sent
        .split_once("\r\n.\r\n")
        .expect("the end of the content");
    assert!(content.ends_with("hello"));
    after.to_owned()
}

#[test]
fn a_batch_sends_the_next_envelope_after_the_content_unless_the_config_sets_a_level() {
    let next = "MAIL FROM:<m1@x.test>";
    assert!(after_the_first(None, true).contains(next));
    // Outside a batch, the default waits for the final reply.
    assert_eq!(after_the_first(None, false), "");
    assert!(after_the_first(Some(Pipelining::Transactions), false).contains(next));
    assert_eq!(after_the_first(Some(Pipelining::Envelope), true), "");
    assert_eq!(after_the_first(Some(Pipelining::Off), true), "");
}

#[test]
fn after_a_batch_no_more_is_sent_ahead_than_before() {
    let mut pair = pair(&smtp_test::Config::new());
    let mut batch = Batch::new(Source::new((0..3).map(mail)));
    assert_eq!(finish(&mut batch, &mut pair).len(), 3);
    let ids: Vec<_> = (3..5)
        .map(|number| pair.connection.submit(mail(number)))
        .collect();
    let before = pair.sent.len();
    let last = pair
        .drive(|connection| connection.poll_outcome(ids[1]))
        .unwrap();
    assert!(last.is_accepted());
    let sent = String::from_utf8(pair.sent[before..].to_vec()).unwrap();
    // Not in one flight: the second MAIL was sent after the final reply to the first message.
    let second = before + sent.find("MAIL FROM:<m4@").unwrap();
    let answered = pair
        .received
        .iter()
        .filter(|(sent, byte)| *sent <= second && *byte == b'\n');
    let replies = answered.count();
    let all = pair
        .received
        .iter()
        .filter(|(_, byte)| *byte == b'\n')
        .count();
    let own = 4;
    assert_eq!(
        all - replies,
        own,
        "MAIL, RCPT, DATA and the content of the last"
    );
}

#[test]
fn messages_after_a_failure_stay_in_the_source() {
    let server = smtp_test::Config::new().on(Stage::Mail.nth(2), Action::reply("421 4.3.2 down"));
    let mut pair = pair(&server);
    let mut batch = Batch::new(Source::new((0..50).map(mail)));
    let outcomes = finish(&mut batch, &mut pair);
    let source = batch.into_rest();
    assert!(outcomes[0].is_accepted(), "{:?}", outcomes[0]);
    assert_eq!(
        outcomes.len(),
        source.taken,
        "each message that was taken has an outcome"
    );
    assert_eq!(source.mails.len(), 50 - source.taken);
    assert!(outcomes[1..].iter().all(|outcome| !outcome.is_accepted()));
    assert!(source.taken < 10, "{} were taken", source.taken);
}

#[test]
fn streamed_content_is_not_for_a_batch_and_the_next_message_is_taken() {
    let mut pair = pair(&smtp_test::Config::new());
    let mails = [mail(0), streamed(), mail(2), streamed()];
    let mut batch = Batch::new(Source::new(mails));
    let outcomes = finish(&mut batch, &mut pair);
    let accepted: Vec<_> = outcomes.iter().map(Outcome::is_accepted).collect();
    assert_eq!(accepted, [true, false, true, false]);
    for outcome in [&outcomes[1], &outcomes[3]] {
        let kind = error(outcome);
        assert!(
            matches!(kind, ErrorKind::Misuse(ApiMisuse::ContentUnfinished)),
            "{kind:?}"
        );
    }
    assert_eq!(pair.peer.log().mails().len(), 2);
}

#[test]
fn a_source_that_is_pending_is_asked_again_and_one_that_has_ended_is_not() {
    let mut pair = pair(&smtp_test::Config::new());
    let mut batch = Batch::new(());
    let mut sources: VecDeque<Poll<Option<Mail>>> = VecDeque::from([Poll::Pending]);
    let asked = |pair: &mut Pair<Machine>, batch: &mut Batch<()>, sources: &mut VecDeque<_>| {
        batch.poll_outcome_from(&mut pair.connection, |()| {
            sources.pop_front().expect("polled after its end")
        })
    };
    assert!(asked(&mut pair, &mut batch, &mut sources).is_pending());
    sources.extend([Poll::Ready(Some(mail(0))), Poll::Ready(None)]);
    let mut next = |connection: &mut Connection| {
        let outcome = batch.poll_outcome_from(connection, |()| {
            sources.pop_front().expect("polled after its end")
        });
        outcome.map(Ok)
    };
    assert!(pair.drive(&mut next).unwrap().unwrap().is_accepted());
    assert!(pair.drive(&mut next).unwrap().is_none());
    assert!(pair.drive(&mut next).unwrap().is_none());
}

#[test]
fn a_batch_ends_at_the_limit_of_messages_in_a_session() {
    let server = smtp_test::Config::new().with("LIMITS MAILMAX=2");
    let mut pair = pair(&server);
    let mut batch = Batch::new(Source::new((0..5).map(mail)));
    let outcomes = finish(&mut batch, &mut pair);
    let accepted: Vec<_> = outcomes.iter().map(Outcome::is_accepted).collect();
    // The outcome of the last message taken says why the others were not.
    assert_eq!(accepted, [true, true, false]);
    let kind = error(&outcomes[2]);
    assert!(matches!(kind, ErrorKind::TooManyMails), "{kind:?}");
    assert_eq!(batch.into_rest().mails.len(), 2);
}

/// The sender of each message on the wire, in order. The second of some messages has more
/// recipients than the server accepts.
fn order(level: Pipelining) -> Vec<String> {
    let server = smtp_test::Config::new().with("CHUNKING").strict_bdat();
    let server = server.max_recipients(1);
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(level)
        .speculation(
            SpeculationLimits::default()
                .with_message_bytes(1000)
                .with_bytes_in_flight(2 * TEXT.len() as u64),
        )
        .build()
        .unwrap();
    let mut pair = Pair::new(Arc::new(config), Machine::new(&server));
    let ids: Vec<_> = (0..4)
        .map(|number| {
            let to = ["b@x.test", "c@x.test", "d@x.test"];
            let to = &to[..if number == 1 { 3 } else { 1 }];
            let mail = Mail::new(format!("m{number}@x.test"), to.iter().copied(), TEXT);
            pair.connection.submit(mail.unwrap())
        })
        .collect();
    for id in ids {
        let outcome = pair
            .drive(|connection| connection.poll_outcome(id))
            .unwrap();
        assert!(outcome.is_accepted(), "{level:?}: {outcome:?}");
    }
    let log = pair.peer.log();
    log.assert_clean();
    let mails = log.mails();
    mails
        .iter()
        .map(|mail| format!("{} {}", mail.sender(), mail.addresses()[0]))
        .collect()
}

#[test]
fn a_further_transaction_follows_those_in_flight_and_precedes_other_messages() {
    let at_once = [
        "m0@x.test b@x.test",
        "m1@x.test b@x.test",
        "m1@x.test c@x.test",
        "m1@x.test d@x.test",
        "m2@x.test b@x.test",
        "m3@x.test b@x.test",
    ];
    assert_eq!(order(Pipelining::Off), at_once);
    assert_eq!(order(Pipelining::Envelope), at_once);
    assert_eq!(order(Pipelining::Transactions), at_once);
    // The next transaction is in flight when the remaining recipients are known. Two contents are
    // never in flight.
    let next = [
        "m0@x.test b@x.test",
        "m1@x.test b@x.test",
        "m2@x.test b@x.test",
        "m1@x.test c@x.test",
        "m3@x.test b@x.test",
        "m1@x.test d@x.test",
    ];
    assert_eq!(order(Pipelining::Speculative), next);
}

#[test]
fn an_outcome_that_the_caller_took_as_an_event_is_left_out_of_the_batch() {
    let mut pair = pair(&smtp_test::Config::new());
    let mut batch = Batch::new(Source::new((0..5).map(mail)));
    let (mut events, mut outcomes) = (Vec::new(), Vec::new());
    let mut next = |connection: &mut Connection| {
        while let Some(event) = connection.poll_event() {
            if let Event::Outcome(_, outcome) = event? {
                events.push(outcome);
            }
        }
        batch.poll_outcome_from(connection, Source::next).map(Ok)
    };
    while let Some(outcome) = pair.drive(&mut next).unwrap() {
        outcomes.push(outcome);
    }
    assert!(!events.is_empty());
    assert_eq!(events.len() + outcomes.len(), 5);
    assert!(events.iter().chain(&outcomes).all(Outcome::is_accepted));
    assert_eq!(pair.peer.log().mails().len(), 5);
}

/// What a connection sends for a second message while the final reply to the first is pending,
/// after its level of pipelining was set.
fn behind_the_first(config: Option<Pipelining>, set: Pipelining, keywords: &str) -> String {
    let mut harness = Harness::new(self::config(config));
    harness.connection.set_pipelining(set);
    for number in 0..2 {
        harness.connection.submit(mail(number));
    }
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask(ehlo(keywords));
    harness.connection.set_pipelining(set);
    harness.ask("250 ok\r\n");
    harness.ask("250 ok\r\n");
    let sent = harness.ask("354 go\r\n");
    let (_, behind) = sent.split_once("\r\n.\r\n").expect("the whole content");
    behind.to_owned()
}

#[test]
fn a_level_set_on_a_connection_counts_unless_the_config_sets_one_or_the_server_has_none() {
    let level = Pipelining::Transactions;
    assert!(behind_the_first(None, level, "PIPELINING").contains("MAIL FROM:<m1@x.test>"));
    assert_eq!(
        behind_the_first(None, Pipelining::Envelope, "PIPELINING"),
        ""
    );
    assert_eq!(behind_the_first(None, level, ""), "");
    let envelope = Some(Pipelining::Envelope);
    assert_eq!(behind_the_first(envelope, level, "PIPELINING"), "");
}

#[test]
fn an_outcome_waits_until_the_commands_that_follow_are_sent() {
    let mut harness = Harness::new(config(Some(Pipelining::Envelope)));
    let mut batch = Batch::new(Source::new((0..2).map(mail)));
    let mut next =
        |harness: &mut Harness| batch.poll_outcome_from(&mut harness.connection, Source::next);
    for input in [
        "220 mx.test\r\n",
        &ehlo("PIPELINING"),
        "250 ok\r\n250 ok\r\n354 go\r\n",
    ] {
        assert!(next(&mut harness).is_pending());
        harness.listen();
        harness.ask(input);
    }
    assert!(next(&mut harness).is_pending());
    harness.say("250 taken\r\n");
    assert!(next(&mut harness).is_pending());
    assert!(harness.listen().starts_with("MAIL FROM:<m1@x.test>"));
    let Poll::Ready(Some(outcome)) = next(&mut harness) else {
        panic!("no outcome after the commands");
    };
    assert!(outcome.is_accepted());
}
