//! `Outcome::retry`: the recipients of the retry, and what it takes over from the message.

use std::sync::Arc;

use crate::common::invariants::check_retry;
use crate::common::pair::{Cut, Fault, Pair};
use bytes::Bytes;
use smtp_proto::dsn::Notify;
use smtp_proto::{
    Config, Mail, Outcome, Parameter, Pipelining, Recipient, Security, StreamedContent,
};
use smtp_test::{Log, Machine};

const MESSAGE: &str = "From: a@x.test\r\nSubject: once\r\n\r\nHello.\r\n";

fn config(pipelining: Pipelining) -> Arc<Config> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(pipelining);
    Arc::new(config.build().unwrap())
}

fn server() -> smtp_test::Config {
    smtp_test::Config::new()
        .reject("gone@x.test", "550 5.1.1 no such user")
        .reject("later@x.test", "451 4.2.1 mailbox is locked")
        .reject("full@x.test", "452 4.2.2 mailbox is full")
}

/// The outcome of the message at this server, and the server's log.
fn send(server: &smtp_test::Config, cut: Option<Cut>, mail: Mail) -> (Outcome, Log) {
    let mut pair = Pair::new(config(Pipelining::Envelope), Machine::new(server));
    pair.cut = cut;
    pair.connection.submit(mail);
    pair.connection.quit();
    let (mut outcomes, _) = pair.finish();
    let (_, outcome) = outcomes.pop().unwrap();
    check_retry(&outcome);
    (outcome, pair.peer.log())
}

fn addresses(mail: &Mail) -> Vec<&str> {
    mail.recipients().map(|path| path.as_str()).collect()
}

/// A message with parameters of its own and of some recipients.
fn mail() -> Mail {
    Mail::builder()
        .sender("a@x.test")
        .recipient("taken@x.test")
        .recipient(Recipient::new("gone@x.test").notify(Notify::NEVER))
        .recipient(Recipient::new("later@x.test").notify(Notify::SUCCESS))
        .recipient("full@x.test")
        .parameter(Parameter::envelope_id("QQ314159").unwrap())
        .optional_extension("DSN")
        .message(MESSAGE)
        .build()
        .unwrap()
}

/// The expected retry.
fn rest() -> Mail {
    Mail::builder()
        .sender("a@x.test")
        .recipient(Recipient::new("later@x.test").notify(Notify::SUCCESS))
        .recipient("full@x.test")
        .parameter(Parameter::envelope_id("QQ314159").unwrap())
        .optional_extension("DSN")
        .message(MESSAGE)
        .build()
        .unwrap()
}

#[test]
fn only_recipients_with_a_transient_rejection_are_retried() {
    let (outcome, _) = send(&server(), None, mail());
    let retry = outcome.retry().unwrap();
    assert_eq!(retry, rest());
    // A retry to a server that accepts now.
    let (outcome, log) = send(&smtp_test::Config::new(), None, retry);
    assert!(outcome.is_accepted() && outcome.retry().is_none());
    let stored = &log.mails()[0];
    assert_eq!(stored.addresses(), ["later@x.test", "full@x.test"]);
    assert_eq!(stored.recipients()[0].notify(), ["SUCCESS"]);
    assert_eq!(stored.envelope_id().as_deref(), Some("QQ314159"));
}

#[test]
fn parameters_that_one_server_lacked_are_kept_for_the_next() {
    let (outcome, _) = send(&server().without("DSN"), None, mail());
    assert_eq!(outcome.retry().unwrap(), rest());
}

#[test]
fn a_retry_has_the_content_before_the_downgrade() {
    let text = "From: a@x.test\r\nSubject: once\r\n\r\nGr\u{fc}sse.\r\n";
    let downgrade = |text: &Bytes| {
        let text = String::from_utf8_lossy(text).replace('\u{fc}', "ue");
        Ok::<_, std::fmt::Error>(Bytes::from(text))
    };
    let mail = Mail::builder()
        .sender("a@x.test")
        .recipient("later@x.test")
        .message(text)
        .downgrade_with(downgrade)
        .build()
        .unwrap();
    let (outcome, _) = send(&server().without("8BITMIME"), None, mail.clone());
    assert_eq!(outcome.retry().unwrap(), mail);
}

#[test]
fn accepted_or_permanently_rejected_recipients_are_not_retried() {
    let of = |recipient: &'static str| Mail::new("a@x.test", [recipient], MESSAGE).unwrap();
    for recipient in ["taken@x.test", "gone@x.test"] {
        let (outcome, _) = send(&server(), None, of(recipient));
        assert_eq!(outcome.retry(), None, "{recipient}");
    }
}

#[test]
fn a_message_with_streamed_content_has_no_retry() {
    let mail = Mail::builder()
        .sender("a@x.test")
        .recipient("later@x.test")
        .streamed(StreamedContent::new())
        .build()
        .unwrap();
    let (outcome, _) = send(&server(), None, mail);
    assert!(outcome.recipients()[0].status().is_transient());
    assert_eq!(outcome.retry(), None);
}

/// Wherever the connection fails, a recipient that the server may have accepted is not in the
/// retry.
#[test]
fn a_recipient_in_doubt_is_never_retried() {
    let mail = || Mail::new("a@x.test", ["b@x.test", "later@x.test"], MESSAGE).unwrap();
    let (mut retried, mut in_doubt) = (0, 0);
    let cuts = (0..400).flat_map(|after| {
        let fault = Fault::WriteErrorAndEof;
        let reaches = true;
        let output = Cut::Output {
            after,
            reaches,
            fault,
        };
        let (eager, fault) = (false, Fault::Eof);
        [
            output,
            Cut::Input {
                after,
                eager,
                fault,
            },
        ]
    });
    for cut in cuts {
        let (outcome, log) = send(&server(), Some(cut.clone()), mail());
        let stored = log.mails().len();
        if let Some(retry) = outcome.retry() {
            retried += 1;
            let again = addresses(&retry).contains(&"b@x.test");
            assert!(!(again && stored > 0), "{cut:?}");
        }
        in_doubt += usize::from(outcome.is_in_doubt());
    }
    assert!(retried > 0 && in_doubt > 0);
}

#[test]
fn an_outcome_prints_a_line_for_each_recipient() {
    let (outcome, _) = send(&server(), None, mail());
    let text = outcome.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[0].starts_with("<taken@x.test>: accepted: 250"),
        "{text}"
    );
    assert_eq!(
        lines[1],
        "<gone@x.test>: rejected at RCPT: 550 5.1.1 no such user"
    );
    assert_eq!(
        lines[2],
        "<later@x.test>: rejected at RCPT: 451 4.2.1 mailbox is locked"
    );
    assert!(!format!("{outcome:?}").contains("Hello."));
}
