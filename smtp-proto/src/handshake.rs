//! The life of a connection, from the greeting to the end: every transition is in this file.
//!
//! ```text
//!                  ┌───────────── TLS from the first byte ─────────────┐
//!                  │                                                   ▼
//! ExpectGreeting ──┴─▶ ExpectEhlo ──▶ ExpectStartTls ──▶ AwaitTls ──▶ (all is forgotten)
//!                       ▲   │  │            │                          │
//!                       │   │  └─▶ ExpectHelo ──┐   STARTTLS done: EHLO again; TLS first: greeting
//!                       └───┼───────────────────┼──────────────────────┘
//!                           ▼                   ▼
//!                       ExpectAuth ──▶ Ready ──▶ ExpectQuit ──▶ Ended
//! ```
//!
//! A policy that demands TLS leaves `ExpectEhlo` and `ExpectStartTls` only by `AwaitTls` or by an error; there is no
//! transition into `ExpectHelo`, `ExpectAuth` or `Ready` for it before TLS.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::capabilities::Capabilities;
use crate::command::Line;
use crate::config::Security;
use crate::error::{AuthenticationError, Error, ErrorKind, ProtocolError, Stage};
use crate::link::Link;
use crate::pipeline::{Expect, Pipelining};
use crate::reply::{Reply, ReplyRef, Severity};
use crate::sasl::{self, Exchange, decode_challenge};
use crate::tls::TlsFacts;

/// Where a connection stands.
#[derive(Debug)]
pub(crate) enum State {
    ExpectGreeting,
    ExpectEhlo,
    ExpectHelo,
    ExpectStartTls,
    AwaitTls(AwaitTls),
    ExpectAuth(Login),
    Ready,
    ExpectQuit,
    Ended,
}

/// TLS is to begin: not a byte is taken or given before it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AwaitTls {
    /// Whether the greeting has been, that is, whether STARTTLS led here.
    pub(crate) greeted: bool,
    /// Whether somebody has taken it on to begin TLS.
    pub(crate) claimed: bool,
}

/// One attempt to log in.
pub(crate) struct Login {
    exchange: Box<dyn Exchange>,
    /// Challenges that the mechanism still expects.
    challenges: usize,
    /// An initial response that did not fit in the command.
    held_back: Option<sasl::Response>,
    /// Why this side gave up, after it has said so with `*`.
    cancelled: Option<AuthenticationError>,
}

/// What has been learnt of the server, in clear or inside TLS, never both.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) capabilities: Capabilities,
    pub(crate) mechanism: Option<String>,
}

/// What a transition can reach.
pub(crate) struct Context<'a> {
    pub(crate) link: &'a mut Link,
    pub(crate) known: &'a mut Known,
    pub(crate) seed: &'a [u8; 32],
}

impl State {
    pub(crate) fn begin(link: &mut Link) -> Self {
        if link.config.security == Security::Implicit {
            Self::AwaitTls(AwaitTls {
                greeted: false,
                claimed: false,
            })
        } else {
            link.expect(Expect::Greeting);
            Self::ExpectGreeting
        }
    }

    /// TLS is done: forgets what was learnt in clear, and begins again.
    pub(crate) fn secured(awaited: AwaitTls, facts: TlsFacts, cx: &mut Context<'_>) -> Self {
        *cx.known = Known {
            tls: Some(facts),
            ..Known::default()
        };
        if awaited.greeted {
            say_ehlo(cx)
        } else {
            cx.link.end_tls();
            cx.link.expect(Expect::Greeting);
            Self::ExpectGreeting
        }
    }

    /// Takes a reply that belongs to this state.
    pub(crate) fn advance(self, reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<Self, Error> {
        match self {
            Self::ExpectGreeting => greeted(reply, cx),
            Self::ExpectEhlo => ehlo_answered(reply, cx),
            Self::ExpectHelo => helo_answered(reply, cx),
            Self::ExpectStartTls => starttls_answered(reply, cx),
            Self::ExpectAuth(login) => login.advance(reply, cx),
            Self::ExpectQuit => Ok(Self::Ended),
            state @ (Self::AwaitTls(_) | Self::Ready | Self::Ended) => Err(Error::protocol(
                state.stage(),
                ProtocolError::UnexpectedReply,
            )),
        }
    }

    /// Says QUIT; there is no way back.
    pub(crate) fn quit(link: &mut Link) -> Self {
        link.say(&Line::Quit, Expect::Quit);
        Self::ExpectQuit
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::ExpectGreeting => Stage::Greeting,
            Self::ExpectEhlo => Stage::Ehlo,
            Self::ExpectHelo => Stage::Helo,
            Self::ExpectStartTls => Stage::StartTls,
            Self::AwaitTls(_) => Stage::TlsHandshake,
            Self::ExpectAuth(_) => Stage::Auth,
            Self::Ready | Self::Ended => Stage::Idle,
            Self::ExpectQuit => Stage::Quit,
        }
    }
}

fn greeted(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    match reply.code().severity() {
        Severity::Completion if reply.code().as_u16() != CLOSING => Ok(say_ehlo(cx)),
        Severity::Completion | Severity::Intermediate => Err(wrong_class(Stage::Greeting, reply)),
        _ => Err(Error::refused(Stage::Greeting, reply.to_reply())),
    }
}

fn say_ehlo(cx: &mut Context<'_>) -> State {
    let config = cx.link.config.clone();
    cx.link.say(&Line::Ehlo(&config.client_name), Expect::Ehlo);
    State::ExpectEhlo
}

fn ehlo_answered(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    let code = reply.code().as_u16();
    match reply.code().severity() {
        // Only a 250 lists what the server can do.
        Severity::Completion if code == 250 => {
            cx.known.capabilities = Capabilities::from_ehlo(reply);
            let config = cx.link.config.clone();
            for keyword in &config.without {
                cx.known.capabilities.remove(keyword);
            }
        }
        Severity::Completion if code != CLOSING => {}
        Severity::Completion | Severity::Intermediate => return Err(wrong_class(Stage::Ehlo, reply)),
        _ if matches!(code, 500 | 501 | 502 | 504 | 550) => return ehlo_unknown(reply, cx),
        _ => return Err(Error::refused(Stage::Ehlo, reply.to_reply())),
    }
    if cx.known.tls.is_some() {
        cx.link.end_tls();
        return log_in(cx);
    }
    match cx.link.config.security {
        Security::StartTls | Security::Opportunistic if cx.known.capabilities.starttls() => {
            cx.link.say(&Line::StartTls, Expect::StartTls);
            Ok(State::ExpectStartTls)
        }
        Security::Opportunistic | Security::Cleartext => log_in(cx),
        Security::StartTls | Security::Implicit => Err(Error::new(Stage::Ehlo, ErrorKind::TlsUnavailable)
            .with_reply(reply.to_reply())),
    }
}

/// The server is from before 1993 (RFC 1425). It knows neither STARTTLS nor AUTH.
fn ehlo_unknown(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    cx.link.end_tls();
    match cx.link.config.security {
        Security::StartTls | Security::Implicit if cx.known.tls.is_none() => {
            Err(Error::new(Stage::Ehlo, ErrorKind::TlsUnavailable).with_reply(reply.to_reply()))
        }
        _ => {
            let config = cx.link.config.clone();
            cx.link.say(&Line::Helo(&config.client_name), Expect::Helo);
            Ok(State::ExpectHelo)
        }
    }
}

fn helo_answered(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    match reply.code().severity() {
        Severity::Completion if reply.code().as_u16() != CLOSING => log_in(cx),
        Severity::Completion | Severity::Intermediate => Err(wrong_class(Stage::Helo, reply)),
        _ => Err(Error::refused(Stage::Helo, reply.to_reply())),
    }
}

fn starttls_answered(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    if reply.code().as_u16() == 220 {
        return Ok(State::AwaitTls(AwaitTls {
            greeted: true,
            claimed: false,
        }));
    }
    let gone = reply.code().as_u16() == UNAVAILABLE;
    match (cx.link.config.security, reply.code().severity()) {
        (Security::Opportunistic, Severity::Transient | Severity::Permanent) if !gone => {
            cx.link.end_tls();
            log_in(cx)
        }
        (Security::Opportunistic, Severity::Transient) => {
            Err(Error::refused(Stage::StartTls, reply.to_reply()))
        }
        (Security::Opportunistic, _) => Err(wrong_class(Stage::StartTls, reply)),
        _ => Err(Error::new(Stage::StartTls, ErrorKind::TlsUnavailable).with_reply(reply.to_reply())),
    }
}

/// Logs in, if there is somebody to log in; else all is ready.
fn log_in(cx: &mut Context<'_>) -> Result<State, Error> {
    let config = cx.link.config.clone();
    let Some(credentials) = &config.credentials else {
        return Ok(ready(cx));
    };
    let failed = |error| Error::new(Stage::Auth, ErrorKind::Authentication(error));
    if cx.known.tls.is_none() && !config.credentials_in_clear {
        return Err(Error::new(Stage::Auth, ErrorKind::TlsUnavailable));
    }
    let mut offered = cx.known.capabilities.auth().peekable();
    if offered.peek().is_none() {
        return Err(failed(AuthenticationError::NotOffered));
    }
    let Some(mechanism) = credentials.select(offered) else {
        return Err(failed(AuthenticationError::NoCommonMechanism {
            offered: cx.known.capabilities.auth().map(String::from).collect(),
            ours: credentials.names().map(String::from).collect(),
        }));
    };
    let mut exchange = mechanism.start(&sasl::Context::new(cx.known.tls.as_ref(), cx.seed));
    let challenges = exchange.steps();
    let initial = exchange
        .initial_response()
        .map_err(|failure| failed(AuthenticationError::Challenge(failure.reason())))?;
    let line = Line::auth(mechanism.name(), initial.as_deref().map(Vec::as_slice));
    // Too long for a command line: the same goes as the answer to an empty challenge (RFC 4954, section 4).
    let (initial, held_back) = match initial {
        Some(response) if !Line::auth_fits(mechanism.name(), &response) => (None, Some(response)),
        initial => (initial, None),
    };
    let line = Line::Auth {
        mechanism: mechanism.name(),
        initial: initial.as_deref().map(Vec::as_slice),
    };
    cx.link.say(&line, Expect::Auth);
    cx.known.mechanism = Some(mechanism.name().to_string());
    Ok(State::ExpectAuth(Login {
        exchange,
        challenges,
        held_back,
        cancelled: None,
    }))
}

fn ready(cx: &mut Context<'_>) -> State {
    let level = if cx.known.capabilities.pipelining() {
        cx.link.config.pipelining
    } else {
        Pipelining::Off
    };
    cx.link.pipeline.set_level(level);
    State::Ready
}

impl Login {
    fn advance(mut self, reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
        let failed = |error| Error::new(Stage::Auth, ErrorKind::Authentication(error));
        match reply.code().severity() {
            Severity::Completion if reply.code().as_u16() != CLOSING => {
                if let Some(reason) = self.cancelled {
                    return Err(failed(reason).with_reply(reply.to_reply()));
                }
                self.exchange
                    .finish()
                    .map_err(|failure| failed(AuthenticationError::Unproven(failure.reason())))?;
                Ok(ready(cx))
            }
            Severity::Intermediate if reply.code().as_u16() == 334 && self.cancelled.is_none() => {
                match self.respond(reply) {
                    Ok(response) => {
                        cx.link.say(&Line::SaslResponse(&response), Expect::Auth);
                    }
                    Err(reason) => {
                        self.cancelled = Some(reason);
                        cx.link.say(&Line::SaslCancel, Expect::Auth);
                    }
                }
                Ok(State::ExpectAuth(self))
            }
            Severity::Completion | Severity::Intermediate => Err(wrong_class(Stage::Auth, reply)),
            _ => {
                let reason = self.cancelled.unwrap_or_else(|| AuthenticationError::Rejected {
                    detail: self.exchange.server_detail().map(<[u8]>::to_vec),
                });
                Err(failed(reason).with_reply(reply.to_reply()))
            }
        }
    }

    fn respond(&mut self, reply: ReplyRef<'_>) -> Result<sasl::Response, AuthenticationError> {
        let mut lines = reply.lines();
        let challenge = lines.next().unwrap_or_default();
        if lines.next().is_some() {
            return Err(AuthenticationError::Challenge("it has more than one line"));
        }
        if let Some(response) = self.held_back.take() {
            return Ok(response);
        }
        self.challenges = self
            .challenges
            .checked_sub(1)
            .ok_or(AuthenticationError::Challenge("one more than the mechanism has"))?;
        let challenge = decode_challenge(challenge)
            .map_err(|failure| AuthenticationError::Challenge(failure.reason()))?;
        let response = self
            .exchange
            .respond(&challenge)
            .map_err(|failure| AuthenticationError::Challenge(failure.reason()))?;
        if Line::SaslResponse(&response).is_too_long() {
            return Err(AuthenticationError::TooLong);
        }
        Ok(response)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("challenges", &self.challenges)
            .field("cancelled", &self.cancelled)
            .finish_non_exhaustive()
    }
}

fn wrong_class(stage: Stage, reply: ReplyRef<'_>) -> Error {
    let reply: Reply = reply.to_reply();
    Error::protocol(stage, ProtocolError::WrongClass).with_reply(reply)
}

/// The server is about to close the connection, as it was asked to (RFC 5321, section 4.2.3).
const CLOSING: u16 = 221;

/// The server is about to close the connection of its own accord.
pub(crate) const UNAVAILABLE: u16 = 421;
