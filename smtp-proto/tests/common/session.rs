//! One session with a strict server, at any level of pipelining, by DATA or BDAT: messages with
//! every kind of outcome.

use crate::common::raw_mail;
use std::sync::Arc;

use smtp_proto::{
    Config, ConfigBuilder, Error, Outcome, Pipelining, Protocol, RecipientStatus, Security,
};
use smtp_test::{Action, Machine, Stage};

use super::dialogue::Dialogue;
use super::invariants::{cause, check_commands, check_fates};
use super::pair::{Cut, Pair};

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) level: Pipelining,
    /// The size of a chunk, if the server advertises CHUNKING.
    pub(crate) chunk: Option<u64>,
    pub(crate) lmtp: bool,
}

/// The modes beside one command at a time and one envelope in a flight.
pub(crate) const MODES: [Mode; 10] = [
    Mode::new(Pipelining::Transactions),
    Mode::new(Pipelining::Off).in_chunks(9),
    Mode::new(Pipelining::Envelope).in_chunks(9),
    Mode::new(Pipelining::Transactions).in_chunks(1000),
    Mode::new(Pipelining::Speculative).in_chunks(1000),
    Mode::new(Pipelining::Speculative).in_chunks(9),
    Mode::new(Pipelining::Envelope).lmtp(),
    Mode::new(Pipelining::Transactions).lmtp(),
    Mode::new(Pipelining::Envelope).in_chunks(9).lmtp(),
    Mode::new(Pipelining::Transactions).in_chunks(1000).lmtp(),
];

/// The envelopes of the session.
pub(crate) const MAILS: [(&str, &[&str]); 5] = [
    ("spam@x.test", &["a@x.test"]),
    (
        "one@x.test",
        &["a@x.test", "no-b@x.test", "full-c@x.test", "d@x.test"],
    ),
    ("two@x.test", &["no-b@x.test"]),
    ("large@x.test", &["a@x.test"]),
    ("last@x.test", &["e@x.test", "f@x.test"]),
];

impl Mode {
    pub(crate) const fn new(level: Pipelining) -> Self {
        Self {
            level,
            chunk: None,
            lmtp: false,
        }
    }

    pub(crate) const fn in_chunks(mut self, bytes: u64) -> Self {
        self.chunk = Some(bytes);
        self
    }

    pub(crate) const fn lmtp(mut self) -> Self {
        self.lmtp = true;
        self
    }

    pub(crate) fn config(self) -> Arc<Config> {
        let config = self.builder().security(Security::Cleartext);
        Arc::new(config.build().unwrap())
    }

    pub(crate) fn builder(self) -> ConfigBuilder {
        let config = Config::builder("client.test".parse().unwrap())
            .pipelining(self.level)
            .chunk_size(self.chunk.unwrap_or(1));
        if self.lmtp {
            config.protocol(Protocol::Lmtp)
        } else {
            config
        }
    }

    /// A server for this mode that accepts everything.
    pub(crate) fn plain_server(self) -> smtp_test::Config {
        let mut server = smtp_test::Config::new();
        if self.chunk.is_some() {
            server = server.with("CHUNKING").strict_bdat();
        }
        if self.lmtp {
            server = server.lmtp();
        }
        server
    }

    /// A server for this mode and for [`MAILS`].
    pub(crate) fn server(self) -> smtp_test::Config {
        self.plain_server()
            .without("SIZE")
            .reject("no-b@x.test", "550 5.1.1 no such user")
            .reject_delivery("full-c@x.test", "452-4.2.2 mailbox\n452 4.2.2 is full")
            .max_recipients(2)
            .size_limit(60)
            .on(Stage::Mail.nth(1), Action::reply("553 5.7.1 not you"))
    }

    /// Sends [`MAILS`] to this server with this failure; asserts the invariants, and returns the
    /// results.
    pub(crate) fn run(self, server: &smtp_test::Config, cut: Option<Cut>) -> Run {
        let mut pair = Pair::new(self.config(), Machine::new(server));
        pair.cut = cut.clone();
        let context = (self, cut);
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
        for ((sender, recipients), outcome) in MAILS.iter().zip(&outcomes) {
            dialogue.check(sender, outcome, &context);
            check_fates(outcome, &log.mails(), text(sender).as_bytes());
            for stored in log.mails().iter().filter(|mail| mail.sender() == *sender) {
                assert_eq!(stored.body(), text(sender).as_bytes(), "{context:?}");
                let own = |address: &&str| recipients.contains(address);
                assert!(
                    stored.addresses().iter().all(own),
                    "{context:?}: {stored:?}"
                );
            }
            for delivery in outcome.recipients() {
                if let RecipientStatus::NotSent(error) | RecipientStatus::InDoubt(error) =
                    delivery.status()
                {
                    let failure = end.as_ref().expect_err("a failed connection");
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
}

/// The results of a session.
pub(crate) struct Run {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) end: Result<(), Error>,
    pub(crate) received: usize,
    pub(crate) sent: usize,
}

impl Run {
    /// The status of every recipient of every message.
    pub(crate) fn statuses(&self) -> Vec<String> {
        self.outcomes
            .iter()
            .flat_map(Outcome::recipients)
            .map(|delivery| format!("{:#}", delivery.status()))
            .collect()
    }
}

/// The content of a sender's message, which no other has.
fn text(sender: &str) -> String {
    let more = if sender.starts_with("large") {
        "0123456789".repeat(6)
    } else {
        String::new()
    };
    format!("From: {sender}\r\n\r\n.dot{more}\r\n")
}
