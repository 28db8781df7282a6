//! Batches as the core has them: what is taken from the source and when, how far is sent ahead, and what is told of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use crate::common::harness::{Harness, ehlo};
use crate::common::pair::Pair;
use smtp_proto::{
    ApiMisuse, Batch, Config, Connection, ErrorKind, Mail, Outcome, Pipelining, Security,
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

/// A source that counts how many were taken.
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

/// What becomes of all that are taken.
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
    // Four in line, and what the last replies settled.
    assert!(most <= 8, "{most} were in memory");
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
fn nothing_but_the_first_is_taken_before_the_server_is_ready() {
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

/// What goes out right after the content of the first of two messages.
fn behind_the_first(level: Option<Pipelining>, in_batch: bool) -> String {
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
    let (content, behind) = sent
        .split_once("\r\n.\r\n")
        .expect("the end of the content");
    assert!(content.ends_with("hello"));
    behind.to_owned()
}

#[test]
fn a_batch_sends_the_next_envelope_behind_a_content_unless_the_policy_says_how_far() {
    let next = "MAIL FROM:<m1@x.test>";
    assert!(behind_the_first(None, true).contains(next));
    // Without a batch, a round trip more is the default.
    assert_eq!(behind_the_first(None, false), "");
    assert!(behind_the_first(Some(Pipelining::Transactions), false).contains(next));
    assert_eq!(behind_the_first(Some(Pipelining::Envelope), true), "");
    assert_eq!(behind_the_first(Some(Pipelining::Off), true), "");
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
    // Not in one flight: the second MAIL was written when the reply to the first content had come.
    let second = before + sent.find("MAIL FROM:<m4@").unwrap();
    let answered = pair
        .heard
        .iter()
        .filter(|(sent, byte)| *sent <= second && *byte == b'\n');
    let replies = answered.count();
    let all = pair.heard.iter().filter(|(_, byte)| *byte == b'\n').count();
    let own = 4;
    assert_eq!(
        all - replies,
        own,
        "MAIL, RCPT, DATA and the content of the last"
    );
}

#[test]
fn what_a_failure_leaves_in_the_source_is_still_there() {
    let server = smtp_test::Config::new().on(Stage::Mail.nth(2), Action::reply("421 4.3.2 down"));
    let mut pair = pair(&server);
    let mut batch = Batch::new(Source::new((0..50).map(mail)));
    let outcomes = finish(&mut batch, &mut pair);
    let source = batch.into_rest();
    assert!(outcomes[0].is_accepted(), "{:?}", outcomes[0]);
    assert_eq!(
        outcomes.len(),
        source.taken,
        "each that was taken is told of"
    );
    assert_eq!(source.mails.len(), 50 - source.taken);
    assert!(outcomes[1..].iter().all(|outcome| !outcome.is_accepted()));
    assert!(source.taken < 10, "{} were taken", source.taken);
}

#[test]
fn a_message_that_comes_in_pieces_is_not_for_a_batch_and_the_next_is_taken() {
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
            sources.pop_front().expect("asked once too often")
        })
    };
    assert!(asked(&mut pair, &mut batch, &mut sources).is_pending());
    sources.extend([Poll::Ready(Some(mail(0))), Poll::Ready(None)]);
    let mut next = |connection: &mut Connection| {
        let outcome = batch.poll_outcome_from(connection, |()| {
            sources.pop_front().expect("asked once too often")
        });
        outcome.map(Ok)
    };
    assert!(pair.drive(&mut next).unwrap().unwrap().is_accepted());
    assert!(pair.drive(&mut next).unwrap().is_none());
    assert!(pair.drive(&mut next).unwrap().is_none());
}

#[test]
fn a_batch_ends_where_the_server_takes_no_further_message_in_the_session() {
    let server = smtp_test::Config::new().with("LIMITS MAILMAX=2");
    let mut pair = pair(&server);
    let mut batch = Batch::new(Source::new((0..5).map(mail)));
    let outcomes = finish(&mut batch, &mut pair);
    let accepted: Vec<_> = outcomes.iter().map(Outcome::is_accepted).collect();
    // The last of those that were taken says why the others were not.
    assert_eq!(accepted, [true, true, false]);
    let kind = error(&outcomes[2]);
    assert!(matches!(kind, ErrorKind::TooManyMails), "{kind:?}");
    assert_eq!(batch.into_rest().mails.len(), 2);
}

/// The sender of each message that goes out, in order, where the second of some has more recipients than the server takes.
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
fn a_message_that_begins_again_goes_behind_the_one_that_has_begun_and_before_the_others() {
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
    // The next is on its way when the rest is known; no more contents are at one time.
    let behind = [
        "m0@x.test b@x.test",
        "m1@x.test b@x.test",
        "m2@x.test b@x.test",
        "m1@x.test c@x.test",
        "m3@x.test b@x.test",
        "m1@x.test d@x.test",
    ];
    assert_eq!(order(Pipelining::Speculative), behind);
}
