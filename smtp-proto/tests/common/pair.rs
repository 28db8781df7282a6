//! A connection and a peer, end to end in memory, under a virtual clock.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::vec::Vec;

use smtp_proto::{
    Config, Connection, Error, Event, MailId, Outcome, Seed, Time, TlsInfo, Transmit, Wire,
};
use smtp_test::{Output, Peer};

/// A connection under test, its peer, and the bytes between them.
pub(crate) struct Pair<P> {
    pub(crate) connection: Connection,
    pub(crate) peer: P,
    pub(crate) now: Time,
    /// The largest write, in bytes.
    pub(crate) write_at_most: usize,
    /// Whether operations own the bytes that are sent. A completion is seen after the reply.
    pub(crate) by_completion: bool,
    in_operation: bool,
    /// The largest read, in bytes.
    pub(crate) read_at_most: usize,
    /// All that the connection sent, in cleartext and inside TLS.
    pub(crate) sent: Vec<u8>,
    /// How much of `sent` went out in cleartext.
    pub(crate) sent_in_cleartext: Option<usize>,
    /// All that the connection handed to the transport.
    pub(crate) transmitted: Vec<u8>,
    /// All input of the connection, each byte with the number of bytes that had been sent before.
    pub(crate) received: Vec<(usize, u8)>,
    /// The failure to come.
    pub(crate) cut: Option<Cut>,
    state: LinkState,
}

/// Where the connection is cut, and how.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// After that many bytes from the peer.
    Input {
        after: usize,
        /// At once, and not only when the next byte comes: no reply to these bytes is sent.
        eager: bool,
        fault: Fault,
    },
    /// After that many bytes of the connection were acknowledged.
    Output {
        after: usize,
        /// Whether the bytes transmitted after them reach the peer all the same.
        reaches: bool,
        fault: Fault,
    },
}

/// A failure of the transport or the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Eof,
    ReadError,
    /// Writing fails; reading goes on.
    WriteError,
    /// Writing fails, and the peer has closed.
    WriteErrorAndEof,
    /// No byte gets through any more.
    Silence,
    /// The peer sends these bytes.
    Input(&'static [u8]),
}

/// The directions that still work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LinkState {
    Open,
    /// From the peer to the connection.
    ReadOnly,
    /// From the connection to the peer.
    WriteOnly,
    Closed,
}

impl<P: Peer> Pair<P> {
    pub(crate) fn new(config: Arc<Config>, peer: P) -> Self {
        Self {
            connection: Connection::new(config, Seed::from_bytes([7; 32])),
            peer,
            now: Time::ORIGIN,
            write_at_most: usize::MAX,
            by_completion: false,
            in_operation: false,
            read_at_most: usize::MAX,
            sent: Vec::new(),
            sent_in_cleartext: None,
            transmitted: Vec::new(),
            received: Vec::new(),
            cut: None,
            state: LinkState::Open,
        }
    }

    /// Moves bytes, and then time, until the question is answered.
    pub(crate) fn drive<T>(
        &mut self,
        mut question: impl FnMut(&mut Connection) -> Poll<Result<T, Error>>,
    ) -> Result<T, Error> {
        loop {
            if let Poll::Ready(answer) = question(&mut self.connection) {
                return answer;
            }
            if !self.exchange() {
                let until = self
                    .connection
                    .poll_timeout()
                    .expect("nothing moves, so something has a deadline");
                assert!(until > self.now, "a deadline that has passed was ignored");
                self.now = until;
                self.connection.handle_timeout(self.now);
            }
        }
    }

    /// Drives until there is an event, or the connection's failure.
    pub(crate) fn event(&mut self) -> Result<Event, Error> {
        self.drive(next_event)
    }

    /// Drives until the connection is closed or has failed; returns the outcomes of the messages,
    /// and the result of the connection.
    pub(crate) fn finish(&mut self) -> (Vec<(MailId, Outcome)>, Result<(), Error>) {
        let mut outcomes = Vec::new();
        loop {
            match self.event() {
                Ok(Event::Outcome(id, outcome)) => outcomes.push((id, outcome)),
                Ok(Event::Closed) => return (outcomes, Ok(())),
                Ok(_) => {}
                Err(error) => {
                    assert!(
                        self.connection.poll_transmit(self.now).is_none(),
                        "bytes to send after a failure"
                    );
                    return (outcomes, Err(error));
                }
            }
        }
    }

    /// Moves all bytes; returns whether there were any.
    pub(crate) fn exchange(&mut self) -> bool {
        let mut moved = false;
        while self.write() | self.read() {
            moved = true;
        }
        self.complete();
        moved
    }

    /// Sends all output.
    pub(crate) fn write(&mut self) -> bool {
        let mut moved = false;
        while self.peer.wants_input() && self.write_some(self.write_at_most) {
            moved = true;
        }
        moved
    }

    /// Sends a part of the output; returns whether there was any.
    pub(crate) fn write_some(&mut self, at_most: usize) -> bool {
        if self.in_operation {
            self.read();
            self.complete();
        }
        let Some(transmit) = transmit(&mut self.connection, self.now) else {
            return false;
        };
        let mut bytes: Vec<u8> = transmit.iter().collect::<Vec<_>>().concat();
        assert_eq!(bytes.len(), transmit.len());
        let before = self.transmitted.split_off(self.sent.len());
        assert!(
            bytes.starts_with(&before),
            "bytes that were not acknowledged are not transmitted again"
        );
        self.transmitted.extend_from_slice(&bytes);
        if matches!(self.state, LinkState::ReadOnly | LinkState::Closed) {
            return false;
        }
        let mut broken = None;
        bytes.truncate(at_most);
        let mut count = bytes.len();
        if let Some(Cut::Output {
            after,
            reaches,
            fault,
        }) = self.cut
            && after < self.sent.len() + count
        {
            count = after - self.sent.len();
            if !reaches {
                bytes.truncate(count);
            }
            broken = Some(fault);
            self.cut = None;
        }
        if self.by_completion {
            self.connection.handle_submitted(self.now, count);
            self.in_operation = true;
        } else {
            self.connection.handle_sent(self.now, count);
        }
        self.sent.extend_from_slice(&bytes[..count]);
        if !self.peer.is_closed() {
            self.peer.handle_input(&bytes);
        }
        match broken {
            Some(Fault::Silence) => self.state = LinkState::Closed,
            Some(fault) => self.apply(fault),
            None => {}
        }
        true
    }

    /// Sees the completion of an operation.
    fn complete(&mut self) {
        if std::mem::take(&mut self.in_operation) {
            self.connection.handle_completed(self.now);
        }
    }

    /// Takes all output of the peer.
    pub(crate) fn read(&mut self) -> bool {
        let mut moved = false;
        loop {
            moved |= self.upgrade();
            if let Some(Cut::Input {
                after,
                eager: true,
                fault,
            }) = self.cut
                && after == self.received.len()
            {
                self.cut = None;
                self.apply(fault);
                return true;
            }
            let Some(output) = self.peer.poll_output() else {
                return moved;
            };
            if matches!(self.state, LinkState::WriteOnly | LinkState::Closed) {
                continue;
            }
            moved = true;
            match output {
                Output::Write(bytes) => {
                    for part in bytes.chunks(self.read_at_most) {
                        self.receive(part);
                    }
                }
                Output::Close | Output::Cut => self.apply(Fault::Eof),
                Output::Reset => self.apply(Fault::ReadError),
                Output::Delay(delay) => {
                    self.now = self.now.saturating_add(delay);
                    self.connection.handle_timeout(self.now);
                }
                _ => panic!("an output that this pair does not know"),
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if matches!(self.state, LinkState::WriteOnly | LinkState::Closed) {
            return;
        }
        let (mut now, mut broken) = (bytes, None);
        if let Some(Cut::Input {
            after,
            eager,
            fault,
        }) = self.cut
        {
            let left = after - self.received.len();
            if left < bytes.len() || (eager && left == bytes.len()) {
                now = &bytes[..left];
                // The connection cannot know the bytes that are lost on the way.
                self.peer.handle_network();
                broken = Some(fault);
                self.cut = None;
            }
        }
        self.give(now);
        if let Some(fault) = broken {
            self.apply(fault);
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        let sent = self.sent.len();
        self.received.extend(bytes.iter().map(|byte| (sent, *byte)));
        self.connection.handle_input(self.now, bytes);
    }

    fn apply(&mut self, fault: Fault) {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset).into();
        match fault {
            Fault::Eof => self.connection.handle_eof(self.now),
            Fault::ReadError => self.connection.handle_read_error(self.now, reset()),
            Fault::WriteError => {
                self.connection.handle_write_error(self.now, reset());
                self.state = LinkState::ReadOnly;
                return;
            }
            Fault::WriteErrorAndEof => {
                self.connection.handle_write_error(self.now, reset());
                self.connection.handle_eof(self.now);
            }
            Fault::Silence => {
                self.state = match self.state {
                    LinkState::Open => LinkState::WriteOnly,
                    other => other,
                };
                return;
            }
            Fault::Input(bytes) => {
                self.give(bytes);
                self.state = LinkState::WriteOnly;
                return;
            }
        }
        self.state = LinkState::Closed;
    }

    /// Pretends a TLS handshake, once both sides begin TLS.
    fn upgrade(&mut self) -> bool {
        if !self.peer.poll_upgrade() {
            return false;
        }
        match self.connection.begin_tls(self.now) {
            Ok(upgrade) => {
                self.sent_in_cleartext = Some(self.sent.len());
                upgrade.complete(self.now, facts());
                self.peer.handle_tls(smtp_test::TlsInfo::pretended());
            }
            Err(error) => self
                .peer
                .handle_tls_error(&std::format!("the client does not begin TLS: {error}")),
        }
        true
    }
}

/// The next event, as a question to drive by.
pub(crate) fn next_event(connection: &mut Connection) -> Poll<Result<Event, Error>> {
    connection.poll_event().map_or(Poll::Pending, Poll::Ready)
}

/// The output of a connection after all input has been read.
pub(crate) fn transmit<W: Wire>(wire: &mut W, now: Time) -> Option<Transmit<'_>> {
    if wire.poll_transmit(now).is_none() && wire.poll_timeout() == Some(now) {
        wire.handle_timeout(now);
    }
    wire.poll_transmit(now)
}

/// The description of a pretended TLS connection.
pub(crate) fn facts() -> TlsInfo {
    TlsInfo::new().with_version("TLSv1.3").with_round_trips(1)
}
