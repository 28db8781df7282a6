//! One TLS connection from its first byte to its last: rustls, its unsent output, and what it
//! reports to the wire inside it.
//!
//! ```text
//! Handshake ──▶ Open ──▶ Over
//!     │          │        ▲
//!     └──────────┴─▶ Failing   (until the alert is out)
//! ```

mod carried;
mod output;
mod peer_check;

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, SignatureScheme};
use smtp_proto::{Time, Transmit, TransportError};

use crate::hint::{self, Circumstances, TlsStart};
use crate::names;
use crate::record::RecordTracker;
use crate::tls::Level;
use crate::tls_info;

pub(crate) use self::carried::Carried;

use self::output::Output;
use self::peer_check::PeerCheck;

/// A TLS connection below a wire: below the SMTP connection, if TLS is to the server.
pub(crate) struct TlsStream {
    rustls: ClientConnection,
    config: Arc<ClientConfig>,
    peer: PeerCheck,
    start: TlsStart,
    phase: Phase,
    write: WriteState,
    records: RecordTracker,
    /// Bytes received since the last that contained plaintext. The connection limits the plaintext.
    without_plaintext: usize,
    /// The first byte that the peer sent.
    first: Option<u8>,
    output: Output,
    /// The most plaintext in a record, in bytes.
    max_plaintext: usize,
}

enum Phase {
    Handshake,
    Open,
    /// TLS has failed. The wire receives the error when the alert is sent, or at `until`.
    Failing {
        error: TransportError,
        until: Time,
    },
    /// Input is discarded.
    Over,
}

/// What may still be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriteState {
    Anything,
    /// The rest of the output, which ends with `close_notify` or an alert.
    Rest,
    /// Nothing: the transport failed, or all was sent.
    Nothing,
}

impl TlsStream {
    pub(crate) fn new(
        level: &Level,
        name: ServerName<'static>,
        start: TlsStart,
    ) -> Result<Self, TransportError> {
        let (peer, config) = PeerCheck::new(level, &name);
        // rustls counts the header as part of the fragment.
        let max_plaintext = config.max_fragment_size.map_or(MAX_PLAINTEXT, |size| {
            size.saturating_sub(HEADER_LEN).clamp(1, MAX_PLAINTEXT)
        });
        let rustls =
            ClientConnection::new(Arc::clone(&config), name).map_err(TransportError::new)?;
        Ok(Self {
            rustls,
            config,
            peer,
            start,
            phase: Phase::Handshake,
            write: WriteState::Anything,
            records: RecordTracker::new(),
            without_plaintext: 0,
            first: None,
            output: Output::default(),
            max_plaintext,
        })
    }

    pub(crate) fn handle_input(&mut self, wire: &mut impl Carried, now: Time, mut input: &[u8]) {
        // After our `close_notify`, input is discarded.
        let listens =
            matches!(self.phase, Phase::Handshake | Phase::Open) && self.write != WriteState::Rest;
        if !listens {
            return;
        }
        self.first = self.first.or_else(|| input.first().copied());
        self.records.advance(input);
        let (count, plaintext) = (input.len(), wire.smtp().stats().bytes_received());
        while !input.is_empty() {
            if let Err(error) = self.rustls.read_tls(&mut input) {
                return self.fail(wire, now, error.into());
            }
            let rustls = &mut self.rustls;
            let processed = self.peer.watch(|| rustls.process_new_packets());
            // Before the error: whole records before the invalid one count.
            self.establish(wire, now);
            self.deliver(wire, now);
            match processed {
                Ok(state) if state.peer_has_closed() => {
                    self.phase = Phase::Over;
                    return wire.handle_eof(now);
                }
                Ok(_) => {}
                Err(error) => {
                    let hint = hint::for_error(&error, &self.circumstances());
                    let error = TransportError::new(names::bounded(error));
                    let error = hint.into_iter().fold(error, TransportError::with_hint);
                    return self.fail(wire, now, error);
                }
            }
        }
        if wire.smtp().stats().bytes_received() != plaintext {
            self.without_plaintext = 0;
        } else if self.without_plaintext.saturating_add(count) > MAX_WITHOUT_PLAINTEXT {
            let text = "the server sends TLS records without end and without data";
            let error = io::Error::new(io::ErrorKind::InvalidData, text);
            return self.fail(wire, now, error.into());
        } else {
            self.without_plaintext = self.without_plaintext.saturating_add(count);
        }
        if self.output.is_empty() && wire.smtp().is_idle() {
            self.output = Output::default();
        }
    }

    pub(crate) fn handle_eof(&mut self, wire: &mut impl Carried, now: Time) {
        match self.phase {
            Phase::Handshake => {
                let error = truncated(match self.start {
                    TlsStart::Proxy => "the proxy closed the connection during the TLS handshake",
                    _ => "the server closed the connection during the TLS handshake",
                });
                let error = error.with_hint(hint::for_truncation(self.start));
                self.end_with(wire, now, error);
            }
            Phase::Open if self.records.is_cut() => {
                let error = truncated("the connection ended in the middle of a TLS record");
                self.end_with(wire, now, error);
            }
            // Without `close_notify`, an attacker may have ended the stream. That cannot forge a
            // reply: a reply marks its own end, so each is either whole or missing.
            Phase::Open => {
                self.phase = Phase::Over;
                wire.handle_eof(now);
            }
            Phase::Failing { .. } => self.report(wire, now),
            Phase::Over => {}
        }
    }

    pub(crate) fn handle_sent(&mut self, wire: &mut impl Carried, now: Time, count: usize) {
        if !self.output.advance(count) {
            // More than was transmitted. The wire transmitted less as well, and reports the
            // misuse.
            return wire.handle_sent(now, usize::MAX);
        }
        while let Some(plaintext) = self.output.next_sent() {
            wire.handle_sent(now, plaintext);
        }
        if self.output.is_sent() {
            self.output.clear_sent();
            self.report(wire, now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, wire: &mut impl Carried, now: Time) {
        match self.phase {
            Phase::Failing { .. } => {
                if self.poll_timeout(wire).is_some_and(|until| now >= until) {
                    self.report(wire, now);
                }
            }
            _ => wire.handle_timeout(now),
        }
    }

    pub(crate) fn handle_read_error(
        &mut self,
        wire: &mut impl Carried,
        now: Time,
        error: TransportError,
    ) {
        self.write = WriteState::Nothing;
        match self.phase {
            Phase::Failing { .. } => self.report(wire, now),
            // A close that arrives before this side's bytes are read is a reset.
            Phase::Handshake if is_reset(&error) => {
                let error = error.with_hint(hint::for_truncation(self.start));
                self.end_with(wire, now, error);
            }
            _ => self.end_with(wire, now, error),
        }
    }

    pub(crate) fn handle_write_error(
        &mut self,
        wire: &mut impl Carried,
        now: Time,
        error: TransportError,
    ) {
        self.write = WriteState::Nothing;
        match self.phase {
            Phase::Failing { .. } => self.report(wire, now),
            _ => wire.handle_write_error(now, error),
        }
    }

    pub(crate) fn poll_transmit(
        &mut self,
        wire: &mut impl Carried,
        now: Time,
    ) -> Option<Transmit<'_>> {
        match self.phase {
            Phase::Open => self.encrypt(wire, now),
            Phase::Handshake | Phase::Failing { .. } | Phase::Over => {}
        }
        if self.write == WriteState::Anything && wire.is_done(now) {
            self.close();
        }
        if self.write == WriteState::Nothing {
            return None;
        }
        self.collect();
        Some(self.output.rest())
            .filter(|rest| !rest.is_empty())
            .map(Transmit::from)
    }

    pub(crate) fn poll_timeout(&self, wire: &impl Carried) -> Option<Time> {
        let until = match self.phase {
            Phase::Failing { until, .. } => Some(until),
            _ => None,
        };
        [until, wire.poll_timeout()].into_iter().flatten().min()
    }

    #[cfg(test)]
    pub(crate) fn buffer_capacity(&self) -> usize {
        self.output.capacity()
    }

    /// Reports to the wire that the handshake is done, when it is.
    fn establish(&mut self, wire: &mut impl Carried, now: Time) {
        if !matches!(self.phase, Phase::Handshake) || self.rustls.is_handshaking() {
            return;
        }
        self.phase = Phase::Open;
        let verification = self.peer.finish(&self.rustls, &self.config);
        wire.handle_secured(now, || {
            let info = tls_info::gather(&self.rustls, self.config.require_ems);
            info.with_verification(verification)
        });
    }

    fn circumstances(&self) -> Circumstances<'_> {
        let algorithms = &(self.config.crypto_provider()).signature_verification_algorithms;
        let schemes = algorithms.supported_schemes();
        Circumstances {
            start: self.start,
            first: self.first,
            seen: self.peer.seen(),
            shows_certificate: self.config.client_auth_cert_resolver.has_certs(),
            knows_p521: schemes.contains(&SignatureScheme::ECDSA_NISTP521_SHA512),
        }
    }

    /// Passes the decrypted plaintext to the wire.
    fn deliver(&mut self, wire: &mut impl Carried, now: Time) {
        let mut buffer = [0; READ_LEN];
        while let Ok(count) = self.rustls.reader().read(&mut buffer)
            && let Some(plaintext @ [_, ..]) = buffer.get(..count)
        {
            wire.handle_input(now, plaintext);
        }
    }

    /// Encrypts the output of the wire, after the pending output of rustls, so that both are
    /// sent together.
    fn encrypt(&mut self, wire: &mut impl Carried, now: Time) {
        if self.output.has_unacked() {
            return;
        }
        self.collect();
        let Some(transmit) = wire.poll_transmit(now) else {
            return;
        };
        let written = transmit.with_io_slices(|slices| self.write_records(slices, transmit.len()));
        if let Err(error) = written {
            self.fail(wire, now, error.into());
        }
    }

    /// Encrypts slices with `left` bytes in total, until the output is full.
    fn write_records(&mut self, mut rest: &mut [IoSlice<'_>], mut left: usize) -> io::Result<()> {
        while !rest.is_empty() && self.output.has_room() {
            let mut writer = self.rustls.writer();
            let count = if left <= self.max_plaintext {
                writer.write_vectored(rest)?
            } else {
                writer.write_vectored(&prefix(rest, self.max_plaintext))?
            };
            if count == 0 {
                break;
            }
            self.collect();
            self.output.end_record(count);
            left = left.saturating_sub(count);
            IoSlice::advance_slices(&mut rest, count);
        }
        Ok(())
    }

    /// Moves the output of rustls to that of this stream.
    fn collect(&mut self) {
        while self.rustls.wants_write() {
            // Writing to a vector does not fail.
            if !matches!(self.rustls.write_tls(self.output.buffer()), Ok(1..)) {
                return;
            }
        }
    }

    /// Sends `close_notify` after the last output of a wire that is done.
    fn close(&mut self) {
        if self.rustls.is_handshaking() {
            self.write = WriteState::Nothing;
        } else {
            self.rustls.send_close_notify();
            self.write = WriteState::Rest;
        }
    }

    /// Fails. The wire receives the error when the alert is sent.
    fn fail(&mut self, wire: &mut impl Carried, now: Time, error: TransportError) {
        self.collect();
        let until = now + ALERT_TIME;
        self.phase = Phase::Failing { error, until };
        if self.write == WriteState::Nothing || self.output.is_sent() {
            self.report(wire, now);
        } else {
            self.write = WriteState::Rest;
        }
    }

    /// Reports the failure of TLS to the wire, if there was one.
    fn report(&mut self, wire: &mut impl Carried, now: Time) {
        if let Phase::Failing { error, .. } = &self.phase {
            let error = error.clone();
            self.write = WriteState::Nothing;
            self.end_with(wire, now, error);
        }
    }

    /// Ends the wire with this error.
    fn end_with(&mut self, wire: &mut impl Carried, now: Time, error: TransportError) {
        self.phase = Phase::Over;
        wire.handle_read_error(now, error);
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Handshake => "TLS handshake",
            Phase::Open => "TLS",
            Phase::Failing { .. } => "TLS failed, alert pending",
            Phase::Over => "TLS over",
        })
    }
}

/// The first `bytes` bytes of the slices.
fn prefix<'a>(slices: &'a [IoSlice<'_>], bytes: usize) -> Vec<IoSlice<'a>> {
    let mut room = bytes;
    let first = slices.iter().map_while(|slice| {
        let part = slice.get(..room).unwrap_or(slice);
        room = room.saturating_sub(part.len());
        (!part.is_empty()).then(|| IoSlice::new(part))
    });
    first.collect()
}

fn is_reset(error: &TransportError) -> bool {
    let error = error.get_ref().downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

fn truncated(text: &'static str) -> TransportError {
    io::Error::new(io::ErrorKind::UnexpectedEof, text).into()
}

/// The most plaintext in a record, and the length of its header, in bytes (RFC 8446, section 5.1).
const MAX_PLAINTEXT: usize = 1 << 14;
const HEADER_LEN: usize = 5;

/// The most bytes in a row without plaintext: far more than a handshake with its certificates and
/// tickets has. Input is read before any deadline is checked, so it needs a limit of its own.
#[cfg(not(test))]
const MAX_WITHOUT_PLAINTEXT: usize = 1 << 20;
#[cfg(test)]
const MAX_WITHOUT_PLAINTEXT: usize = 16 << 10;

/// The plaintext passed on at a time, in bytes. Most replies are shorter.
const READ_LEN: usize = 1024;

/// How long sending an alert may take, unless an earlier deadline is due.
const ALERT_TIME: Duration = Duration::from_secs(5);
