//! A connection and a peer, end to end in memory, under a clock that only the test moves.

use std::sync::Arc;

use smtp_proto::{Config, Connection, Error, Time, TlsFacts};
use smtp_test::{Output, Peer};

/// A connection under test, its peer, and the bytes between them.
pub(crate) struct Pair<P> {
    pub connection: Connection,
    pub peer: P,
    pub now: Time,
    /// Bytes that one write takes at most.
    pub write_at_most: usize,
    /// Bytes that one read gives at most.
    pub read_at_most: usize,
    /// All that the connection sent, in clear and inside TLS.
    pub sent: Vec<u8>,
    /// How much of `sent` went out in clear.
    pub sent_in_clear: Option<usize>,
    closed: bool,
}

impl<P: Peer> Pair<P> {
    pub fn new(config: Arc<Config>, peer: P) -> Self {
        Self {
            connection: Connection::new(config, [7; 32]),
            peer,
            now: Time::ORIGIN,
            write_at_most: usize::MAX,
            read_at_most: usize::MAX,
            sent: Vec::new(),
            sent_in_clear: None,
            closed: false,
        }
    }

    /// Moves bytes, and then time, until the question is answered.
    pub fn drive<T>(
        &mut self,
        mut question: impl FnMut(&mut Connection) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        loop {
            if let Some(answer) = question(&mut self.connection) {
                return answer;
            }
            if !self.exchange() {
                let until = self
                    .connection
                    .poll_timeout()
                    .expect("nothing moves, so something has a deadline");
                assert!(
                    until > self.now,
                    "a deadline that has passed was not noticed"
                );
                self.now = until;
                self.connection.handle_timeout(self.now);
            }
        }
    }

    /// Moves bytes as long as there are any; returns whether there were.
    pub fn exchange(&mut self) -> bool {
        let mut moved = false;
        while self.write() | self.read() {
            moved = true;
        }
        moved
    }

    /// Sends all that is offered.
    pub fn write(&mut self) -> bool {
        let mut moved = false;
        while self.peer.wants_input() && self.write_some(self.write_at_most) {
            moved = true;
        }
        moved
    }

    /// Sends a part of what is offered; returns whether there was anything.
    pub fn write_some(&mut self, at_most: usize) -> bool {
        let Some(transmit) = self.connection.poll_transmit(self.now) else {
            return false;
        };
        let mut bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
        assert_eq!(bytes.len(), transmit.len());
        bytes.truncate(at_most);
        self.connection.handle_sent(self.now, bytes.len());
        self.sent.extend_from_slice(&bytes);
        if self.peer.is_closed() {
            return true;
        }
        self.peer.handle_input(&bytes);
        true
    }

    /// Takes all that the peer says now.
    pub fn read(&mut self) -> bool {
        let mut moved = false;
        loop {
            moved |= self.upgrade();
            let Some(output) = self.peer.poll_output() else {
                return moved;
            };
            moved = true;
            match output {
                Output::Write(bytes) => {
                    for part in bytes.chunks(self.read_at_most) {
                        self.connection.handle_input(self.now, part);
                    }
                }
                Output::Close | Output::Cut => self.close(),
                Output::Reset => {
                    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                    self.connection.handle_read_error(self.now, reset.into());
                }
                Output::Delay(delay) => {
                    self.now = self.now + delay;
                    self.connection.handle_timeout(self.now);
                }
                _ => panic!("an output that this pair does not know"),
            }
        }
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.connection.handle_eof(self.now);
        }
    }

    /// Pretends TLS, as soon as both sides have come to it.
    fn upgrade(&mut self) -> bool {
        if !self.peer.poll_upgrade() {
            return false;
        }
        match self.connection.poll_upgrade() {
            Some(Ok(upgrade)) => {
                self.sent_in_clear = Some(self.sent.len());
                upgrade.complete(self.now, facts());
                self.peer.handle_tls(smtp_test::TlsFacts::pretended());
            }
            other => self
                .peer
                .handle_tls_error(&format!("the client does not begin TLS: {other:?}")),
        }
        true
    }
}

/// The facts of a pretended TLS connection.
pub(crate) fn facts() -> TlsFacts {
    TlsFacts::new().with_version("TLSv1.3").with_round_trips(1)
}
