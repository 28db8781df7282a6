//! The line between a scenario's server and a client: who has said and heard what.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use smtp_proto::{Connection, Time, TlsInfo, Transmit, TransportError, Wire};
use smtp_test::{Output, Peer, Player};

/// What went over the line; a handle.
#[derive(Clone, Default)]
pub struct Line(Arc<Mutex<Bytes>>);

#[derive(Default)]
struct Bytes {
    sent: Sent,
    /// What the server says next.
    next: Option<Output>,
    /// How many bytes of the server's are under way to the client.
    under_way: usize,
    /// Whether the client went on before it had heard all that was said.
    raced: bool,
}

/// All that a server was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub bytes: Vec<u8>,
    /// How much of it in cleartext, if TLS began.
    pub in_clear: Option<usize>,
    /// Whether the client closed.
    eof: bool,
}

impl Line {
    /// A player on this line, for a client that is attentive or has heard each byte by the time that it reads the next.
    pub fn recorder(&self, player: Player, attentive: bool) -> impl Peer + use<> {
        let mut recorder = Recorder {
            player,
            line: self.clone(),
            attentive,
        };
        recorder.look_ahead();
        recorder
    }

    /// A wire that hears all that was said on this line before it says anything.
    pub fn attentive(&self, connection: Connection) -> Attentive {
        let mut wire = Attentive {
            connection,
            line: self.clone(),
        };
        wire.begin_tls(Time::ORIGIN);
        wire
    }

    /// What the server was sent.
    pub fn sent(&self) -> Sent {
        self.lock().sent.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap()
    }

    /// Whether the client went on before it had heard all that was said.
    pub fn has_raced(&self) -> bool {
        self.lock().raced
    }

    /// A TLS stack of somebody else's, which sees at once what is no TLS, and encrypts nothing.
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

    /// Records that the client goes on; returns whether it may.
    fn go_on(&self) -> bool {
        let quiet = self.is_quiet();
        self.lock().raced |= !quiet;
        quiet
    }

    /// Whether the client has heard all that was said.
    fn is_quiet(&self) -> bool {
        let bytes = self.lock();
        bytes.under_way == 0 && bytes.next.is_none()
    }
}

/// A player that writes down what it is sent.
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
        // Who has not heard it yet goes on.
        self.player.is_closed() && self.line.is_quiet()
    }
}

/// A wire that offers nothing while there is something to hear, and pretends TLS.
pub struct Attentive {
    connection: Connection,
    line: Line,
}

impl Attentive {
    fn begin_tls(&mut self, now: Time) {
        // To claim it keeps the machine from complaining that no TLS layer does.
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

/// What there is to know of TLS that is pretended.
fn facts() -> TlsInfo {
    TlsInfo::new().with_version("TLSv1.3").with_round_trips(1)
}
