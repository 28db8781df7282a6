//! A connection and a peer, end to end in memory, under a clock that only the test moves.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use smtp_proto::{
    Config, Connection, Error, Event, MailId, Outcome, Seed, Time, TlsInfo, Transmit, Wire,
};
use smtp_test::{Output, Peer};

/// A connection under test, its peer, and the bytes between them.
pub(crate) struct Pair<P> {
    pub(crate) connection: Connection,
    pub(crate) peer: P,
    pub(crate) now: Time,
    /// Bytes that one write takes at most.
    pub(crate) write_at_most: usize,
    /// Bytes that one read gives at most.
    pub(crate) read_at_most: usize,
    /// All that the connection sent, in cleartext and inside TLS.
    pub(crate) sent: Vec<u8>,
    /// How much of `sent` went out in cleartext.
    pub(crate) sent_in_clear: Option<usize>,
    /// All that the connection ever offered to send.
    pub(crate) offered: Vec<u8>,
    /// All that the connection was given, each byte with how much had been sent before.
    pub(crate) heard: Vec<(usize, u8)>,
    /// What will go wrong.
    pub(crate) cut: Option<Cut>,
    state: Line,
}

/// Where the connection is cut, and how.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// After so many bytes of the peer's.
    Input {
        after: usize,
        /// At once, and not only when the next byte would come: what the connection says in between is not said.
        eager: bool,
        fault: Fault,
    },
    /// After so many bytes of the connection's were acknowledged.
    Output {
        after: usize,
        /// Whether what was offered beyond them reaches the peer all the same.
        reaches: bool,
        fault: Fault,
    },
}

/// How something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Eof,
    ReadError,
    /// Writing fails, while the peer's words still come.
    WriteError,
    /// Writing fails, and the peer has closed.
    WriteErrorAndEof,
    /// Nothing goes through any more.
    Silence,
    /// The peer says this.
    Says(&'static [u8]),
}

/// What still goes through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    /// The peer is heard, and hears nothing.
    Deaf,
    /// The peer hears, and is not heard.
    Mute,
    Dead,
}

impl<P: Peer> Pair<P> {
    pub(crate) fn new(config: Arc<Config>, peer: P) -> Self {
        Self {
            connection: Connection::new(config, Seed::from_bytes([7; 32])),
            peer,
            now: Time::ORIGIN,
            write_at_most: usize::MAX,
            read_at_most: usize::MAX,
            sent: Vec::new(),
            sent_in_clear: None,
            offered: Vec::new(),
            heard: Vec::new(),
            cut: None,
            state: Line::Open,
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
                assert!(
                    until > self.now,
                    "a deadline that has passed was not noticed"
                );
                self.now = until;
                self.connection.handle_timeout(self.now);
            }
        }
    }

    /// Drives until there is an event, or the connection's failure.
    pub(crate) fn event(&mut self) -> Result<Event, Error> {
        self.drive(next_event)
    }

    /// Drives until the connection has ended or failed; returns what became of the mails, and of the connection.
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
                        "something is offered after a failure"
                    );
                    return (outcomes, Err(error));
                }
            }
        }
    }

    /// Moves bytes as long as there are any; returns whether there were.
    pub(crate) fn exchange(&mut self) -> bool {
        let mut moved = false;
        while self.write() | self.read() {
            moved = true;
        }
        moved
    }

    /// Sends all that is offered.
    pub(crate) fn write(&mut self) -> bool {
        let mut moved = false;
        while self.peer.wants_input() && self.write_some(self.write_at_most) {
            moved = true;
        }
        moved
    }

    /// Sends a part of what is offered; returns whether there was anything.
    pub(crate) fn write_some(&mut self, at_most: usize) -> bool {
        let Some(transmit) = transmit(&mut self.connection, self.now) else {
            return false;
        };
        let mut bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
        assert_eq!(bytes.len(), transmit.len());
        let before = self.offered.split_off(self.sent.len());
        assert!(
            bytes.starts_with(&before),
            "what was offered and not acknowledged is not offered again"
        );
        self.offered.extend_from_slice(&bytes);
        if matches!(self.state, Line::Deaf | Line::Dead) {
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
        self.connection.handle_sent(self.now, count);
        self.sent.extend_from_slice(&bytes[..count]);
        if !self.peer.is_closed() {
            self.peer.handle_input(&bytes);
        }
        match broken {
            Some(Fault::Silence) => self.state = Line::Dead,
            Some(fault) => self.apply(fault),
            None => {}
        }
        true
    }

    /// Takes all that the peer says now.
    pub(crate) fn read(&mut self) -> bool {
        let mut moved = false;
        loop {
            moved |= self.upgrade();
            if let Some(Cut::Input {
                after,
                eager: true,
                fault,
            }) = self.cut
                && after == self.heard.len()
            {
                self.cut = None;
                self.apply(fault);
                return true;
            }
            let Some(output) = self.peer.poll_output() else {
                return moved;
            };
            if matches!(self.state, Line::Mute | Line::Dead) {
                continue;
            }
            moved = true;
            match output {
                Output::Write(bytes) => {
                    for part in bytes.chunks(self.read_at_most) {
                        self.hear(part);
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

    fn hear(&mut self, bytes: &[u8]) {
        if matches!(self.state, Line::Mute | Line::Dead) {
            return;
        }
        let (mut now, mut broken) = (bytes, None);
        if let Some(Cut::Input {
            after,
            eager,
            fault,
        }) = self.cut
        {
            let left = after - self.heard.len();
            if left < bytes.len() || (eager && left == bytes.len()) {
                now = &bytes[..left];
                // What is lost on the way the connection cannot know.
                self.peer.handle_network();
                broken = Some(fault);
                self.cut = None;
            }
        }
        self.tell(now);
        if let Some(fault) = broken {
            self.apply(fault);
        }
    }

    fn tell(&mut self, bytes: &[u8]) {
        let sent = self.sent.len();
        self.heard.extend(bytes.iter().map(|byte| (sent, *byte)));
        self.connection.handle_input(self.now, bytes);
    }

    fn apply(&mut self, fault: Fault) {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset).into();
        match fault {
            Fault::Eof => self.connection.handle_eof(self.now),
            Fault::ReadError => self.connection.handle_read_error(self.now, reset()),
            Fault::WriteError => {
                self.connection.handle_write_error(self.now, reset());
                self.state = Line::Deaf;
                return;
            }
            Fault::WriteErrorAndEof => {
                self.connection.handle_write_error(self.now, reset());
                self.connection.handle_eof(self.now);
            }
            Fault::Silence => {
                self.state = match self.state {
                    Line::Open => Line::Mute,
                    other => other,
                };
                return;
            }
            Fault::Says(bytes) => {
                self.tell(bytes);
                self.state = Line::Mute;
                return;
            }
        }
        self.state = Line::Dead;
    }

    /// Pretends TLS, as soon as both sides have come to it.
    fn upgrade(&mut self) -> bool {
        if !self.peer.poll_upgrade() {
            return false;
        }
        match self.connection.begin_tls(self.now) {
            Ok(upgrade) => {
                self.sent_in_clear = Some(self.sent.len());
                upgrade.complete(self.now, facts());
                self.peer.handle_tls(smtp_test::TlsInfo::pretended());
            }
            Err(error) => self
                .peer
                .handle_tls_error(&format!("the client does not begin TLS: {error}")),
        }
        true
    }
}

/// The next event, as a question to drive by.
pub(crate) fn next_event(connection: &mut Connection) -> Poll<Result<Event, Error>> {
    connection.poll_event().map_or(Poll::Pending, Poll::Ready)
}

/// What a connection sends when all that has come has been read.
pub(crate) fn transmit<W: Wire>(wire: &mut W, now: Time) -> Option<Transmit<'_>> {
    if wire.poll_transmit(now).is_none() && wire.poll_timeout() == Some(now) {
        wire.handle_timeout(now);
    }
    wire.poll_transmit(now)
}

/// The facts of a pretended TLS connection.
pub(crate) fn facts() -> TlsInfo {
    TlsInfo::new().with_version("TLSv1.3").with_round_trips(1)
}
