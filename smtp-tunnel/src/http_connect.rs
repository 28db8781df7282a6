//! HTTP CONNECT (RFC 9110, section 9.3.6; RFC 9112): every transition is in this file.
//!
//! ```text
//!       ┌───────── 1xx ─────────┐
//!       ▼                       │
//! ExpectStatusLine ──▶ ExpectFields ──▶ (open)
//! ```
//!
//! A line ends with CRLF, or with LF alone, which RFC 9112, section 2.2, allows a recipient to
//! accept. A CR elsewhere and a NUL are errors.

use alloc::format;
use alloc::vec::Vec;

use smtp_proto::Secret;

use crate::destination::Destination;
use crate::error::{ProxyError, ProxyErrorKind};
use crate::progress::Progress;

/// The dialogue with an HTTP proxy.
pub(crate) struct HttpConnect {
    state: State,
    /// The part of a line that has arrived.
    line: Vec<u8>,
    /// Bytes received, those of interim responses included.
    received: usize,
    has_login: bool,
}

/// The line that the proxy sends next.
enum State {
    ExpectStatusLine,
    /// A header field, or the empty line after the last.
    ExpectFields(Response),
}

/// The response whose header fields follow.
enum Response {
    /// 1xx: another response follows.
    Interim,
    /// 2xx: the tunnel is open after the fields.
    Success,
    /// 407: the fields name the schemes of authentication.
    LoginRequired { error: ProxyError, schemes: Schemes },
}

/// The schemes of the fields `Proxy-Authenticate` (RFC 9110, section 11.7.1).
#[derive(Clone, Copy, Default)]
struct Schemes {
    basic: bool,
    other: bool,
}

impl HttpConnect {
    /// The dialogue, and its request.
    pub(crate) fn begin(login: Option<&Secret>, destination: &Destination) -> (Self, Secret) {
        let head = format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n");
        let login = login.map(Secret::expose);
        let fields = match login {
            Some(login) => [AUTHORIZATION, login, CRLF],
            None => [&[][..]; 3],
        };
        let dialogue = Self {
            state: State::ExpectStatusLine,
            line: Vec::new(),
            received: 0,
            has_login: login.is_some(),
        };
        let [name, value, end] = fields;
        let request = [head.as_bytes(), name, value, end, CRLF].concat();
        (dialogue, Secret::from(request))
    }

    /// Takes input until the header section of the response is complete.
    pub(crate) fn handle_input(&mut self, input: &mut &[u8]) -> Result<Progress, ProxyError> {
        loop {
            if self.received == 0
                && let Some(&first) = input.first()
                && first != b'H'
            {
                return Err(malformed(&[first]).with_hint(of_first_byte(first)));
            }
            if input.is_empty() {
                return Ok(Progress::NeedsInput);
            }
            let room = MAX_RECEIVED.saturating_sub(self.received);
            let end = input.iter().position(|byte| *byte == b'\n');
            let len = end.map_or(input.len(), |end| end.saturating_add(1));
            if len > room {
                return Err(self.fault(too_long));
            }
            let (taken, rest) = input.split_at_checked(len).unwrap_or((*input, &[]));
            self.received = self.received.saturating_add(len);
            self.line.extend_from_slice(taken);
            *input = rest;
            if end.is_some() {
                let line = core::mem::take(&mut self.line);
                let line = line.strip_suffix(CRLF).or_else(|| line.strip_suffix(b"\n"));
                if self.handle_line(line.unwrap_or_default())? {
                    return Ok(Progress::Open);
                }
            }
        }
    }

    /// Handles a line without its end. Returns whether the tunnel is open.
    fn handle_line(&mut self, line: &[u8]) -> Result<bool, ProxyError> {
        let is_valid = !line.iter().any(|byte| matches!(byte, b'\r' | b'\0'));
        match &mut self.state {
            _ if !is_valid => return Err(self.fault(|| malformed(line))),
            State::ExpectStatusLine => {
                let response = self.on_status_line(line)?;
                self.state = State::ExpectFields(response);
            }
            State::ExpectFields(response) if line.is_empty() => match response {
                Response::Interim => self.state = State::ExpectStatusLine,
                Response::Success => return Ok(true),
                Response::LoginRequired { .. } => return Err(self.fault(|| malformed(line))),
            },
            // A line that begins with white space continues the field before it.
            State::ExpectFields(_) if line.starts_with(b" ") || line.starts_with(b"\t") => {}
            State::ExpectFields(_) if !line.contains(&b':') => {
                return Err(self.fault(|| malformed(line)));
            }
            State::ExpectFields(Response::LoginRequired { schemes, .. }) => schemes.read(line),
            State::ExpectFields(_) => {}
        }
        Ok(false)
    }

    /// `status-line = HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112, section 4), also
    /// without the last SP.
    fn on_status_line(&self, line: &[u8]) -> Result<Response, ProxyError> {
        let Some((status, reason)) = parse_status_line(line) else {
            return Err(malformed(line));
        };
        let rejection = ProxyError::new(ProxyErrorKind::Http(status), self.of_status(status));
        let rejection = rejection.with_text(reason);
        match status {
            // 101 answers `Upgrade`, which was not sent.
            100 | 102..=199 => Ok(Response::Interim),
            200..=299 => Ok(Response::Success),
            407 => Ok(Response::LoginRequired {
                error: rejection,
                schemes: Schemes::default(),
            }),
            _ => Err(rejection),
        }
    }

    /// The rejection that is known, although its header fields have not all arrived.
    pub(crate) fn rejection(&self) -> Option<ProxyError> {
        let State::ExpectFields(Response::LoginRequired { error, schemes }) = &self.state else {
            return None;
        };
        let error = error.clone();
        Some(if schemes.other && !schemes.basic {
            error.with_hint(Some(
                "the proxy requires a login by a scheme other than Basic, the only one supported",
            ))
        } else {
            error
        })
    }

    /// The error of this response: what is known to be the reason, or this.
    fn fault(&self, error: impl FnOnce() -> ProxyError) -> ProxyError {
        self.rejection().unwrap_or_else(error)
    }

    /// The error if the proxy closes the connection now.
    pub(crate) fn on_close(&self) -> ProxyError {
        self.fault(|| {
            let hint = (self.received == 0).then_some(
                "it may not be an HTTP proxy, may expect TLS, or may not serve this client's address",
            );
            ProxyError::new(ProxyErrorKind::Closed, hint)
        })
    }

    const fn of_status(&self, status: u16) -> Option<&'static str> {
        match status {
            403 => Some(
                "the proxy's rules forbid this host or this port: many allow CONNECT only to port 443; port 587 or \
                 465 may be allowed where 25 is not",
            ),
            // 401 is for servers, and some proxies use it for a wrong login.
            401 | 407 if self.has_login => {
                Some("the user name or the password for the proxy may be wrong")
            }
            401 | 407 => Some(
                "the proxy requires a login: set it by `credentials`, or as user:password@ in the URL of the \
                 proxy",
            ),
            400 | 404 | 405 | 501 => {
                Some("this HTTP server does not support CONNECT: it may not be a proxy")
            }
            500 | 502..=504 => {
                Some("the proxy cannot reach the server: check the host and the port")
            }
            _ => None,
        }
    }
}

impl Schemes {
    /// Reads the scheme of a field `Proxy-Authenticate`.
    fn read(&mut self, field: &[u8]) {
        let Some((name, value)) = split_at(field, b':') else {
            return;
        };
        if !name.eq_ignore_ascii_case(b"proxy-authenticate") {
            return;
        }
        let value = value.trim_ascii();
        let scheme = split_at(value, b' ').map_or(value, |(scheme, _)| scheme);
        if scheme.eq_ignore_ascii_case(b"basic") {
            self.basic = true;
        } else {
            self.other = true;
        }
    }
}

/// The status code and the reason phrase.
fn parse_status_line(line: &[u8]) -> Option<(u16, &[u8])> {
    let (minor, rest) = line.strip_prefix(b"HTTP/1.")?.split_first()?;
    let (digits, rest) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    let status: u16 = core::str::from_utf8(digits).ok()?.parse().ok()?;
    (minor.is_ascii_digit()
        && digits.iter().all(u8::is_ascii_digit)
        && (100..600).contains(&status))
    .then_some((status, reason))
}

fn split_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

fn malformed(line: &[u8]) -> ProxyError {
    ProxyError::new(ProxyErrorKind::Malformed, None).with_text(line)
}

fn too_long() -> ProxyError {
    ProxyError::new(ProxyErrorKind::TooLong, None)
}

/// What answers in place of an HTTP proxy, by its first byte.
const fn of_first_byte(first: u8) -> Option<&'static str> {
    match first {
        0x05 => Some(
            "this is a SOCKS5 proxy, not an HTTP proxy: use socks5:// in the URL of the proxy, or `socks5` for `http`",
        ),
        b'2'..=b'5' => Some("this port speaks SMTP, and not the protocol of a proxy"),
        0x15 | 0x16 => Some(
            "the proxy expects TLS: use https:// in the URL of the proxy, or `https` for `http`",
        ),
        _ => None,
    }
}

const CRLF: &[u8] = b"\r\n";

const AUTHORIZATION: &[u8] = b"Proxy-Authorization: Basic ";

/// The most bytes of responses, interim ones included. Those of proxies have some hundred.
const MAX_RECEIVED: usize = 8 * 1024;
