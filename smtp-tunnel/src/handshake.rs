//! The handshake with a proxy: its output, its time limit, and its end.

use core::time::Duration;

use smtp_proto::{Secret, Time, Timeouts, TransportError};

use crate::destination::Destination;
use crate::error::{ProxyError, ProxyErrorKind};
use crate::header::ProxyHeader;
use crate::http_connect::HttpConnect;
use crate::progress::Progress;
use crate::proxy::{Protocol, Proxy};
use crate::socks5::Socks5;

/// The handshake with a proxy, until the tunnel is open.
pub(crate) struct Handshake {
    dialogue: Dialogue,
    output: Output,
    limit: Option<Duration>,
    until: Option<Time>,
    phase: Phase,
}

/// A message to the proxy.
#[derive(Default)]
struct Output {
    bytes: Secret,
    /// How many bytes were ever handed out, and how many are acknowledged.
    transmitted: usize,
    sent: usize,
}

enum Dialogue {
    Socks5(Socks5),
    HttpConnect(HttpConnect),
    /// The output is the header of the PROXY protocol, and no reply follows.
    Header,
}

enum Phase {
    Active,
    /// Writing failed. The proxy may still explain.
    Draining(TransportError),
    /// The connection has failed. Nothing more is sent, and input is discarded.
    Over,
}

/// Why the handshake ended without a tunnel.
pub(crate) enum Failure {
    Error(TransportError),
    Timeout,
    /// The driver acknowledged more bytes than were transmitted.
    SentTooMuch,
}

/// The state of the handshake after a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tunneling {
    Pending,
    Open,
}

impl Handshake {
    pub(crate) fn with_proxy(proxy: &Proxy, destination: Destination) -> Self {
        let (dialogue, output) = match proxy.protocol {
            Protocol::Socks5 => {
                let (dialogue, output) = Socks5::begin(proxy.login.clone(), destination);
                (Dialogue::Socks5(dialogue), output)
            }
            Protocol::HttpConnect => {
                let (dialogue, output) = HttpConnect::begin(proxy.login.as_ref(), &destination);
                (Dialogue::HttpConnect(dialogue), output)
            }
        };
        Self::new(dialogue, output, proxy.timeout)
    }

    pub(crate) fn with_header(header: &ProxyHeader) -> Self {
        Self::new(Dialogue::Header, Secret::from(header.to_bytes()), None)
    }

    fn new(dialogue: Dialogue, output: Secret, limit: Option<Duration>) -> Self {
        Self {
            dialogue,
            output: Output::new(output),
            limit,
            until: None,
            phase: Phase::Active,
        }
    }

    /// Records the time of a call. The first call starts the time limit.
    pub(crate) fn begin(&mut self, now: Time, timeouts: &Timeouts) {
        let limit = self.limit.unwrap_or_else(|| timeouts.connect());
        self.until.get_or_insert_with(|| now.saturating_add(limit));
    }

    /// Takes input of the proxy. That after its last message is left.
    pub(crate) fn handle_input(&mut self, input: &mut &[u8]) -> Result<Tunneling, Failure> {
        if matches!(self.phase, Phase::Over) {
            *input = &[];
        }
        while !input.is_empty() {
            let progress = match &mut self.dialogue {
                Dialogue::Socks5(dialogue) => dialogue.handle_input(input)?,
                Dialogue::HttpConnect(dialogue) => dialogue.handle_input(input)?,
                Dialogue::Header => return Err(early(Some(NO_HEADER_EXPECTED))),
            };
            if matches!(progress, Progress::NeedsInput) {
                break;
            }
            // A message that lets the dialogue continue. It cannot, if writing failed; and it is no
            // reply, if it came before the proxy had the request.
            if let Phase::Draining(error) = &self.phase {
                return Err(Failure::Error(error.clone()));
            }
            if !self.output.is_sent() {
                return Err(early(None));
            }
            match progress {
                Progress::Send(output) => self.output = Output::new(output),
                Progress::Open | Progress::NeedsInput => return Ok(Tunneling::Open),
            }
        }
        Ok(Tunneling::Pending)
    }

    /// Records that the first `count` bytes of the output were sent.
    pub(crate) fn handle_sent(&mut self, count: usize) -> Result<Tunneling, Failure> {
        if !matches!(self.phase, Phase::Active) {
            return Ok(Tunneling::Pending);
        }
        self.output.sent = self.output.sent.saturating_add(count);
        if self.output.sent > self.output.transmitted {
            return Err(Failure::SentTooMuch);
        }
        if !self.output.is_sent() {
            return Ok(Tunneling::Pending);
        }
        self.output = Output::default();
        Ok(match self.dialogue {
            Dialogue::Header => Tunneling::Open,
            Dialogue::Socks5(_) | Dialogue::HttpConnect(_) => Tunneling::Pending,
        })
    }

    /// The failure if the peer has closed its side.
    pub(crate) fn handle_eof(&self) -> Option<Failure> {
        self.end_with(match &self.dialogue {
            Dialogue::Socks5(dialogue) => dialogue.on_close().into(),
            Dialogue::HttpConnect(dialogue) => dialogue.on_close().into(),
            Dialogue::Header => {
                let hint = "the server may not serve the client's address";
                ProxyError::new(ProxyErrorKind::Closed, Some(hint)).into()
            }
        })
    }

    /// The failure if reading failed.
    pub(crate) fn handle_read_error(&self, error: TransportError) -> Option<Failure> {
        self.end_with(Failure::Error(error))
    }

    /// Stops sending. The failure, unless the proxy may still explain.
    pub(crate) fn handle_write_error(
        &mut self,
        now: Time,
        timeouts: &Timeouts,
        error: TransportError,
    ) -> Option<Failure> {
        match (&self.phase, &self.dialogue) {
            (Phase::Active, Dialogue::Header) => Some(Failure::Error(error)),
            (Phase::Active, Dialogue::Socks5(_) | Dialogue::HttpConnect(_)) => {
                let drained = now.saturating_add(timeouts.drain());
                self.until = self.until.map(|until| until.min(drained));
                self.phase = Phase::Draining(error);
                None
            }
            (Phase::Draining(_) | Phase::Over, _) => None,
        }
    }

    /// The failure if the time limit has expired.
    pub(crate) fn handle_timeout(&self, now: Time) -> Option<Failure> {
        if self.until.is_none_or(|until| now < until) {
            return None;
        }
        self.end_with(Failure::Timeout)
    }

    /// The output that is not yet sent.
    pub(crate) fn poll_output(&mut self) -> &[u8] {
        match self.phase {
            Phase::Active => self.output.transmit(),
            Phase::Draining(_) | Phase::Over => &[],
        }
    }

    pub(crate) const fn until(&self) -> Option<Time> {
        match self.phase {
            Phase::Active | Phase::Draining(_) => self.until,
            Phase::Over => None,
        }
    }

    /// Ends the handshake, and wipes its secrets.
    pub(crate) fn end(&mut self) {
        self.phase = Phase::Over;
        self.dialogue = Dialogue::Header;
        self.output = Output::default();
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// The failure when no more input is awaited: what was known before, or this.
    fn end_with(&self, failure: Failure) -> Option<Failure> {
        let rejection = match &self.dialogue {
            Dialogue::HttpConnect(dialogue) => dialogue.rejection(),
            Dialogue::Socks5(_) | Dialogue::Header => None,
        };
        match (&self.phase, rejection) {
            (Phase::Over, _) => None,
            (_, Some(rejection)) => Some(rejection.into()),
            (Phase::Draining(error), None) => Some(Failure::Error(error.clone())),
            (Phase::Active, None) => Some(failure),
        }
    }
}

impl Output {
    fn new(bytes: Secret) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    fn transmit(&mut self) -> &[u8] {
        self.transmitted = self.bytes.expose().len();
        self.bytes.expose().get(self.sent..).unwrap_or_default()
    }

    fn is_sent(&self) -> bool {
        self.sent >= self.bytes.expose().len()
    }
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        Self::Error(error.into())
    }
}

fn early(hint: Option<&'static str>) -> Failure {
    ProxyError::new(ProxyErrorKind::Early, hint).into()
}

const NO_HEADER_EXPECTED: &str =
    "the server spoke first: it does not expect the header of the PROXY protocol on this port";
