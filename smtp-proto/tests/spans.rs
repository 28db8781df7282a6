//! The spans and events of a connection for the crate `tracing`.

use std::sync::Arc;

use crate::common::pair::Pair;
use crate::common::raw_mail;
use crate::span_collector::SpanCollector;
use smtp_proto::{Config, Connection, Credentials, Mail, Security};
use smtp_test::{Machine, Script, Split};
use tracing::Level;

/// A dialogue with two messages queued together; the first is rejected at its end.
const SCRIPT: &str = "\
<tls>
S: 220 mx.test
C: EHLO client.test
S: 250-mx.test
S: 250-AUTH PLAIN
S: 250 PIPELINING
C: AUTH PLAIN AGFsaWNlAGNhbmFyeQ==
S: 235 welcome
C: MAIL FROM:<a@x.test>
C: RCPT TO:<b@x.test>
C: RCPT TO:<c@x.test>
C: DATA
S: 250 ok
S: 250 ok
S: 550 no such user
S: 354 go ahead
C: Subject: t
C:
C: hello
C: .
C: RSET
C: MAIL FROM:<d@x.test>
C: RCPT TO:<e@x.test>
C: DATA
S: 554 5.7.1 spam
S: 250 ok
S: 250 ok
S: 250 ok
S: 354 go ahead
C: Subject: t
C:
C: hello
C: .
S: 250 taken
C: QUIT
S: 221 bye
";

fn mail(sender: &str, recipients: &[&str]) -> Mail {
    let recipients = recipients.iter().copied();
    raw_mail(sender, recipients, "Subject: t\r\n\r\nhello\r\n").unwrap()
}

fn converse() {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Implicit)
        .credentials(Credentials::password("alice", "canary").unwrap())
        .pipelining(smtp_proto::Pipelining::Transactions)
        .host("mx.example")
        .build()
        .unwrap();
    let player = Script::parse(SCRIPT).unwrap().play(Split::Whole);
    let report = player.report();
    let mut pair = Pair::new(Arc::new(config), player);
    let first = pair
        .connection
        .submit(mail("a@x.test", &["b@x.test", "c@x.test"]));
    let second = pair.connection.submit(mail("d@x.test", &["e@x.test"]));
    pair.connection.quit();
    pair.exchange();
    for id in [first, second] {
        drop(
            pair.drive(|connection| connection.poll_outcome(id))
                .unwrap(),
        );
    }
    pair.drive(Connection::poll_closed).unwrap();
    report.verdict().unwrap();
}

#[test]
fn every_line_is_in_the_span_of_its_message_or_of_the_connection() {
    let collector = SpanCollector::new(Level::TRACE);
    collector.during(converse);
    assert_eq!(collector.open(), 0);
    let lines = collector.lines().join("\n");
    let expected = "\
+ C
+ 0
+ 1
DEBUG C: -- TLS: TLSv1.3
TRACE C: S: 220 mx.test
TRACE C: C: EHLO client.test
TRACE C: S: 250 mx.test / AUTH PLAIN / PIPELINING
TRACE C: C: AUTH PLAIN <20 bytes>
TRACE C: S: 235 welcome
TRACE 0: C: MAIL FROM:<a@x.test>
TRACE 0: C: RCPT TO:<b@x.test>
TRACE 0: C: RCPT TO:<c@x.test>
TRACE 0: C: DATA
TRACE 0: S: 250 ok
TRACE 0: S: 250 ok
DEBUG 0: S: 550 no such user
TRACE 0: S: 354 go ahead
TRACE 0: C: (21 of 21 bytes)
TRACE 1: C: RSET
TRACE 1: C: MAIL FROM:<d@x.test>
TRACE 1: C: RCPT TO:<e@x.test>
TRACE 1: C: DATA
DEBUG 0: S: 554 5.7.1 spam
DEBUG 0: outcome accepted=0 rejected=2 not_sent=0 in_doubt=0
- 0
TRACE 1: S: 250 ok
TRACE 1: S: 250 ok
TRACE 1: S: 250 ok
TRACE 1: S: 354 go ahead
TRACE 1: C: (21 of 21 bytes)
TRACE 1: S: 250 taken
DEBUG 1: outcome accepted=1 rejected=0 not_sent=0 in_doubt=0
- 1
TRACE C: C: QUIT
TRACE C: S: 221 bye
DEBUG C: -- ended
- C";
    let expected = expected
        .lines()
        .map(|line| {
            let connection = "/smtp.connection{host=\"mx.example\"}";
            let (head, rest) = line.split_once(' ').unwrap();
            let (span, event) = rest.split_at(1);
            let mail = match span {
                "C" => String::new(),
                id => format!("/smtp.mail{{id={id}}}"),
            };
            format!("{head} {connection}{mail}{event}")
        })
        .collect::<Vec<_>>();
    assert_eq!(lines, expected.join("\n"));
}

#[test]
fn debug_has_the_decisive_events() {
    let collector = SpanCollector::new(Level::DEBUG);
    collector.during(converse);
    let lines = collector.lines();
    let events = lines.iter().filter(|line| !line.starts_with(['+', '-']));
    let events: Vec<_> = events
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    assert_eq!(
        events,
        [
            "-- TLS: TLSv1.3",
            "S: 550 no such user",
            "S: 554 5.7.1 spam",
            "outcome accepted=0 rejected=2 not_sent=0 in_doubt=0",
            "outcome accepted=1 rejected=0 not_sent=0 in_doubt=0",
            "-- ended",
        ]
    );
}

#[test]
fn info_has_no_events() {
    let collector = SpanCollector::new(Level::INFO);
    collector.during(converse);
    assert_eq!(collector.lines(), [""; 0]);
}

#[test]
fn a_failure_is_in_the_span_of_the_connection_and_queued_messages_get_their_outcomes() {
    let collector = SpanCollector::new(Level::DEBUG);
    collector.during(|| {
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .build()
            .unwrap();
        let server = smtp_test::Config::new().on(
            smtp_test::Stage::Greeting,
            smtp_test::Action::reply("554 no"),
        );
        let mut pair = Pair::new(Arc::new(config), Machine::new(&server));
        let _id = pair.connection.submit(mail("a@x.test", &["b@x.test"]));
        pair.drive(Connection::poll_ready).unwrap_err();
    });
    assert_eq!(collector.open(), 0);
    assert_eq!(
        collector.lines(),
        [
            "+ /smtp.connection{}",
            "+ /smtp.connection{}/smtp.mail{id=0}",
            "DEBUG /smtp.connection{}: S: 554 no",
            "DEBUG /smtp.connection{}: -- failed: at the greeting: rejected; the server said: 554 no (the server does not accept mail, or not from this client's address)",
            "DEBUG /smtp.connection{}/smtp.mail{id=0}: outcome accepted=0 rejected=0 not_sent=1 in_doubt=0",
            "- /smtp.connection{}/smtp.mail{id=0}",
            "- /smtp.connection{}",
        ]
    );
}
