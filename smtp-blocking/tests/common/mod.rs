//! What the tests of all three adapters share: mails, policies, and the judge of outcomes.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use smtp_proto::{
    Config, Connection, ErrorKind, Event, Fate, Mail, Outcome, Security, Streamed, Timeouts,
};
use smtp_test::{Log, StoredMail};

pub(crate) const TEXT: &str = "Subject: hi\r\n\r\nhello\r\n.\r\nbye\r\n";
pub(crate) const TO: [&str; 2] = ["bob@example.net", "carol@example.net"];

/// A machine without TLS of its own.
pub(crate) fn wire(security: Security) -> Connection {
    limited(security, Duration::from_secs(60))
}

pub(crate) fn limited(security: Security, limit: Duration) -> Connection {
    let config = Config::builder("client.test".parse().unwrap())
        .security(security)
        .timeouts(Timeouts::default().at_most(limit))
        .build()
        .unwrap();
    Connection::new(Arc::new(config), [7; 32])
}

/// Patient enough for a machine that is busy, and short enough to wait for.
pub(crate) const SOON: Duration = Duration::from_millis(300);

pub(crate) fn mail() -> Mail {
    Mail::new("alice@example.org", TO, TEXT).unwrap()
}

/// A mail to so many recipients.
pub(crate) fn mail_to(count: usize) -> Mail {
    let recipients = (0..count).map(|number| format!("recipient{number}@example.net"));
    Mail::new("alice@example.org", recipients, TEXT).unwrap()
}

pub(crate) fn streamed() -> Mail {
    Mail::builder()
        .sender("alice@example.org")
        .recipients(TO)
        .streamed(Streamed::new())
        .build()
        .unwrap()
}

/// Some text of more than this many octets.
pub(crate) fn long_text(octets: usize) -> String {
    let mut text = String::from("Subject: long\r\n\r\n");
    for number in 0.. {
        if text.len() > octets {
            break;
        }
        text.push_str(&format!(
            ".line {number}, which has its share of the text and begins with a dot\r\n"
        ));
    }
    text
}

/// How far a mail came by its outcome; the same for all recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Came {
    NotSent,
    InDoubt,
    Accepted,
}

/// Holds an outcome against what the server has, and tells how far the mail came.
#[track_caller]
pub(crate) fn judge(outcome: &Outcome, log: &Log) -> Came {
    let stored = !log.mails().is_empty();
    let mut came = None;
    for delivery in outcome.deliveries() {
        let fate = match delivery.fate() {
            Fate::Accepted(_) => Came::Accepted,
            Fate::NotSent(_) => Came::NotSent,
            Fate::InDoubt(_) => Came::InDoubt,
            Fate::Refused { stage, reply } => panic!("refused {stage}: {reply}"),
        };
        assert!(
            came.is_none_or(|other| other == fate),
            "one mail, two fates: {outcome:?}"
        );
        came = Some(fate);
    }
    let came = came.expect("each mail has a recipient");
    match came {
        Came::Accepted => assert!(stored, "accepted, and the server has nothing"),
        Came::NotSent => assert!(!stored, "not sent, and the server has it"),
        Came::InDoubt => {}
    }
    if let Some(mail) = log.mails().first() {
        assert_stored(mail, TEXT);
    }
    came
}

#[track_caller]
pub(crate) fn assert_stored(mail: &StoredMail, text: &str) {
    assert_eq!(mail.sender(), "alice@example.org");
    assert_eq!(mail.addresses(), TO);
    assert_eq!(mail.body(), text.as_bytes());
}

/// Asserts that the mails came in this order of fates: the later the fault, the further the mail.
#[track_caller]
pub(crate) fn assert_rising(fates: &[Came]) {
    assert!(fates.is_sorted(), "{fates:?}");
    for each in [Came::NotSent, Came::InDoubt, Came::Accepted] {
        assert!(fates.contains(&each), "no fault led to {each:?}: {fates:?}");
    }
}

/// The outcome that is left in a machine whose caller did not wait for it.
pub(crate) fn left_over(connection: &mut Connection) -> Option<Outcome> {
    loop {
        match connection.poll_event()? {
            Ok(Event::Outcome(_, outcome)) => return Some(outcome),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// The reason why a mail was not sent, or not for sure.
#[track_caller]
pub(crate) fn reason(outcome: &Outcome) -> &ErrorKind {
    outcome.error().expect("the mail failed").kind()
}
