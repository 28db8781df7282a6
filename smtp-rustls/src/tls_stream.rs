//! TLS from its first byte to its end: rustls, what it has still to send, and how the connection hears of it.
//!
//! ```text
//! Handshake ──▶ Open ──▶ Over
//!     │          │        ▲
//!     └──────────┴─▶ Failing   (until the alert is out)
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, SignatureScheme};
use smtp_proto::{Connection, Time, Transmit, TransportError, UnverifiedReason, Verification};

use crate::gate::Gate;
use crate::hint::{self, Circumstances, TlsStart};
use crate::names;
use crate::record::Frames;
use crate::tls::{Level, Proof};
use crate::tls_info;
use crate::watch::{Seen, Watched, watch};

/// One TLS connection under one SMTP connection.
pub(crate) struct TlsStream {
    rustls: ClientConnection,
    config: Arc<ClientConfig>,
    judge: Judge,
    /// What the verifier said in this handshake, if it was asked.
    seen: Option<Seen>,
    begun: TlsStart,
    phase: Phase,
    sending: WriteState,
    frames: Frames,
    /// Bytes that came since the server last said something in them: what it says the connection counts.
    mute: usize,
    /// The first byte that the peer sent.
    first: Option<u8>,
    /// Ciphertext to be sent.
    out: Vec<u8>,
    /// How much of `out` the transport has taken.
    sent: usize,
    /// The records in `out` that carry what the connection offered.
    encrypted: VecDeque<UnackedRecord>,
    /// How much plaintext a record takes.
    record: usize,
}

enum Phase {
    Handshake,
    Open,
    /// TLS has failed. The connection hears of it when the alert is out, or then.
    Failing {
        error: TransportError,
        until: Time,
    },
    /// What comes in means nothing any more.
    Over,
}

/// How it is known whether the peer is the right one.
enum Judge {
    /// The handshake would have failed if it were not.
    Handshake,
    /// Not at all.
    Nobody,
    /// By what the verifier said, or says of the certificates that a resumed session came with.
    Verifier {
        verifier: Arc<Watched>,
        name: ServerName<'static>,
        gate: Arc<Gate>,
    },
}

/// What this side still may say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriteState {
    Anything,
    /// What is in line; its end is `close_notify` or an alert.
    Rest,
    /// The transport takes nothing more.
    Nothing,
}

/// A record that carries what the connection offered.
///
/// It is acknowledged to the connection when the transport has taken all of it, and not before: else the connection would
/// measure no time for a server that stops reading, and would believe a reply to what has not been sent. Nor later, with
/// the records after it: the server may answer one record while the next is still being written.
struct UnackedRecord {
    /// Bytes as the connection offered them.
    count: usize,
    /// Where the record ends in `out`.
    end: usize,
}

impl TlsStream {
    pub(crate) fn new(
        level: &Level,
        name: ServerName<'static>,
        begun: TlsStart,
    ) -> Result<Self, TransportError> {
        let mut config = Arc::clone(&level.config);
        let judge = match &level.proof {
            Proof::Enforced => Judge::Handshake,
            Proof::NotChecked => Judge::Nobody,
            Proof::Recorded { verifier, sessions } => {
                let gate = Arc::new(Gate::new(Arc::clone(sessions)));
                let mut own = (*config).clone();
                own.resumption = Resumption::store(Arc::clone(&gate) as _);
                config = Arc::new(own);
                Judge::Verifier {
                    verifier: Arc::clone(verifier),
                    name: name.clone(),
                    gate,
                }
            }
        };
        // rustls counts the header in.
        let record = config.max_fragment_size.map_or(RECORD_OCTETS, |size| {
            size.saturating_sub(HEADER_OCTETS).clamp(1, RECORD_OCTETS)
        });
        let rustls =
            ClientConnection::new(Arc::clone(&config), name).map_err(TransportError::new)?;
        Ok(Self {
            rustls,
            config,
            judge,
            seen: None,
            begun,
            phase: Phase::Handshake,
            sending: WriteState::Anything,
            frames: Frames::new(),
            mute: 0,
            first: None,
            out: Vec::new(),
            sent: 0,
            encrypted: VecDeque::new(),
            record,
        })
    }

    pub(crate) fn handle_input(
        &mut self,
        connection: &mut Connection,
        now: Time,
        mut input: &[u8],
    ) {
        // After our `close_notify` nothing is read either: there is nobody left to read it for.
        let listens = matches!(self.phase, Phase::Handshake | Phase::Open)
            && self.sending != WriteState::Rest;
        if !listens {
            return;
        }
        self.first = self.first.or_else(|| input.first().copied());
        self.frames.advance(input);
        let (count, heard) = (input.len(), connection.stats().bytes_received());
        while !input.is_empty() {
            if let Err(error) = self.rustls.read_tls(&mut input) {
                return self.fail(connection, now, error.into());
            }
            let (processed, seen) = watch(|| self.rustls.process_new_packets());
            if let Some(seen) = seen {
                self.take_note(seen);
            }
            // In this order: all that was whole before the fault counts.
            self.establish(connection, now);
            self.deliver(connection, now);
            match processed {
                Ok(state) if state.peer_has_closed() => {
                    self.phase = Phase::Over;
                    return connection.handle_eof(now);
                }
                Ok(_) => {}
                Err(error) => {
                    let hint = hint::for_error(&error, &self.circumstances());
                    let error = TransportError::new(names::bounded(error));
                    let error = hint.into_iter().fold(error, TransportError::with_hint);
                    return self.fail(connection, now, error);
                }
            }
        }
        if connection.stats().bytes_received() != heard {
            self.mute = 0;
        } else if self.mute.saturating_add(count) > MUTE_OCTETS {
            let text = "the server sends TLS records without end, and says nothing in them";
            let error = io::Error::new(io::ErrorKind::InvalidData, text);
            return self.fail(connection, now, error.into());
        } else {
            self.mute = self.mute.saturating_add(count);
        }
        if self.out.is_empty() && connection.is_idle() {
            self.out = Vec::new();
            self.encrypted = VecDeque::new();
        }
    }

    pub(crate) fn handle_eof(&mut self, connection: &mut Connection, now: Time) {
        match self.phase {
            Phase::Handshake => {
                let error = truncated(
                    "the server closed the connection in the middle of the TLS handshake",
                );
                let error = error.with_hint(hint::for_truncation(self.begun));
                self.lose(connection, now, error);
            }
            Phase::Open if self.frames.is_cut() => {
                let error = truncated("the connection was cut in the middle of a TLS record");
                self.lose(connection, now, error);
            }
            // No `close_notify` came, so somebody on the path may have ended the stream. That forges nothing: every reply
            // says itself where it ends, so one that came whole is whole, and one that did not is missing.
            Phase::Open => {
                self.phase = Phase::Over;
                connection.handle_eof(now);
            }
            Phase::Failing { .. } => self.tell(connection, now),
            Phase::Over => {}
        }
    }

    pub(crate) fn handle_sent(&mut self, connection: &mut Connection, now: Time, count: usize) {
        let sent = self.sent.saturating_add(count);
        if sent > self.out.len() {
            // More than was offered: the connection has offered less than that, too, and tells the driver.
            return connection.handle_sent(now, usize::MAX);
        }
        self.sent = sent;
        while let Some(record) = self.encrypted.front()
            && record.end <= self.sent
        {
            connection.handle_sent(now, record.count);
            self.encrypted.pop_front();
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.tell(connection, now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, connection: &mut Connection, now: Time) {
        match self.phase {
            Phase::Failing { .. } => {
                if self
                    .poll_timeout(connection)
                    .is_some_and(|until| now >= until)
                {
                    self.tell(connection, now);
                }
            }
            _ => connection.handle_timeout(now),
        }
    }

    pub(crate) fn handle_read_error(
        &mut self,
        connection: &mut Connection,
        now: Time,
        error: TransportError,
    ) {
        self.sending = WriteState::Nothing;
        match self.phase {
            Phase::Failing { .. } => self.tell(connection, now),
            _ => self.lose(connection, now, error),
        }
    }

    pub(crate) fn handle_write_error(
        &mut self,
        connection: &mut Connection,
        now: Time,
        error: TransportError,
    ) {
        self.sending = WriteState::Nothing;
        match self.phase {
            Phase::Failing { .. } => self.tell(connection, now),
            _ => connection.handle_write_error(now, error),
        }
    }

    pub(crate) fn poll_transmit(
        &mut self,
        connection: &mut Connection,
        now: Time,
    ) -> Option<Transmit<'_>> {
        match self.phase {
            Phase::Open => self.encrypt(connection, now),
            Phase::Handshake | Phase::Failing { .. } | Phase::Over => {}
        }
        if self.sending == WriteState::Anything && connection.is_closed() {
            self.close();
        }
        if self.sending == WriteState::Nothing {
            return None;
        }
        self.collect();
        let rest = self.out.get(self.sent..).filter(|rest| !rest.is_empty());
        rest.map(Transmit::from)
    }

    pub(crate) fn poll_timeout(&self, connection: &Connection) -> Option<Time> {
        let until = match self.phase {
            Phase::Failing { until, .. } => Some(until),
            _ => None,
        };
        [until, connection.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    #[cfg(test)]
    pub(crate) fn buffer_capacity(&self) -> usize {
        self.out.capacity()
    }

    /// Hands over to the connection when the handshake is done.
    fn establish(&mut self, connection: &mut Connection, now: Time) {
        if !matches!(self.phase, Phase::Handshake) || self.rustls.is_handshaking() {
            return;
        }
        self.phase = Phase::Open;
        let verification = self.verification();
        self.seen = None;
        if let Ok(upgrade) = connection.begin_tls(now) {
            let facts = tls_info::gather(&self.rustls, self.config.require_ems);
            upgrade.complete(now, facts.with_verification(verification));
        }
    }

    /// Remembers what the verifier said, and keeps sessions only of a server that has shown its key.
    fn take_note(&mut self, seen: Seen) {
        if let Judge::Verifier { gate, .. } = &self.judge
            && seen.is_signed()
        {
            gate.open();
        }
        self.seen = Some(seen);
    }

    /// Whether the peer is the right one, as far as that is known when the handshake is done.
    fn verification(&self) -> Verification {
        match &self.judge {
            Judge::Handshake => Verification::Verified,
            Judge::Nobody => UNKNOWN,
            Judge::Verifier {
                verifier,
                name,
                gate,
            } if self.rustls.handshake_kind() == Some(HandshakeKind::Resumed) => {
                // Only the server that has shown its key can resume a session that the gate let in.
                gate.open();
                let chain = self.rustls.peer_certificates();
                let now = self.config.time_provider.current_time();
                let (Some([own, others @ ..]), Some(now)) = (chain, now) else {
                    return UNKNOWN;
                };
                let (_, seen) = watch(|| verifier.verify_server_cert(own, others, name, &[], now));
                seen.as_ref().map_or(UNKNOWN, Seen::verification)
            }
            Judge::Verifier { .. } => self.seen.as_ref().map_or(UNKNOWN, Seen::verification),
        }
    }

    fn circumstances(&self) -> Circumstances<'_> {
        let algorithms = &(self.config.crypto_provider()).signature_verification_algorithms;
        let schemes = algorithms.supported_schemes();
        Circumstances {
            begun: self.begun,
            first: self.first,
            seen: self.seen.as_ref(),
            shows_certificate: self.config.client_auth_cert_resolver.has_certs(),
            knows_p521: schemes.contains(&SignatureScheme::ECDSA_NISTP521_SHA512),
        }
    }

    /// Hands what was decrypted to the connection.
    fn deliver(&mut self, connection: &mut Connection, now: Time) {
        let mut buffer = [0; READ_OCTETS];
        while let Ok(count) = self.rustls.reader().read(&mut buffer)
            && let Some(plaintext @ [_, ..]) = buffer.get(..count)
        {
            connection.handle_input(now, plaintext);
        }
    }

    /// Encrypts what the connection offers: after what rustls has in line, so that both go out as one.
    fn encrypt(&mut self, connection: &mut Connection, now: Time) {
        if !self.encrypted.is_empty() {
            return;
        }
        self.collect();
        let Some(transmit) = connection.poll_transmit(now) else {
            return;
        };
        let written = transmit.with_io_slices(|slices| self.write_records(slices, transmit.len()));
        if let Err(error) = written {
            self.fail(connection, now, error.into());
        }
    }

    /// Encrypts slices with so many bytes, until as much is queued as the transport gets at a time.
    fn write_records(&mut self, mut rest: &mut [IoSlice<'_>], mut left: usize) -> io::Result<()> {
        while !rest.is_empty() && self.out.len() < OUT_OCTETS {
            let mut writer = self.rustls.writer();
            let count = if left <= self.record {
                writer.write_vectored(rest)?
            } else {
                writer.write_vectored(&prefix(rest, self.record))?
            };
            if count == 0 {
                break;
            }
            self.collect();
            let end = self.out.len();
            self.encrypted.push_back(UnackedRecord { count, end });
            left = left.saturating_sub(count);
            IoSlice::advance_slices(&mut rest, count);
        }
        Ok(())
    }

    /// Takes over what rustls wants to send.
    fn collect(&mut self) {
        while self.rustls.wants_write() {
            // A vector takes all that it is given.
            if !matches!(self.rustls.write_tls(&mut self.out), Ok(1..)) {
                return;
            }
        }
    }

    /// Says the last word of a connection that is over.
    fn close(&mut self) {
        if self.rustls.is_handshaking() {
            self.sending = WriteState::Nothing;
        } else {
            self.rustls.send_close_notify();
            self.sending = WriteState::Rest;
        }
    }

    /// Fails, and tells the connection when the alert is out.
    fn fail(&mut self, connection: &mut Connection, now: Time, error: TransportError) {
        self.collect();
        let until = now + ALERT_TIME;
        self.phase = Phase::Failing { error, until };
        if self.sending == WriteState::Nothing || self.sent == self.out.len() {
            self.tell(connection, now);
        } else {
            self.sending = WriteState::Rest;
        }
    }

    /// Tells the connection why TLS failed, if it did.
    fn tell(&mut self, connection: &mut Connection, now: Time) {
        if let Phase::Failing { error, .. } = &self.phase {
            let error = error.clone();
            self.sending = WriteState::Nothing;
            self.lose(connection, now, error);
        }
    }

    fn lose(&mut self, connection: &mut Connection, now: Time, error: TransportError) {
        self.phase = Phase::Over;
        connection.handle_read_error(now, error);
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Handshake => "TLS handshake",
            Phase::Open => "TLS",
            Phase::Failing { .. } => "TLS failed, alert to be sent",
            Phase::Over => "TLS over",
        })
    }
}

/// The first so many bytes.
fn prefix<'a>(slices: &'a [IoSlice<'_>], bytes: usize) -> Vec<IoSlice<'a>> {
    let mut room = bytes;
    let first = slices.iter().map_while(|slice| {
        let part = slice.get(..room).unwrap_or(slice);
        room = room.saturating_sub(part.len());
        (!part.is_empty()).then(|| IoSlice::new(part))
    });
    first.collect()
}

fn truncated(text: &'static str) -> TransportError {
    io::Error::new(io::ErrorKind::UnexpectedEof, text).into()
}

/// Of a peer about whom nobody was asked.
const UNKNOWN: Verification = Verification::Unverified(UnverifiedReason::NotChecked);

/// The greatest length of a record's content (RFC 8446, section 5.1), and of its header.
const RECORD_OCTETS: usize = 1 << 14;
const HEADER_OCTETS: usize = 5;

/// How much ciphertext waits to be sent before no further record is made.
const OUT_OCTETS: usize = 64 << 10;

/// Bytes that a server may send without saying anything: far more than a handshake with its certificates and tickets. What has
/// come goes before any deadline, so it has to end.
#[cfg(not(test))]
const MUTE_OCTETS: usize = 1 << 20;
#[cfg(test)]
const MUTE_OCTETS: usize = 16 << 10;

/// How much plaintext is handed over at a time. Most replies are shorter.
const READ_OCTETS: usize = 1024;

/// How long a server may take to read an alert, if nothing sooner is due.
const ALERT_TIME: Duration = Duration::from_secs(5);
