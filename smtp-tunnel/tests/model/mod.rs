//! What a tunnel must do for any input: computed from scratch, byte by byte, by code that shares
//! nothing with the crate. For the properties here and for the fuzz targets.

#![allow(dead_code, reason = "the tests and the fuzz targets use a part each")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

pub(crate) mod header;
pub(crate) mod http;
pub(crate) mod socks5;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use smtp_proto::{
    Config, Connection, Credentials, ErrorKind, Mail, RecipientStatus, Seed, Stage, Time, Transmit,
    TransportError, Wire,
};
use smtp_tunnel::{ProxyError, ProxyErrorKind, Tunnel};

/// The result of a handshake for some input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Each message of the client.
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// More input is needed.
    Pending,
    /// The tunnel is open, and the wire inside got these bytes.
    Open(Vec<u8>),
    Failed(ProxyErrorKind),
}

/// Runs the handshake: before each turn all output is sent, then the bytes of the turn arrive.
/// Output and input are cut into pieces of at most `piece` bytes. Returns also all texts of errors.
///
/// Asserts that the wire inside is not touched before the tunnel is open, and that a failure is
/// final, and says that the message was not sent.
pub(crate) fn run(mut tunnel: Tunnel<Spy>, turns: &[&[u8]], piece: usize) -> (Run, String) {
    let id = tunnel.smtp_mut().submit(mail());
    let mut sent = Vec::new();
    for turn in turns {
        sent.extend(flush(&mut tunnel, piece));
        for part in turn.chunks(piece) {
            tunnel.handle_input(NOW, part);
            check_inside(&tunnel);
        }
    }
    sent.extend(flush(&mut tunnel, piece));
    let mut shown = format!("{tunnel:?} {tunnel:#?}");
    let end = if tunnel.is_open() {
        End::Open(tunnel.get_ref().input.clone())
    } else if tunnel.smtp().is_closed() {
        let Poll::Ready(Err(error)) = tunnel.smtp_mut().poll_ready() else {
            panic!("a closed connection has failed");
        };
        assert_eq!(error.stage(), Stage::Proxy);
        let ErrorKind::Proxy(cause) = error.kind() else {
            panic!("{error}");
        };
        let cause: &ProxyError = cause.get_ref().downcast_ref().unwrap();
        assert_eq!(cause.is_transient(), error.is_transient(), "{error}");
        assert_eq!(cause.hint(), error.hint(), "{error}");
        let whole = match cause.hint() {
            None => cause.to_string(),
            Some(hint) => format!("{cause} ({hint})"),
        };
        assert_eq!(format!("{cause:#}"), whole);
        let text = format!("{error:#}");
        assert!(
            text.len() < 1024 && !text.contains(char::is_control),
            "V30: {text:?}"
        );
        shown.push_str(&format!("{text} {error} {error:#?} {cause:#} {cause:?}"));
        let Poll::Ready(Ok(outcome)) = tunnel.smtp_mut().poll_outcome(id) else {
            panic!("the message has an outcome");
        };
        let status = outcome.recipients()[0].status();
        assert!(matches!(status, RecipientStatus::NotSent(_)), "{outcome}");
        check_over(&mut tunnel);
        End::Failed(cause.kind())
    } else {
        End::Pending
    };
    (Run { sent, end }, shown)
}

/// Sends all output of the handshake, in pieces, and returns it.
fn flush(tunnel: &mut Tunnel<Spy>, piece: usize) -> Option<Vec<u8>> {
    let mut sent = Vec::new();
    while !tunnel.is_open()
        && let Some(transmit) = tunnel.poll_transmit(NOW)
    {
        assert!(!transmit.is_empty(), "an empty transmit");
        let bytes: Vec<u8> = transmit.iter().flatten().copied().take(piece).collect();
        tunnel.handle_sent(NOW, bytes.len());
        sent.extend(bytes);
        check_inside(tunnel);
    }
    (!sent.is_empty()).then_some(sent)
}

/// The wire inside was not called before the tunnel was open.
fn check_inside(tunnel: &Tunnel<Spy>) {
    let calls = tunnel.get_ref().calls.get();
    assert!(tunnel.is_open() || calls == 0, "{calls} calls inside");
}

/// A failed tunnel does nothing more, whatever is reported.
fn check_over(tunnel: &mut Tunnel<Spy>) {
    tunnel.handle_input(NOW, b"\x05\x00HTTP/1.1 200 OK\r\n\r\n220 ready\r\n");
    tunnel.handle_sent(NOW, 1);
    tunnel.handle_timeout(Time::from_origin(std::time::Duration::MAX));
    tunnel.handle_eof(NOW);
    assert!(tunnel.poll_transmit(NOW).is_none() && tunnel.poll_timeout().is_none());
    assert!(!tunnel.is_open());
    check_inside(tunnel);
}

/// I9: no text shows the secret, unless the peer sent it, whose text may be quoted.
pub(crate) fn check_secret(secret: &str, received: &[u8], shown: &str) {
    let mut parts = received.windows(secret.len());
    let is_quoted = parts.any(|part| part == secret.as_bytes());
    assert!(is_quoted || !shown.contains(secret), "I9: {shown}");
}

/// A connection that records what it is called with.
pub(crate) struct Spy {
    connection: Connection,
    pub(crate) calls: Cell<usize>,
    pub(crate) input: Vec<u8>,
}

impl Spy {
    /// A connection with a login, and STARTTLS.
    pub(crate) fn new() -> Self {
        let config = Config::builder("client.test".parse().unwrap())
            .credentials(Credentials::password("smtp-user", SMTP_SECRET).unwrap())
            .build()
            .unwrap();
        Self {
            connection: Connection::new(Arc::new(config), Seed::from_bytes([7; 32])),
            calls: Cell::new(0),
            input: Vec::new(),
        }
    }

    fn called(&self) {
        self.calls.set(self.calls.get() + 1);
    }
}

/// Without the calls, whose number depends on the pieces.
impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl Wire for Spy {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.called();
        assert!(!input.is_empty());
        self.input.extend_from_slice(input);
        self.connection.handle_input(now, input);
    }

    fn handle_eof(&mut self, now: Time) {
        self.called();
        self.connection.handle_eof(now);
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        self.called();
        self.connection.handle_sent(now, count);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.called();
        self.connection.handle_timeout(now);
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.called();
        self.connection.handle_read_error(now, error);
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.called();
        self.connection.handle_write_error(now, error);
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.called();
        self.connection.poll_transmit(now)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.called();
        self.connection.poll_timeout()
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn smtp(&self) -> &Connection {
        &self.connection
    }
}

pub(crate) fn mail() -> Mail {
    let message = "From: a@x.test\r\nSubject: secret\r\n\r\nhello\r\n";
    Mail::new("a@x.test", ["b@y.test"], message).unwrap()
}

/// The password for the server, which no proxy may see.
pub(crate) const SMTP_SECRET: &str = "Canary-smtp-pa55word";

pub(crate) const NOW: Time = Time::ORIGIN;
