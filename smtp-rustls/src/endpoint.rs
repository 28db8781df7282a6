//! Where to connect, and how: the one builder that all adapters share.

mod attempts;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use smtp_proto::{
    AddressError, AddressErrorKind, ClientName, Config, ConfigBuilder, ConfigError, Credentials,
    Domain, Mail, Peer, Pipelining, Protocol, ReplyLimits, Security, SpeculationLimits, Timeouts,
    TranscriptEntry, Xclient,
};

use crate::tls::{TlsConfig, TlsError, default_provider};

pub use self::attempts::{Attempt, Attempts};

/// Where to connect, and how: host, port, security, credentials, trust, patience.
///
/// Cheap to clone; one serves any number of connections, which can then resume each other's TLS sessions. Its `Debug`
/// shows no secret.
///
/// A driver connects by its [`attempts`](Self::attempts).
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    host: String,
    port: u16,
    peer: Peer,
    name: ServerName<'static>,
    settings: Settings,
    /// The policy with the client name that is used unless an attempt has a better one.
    config: Arc<Config>,
    tls: Option<TlsConfig>,
    /// Where the seeds come from; none for a policy without TLS where there is no cryptography.
    provider: Option<Arc<CryptoProvider>>,
}

/// Makes an [`Endpoint`].
///
/// Its `Debug` shows no secret, not even one in a URL that was taken for a host.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct EndpointBuilder {
    host: String,
    port: Option<u16>,
    tls: Option<TlsConfig>,
    timeouts: Option<Timeouts>,
    settings: Settings,
}

/// What becomes a [`Config`].
#[derive(Clone)]
struct Settings {
    security: Security,
    client_name: Option<ClientName>,
    credentials: Option<Credentials>,
    credentials_in_clear: bool,
    xclient: Option<Xclient>,
    timeouts: Timeouts,
    reply_limits: Option<ReplyLimits>,
    protocol: Protocol,
    pipelining: Option<Pipelining>,
    speculation: Option<SpeculationLimits>,
    chunk_size: Option<u64>,
    without: Vec<String>,
    observer: Option<Arc<Observer>>,
}

type Observer = dyn Fn(&TranscriptEntry<'_>) + Send + Sync;

/// Why an [`Endpoint`] cannot be.
#[derive(Clone)]
#[non_exhaustive]
pub enum EndpointError {
    /// The host is not one that can be connected to.
    Host(HostErrorKind),
    /// The port is 0.
    Port,
    /// The policy contradicts itself.
    Config(ConfigError),
    /// There is no TLS to be had as asked for.
    Tls(TlsError),
}

/// What is wrong with a host.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostErrorKind {
    /// It is neither a DNS name nor an IP address.
    Malformed,
    /// It is empty.
    Empty,
    /// A port follows it, which [`EndpointBuilder::port`] takes.
    Port,
    /// It is a URL. [`Endpoint::starttls`] and [`Endpoint::implicit`] take the place of its scheme, and
    /// [`EndpointBuilder::credentials`] that of a user and a password in it.
    Url,
    /// It is a mail address, or has a user before it.
    User,
    /// There is white space or a control character in it.
    WhiteSpace,
    /// It has letters beyond ASCII. Write each such label as an A-label: `xn--bcher-kva.example`; with the feature `idna`
    /// that is done here.
    NotAscii,
    /// It has letters beyond ASCII, and there are no A-labels for it.
    NotIdna(AddressError),
}

impl Endpoint {
    /// Begins an endpoint; `host` is a DNS name or an IP address, for which the server's certificate must be. It is the
    /// host alone: [`port`](EndpointBuilder::port) takes the port, and there is no URL.
    ///
    /// With the feature `idna` the name may have U-labels: what is resolved, and what the certificate must bear, are their
    /// A-labels, as [`Domain::to_ascii`] gives them.
    ///
    /// STARTTLS is demanded unless [`security`](EndpointBuilder::security) says otherwise.
    pub fn builder(host: impl Into<String>) -> EndpointBuilder {
        EndpointBuilder {
            host: host.into(),
            port: None,
            tls: None,
            timeouts: None,
            settings: Settings {
                security: Security::StartTls,
                client_name: None,
                credentials: None,
                credentials_in_clear: false,
                xclient: None,
                timeouts: Timeouts::default(),
                reply_limits: None,
                protocol: Protocol::Smtp,
                pipelining: None,
                speculation: None,
                chunk_size: None,
                without: Vec::new(),
                observer: None,
            },
        }
    }

    /// Begins an endpoint that demands STARTTLS (RFC 3207), on port 587.
    pub fn starttls(host: impl Into<String>) -> EndpointBuilder {
        Self::builder(host).security(Security::StartTls)
    }

    /// Begins an endpoint that speaks TLS from the first byte (RFC 8314), on port 465.
    pub fn implicit(host: impl Into<String>) -> EndpointBuilder {
        Self::builder(host).security(Security::Implicit)
    }

    /// The endpoint for connections that are made for this message.
    ///
    /// If TLS is [optional](Mail::is_tls_optional) to its author, STARTTLS is tried and not demanded, unless there are
    /// credentials (RFC 8689, section 4.2.2): see [`Config::relaxed_for`]. Otherwise it is the same endpoint.
    #[must_use]
    pub fn relaxed_for(&self, mail: &Mail) -> Self {
        let Some(config) = self.0.config.relaxed_for(mail) else {
            return self.clone();
        };
        let mut inner = Inner::clone(&self.0);
        inner.settings.security = config.security();
        inner.config = Arc::new(config);
        Self(Arc::new(inner))
    }

    /// The host to resolve, as the user typed it but for brackets around an IPv6 address, and A-labels for U-labels.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The server by host and port, as errors name it.
    pub fn peer(&self) -> Peer {
        self.0.peer.clone()
    }

    /// How the connection is secured.
    pub fn security(&self) -> Security {
        self.0.settings.security
    }

    /// How long to wait for what.
    pub fn timeouts(&self) -> &Timeouts {
        &self.0.settings.timeouts
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.0.host)
            .field("port", &self.0.port)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl EndpointBuilder {
    /// How the connection is secured; by default, STARTTLS is demanded.
    pub fn security(mut self, security: Security) -> Self {
        self.settings.security = security;
        self
    }

    /// The port; by default 587 for STARTTLS, 465 for implicit TLS, 25 for the two policies that may end in cleartext, and 24 for
    /// LMTP whatever the policy.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Logs in with these before anything is sent; by default, nobody logs in.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.settings.credentials = Some(credentials);
        self
    }

    /// Lets credentials travel in cleartext under [`Security::Cleartext`].
    ///
    /// Everybody on the path can read them then. Meant for servers on the same machine.
    pub fn dangerous_credentials_in_cleartext(mut self) -> Self {
        self.settings.credentials_in_clear = true;
        self
    }

    /// Speaks for another client, which the server is told by XCLIENT before anybody logs in; by default, for itself.
    ///
    /// Under a policy with TLS it is told inside TLS.
    pub fn xclient(mut self, client: Xclient) -> Self {
        self.settings.xclient = Some(client);
        self
    }

    /// What EHLO says; a relay should give its own name.
    ///
    /// By default it is the address of this end of the connection, where the adapter knows it, as a literal (RFC 5321,
    /// section 4.1.3); else `[127.0.0.1]`, which is true of every machine and tells nothing about it.
    pub fn client_name(mut self, name: ClientName) -> Self {
        self.settings.client_name = Some(name);
        self
    }

    /// How long to wait for what.
    ///
    /// By default it is [`Timeouts::submission`] with credentials, and where TLS is demanded on a port other than 25;
    /// [`Timeouts::rfc5321`] for all else, which is between relays, and for LMTP.
    ///
    /// On port 465, a policy that begins in cleartext waits 5 seconds for the first byte of the greeting: a server that
    /// is silent there waits for TLS. [`Timeouts::first_byte`] sets another limit.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// How much is kept of a reply; what is longer is cut.
    pub fn reply_limits(mut self, limits: ReplyLimits) -> Self {
        self.settings.reply_limits = Some(limits);
        self
    }

    /// How far to send ahead of the replies, where the server offers PIPELINING.
    pub fn pipelining(mut self, level: Pipelining) -> Self {
        self.settings.pipelining = Some(level);
        self
    }

    /// How much [`Pipelining::Speculative`] may send without knowing whether it is wanted.
    pub fn speculation(mut self, bounds: SpeculationLimits) -> Self {
        self.settings.speculation = Some(bounds);
        self
    }

    /// The most bytes of a chunk, where the server offers CHUNKING (RFC 3030); 1 MiB by default, at least 1.
    pub fn chunk_size(mut self, bytes: u64) -> Self {
        self.settings.chunk_size = Some(bytes);
        self
    }

    /// Which protocol is spoken; by default, SMTP. With [`Protocol::Lmtp`] the port is 24 unless another is given.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.protocol = protocol;
        self
    }

    /// Behaves as if the server did not offer this extension, for one that offers what it cannot do.
    pub fn ignore_extension(mut self, keyword: impl Into<String>) -> Self {
        self.settings.without.push(keyword.into());
        self
    }

    /// Calls `observer` with everything that is said, in order, with secrets taken out.
    pub fn transcript(
        mut self,
        observer: impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Whom to trust, and by which cryptography; by default, what [`TlsConfig::builder`] begins with.
    ///
    /// Give the same to all endpoints: what it takes to trust is then loaded once.
    pub fn tls(mut self, tls: impl Into<TlsConfig>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// The endpoint.
    ///
    /// # Errors
    /// Which setting cannot be, and why.
    pub fn build(mut self) -> Result<Endpoint, EndpointError> {
        let (host, name) = parse_host(&self.host).map_err(EndpointError::Host)?;
        let port = self
            .port
            .unwrap_or(match (self.settings.protocol, self.settings.security) {
                (Protocol::Lmtp, _) => 24,
                (_, Security::StartTls) => SUBMISSION,
                (_, Security::Implicit) => IMPLICIT,
                _ => RELAY,
            });
        if port == 0 {
            return Err(EndpointError::Port);
        }
        self.settings.timeouts = self.settings.limits(self.timeouts, port);
        let client_name = self.settings.client_name.clone();
        let client_name = client_name.unwrap_or_else(|| IpAddr::V4(Ipv4Addr::LOCALHOST).into());
        let config = self
            .settings
            .config(&host, client_name)
            .map_err(EndpointError::Config)?;
        let tls = match (self.tls, self.settings.security) {
            (None, Security::Cleartext) => None,
            (None, _) => Some(TlsConfig::builder().build().map_err(EndpointError::Tls)?),
            (tls, _) => tls,
        };
        let provider = match &tls {
            Some(tls) => Some(Arc::clone(tls.config().crypto_provider())),
            None => default_provider().ok(),
        };
        Ok(Endpoint(Arc::new(Inner {
            peer: Peer::host(&host, port),
            host,
            port,
            name,
            settings: self.settings,
            config: Arc::new(config),
            tls,
            provider,
        })))
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder")
            .field("host", &parse_host(&self.host).map(|(host, _)| host))
            .field("port", &self.port)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// How long to wait at this port: as the caller said, or as long as suits the policy.
    fn limits(&self, chosen: Option<Timeouts>, port: u16) -> Timeouts {
        let demands_tls = matches!(self.security, Security::StartTls | Security::Implicit);
        let submits = self.credentials.is_some() || (demands_tls && port != RELAY);
        let limits = chosen.unwrap_or_else(|| match self.protocol {
            Protocol::Smtp if submits => Timeouts::submission(),
            _ => Timeouts::rfc5321(),
        });
        let waits_for_tls = port == IMPLICIT && self.security != Security::Implicit;
        if waits_for_tls && !limits.has_first_byte_limit() {
            limits.first_byte(SILENCE)
        } else {
            limits
        }
    }

    fn config(&self, host: &str, client_name: ClientName) -> Result<Config, ConfigError> {
        let builder = named(Config::builder(client_name), host);
        let mut builder = builder
            .security(self.security)
            .protocol(self.protocol)
            .timeouts(self.timeouts);
        if let Some(credentials) = self.credentials.clone() {
            builder = builder.credentials(credentials);
        }
        if self.credentials_in_clear {
            builder = builder.dangerous_credentials_in_cleartext();
        }
        if let Some(client) = self.xclient.clone() {
            builder = builder.xclient(client);
        }
        if let Some(limits) = self.reply_limits {
            builder = builder.reply_limits(limits);
        }
        if let Some(level) = self.pipelining {
            builder = builder.pipelining(level);
        }
        if let Some(bounds) = self.speculation {
            builder = builder.speculation(bounds);
        }
        if let Some(bytes) = self.chunk_size {
            builder = builder.chunk_size(bytes);
        }
        for keyword in &self.without {
            builder = builder.ignore_extension(keyword);
        }
        if let Some(observer) = self.observer.clone() {
            builder = builder.transcript(move |entry| observer(entry));
        }
        builder.build()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("security", &self.security)
            .field("client_name", &self.client_name)
            .field("credentials", &self.credentials)
            .field("xclient", &self.xclient)
            .field("timeouts", &self.timeouts)
            .field("protocol", &self.protocol)
            .field("pipelining", &self.pipelining)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(fault) => write!(f, "host: {fault}"),
            Self::Port => f.write_str("port: 0 is no port to connect to"),
            Self::Config(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "tls: {error}"),
        }
    }
}

debug_as_display!(EndpointError);

impl std::error::Error for EndpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Host(fault) => Some(fault),
            Self::Port => None,
            Self::Config(error) => Some(error),
            Self::Tls(error) => Some(error),
        }
    }
}

impl fmt::Display for HostErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "neither a DNS name nor an IP address",
            Self::Empty => "it is empty: name the server, such as mail.example.org",
            Self::Port => {
                "the port is given by itself: `Endpoint::starttls(\"mail.example.org\").port(587)`"
            }
            Self::Url => {
                "a host is wanted and not a URL: `Endpoint::implicit(\"mail.example.org\")` for smtps:// (TLS from the first \
                 byte), `Endpoint::starttls` otherwise; user and password go to `credentials`"
            }
            Self::User => {
                "the server's own name is wanted, without an @: a user name goes to `credentials`"
            }
            Self::WhiteSpace => "there is white space or a control character in it",
            Self::NotAscii => {
                "letters beyond ASCII have to be written as A-labels, such as xn--bcher-kva.example, or need the feature `idna`"
            }
            Self::NotIdna(error) => return error.fmt(f),
        })
    }
}

debug_as_display!(HostErrorKind);

impl std::error::Error for HostErrorKind {}

/// What to resolve, and what the certificate must be for.
fn parse_host(host: &str) -> Result<(String, ServerName<'static>), HostErrorKind> {
    if let Some(fault) = usual_mistake(host) {
        return Err(fault);
    }
    if !host.is_ascii() {
        return parse_host(&in_ascii(host)?);
    }
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed {
        let parsed: Ipv6Addr = address.parse().map_err(|_| HostErrorKind::Malformed)?;
        return Ok((address.to_owned(), IpAddr::V6(parsed).into()));
    }
    // A dot at the end keeps the resolver from trying other domains; no certificate has it.
    let name = host.strip_suffix('.').unwrap_or(host);
    match ServerName::try_from(name.to_owned()) {
        Ok(ServerName::IpAddress(_)) if name != host => Err(HostErrorKind::Malformed),
        Ok(parsed) => Ok((host.to_owned(), parsed)),
        Err(_) => Err(HostErrorKind::Malformed),
    }
}

/// What was meant by something that is no host, where that is plain.
fn usual_mistake(host: &str) -> Option<HostErrorKind> {
    let mut space = host.chars().map(|c| c.is_whitespace() || c.is_control());
    if host.is_empty() {
        Some(HostErrorKind::Empty)
    } else if host.contains(['/', '\\', '?', '#']) || has_scheme(host) {
        Some(HostErrorKind::Url)
    } else if host.contains('@') {
        Some(HostErrorKind::User)
    } else if space.any(|is| is) {
        Some(HostErrorKind::WhiteSpace)
    } else if has_port(host) {
        Some(HostErrorKind::Port)
    } else {
        None
    }
}

/// Whether a port follows the host: digits after the only colon, or after that after a bracket.
fn has_port(host: &str) -> bool {
    let Some((name, port)) = host.rsplit_once(':') else {
        return false;
    };
    let one = !name.contains(':') || (name.starts_with('[') && name.ends_with(']'));
    one && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it begins as a URL that has lost its slashes does.
fn has_scheme(host: &str) -> bool {
    let Some((scheme, _)) = host.split_once(':') else {
        return false;
    };
    let schemes = [
        "smtp",
        "smtps",
        "submission",
        "submissions",
        "lmtp",
        "mailto",
    ];
    schemes
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known) && !has_port(host))
}

/// A host with letters beyond ASCII as it is resolved and certified.
fn in_ascii(host: &str) -> Result<String, HostErrorKind> {
    let (name, root) = match host.strip_suffix('.') {
        Some(name) => (name, "."),
        None => (host, ""),
    };
    let name: Domain = name.parse().map_err(|_| HostErrorKind::Malformed)?;
    match name.to_ascii() {
        Ok(name) => Ok(format!("{name}{root}")),
        Err(error) if error.kind() == AddressErrorKind::NonAscii => Err(HostErrorKind::NotAscii),
        Err(error) => Err(HostErrorKind::NotIdna(error)),
    }
}

/// Tells the spans of the connection to whom it goes.
fn named(builder: ConfigBuilder, host: &str) -> ConfigBuilder {
    #[cfg(feature = "tracing")]
    let builder = builder.host(host);
    #[cfg(not(feature = "tracing"))]
    let _ = host;
    builder
}

/// What nobody can predict, from the standard library: hashes under a key that the operating system drew.
///
/// Only nonces of SASL depend on it, of a login in cleartext.
fn seed_without_provider() -> [u8; 32] {
    let key = RandomState::new();
    let mut seed = [0; 32];
    for (number, part) in (0_u64..).zip(seed.chunks_exact_mut(8)) {
        part.copy_from_slice(&key.hash_one(number).to_le_bytes());
    }
    seed
}

/// Message submission (RFC 6409).
const SUBMISSION: u16 = 587;

/// Message submission over TLS (RFC 8314).
const IMPLICIT: u16 = 465;

/// Between relays (RFC 5321).
const RELAY: u16 = 25;

/// How long a server may be silent on a port on which it is likely to wait for TLS.
const SILENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use smtp_proto::Wire as _;

    use super::*;

    #[test]
    fn a_cleartext_endpoint_needs_no_cryptography() {
        let endpoint = Endpoint::builder("localhost")
            .security(Security::Cleartext)
            .build()
            .unwrap();
        assert!(!endpoint.session().smtp().is_closed());
        #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
        assert!(matches!(
            Endpoint::starttls("localhost").build(),
            Err(EndpointError::Tls(TlsError::NoProvider))
        ));
    }

    #[test]
    fn each_seed_is_another_and_so_is_each_part_of_it() {
        let seeds = [seed_without_provider(), seed_without_provider()];
        let parts: HashSet<&[u8]> = seeds.iter().flat_map(|seed| seed.chunks(8)).collect();
        assert_eq!(parts.len(), 8);
    }
}
