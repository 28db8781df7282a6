//! The attempts to connect: which address comes next, and the error when none is left.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, vec};

use rustls::crypto::CryptoProvider;
use smtp_proto::{
    AuthenticationError, Config, Connection, Error, ErrorKind, Peer, Security, Seed, Stage,
    Timeout, TransportError,
};

use super::Endpoint;
use crate::session::Session;

/// Attempts to connect to an [`Endpoint`], one after the other.
///
/// Created by [`Endpoint::attempts`]. Addresses are tried in the order given; a [Unix
/// socket](Endpoint::unix) is the only one. An address is tried again, on a new connection, in two cases:
///
/// - under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic), if STARTTLS or the
///   handshake broke: in cleartext. Credentials are never sent under that security, and a
///   certificate that does not verify is no failure;
/// - if the server rejected a token that its [provider](smtp_proto::Credentials::token_provider)
///   can refresh: with the refreshed token.
///
/// The next address is tried only if the last failure was
/// [transient](smtp_proto::Error::is_transient).
///
/// A driver opens a connection for each attempt until one succeeds. [`connect`](Self::connect) does
/// so for an async driver; for one that blocks:
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::{SocketAddr, TcpStream};
/// use smtp_rustls::{Attempt, Endpoint, Session, Target, proto::Error};
///
/// fn connect(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<(TcpStream, Session), Error> {
///     let mut attempts = endpoint.attempts(addresses.iter().copied());
///     let mut failure = None;
///     while let Some(attempt) = attempts.next(failure.take()) {
///         match open(attempt) {
///             Ok(connected) => return Ok(connected),
///             Err(error) => failure = Some(error),
///         }
///     }
///     Err(attempts.into_error())
/// }
///
/// fn open(attempt: Attempt) -> Result<(TcpStream, Session), Error> {
///     let Target::Tcp(address) = attempt.target() else {
///         return Err(Error::connect(io::Error::from(io::ErrorKind::Unsupported)));
///     };
///     let stream = TcpStream::connect_timeout(address, attempt.connect_timeout())
///         .map_err(Error::connect)?;
///     let session = attempt.into_session(stream.local_addr().ok());
///     // Drive the session until it is ready: its failure counts as well.
///     Ok((stream, session))
/// }
/// # let _: fn(&Endpoint, &[SocketAddr]) -> Result<(TcpStream, Session), Error> = connect;
/// ```
pub struct Attempts {
    endpoint: Endpoint,
    targets: vec::IntoIter<Target>,
    /// The last attempt, and how it was tried.
    last: Option<(Target, Variant)>,
    failures: Vec<Error>,
}

/// One attempt to connect: where to, and the session to drive over the connection.
///
/// See [`Attempts`] for an example.
pub struct Attempt {
    endpoint: Endpoint,
    target: Target,
    variant: Variant,
}

/// What an attempt connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
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
    /// A session for a connection that the caller opens by other means, such as through a proxy.
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

    /// The attempts to connect at these addresses, to which the caller has resolved the host.
    ///
    /// An endpoint that is a [Unix socket](Self::unix) has no others, whatever `addresses` are.
    ///
    /// ```
    /// use smtp_rustls::{Endpoint, Target};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = Endpoint::starttls("mail.example.org").build()?;
    /// let address = "192.0.2.25:587".parse()?;
    /// let mut attempts = endpoint.attempts([address]);
    /// let first = attempts.next(None).expect("there is one address");
    /// assert_eq!(*first.target(), Target::Tcp(address));
    /// # Ok(())
    /// # }
    /// ```
    pub fn attempts(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Attempts {
        let targets: Vec<Target> = match &self.0.path {
            Some(path) => vec![Target::Unix(path.clone())],
            None => addresses.into_iter().map(Target::Tcp).collect(),
        };
        Attempts {
            endpoint: self.clone(),
            targets: targets.into_iter(),
            last: None,
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
        match (failed, &inner.tls) {
            (Some(error), _) => Session::failed(connection, TransportError::new(error)),
            (None, Some(tls)) if !is_cleartext => {
                Session::new(connection, tls.clone(), inner.name.clone())
            }
            (None, _) => Session::cleartext(connection),
        }
    }
}

impl Attempts {
    /// The next attempt, or `None` if there is nothing left to try.
    ///
    /// `failure` is why the previous attempt failed: on connecting, or until its session was
    /// ready. It is `None` for the first attempt.
    pub fn next(&mut self, failure: Option<Error>) -> Option<Attempt> {
        let (target, variant) = match failure {
            None => (self.targets.next()?, Variant::AsConfigured),
            Some(error) => self.after(error)?,
        };
        self.last = Some((target.clone(), variant));
        Some(Attempt {
            endpoint: self.endpoint.clone(),
            target,
            variant,
        })
    }

    /// Opens a connection for each attempt until one succeeds.
    ///
    /// `open` connects to the target of the attempt, and drives its session until it is ready.
    /// Cancel safe if its future is.
    ///
    /// # Errors
    /// [`into_error`](Self::into_error), when no attempt is left.
    pub async fn connect<T, F>(mut self, mut open: impl FnMut(Attempt) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut failure = None;
        while let Some(attempt) = self.next(failure.take()) {
            match open(attempt).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = Some(error),
            }
        }
        Err(self.into_error())
    }

    /// The error of all attempts, when none is left: that of the last one, with the earlier ones
    /// as its [`attempts`](Error::attempts).
    ///
    /// If there was no attempt, the error is that the host has no address.
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
            Error::connect(io::Error::new(
                io::ErrorKind::NotFound,
                "the host has no address",
            ))
        });
        last.with_peer(self.endpoint.peer())
            .with_attempts(self.failures)
    }

    /// What to try after this failure.
    fn after(&mut self, error: Error) -> Option<(Target, Variant)> {
        let Some((target, variant)) = self.last.take() else {
            self.failures.push(error);
            return None;
        };
        let error = error.with_peer(self.endpoint.peer_at(&target));
        let again = variant.after(&error, &self.endpoint.0.config);
        let is_transient = error.is_transient();
        self.failures.push(error);
        match again {
            Some(variant) => Some((target, variant)),
            None if is_transient => Some((self.targets.next()?, Variant::AsConfigured)),
            None => None,
        }
    }
}

impl Attempt {
    /// What to connect to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How long the target may take to accept the connection.
    pub fn connect_timeout(&self) -> Duration {
        self.endpoint.timeouts().connect()
    }

    /// The session for the connection; `local` is its local address, if known.
    ///
    /// EHLO carries that address, unless the endpoint has a
    /// [client name](super::EndpointBuilder::client_name).
    pub fn into_session(self, local: Option<SocketAddr>) -> Session {
        let config = match local {
            Some(local) => self.endpoint.config_from(local.ip()),
            None => Arc::clone(&self.endpoint.0.config),
        };
        // Not `None`: the variant applied when it was chosen, and the client name does not change
        // that.
        let config = self.variant.apply_to(&config).unwrap_or(config);
        let peer = self.endpoint.peer_at(&self.target);
        self.endpoint.session_with(config, peer)
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
            .field("targets", &self.targets.as_slice())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("endpoint", &self.endpoint)
            .field("target", &self.target)
            .field("variant", &self.variant)
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
