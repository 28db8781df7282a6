//! The life of a connection, from the greeting to the end: every transition is in this file.
//!
//! ```text
//!                  ┌───────────── TLS from the first byte ─────────────┐
//!                  │                                                   ▼
//! ExpectGreeting ──┴─▶ ExpectEhlo ──▶ ExpectStartTls ──▶ AwaitTls ──▶ (all is discarded)
//!                       ▲   │  │            │                          │
//!                       │   │  └─▶ ExpectHelo ──┐   STARTTLS done: EHLO again; TLS first: greeting
//!                       └───┼───────────────────┼──────────────────────┘
//!                           ├─▶ ExpectXclient ──┼─▶ (all but TLS is discarded) ──▶ ExpectEhloAgain
//!                           ▼                   ▼                                       │
//!     AwaitToken ─────▶ ExpectAuth ──▶ Ready ◀──┴───────────────────────────────────────┘
//!                                        └─▶ ExpectQuit ──▶ Closed
//! ```
//!
//! `AwaitToken` comes before `ExpectAuth` if the caller fetches a token for it.
//!
//! A configuration that requires TLS leaves `ExpectEhlo` and `ExpectStartTls` only for `AwaitTls`
//! or with an error. It has no transition into `ExpectHelo`, `ExpectXclient`, `AwaitToken`,
//! `ExpectAuth` or `Ready` before TLS.

use crate::capabilities::Capabilities;
use crate::command::Line;
use crate::config::{Protocol, Security};
use crate::connection::auth_exchange::{AuthExchange, Begun};
use crate::connection::io::Io;
use crate::connection::transaction::SeenLimit;
use crate::error::{AuthenticationError, Error, ErrorKind, MissingExtension, ProtocolError};
use crate::extension::xclient::Attributes;
use crate::pipelining::Pipelining;
use crate::reply::{Reply, ReplyRef, Severity};
use crate::sasl;
use crate::secret::Secret;
use crate::seed::Seed;
use crate::stage::Stage;
use crate::tls::TlsInfo;

/// The state of a connection.
#[derive(Debug)]
pub(crate) enum State {
    ExpectGreeting,
    ExpectEhlo,
    ExpectHelo,
    ExpectStartTls,
    /// TLS is about to begin, and no TLS layer has claimed it. No byte is accepted or sent until
    /// TLS is established.
    AwaitTls(TlsStart),
    /// A TLS layer runs the handshake.
    TlsHandshake(TlsStart),
    /// With the attributes that are being sent and those still to be sent.
    ExpectXclient(Attributes),
    /// After XCLIENT, on behalf of another client.
    ExpectEhloAgain,
    /// The caller fetches a token for AUTH.
    AwaitToken(TokenClaim),
    ExpectAuth(AuthExchange),
    Ready,
    ExpectQuit,
    Ended,
}

/// The event after which TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsStart {
    /// The reply to STARTTLS.
    StartTls,
    /// The connection itself: the greeting arrives inside TLS.
    FirstByte,
}

/// Whether the caller knows that a token is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenClaim {
    /// It has not asked.
    Unclaimed,
    /// It has the request, and fetches the token.
    Claimed,
}

/// Facts about the server, learned in cleartext or inside TLS, never both.
#[derive(Debug, Default)]
pub(crate) struct ServerInfo {
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) capabilities: Capabilities,
    pub(crate) mechanism: Option<sasl::Name>,
    /// How many recipients of a message it takes, as its replies show.
    pub(crate) recipients: SeenLimit,
}

/// The parts of the connection that a transition uses.
pub(crate) struct Context<'a> {
    pub(crate) io: &'a mut Io,
    pub(crate) server: &'a mut ServerInfo,
    pub(crate) seed: &'a Seed,
    pub(crate) level: Pipelining,
}

impl State {
    pub(crate) fn begin(io: &mut Io) -> Self {
        if io.config.security == Security::Implicit {
            Self::AwaitTls(TlsStart::FirstByte)
        } else {
            io.expect_greeting();
            Self::ExpectGreeting
        }
    }

    /// Enters TLS: discards what was learned in cleartext, and begins again.
    pub(crate) fn secured(start: TlsStart, info: TlsInfo, cx: &mut Context<'_>) -> Self {
        *cx.server = ServerInfo {
            tls: Some(info),
            ..ServerInfo::default()
        };
        match start {
            TlsStart::StartTls => {
                send_ehlo(cx);
                Self::ExpectEhlo
            }
            TlsStart::FirstByte => {
                cx.io.end_tls();
                cx.io.expect_greeting();
                Self::ExpectGreeting
            }
        }
    }

    /// Handles a reply that belongs to this state.
    pub(crate) fn advance(self, reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<Self, Error> {
        match self {
            Self::ExpectGreeting => on_greeting(reply, cx),
            Self::ExpectEhlo => on_ehlo_reply(reply, cx),
            Self::ExpectHelo => on_helo_reply(reply, cx),
            Self::ExpectStartTls => on_starttls_reply(reply, cx),
            Self::ExpectXclient(told) => on_xclient_reply(told, reply, cx),
            Self::ExpectEhloAgain => on_second_ehlo_reply(reply, cx),
            Self::ExpectAuth(exchange) => on_auth_reply(exchange, reply, cx),
            Self::ExpectQuit => Ok(Self::Ended),
            state @ (Self::AwaitTls(_)
            | Self::TlsHandshake(_)
            | Self::AwaitToken(_)
            | Self::Ready
            | Self::Ended) => {
                let stage = state.stage();
                Err(Error::protocol(stage, ProtocolError::UnexpectedReply))
            }
        }
    }

    /// Authenticates with the token that the caller has fetched.
    pub(crate) fn with_token(token: &Secret, cx: &mut Context<'_>) -> Result<Self, Error> {
        sasl::check_token(token).map_err(|error| {
            let kind = ErrorKind::Authentication(AuthenticationError::InvalidToken(error));
            Error::new(Stage::Token, kind)
        })?;
        cx.io.end_token();
        log_in(Some(token), cx)
    }

    /// Sends QUIT. No other state follows except the end.
    pub(crate) fn quit(io: &mut Io) -> Self {
        io.send(&Line::Quit);
        Self::ExpectQuit
    }

    /// The error to report for a failure in this state. After a cancelled exchange it is the reason
    /// for cancelling, however the exchange ended. A misuse by the driver is always reported.
    pub(crate) fn cause_of(&self, error: Error) -> Error {
        let cancelled = match self {
            Self::ExpectAuth(exchange) => exchange.cancelled(),
            _ => None,
        };
        match cancelled {
            Some(failure) if !matches!(error.kind(), ErrorKind::Misuse(_)) => error.because(
                ErrorKind::Authentication(AuthenticationError::Exchange(failure)),
            ),
            _ => error,
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::ExpectGreeting => Stage::Greeting,
            Self::ExpectEhlo | Self::ExpectEhloAgain => Stage::Ehlo,
            Self::ExpectXclient(_) => Stage::Xclient,
            Self::ExpectHelo => Stage::Helo,
            Self::ExpectStartTls => Stage::StartTls,
            Self::AwaitTls(_) | Self::TlsHandshake(_) => Stage::TlsHandshake,
            Self::AwaitToken(_) => Stage::Token,
            Self::ExpectAuth(_) => Stage::Auth,
            Self::Ready | Self::Ended => Stage::Idle,
            Self::ExpectQuit => Stage::Quit,
        }
    }
}

fn on_greeting(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    match reply.code().severity() {
        Severity::Completion => {
            send_ehlo(cx);
            Ok(State::ExpectEhlo)
        }
        Severity::Intermediate => Err(wrong_class(Stage::Greeting, reply)),
        _ => Err(Error::rejected(Stage::Greeting, reply.to_reply())),
    }
}

fn send_ehlo(cx: &mut Context<'_>) {
    let config = cx.io.config.clone();
    let name = &config.client_name;
    let line = match config.protocol {
        Protocol::Smtp => Line::Ehlo(name),
        Protocol::Lmtp => Line::Lhlo(name),
    };
    cx.io.send(&line);
}

fn on_ehlo_reply(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    // Other codes, such as 501 and 550, concern the client's name or the client.
    if matches!(reply.code().as_u16(), 500 | 502) && cx.io.config.protocol == Protocol::Smtp {
        return on_unknown_ehlo(reply, cx);
    }
    store_capabilities(reply, cx)?;
    if cx.server.tls.is_some() {
        cx.io.end_tls();
        return start_session(cx);
    }
    match cx.io.config.security {
        Security::StartTls | Security::Opportunistic if cx.server.capabilities.start_tls() => {
            cx.io.send(&Line::StartTls);
            Ok(State::ExpectStartTls)
        }
        Security::Opportunistic | Security::Cleartext => start_session(cx),
        Security::StartTls | Security::Implicit => {
            Err(Error::new(Stage::Ehlo, ErrorKind::TlsUnavailable).with_reply(reply.to_reply()))
        }
    }
}

/// A server that advertised XCLIENT knows EHLO, so a rejection concerns the client that XCLIENT
/// described.
fn on_second_ehlo_reply(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    store_capabilities(reply, cx)?;
    authenticate(cx)
}

/// Stores the capabilities that the server advertises.
fn store_capabilities(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<(), Error> {
    let code = reply.code().as_u16();
    match reply.code().severity() {
        // RFC 5321, section 4.1.1.1: no other code means success.
        Severity::Completion if code == 250 => {
            let config = cx.io.config.clone();
            cx.server.capabilities = config
                .without
                .iter()
                .fold(Capabilities::from_ehlo(reply), |kept, keyword| {
                    kept.without(keyword)
                });
            // RFC 8689, section 2: valid only inside TLS, and only from a verified server.
            let counts = (cx.server.tls.as_ref()).is_some_and(TlsInfo::is_peer_verified);
            if !counts && cx.server.capabilities.require_tls() {
                let all = core::mem::take(&mut cx.server.capabilities);
                cx.server.capabilities = all.without("REQUIRETLS");
            }
            Ok(())
        }
        Severity::Completion | Severity::Intermediate => Err(wrong_class(Stage::Ehlo, reply)),
        _ => Err(Error::rejected(Stage::Ehlo, reply.to_reply())),
    }
}

/// The server predates RFC 1425 of 1993, and supports neither STARTTLS nor AUTH.
fn on_unknown_ehlo(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    cx.io.end_tls();
    match cx.io.config.security {
        Security::StartTls | Security::Implicit if cx.server.tls.is_none() => {
            Err(Error::new(Stage::Ehlo, ErrorKind::TlsUnavailable).with_reply(reply.to_reply()))
        }
        _ => {
            let config = cx.io.config.clone();
            cx.io.send(&Line::Helo(&config.client_name));
            Ok(State::ExpectHelo)
        }
    }
}

fn on_helo_reply(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    match reply.code().severity() {
        Severity::Completion if reply.code().completes() => start_session(cx),
        Severity::Completion | Severity::Intermediate => Err(wrong_class(Stage::Helo, reply)),
        _ => Err(Error::rejected(Stage::Helo, reply.to_reply())),
    }
}

fn on_starttls_reply(reply: ReplyRef<'_>, cx: &mut Context<'_>) -> Result<State, Error> {
    if reply.code().as_u16() == 220 {
        return Ok(State::AwaitTls(TlsStart::StartTls));
    }
    let gone = reply.code().as_u16() == UNAVAILABLE;
    match (cx.io.config.security, reply.code().severity()) {
        (Security::Opportunistic, Severity::Transient | Severity::Permanent) if !gone => {
            cx.io.end_tls();
            start_session(cx)
        }
        (Security::Opportunistic, Severity::Transient) => {
            Err(Error::rejected(Stage::StartTls, reply.to_reply()))
        }
        (Security::Opportunistic, _) => Err(wrong_class(Stage::StartTls, reply)),
        _ => {
            Err(Error::new(Stage::StartTls, ErrorKind::TlsUnavailable).with_reply(reply.to_reply()))
        }
    }
}

/// Sends XCLIENT if the configuration names another client, and otherwise authenticates.
fn start_session(cx: &mut Context<'_>) -> Result<State, Error> {
    let config = cx.io.config.clone();
    let Some(client) = &config.xclient else {
        return authenticate(cx);
    };
    match client.advertised(cx.server.capabilities.xclient()) {
        Ok(told) if told.is_empty() => authenticate(cx),
        Ok(told) => Ok(send_xclient(told, cx)),
        Err(attribute) => Err(Error::new(
            Stage::Xclient,
            ErrorKind::Unsupported(MissingExtension::Xclient { attribute }),
        )),
    }
}

fn send_xclient(told: Attributes, cx: &mut Context<'_>) -> State {
    cx.io.send(&Line::Xclient(&told));
    State::ExpectXclient(told)
}

/// On success the server begins again as after its greeting: it has discarded everything except TLS
/// and the attributes (XCLIENT_README of Postfix).
fn on_xclient_reply(
    mut told: Attributes,
    reply: ReplyRef<'_>,
    cx: &mut Context<'_>,
) -> Result<State, Error> {
    match reply.code().severity() {
        Severity::Completion => {
            *cx.server = ServerInfo {
                tls: cx.server.tls.take(),
                ..ServerInfo::default()
            };
            told.advance();
            if told.is_empty() {
                send_ehlo(cx);
                Ok(State::ExpectEhloAgain)
            } else {
                Ok(send_xclient(told, cx))
            }
        }
        Severity::Intermediate => Err(wrong_class(Stage::Xclient, reply)),
        _ => Err(Error::rejected(Stage::Xclient, reply.to_reply())),
    }
}

/// Authenticates if there are credentials; otherwise the connection is ready.
fn authenticate(cx: &mut Context<'_>) -> Result<State, Error> {
    log_in(None, cx)
}

/// Authenticates, with a token if the caller has fetched one.
fn log_in(token: Option<&Secret>, cx: &mut Context<'_>) -> Result<State, Error> {
    let config = cx.io.config.clone();
    let Some(credentials) = &config.credentials else {
        return Ok(ready(cx));
    };
    let tls = cx.server.tls.as_ref();
    if tls.is_none() && !config.credentials_in_clear {
        return Err(Error::new(Stage::Auth, ErrorKind::TlsUnavailable));
    }
    let capabilities = &cx.server.capabilities;
    let begun = AuthExchange::begin(credentials, &config, capabilities, tls, cx.seed, token)
        .map_err(unauthenticated)?;
    let (exchange, initial) = match begun {
        Begun::Exchange(exchange, initial) => (exchange, initial),
        Begun::TokenWanted => return Ok(State::AwaitToken(TokenClaim::Unclaimed)),
    };
    let mechanism = exchange.mechanism();
    cx.io.send(&Line::Auth {
        mechanism,
        initial: initial.as_ref(),
    });
    cx.server.mechanism = Some(mechanism);
    Ok(State::ExpectAuth(exchange))
}

fn on_auth_reply(
    mut exchange: AuthExchange,
    reply: ReplyRef<'_>,
    cx: &mut Context<'_>,
) -> Result<State, Error> {
    let failed = |error| unauthenticated(error).with_reply(reply.to_reply());
    if let Some(failure) = exchange.cancelled() {
        // The reply to `*` does not explain why it was sent.
        return Err(failed(AuthenticationError::Exchange(failure)));
    }
    match reply.code().severity() {
        // RFC 4954, section 4, specifies 235. Other codes of the class mean the same.
        Severity::Completion if reply.code().completes() || reply.code() == 235 => {
            match exchange.finish() {
                Ok(()) => Ok(ready(cx)),
                Err(failure) => Err(failed(AuthenticationError::Exchange(failure))),
            }
        }
        Severity::Intermediate if reply.code() == 334 => {
            match exchange.respond(reply) {
                Ok(response) => cx.io.send(&Line::SaslResponse(&response)),
                Err(failure) => {
                    exchange.cancel(failure);
                    cx.io.send(&Line::SaslCancel)
                }
            };
            Ok(State::ExpectAuth(exchange))
        }
        Severity::Completion | Severity::Intermediate => Err(wrong_class(Stage::Auth, reply)),
        Severity::Transient if reply.code().as_u16() == UNAVAILABLE => {
            Err(Error::rejected(Stage::Auth, reply.to_reply()))
        }
        Severity::Transient | Severity::Permanent => Err(failed(exchange.rejected(reply))),
    }
}

fn unauthenticated(error: AuthenticationError) -> Error {
    Error::new(Stage::Auth, ErrorKind::Authentication(error))
}

fn ready(cx: &mut Context<'_>) -> State {
    let level = if cx.server.capabilities.pipelining() {
        cx.level
    } else {
        Pipelining::Off
    };
    cx.io.pending.set_level(level);
    State::Ready
}

fn wrong_class(stage: Stage, reply: ReplyRef<'_>) -> Error {
    let reply: Reply = reply.to_reply();
    Error::protocol(stage, ProtocolError::WrongClass).with_reply(reply)
}

/// The server is about to close the connection, as requested (RFC 5321, section 4.2.3).
pub(crate) const CLOSING: u16 = 221;

/// The server is about to close the connection on its own.
pub(crate) const UNAVAILABLE: u16 = 421;
