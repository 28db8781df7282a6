//! A connection whose peer is the test itself: it reads the output and gives any input, at any
//! time.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smtp_proto::{Config, Connection, Error, Seed, Time};

use super::pair::{facts, transmit};

/// A connection that a test drives.
pub(crate) struct Harness {
    pub(crate) connection: Connection,
    pub(crate) now: Time,
    /// All that the connection sent.
    pub(crate) sent: Vec<u8>,
    /// How much of `sent` went out in cleartext.
    pub(crate) sent_in_cleartext: Option<usize>,
}

impl Harness {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Arc::new(config), Seed::from_bytes([7; 32])),
            now: Time::ORIGIN,
            sent: Vec::new(),
            sent_in_cleartext: None,
        }
    }

    /// Takes all output of the connection.
    pub(crate) fn listen(&mut self) -> String {
        let before = self.sent.len();
        while let Some(transmit) = transmit(&mut self.connection, self.now) {
            for piece in transmit.iter() {
                self.sent.extend_from_slice(piece);
            }
            let count = transmit.len();
            self.connection.handle_sent(self.now, count);
        }
        String::from_utf8(self.sent[before..].to_vec()).unwrap()
    }

    /// Gives input to the connection.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.handle_input(self.now, bytes.as_ref());
    }

    /// Gives input to the connection, and takes its output.
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.say(bytes);
        self.listen()
    }

    /// Lets time pass without `handle_timeout`.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Calls `handle_timeout` with the present time.
    pub(crate) fn tick(&mut self) {
        self.connection.handle_timeout(self.now);
    }

    /// Performs a pretended TLS handshake, which must be due.
    pub(crate) fn upgrade(&mut self) {
        self.sent_in_cleartext = Some(self.sent.len());
        let upgrade = self.connection.begin_tls(self.now).expect("time for TLS");
        upgrade.complete(self.now, facts());
    }

    /// Begins TLS after the 220 to STARTTLS or, with implicit TLS, at once; goes on to the reply to
    /// EHLO.
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

    /// The error of the connection.
    pub(crate) fn failure(&mut self) -> Error {
        match self.connection.poll_ready() {
            Poll::Ready(Err(error)) => error,
            other => panic!("no failure but {other:?}"),
        }
    }
}

/// A reply to EHLO with these keywords, separated by commas.
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
