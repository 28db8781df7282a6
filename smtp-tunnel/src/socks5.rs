//! SOCKS5 (RFC 1928) with user name and password (RFC 1929): every transition is in this file.
//!
//! ```text
//! ExpectMethod ──┬─────────▶ ExpectReply ──▶ (open)
//!                └─▶ ExpectStatus ──▲
//! ```

use alloc::vec::Vec;

use smtp_proto::Secret;

use crate::destination::{Destination, Host};
use crate::error::{ProxyError, ProxyErrorKind};
use crate::progress::Progress;

/// The dialogue with a SOCKS5 proxy.
pub(crate) struct Socks5 {
    state: State,
    /// The part of a message from the proxy that has arrived: at most 262 bytes.
    received: Vec<u8>,
    login: Option<Secret>,
    destination: Destination,
}

/// The message that the proxy sends next.
#[expect(
    clippy::enum_variant_names,
    reason = "states are named for what they expect"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The choice of a method of authentication.
    ExpectMethod,
    /// The status of the login.
    ExpectStatus,
    /// The reply to CONNECT.
    ExpectReply,
}

impl Socks5 {
    /// The dialogue, and its first message.
    pub(crate) fn begin(login: Option<Secret>, destination: Destination) -> (Self, Secret) {
        // The proxy chooses. RFC 1928, section 3.
        let hello = match login {
            None => &[VERSION, 1, NO_AUTHENTICATION][..],
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_PASSWORD],
        };
        let hello = Secret::from(hello.to_vec());
        let dialogue = Self {
            state: State::ExpectMethod,
            received: Vec::new(),
            login,
            destination,
        };
        (dialogue, hello)
    }

    /// Takes input until a message is complete.
    pub(crate) fn handle_input(&mut self, input: &mut &[u8]) -> Result<Progress, ProxyError> {
        loop {
            let missing = self.known_len()?.saturating_sub(self.received.len());
            if missing == 0 {
                return self.advance();
            }
            let (taken, rest) = input.split_at_checked(missing).unwrap_or((*input, &[]));
            if taken.is_empty() {
                return Ok(Progress::NeedsInput);
            }
            self.received.extend_from_slice(taken);
            *input = rest;
        }
    }

    /// Handles a complete message.
    fn advance(&mut self) -> Result<Progress, ProxyError> {
        let received = core::mem::take(&mut self.received);
        match (self.state, received.last()) {
            (State::ExpectMethod, Some(&NO_AUTHENTICATION)) => Ok(self.request()),
            (State::ExpectMethod, Some(&USER_PASSWORD)) => match self.login.take() {
                Some(login) => {
                    self.state = State::ExpectStatus;
                    Ok(Progress::Send(login))
                }
                None => Err(malformed(&received).with_hint(Some(LOGIN_WANTED))),
            },
            (State::ExpectMethod, Some(&NONE_ACCEPTABLE)) => {
                let hint = match self.login {
                    None => LOGIN_WANTED,
                    Some(_) => {
                        "the proxy may require another method of authentication: only user name \
                         and password are supported"
                    }
                };
                let kind = ProxyErrorKind::NoAcceptableMethod;
                Err(ProxyError::new(kind, Some(hint)))
            }
            (State::ExpectMethod, _) => Err(malformed(&received)),
            (State::ExpectStatus, _) => Ok(self.request()),
            (State::ExpectReply, _) => Ok(Progress::Open),
        }
    }

    /// `VER CMD RSV ATYP DST.ADDR DST.PORT` (RFC 1928, section 4).
    fn request(&mut self) -> Progress {
        self.state = State::ExpectReply;
        self.login = None;
        let mut request = Vec::with_capacity(262);
        request.extend_from_slice(&[VERSION, CONNECT, 0]);
        match self.destination.host() {
            Host::V4(address) => {
                request.push(IPV4);
                request.extend_from_slice(&address.octets());
            }
            Host::V6(address) => {
                request.push(IPV6);
                request.extend_from_slice(&address.octets());
            }
            Host::Name(name) => {
                // A name has at most 254 bytes.
                let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
                request.extend_from_slice(&[DOMAIN_NAME, length]);
                request.extend_from_slice(name.as_bytes());
            }
        }
        request.extend_from_slice(&self.destination.port().to_be_bytes());
        Progress::Send(Secret::from(request))
    }

    /// The length of the message, known from the bytes received so far.
    fn known_len(&self) -> Result<usize, ProxyError> {
        match (self.state, &*self.received) {
            (_, []) => Ok(1),
            // `VER METHOD`
            (State::ExpectMethod, [VERSION, ..]) => Ok(2),
            (State::ExpectMethod, all @ [first, ..]) => {
                Err(malformed(all).with_hint(of_first_byte(*first)))
            }
            // `VER STATUS`; some proxies put the version of SOCKS in place of 1, that of the login.
            (State::ExpectStatus, [1 | VERSION] | [1 | VERSION, 0, ..]) => Ok(2),
            (State::ExpectStatus, [1 | VERSION, status, ..]) => {
                let kind = ProxyErrorKind::LoginRejected(*status);
                Err(ProxyError::new(kind, Some(WRONG_LOGIN)))
            }
            // `VER REP RSV ATYP BND.ADDR BND.PORT`
            (State::ExpectReply, [VERSION]) => Ok(2),
            (State::ExpectReply, [VERSION, 0] | [VERSION, 0, _]) => Ok(4),
            (State::ExpectReply, [VERSION, 0, _, IPV4, ..]) => Ok(4 + 4 + 2),
            (State::ExpectReply, [VERSION, 0, _, IPV6, ..]) => Ok(4 + 16 + 2),
            (State::ExpectReply, [VERSION, 0, _, DOMAIN_NAME]) => Ok(5),
            (State::ExpectReply, [VERSION, 0, _, DOMAIN_NAME, length, ..]) => {
                Ok(usize::from(*length).saturating_add(5 + 2))
            }
            // Some proxies close after the code.
            (State::ExpectReply, [VERSION, code, ..]) if *code != 0 => {
                let kind = ProxyErrorKind::Socks5(*code);
                Err(ProxyError::new(kind, of_code(*code)))
            }
            (State::ExpectStatus | State::ExpectReply, all) => Err(malformed(all)),
        }
    }

    /// The error if the proxy closes the connection now.
    pub(crate) fn on_close(&self) -> ProxyError {
        let hint = match self.state {
            State::ExpectMethod => {
                "it may not be a SOCKS5 proxy, or may not serve this client's address"
            }
            State::ExpectStatus => WRONG_LOGIN,
            State::ExpectReply => FORBIDDEN,
        };
        ProxyError::new(ProxyErrorKind::Closed, Some(hint))
    }
}

fn malformed(received: &[u8]) -> ProxyError {
    ProxyError::new(ProxyErrorKind::Malformed, None).with_text(received)
}

/// What answers in place of a SOCKS5 proxy, by its first byte.
const fn of_first_byte(first: u8) -> Option<&'static str> {
    match first {
        b'H' => Some(
            "this is an HTTP proxy, not a SOCKS5 proxy: use http:// in the URL of the proxy, or `http` for `socks5`",
        ),
        b'2'..=b'5' => Some("this port speaks SMTP, and not the protocol of a proxy"),
        0x15 | 0x16 => Some("this port speaks TLS, and not SOCKS5"),
        0x00 | 0x04 => Some("the proxy may support only SOCKS4"),
        _ => None,
    }
}

/// RFC 1928, section 6.
const fn of_code(code: u8) -> Option<&'static str> {
    match code {
        1 => Some(
            "the proxy may not be able to resolve the name of the server, or to reach it: check the host and the \
             port",
        ),
        2 => Some(FORBIDDEN),
        3..=6 => Some(
            "the proxy cannot reach the server: check the host and the port; many networks block port 25, and \
             submission is on 587 or 465",
        ),
        8 => Some("the proxy may support only IPv4, or no host names"),
        _ => None,
    }
}

const FORBIDDEN: &str = "the proxy's rules may forbid this host or this port: port 587 or 465 may be allowed where 25 is \
                         not";

const LOGIN_WANTED: &str = "the proxy may require a login: set it by `credentials`, or as user:password@ in the \
                            URL of the proxy";

const WRONG_LOGIN: &str = "the user name or the password for the proxy may be wrong";

/// RFC 1928, section 3.
const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

/// RFC 1928, section 4.
const CONNECT: u8 = 1;

/// RFC 1928, section 5.
const IPV4: u8 = 1;
const DOMAIN_NAME: u8 = 3;
const IPV6: u8 = 4;
