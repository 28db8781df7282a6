//! A connection whose peer is the test itself: it hears what the connection says and says what it likes, when it likes.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smtp_proto::{Config, Connection, Error, Seed, Time};

use super::pair::{facts, transmit};

/// A connection in the hands of a test.
pub(crate) struct Harness {
    pub(crate) connection: Connection,
    pub(crate) now: Time,
    /// All that the connection sent.
    pub(crate) sent: Vec<u8>,
    /// How much of it in cleartext.
    pub(crate) sent_in_clear: Option<usize>,
}

impl Harness {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Arc::new(config), Seed::from_bytes([7; 32])),
            now: Time::ORIGIN,
            sent: Vec::new(),
            sent_in_clear: None,
        }
    }

    /// Takes all that the connection has to say.
    pub(crate) fn listen(&mut self) -> String {
        let before = self.sent.len();
        while let Some(transmit) = transmit(&mut self.connection, self.now) {
            self.sent.extend(transmit.iter().flatten());
            let count = transmit.len();
            self.connection.handle_sent(self.now, count);
        }
        String::from_utf8(self.sent[before..].to_vec()).unwrap()
    }

    /// Says something to the connection.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.handle_input(self.now, bytes.as_ref());
    }

    /// Says something, and takes what the connection has to say to it.
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.say(bytes);
        self.listen()
    }

    /// Lets time pass without telling the connection.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Tells the connection what time it is.
    pub(crate) fn tick(&mut self) {
        self.connection.handle_timeout(self.now);
    }

    /// Begins TLS; it must be time for it.
    pub(crate) fn upgrade(&mut self) {
        self.sent_in_clear = Some(self.sent.len());
        let upgrade = self.connection.begin_tls(self.now).expect("time for TLS");
        upgrade.complete(self.now, facts());
    }

    /// Begins TLS at the 220 to STARTTLS or, under implicit TLS, at the beginning; goes on to the reply to EHLO.
    pub(crate) fn secure(&mut self, capabilities: &str) -> String {
        if self.connection.security() == smtp_proto::Security::Implicit {
            self.listen();
            self.upgrade();
            assert_eq!(self.ask("220 mx.test\r\n"), "EHLO client.test\r\n");
        } else {
            self.listen();
            assert_eq!(self.ask("220 mx.test\r\n"), "EHLO client.test\r\n");
            assert_eq!(self.ask(ehlo("STARTTLS")), "STARTTLS\r\n");
            assert_eq!(self.ask("220 go\r\n"), "");
            self.upgrade();
            assert_eq!(self.listen(), "EHLO client.test\r\n");
        }
        self.ask(ehlo(capabilities))
    }

    /// The connection's failure.
    pub(crate) fn failure(&mut self) -> Error {
        match self.connection.poll_ready() {
            Poll::Ready(Err(error)) => error,
            other => panic!("no failure but {other:?}"),
        }
    }
}

/// A reply to EHLO with these keywords, a comma between them.
pub(crate) fn ehlo(keywords: &str) -> String {
    let lines: Vec<_> = ["mx.test"]
        .into_iter()
        .chain(keywords.split(',').filter(|keyword| !keyword.is_empty()))
        .collect();
    let (last, others) = lines.split_last().unwrap();
    let others: String = others
        .iter()
        .map(|line| format!("250-{line}\r\n"))
        .collect();
    format!("{others}250 {last}\r\n")
}
