//! The line between the server of a scenario and a client, which records both sides.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use smtp_proto::{Connection, Time, TlsInfo, Transmit, TransportError, Wire};
use smtp_test::{Output, Peer, Player};

/// What was sent over the line; a handle.
#[derive(Clone, Default)]
pub struct Line(Arc<Mutex<Bytes>>);

#[derive(Default)]
struct Bytes {
    sent: Sent,
    /// The next output of the server.
    next: Option<Output>,
    /// How many bytes of the server are on their way to the client.
    under_way: usize,
    /// Whether the client continued before it had handled all replies.
    raced: bool,
}

/// All that a server received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub bytes: Vec<u8>,
    /// How many of the bytes were in cleartext, if TLS began.
    pub in_clear: Option<usize>,
    /// Whether the client closed.
    eof: bool,
}

impl Line {
    /// A player on this line. A client that is not attentive gets a byte at a time.
    pub fn recorder(&self, player: Player, attentive: bool) -> impl Peer + use<> {
        let mut recorder = Recorder {
            player,
            line: self.clone(),
            attentive,
        };
        recorder.look_ahead();
        recorder
    }

    /// A wire that transmits only after it has handled all replies on this line.
    pub fn attentive(&self, connection: Connection) -> Attentive {
        let mut wire = Attentive {
            connection,
            line: self.clone(),
        };
        wire.begin_tls(Time::ORIGIN);
        wire
    }

    /// What the server received.
    pub fn sent(&self) -> Sent {
        self.lock().sent.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap()
    }

    /// Whether the client continued before it had handled all replies.
    pub fn has_raced(&self) -> bool {
        self.lock().raced
    }

    /// The handshake of another TLS stack, which detects at once what is not TLS, and encrypts
    /// nothing.
    pub fn handshake<S>(&self, stream: S) -> io::Result<(S, TlsInfo)> {
        if self.go_on() {
            Ok((stream, facts()))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "this is not TLS",
            ))
        }
    }

    /// Records that the client continues; returns whether it may.
    fn go_on(&self) -> bool {
        let quiet = self.is_quiet();
        self.lock().raced |= !quiet;
        quiet
    }

    /// Whether the client has handled all replies.
    fn is_quiet(&self) -> bool {
        let bytes = self.lock();
        bytes.under_way == 0 && bytes.next.is_none()
    }
}

/// A player that records what it receives.
struct Recorder {
    player: Player,
    line: Line,
    attentive: bool,
}

impl Recorder {
    fn look_ahead(&mut self) {
        let mut bytes = self.line.lock();
        if bytes.next.is_none() {
            bytes.next = self.player.poll_output();
        }
    }
}

impl Peer for Recorder {
    fn handle_input(&mut self, input: &[u8]) {
        self.line.go_on();
        self.line.lock().sent.bytes.extend_from_slice(input);
        self.player.handle_input(input);
        self.look_ahead();
    }

    fn handle_eof(&mut self) {
        self.line.lock().sent.eof = true;
        self.player.handle_eof();
        self.look_ahead();
    }

    fn poll_output(&mut self) -> Option<Output> {
        let mut bytes = self.line.lock();
        let mut output = bytes.next.take();
        match &mut output {
            Some(Output::Write(piece)) if self.attentive => bytes.under_way += piece.len(),
            Some(Output::Write(piece)) if piece.len() > 1 => {
                bytes.next = Some(Output::Write(piece.split_off(1)));
            }
            _ => {}
        }
        drop(bytes);
        self.look_ahead();
        output
    }

    fn poll_upgrade(&mut self) -> bool {
        self.player.poll_upgrade()
    }

    fn handle_tls(&mut self, facts: smtp_test::TlsInfo) {
        let mut bytes = self.line.lock();
        bytes.sent.in_clear = Some(bytes.sent.bytes.len());
        drop(bytes);
        self.player.handle_tls(facts);
        self.look_ahead();
    }

    fn is_closed(&self) -> bool {
        // A client that has not read the end yet continues.
        self.player.is_closed() && self.line.is_quiet()
    }
}

/// A wire that transmits nothing while there are replies to read, and pretends TLS.
pub struct Attentive {
    connection: Connection,
    line: Line,
}

impl Attentive {
    fn begin_tls(&mut self, now: Time) {
        // Without a claim the connection reports that it has no TLS layer.
        self.connection.claim_tls();
        if self.line.is_quiet()
            && let Ok(upgrade) = self.connection.begin_tls(now)
        {
            upgrade.complete(now, facts());
        }
    }
}

impl Wire for Attentive {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.line.lock().under_way -= input.len();
        self.connection.handle_input(now, input);
        self.begin_tls(now);
    }

    fn handle_eof(&mut self, now: Time) {
        self.connection.handle_eof(now);
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        self.connection.handle_sent(now, count);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.connection.handle_timeout(now);
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.connection.handle_read_error(now, error);
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.connection.handle_write_error(now, error);
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        if self.line.is_quiet() {
            self.connection.poll_transmit(now)
        } else {
            None
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn smtp(&self) -> &Connection {
        &self.connection
    }
}

/// The facts of pretended TLS.
fn facts() -> TlsInfo {
    TlsInfo::new().with_version("TLSv1.3").with_round_trips(1)
}
