//! The attempts to connect: which target comes next, how it is tried again, and the error when none
//! is left.
//!
//! ```text
//!             connected                permanent failure
//! ExpectFirst ──────────► ExpectReady ───────────────────► Failed
//!   ▲    ▲                  │  │  ▲
//!   │    └ transient failure┘  │  │ connected
//!   │                TLS, token│  │
//!   │  connect failed          ▼  │
//!   └────────────────────── ExpectAgain
//! ```

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use rustls::crypto::CryptoProvider;
use smtp_proto::{
    AuthenticationError, Config, Connection, Error, ErrorKind, Peer, Security, Seed, Stage, Time,
    Timeout, TransportError,
};

use super::Endpoint;
use super::race::{Race, interleave};
use crate::session::Session;

/// Attempts to connect to an [`Endpoint`], as a state machine without I/O and without a clock.
///
/// Created by [`Endpoint::attempts`]. Addresses race (RFC 8305): the families alternate, beginning
/// with that of the first address. A connect begins 250 ms after the one before, or at once when
/// one fails, and at most 4 are in progress. The first connection wins, and the other connects are
/// cancelled; there is only one SMTP session at a time. 16 different addresses are tried at most. A
/// [Unix socket](Endpoint::unix) is the only target of its endpoint. With a
/// [proxy](super::EndpointBuilder::proxy) its addresses race, and opening the tunnel is part of the
/// session.
///
/// If the session fails, its target is connected to again, alone, in two cases:
///
/// - under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic), if STARTTLS or the
///   handshake broke: in cleartext. Credentials are never sent under that security, and a
///   certificate that does not verify is no failure;
/// - if the server rejected a token that its [provider](smtp_proto::Credentials::token_provider)
///   can refresh, or the caller that [fetches](smtp_proto::Credentials::fetched_token) it: with the
///   refreshed token.
///
/// Otherwise the race goes on if the failure was [transient](smtp_proto::Error::is_transient), and
/// not that of the source of a token: with the addresses that have not been tried, then with those
/// whose connect was cancelled.
///
/// `smtp_driver::Driver::connect` drives the attempts for an async adapter. A simple driver
/// connects to one target after the other:
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::TcpStream;
/// use std::time::Instant;
///
/// use smtp_rustls::proto::{Error, Time};
/// use smtp_rustls::{Attempts, Endpoint, Session, Target};
///
/// fn connect(endpoint: &Endpoint, mut attempts: Attempts) -> Result<(TcpStream, Session), Error> {
///     let epoch = Instant::now();
///     let now = || Time::from_origin(epoch.elapsed());
///     while let Some(target) = attempts.poll_connect(now()) {
///         let Target::Tcp(address) = &target else {
///             attempts.handle_connect_error(&target, io::ErrorKind::Unsupported.into());
///             continue;
///         };
///         match TcpStream::connect_timeout(address, endpoint.timeouts().connect()) {
///             Err(error) => attempts.handle_connect_error(&target, error),
///             Ok(stream) => {
///                 let local = stream.local_addr().ok();
///                 let session = attempts.handle_connected(&target, local);
///                 // Drive the session until it is ready; report its failure by `handle_failure`.
/// #               let session = session.expect("the target was to be connected to");
/// #               return Ok((stream, session));
///             }
///         }
///     }
///     Err(attempts.into_error())
/// }
/// # let _: fn(&Endpoint, Attempts) -> Result<(TcpStream, Session), Error> = connect;
/// ```
pub struct Attempts {
    endpoint: Endpoint,
    race: Race,
    state: State,
    failures: Vec<Error>,
}

/// What a driver connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// What the attempts expect.
#[derive(Debug)]
enum State {
    /// The first connection of the race.
    ExpectFirst,
    /// Another connection to the same target, until the time if its connect has begun.
    ExpectAgain(Target, Variant, Option<Time>),
    /// The end of the session's setup.
    ExpectReady(Target, Variant),
    /// Nothing: the last failure is permanent.
    Failed,
}

/// The change of an attempt to the endpoint's config.
#[derive(Clone, Copy, Debug)]
enum Variant {
    /// Nothing.
    AsConfigured,
    /// Cleartext, since opportunistic TLS broke.
    Cleartext,
    /// A token that its provider is asked to refresh.
    RefreshedToken,
}

impl Endpoint {
    /// A session for a connection that the caller opens.
    ///
    /// With a [proxy](super::EndpointBuilder::proxy) the connection is to the
    /// [proxy](Self::connect_host), and the session opens the tunnel.
    ///
    /// It is a single attempt: after a failure, nothing else is tried. For attempts that follow
    /// each other, see [`attempts`](Self::attempts).
    ///
    /// ```
    /// use smtp_rustls::Endpoint;
    /// use smtp_rustls::proto::{Time, Wire};
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let endpoint = Endpoint::starttls("mail.example.org").build()?;
    /// let mut session = endpoint.session();
    /// session.handle_input(Time::ORIGIN, b"220 mail.example.org ESMTP\r\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(&self) -> Session {
        self.session_with(Arc::clone(&self.0.config), self.peer())
    }

    /// The attempts to connect at these addresses, to which the caller has resolved the
    /// [host to connect to](Self::connect_host), with its [port](Self::connect_port).
    ///
    /// An endpoint that is a [Unix socket](Self::unix) has no others, whatever `addresses` are.
    /// Addresses to which the [local address](Self::local_address) cannot connect are left out.
    ///
    /// ```
    /// use smtp_rustls::proto::Time;
    /// use smtp_rustls::{Endpoint, Target};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = Endpoint::starttls("mail.example.org").build()?;
    /// let address = "192.0.2.25:587".parse()?;
    /// let mut attempts = endpoint.attempts([address]);
    /// assert_eq!(attempts.poll_connect(Time::ORIGIN), Some(Target::Tcp(address)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn attempts(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Attempts {
        let targets = match &self.0.path {
            Some(path) => vec![Target::Unix(path.clone())],
            None => {
                let may_connect = |address: &SocketAddr| {
                    let same = |local: IpAddr| local.is_ipv4() == address.is_ipv4();
                    self.local_address().is_none_or(same)
                };
                let addresses = addresses.into_iter().filter(may_connect);
                interleave(addresses).into_iter().map(Target::Tcp).collect()
            }
        };
        Attempts {
            endpoint: self.clone(),
            race: Race::new(targets, self.timeouts().connect()),
            state: State::ExpectFirst,
            failures: Vec::new(),
        }
    }

    /// The config for a connection from this local address.
    fn config_from(&self, local: IpAddr) -> Arc<Config> {
        let inner = &*self.0;
        if inner.is_named {
            Arc::clone(&inner.config)
        } else {
            Arc::new(inner.config.with_client_name(local.into()))
        }
    }

    /// The session for a connection to the target.
    fn session_at(&self, target: &Target, variant: Variant, local: Option<SocketAddr>) -> Session {
        let config = match local {
            // The server sees the address of a proxy instead.
            Some(local) if self.0.proxy.is_none() => self.config_from(local.ip()),
            _ => Arc::clone(&self.0.config),
        };
        // Not `None`: the variant applied when it was chosen, and the client name does not change
        // that.
        let config = variant.apply_to(&config).unwrap_or(config);
        self.session_with(config, self.peer_at(target))
    }

    /// The name of this server at the target.
    fn peer_at(&self, target: &Target) -> Peer {
        match target {
            Target::Tcp(address) => self.peer().at(*address),
            Target::Unix(_) => self.peer(),
        }
    }

    fn session_with(&self, config: Arc<Config>, peer: Peer) -> Session {
        let inner = &*self.0;
        let is_cleartext = config.security() == Security::Cleartext;
        let random = inner.provider.as_ref().map(|provider| seed_of(provider));
        let (seed, failed) = match random {
            // The session fails before it sends anything.
            Some(Err(error)) => (Seed::from_bytes([0; 32]), Some(error)),
            Some(Ok(seed)) => (seed, None),
            None => (Seed::random(), None),
        };
        let mut connection = Connection::new(config, seed);
        connection.set_peer(peer);
        let session = match (failed, &inner.tls) {
            (Some(error), _) => Session::failed(connection, TransportError::new(error)),
            (None, Some(tls)) if !is_cleartext => {
                Session::new(connection, tls.clone(), inner.name.clone())
            }
            (None, _) => Session::cleartext(connection),
        };
        let proxy = inner.proxy.as_deref().map(|route| &route.via);
        session.via(inner.proxy_header.as_ref(), proxy)
    }
}

impl Attempts {
    /// The next target to begin to connect to; `None` if none is due.
    ///
    /// A driver calls it until it returns `None`: at the beginning, after each failure, and when
    /// the time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn poll_connect(&mut self, now: Time) -> Option<Target> {
        match &mut self.state {
            State::ExpectFirst => self.race.poll_connect(now),
            State::ExpectAgain(target, _, until @ None) => {
                *until = Some(now + self.endpoint.timeouts().connect());
                Some(target.clone())
            }
            _ => None,
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and
    /// [`poll_connect`](Self::poll_connect) at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::ExpectFirst => self.race.timeout(),
            State::ExpectAgain(_, _, until) => Some(until.unwrap_or(Time::ORIGIN)),
            State::ExpectReady(..) | State::Failed => None,
        }
    }

    /// Reports the time. Connects that took longer than [`Timeouts::connect`] have failed: they are
    /// not [in progress](Self::is_connecting) any more.
    ///
    /// [`Timeouts::connect`]: smtp_proto::Timeouts::connect
    pub fn handle_timeout(&mut self, now: Time) {
        match &self.state {
            State::ExpectFirst => {
                while let Some(target) = self.race.expire(now) {
                    self.fail(&target, Error::connect_timeout());
                }
            }
            State::ExpectAgain(target, _, Some(until)) if *until <= now => {
                let target = target.clone();
                self.state = State::ExpectFirst;
                self.fail(&target, Error::connect_timeout());
            }
            _ => {}
        }
    }

    /// Whether the connect to this target is in progress. A driver drops every other one.
    pub fn is_connecting(&self, target: &Target) -> bool {
        match &self.state {
            State::ExpectFirst => self.race.is_connecting(target),
            State::ExpectAgain(again, _, until) => again == target && until.is_some(),
            State::ExpectReady(..) | State::Failed => false,
        }
    }

    /// Reports that a connect in progress has failed; another report has no effect.
    pub fn handle_connect_error(&mut self, target: &Target, error: io::Error) {
        if !self.is_connecting(target) {
            return;
        }
        match self.state {
            State::ExpectAgain(..) => self.state = State::ExpectFirst,
            _ => self.race.fail(target),
        }
        self.fail(target, Error::connect(error));
    }

    /// Reports that a target is connected, and returns the session to drive over the connection
    /// until it is ready; `None` if the target was not being connected to. All other connects are
    /// cancelled.
    ///
    /// `local` is the local address of the connection, if known. EHLO carries it, unless the
    /// endpoint has a [client name](super::EndpointBuilder::client_name) or a
    /// [proxy](super::EndpointBuilder::proxy).
    pub fn handle_connected(
        &mut self,
        target: &Target,
        local: Option<SocketAddr>,
    ) -> Option<Session> {
        if !self.is_connecting(target) {
            return None;
        }
        let variant = match self.state {
            State::ExpectAgain(_, variant, _) => variant,
            _ => {
                self.race.win(target);
                Variant::AsConfigured
            }
        };
        self.state = State::ExpectReady(target.clone(), variant);
        Some(self.endpoint.session_at(target, variant, local))
    }

    /// Reports why the session failed before it was ready.
    pub fn handle_failure(&mut self, error: Error) {
        let State::ExpectReady(target, variant) = &self.state else {
            return;
        };
        let (target, variant) = (target.clone(), *variant);
        self.state = match variant.after(&error, &self.endpoint.0.config) {
            Some(variant) => State::ExpectAgain(target.clone(), variant, None),
            None if error.is_transient() && !token_failed(&error) => State::ExpectFirst,
            None => State::Failed,
        };
        self.fail(&target, error);
    }

    /// Whether there is nothing left to try.
    pub fn is_over(&self) -> bool {
        match self.state {
            State::ExpectFirst => self.race.is_over(),
            State::Failed => true,
            State::ExpectAgain(..) | State::ExpectReady(..) => false,
        }
    }

    /// The error of all attempts, when none is left: that of the last one, with the earlier ones
    /// as its [`attempts`](Error::attempts).
    ///
    /// If there was no attempt, the error is that the host has no address, or none of the family of
    /// the [local address](super::EndpointBuilder::local_address).
    ///
    /// ```
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let endpoint = Endpoint::starttls("mail.example.org").build()?;
    /// let error = endpoint.attempts([]).into_error();
    /// assert!(format!("{error:#}").contains("the host has no address"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_error(mut self) -> Error {
        let last = self.failures.pop().unwrap_or_else(|| {
            let (kind, text) = match self.endpoint.local_address() {
                None => (io::ErrorKind::NotFound, "the host has no address"),
                Some(local) => (
                    io::ErrorKind::AddrNotAvailable,
                    match local.is_ipv4() {
                        true => "the host has no IPv4 address, and the local address is one",
                        false => "the host has no IPv6 address, and the local address is one",
                    },
                ),
            };
            Error::connect(io::Error::new(kind, text))
        });
        last.with_peer(self.endpoint.peer())
            .with_attempts(self.failures)
    }

    fn fail(&mut self, target: &Target, error: Error) {
        self.failures
            .push(error.with_peer(self.endpoint.peer_at(target)));
    }
}

impl Variant {
    /// How to try the same address again after this error, if that can help.
    fn after(self, error: &Error, config: &Arc<Config>) -> Option<Self> {
        let next = if tls_failed(error) {
            Self::Cleartext
        } else if token_expired(error) {
            Self::RefreshedToken
        } else {
            return None;
        };
        // An attempt in cleartext has no TLS to fail; a refreshed token is not refreshed again.
        let config = self.apply_to(config)?;
        next.apply_to(&config).map(|_| next)
    }

    /// The config for this attempt; `None` if the config does not allow it.
    fn apply_to(self, config: &Arc<Config>) -> Option<Arc<Config>> {
        match self {
            Self::AsConfigured => Some(Arc::clone(config)),
            Self::Cleartext => config.cleartext_fallback().map(Arc::new),
            Self::RefreshedToken => config.with_refreshed_token().map(Arc::new),
        }
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("endpoint", &self.endpoint)
            .field("race", &self.race)
            .field("state", &self.state)
            .field("failures", &self.failures)
            .finish()
    }
}

/// A seed from the random numbers of the crypto provider.
fn seed_of(provider: &CryptoProvider) -> Result<Seed, rustls::Error> {
    let mut bytes = [0; 32];
    let filled = provider.secure_random.fill(&mut bytes);
    filled.map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    Ok(Seed::from_bytes(bytes))
}

/// Whether no token could be fetched.
fn token_failed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authentication(AuthenticationError::TokenSource(_))
            | ErrorKind::Timeout(Timeout::Token)
    )
}

/// Whether the server rejected a token that may have expired.
fn token_expired(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authentication(AuthenticationError::Expired { .. })
    )
}

/// Whether STARTTLS or the handshake broke, without a reply that rejects it and without a sign of
/// tampering.
fn tls_failed(error: &Error) -> bool {
    let broke = match error.kind() {
        ErrorKind::Transport(_) | ErrorKind::ConnectionLost => true,
        ErrorKind::Timeout(limit) => *limit == Timeout::StartTls,
        _ => false,
    };
    broke && matches!(error.stage(), Stage::StartTls | Stage::TlsHandshake)
}
