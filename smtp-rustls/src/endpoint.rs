//! Where to connect, and how: the one builder that all adapters share.

mod attempts;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use smtp_proto::xclient::Xclient;
use smtp_proto::{
    AddressError, AddressErrorKind, ClientName, Config, ConfigBuilder, ConfigError, Credentials,
    Domain, Mail, Peer, Pipelining, Protocol, ReplyLimits, Security, SpeculationLimits, Timeouts,
    TranscriptEntry, Window,
};

use crate::tls::{TlsConfig, TlsError, default_provider};

pub use self::attempts::{Attempt, Attempts};

/// A server and how to connect to it: host, port, security, credentials, trust, time limits.
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
    /// With the client name that is used unless an attempt has a better one.
    config: Arc<Config>,
    /// Whether the user chose the client name.
    is_named: bool,
    tls: Option<TlsConfig>,
    /// Source of the seeds; none for cleartext without a crypto feature.
    provider: Option<Arc<CryptoProvider>>,
}

/// Builds an [`Endpoint`].
///
/// Its `Debug` shows no secret, not even one in a URL that was given as the host.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct EndpointBuilder {
    host: String,
    port: Option<u16>,
    client_name: Option<ClientName>,
    tls: Option<TlsConfig>,
    config: ConfigBuilder,
}

/// Why building an [`Endpoint`] failed.
#[derive(Clone)]
#[non_exhaustive]
pub enum EndpointError {
    /// The host is not one that can be connected to.
    Host(HostErrorKind),
    /// The port is 0.
    Port,
    /// The configuration is not valid.
    Config(ConfigError),
    /// The TLS configuration cannot be built.
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
    /// It contains white space or a control character.
    WhiteSpace,
    /// It is not ASCII. Write each such label as an A-label, `xn--bcher-kva.example`, or enable the
    /// feature `idna`.
    NotAscii,
    /// It is not ASCII, and has no A-labels.
    NotIdna(AddressError),
}

impl Endpoint {
    /// Begins an endpoint; `host` is a DNS name or an IP address, for which the server's certificate must be. It is the
    /// host alone: [`port`](EndpointBuilder::port) takes the port, and there is no URL.
    ///
    /// With the feature `idna` the name may have U-labels: what is resolved, and what the certificate must bear, are their
    /// A-labels, as [`Domain::to_ascii`] gives them.
    ///
    /// STARTTLS is required unless [`security`](EndpointBuilder::security) changes that.
    pub fn builder(host: impl Into<String>) -> EndpointBuilder {
        EndpointBuilder {
            host: host.into(),
            port: None,
            client_name: None,
            tls: None,
            config: Config::builder(IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
        }
    }

    /// Begins an endpoint with required STARTTLS (RFC 3207), on port 587.
    pub fn starttls(host: impl Into<String>) -> EndpointBuilder {
        Self::builder(host).security(Security::StartTls)
    }

    /// Begins an endpoint with implicit TLS (RFC 8314), on port 465.
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
        self.0.config.security()
    }

    /// The time limits.
    pub fn timeouts(&self) -> &Timeouts {
        self.0.config.timeouts()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.0.host)
            .field("port", &self.0.port)
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl EndpointBuilder {
    /// Changes the configuration of the connection: every option of [`ConfigBuilder`], also those that
    /// have no method here.
    ///
    /// ```
    /// use smtp_proto::{ConfigBuilder, Window};
    /// use smtp_rustls::Endpoint;
    ///
    /// let window = Window::HALF_DUPLEX.with_bytes(1024);
    /// let slow_line = |config: ConfigBuilder| config.window(window).ignore_extension("CHUNKING");
    /// let builder = Endpoint::starttls("mail.example.org").config(slow_line);
    /// ```
    pub fn config(mut self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        self.config = change(self.config);
        self
    }

    /// Sets the port; by default 587 for STARTTLS, 465 for implicit TLS, 25 for the two kinds of
    /// [`Security`] that may end in cleartext, and 24 for LMTP.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the client name for EHLO; a relay should send its own name.
    ///
    /// By default it is the local address of the connection, if the adapter knows it, as an address
    /// literal (RFC 5321, section 4.1.3); else `[127.0.0.1]`, which reveals nothing.
    pub fn client_name(mut self, name: ClientName) -> Self {
        self.client_name = Some(name);
        self
    }

    /// Sets roots, client certificates and cryptography; by default those of [`TlsConfig::builder`].
    ///
    /// Endpoints that share one `TlsConfig` load the roots once.
    pub fn tls(mut self, tls: impl Into<TlsConfig>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// The endpoint.
    ///
    /// # Errors
    /// If the host or the port is not valid, options contradict each other, or there is no TLS
    /// configuration.
    pub fn build(self) -> Result<Endpoint, EndpointError> {
        let (host, name) = parse_host(&self.host).map_err(EndpointError::Host)?;
        let builder = named(self.config, &host);
        let config = builder.clone().build().map_err(EndpointError::Config)?;
        let default = match (config.protocol(), config.security()) {
            (Protocol::Lmtp, _) => LMTP,
            (_, Security::StartTls) => SUBMISSION,
            (_, Security::Implicit) => IMPLICIT,
            _ => RELAY,
        };
        let port = NonZeroU16::new(self.port.unwrap_or(default)).ok_or(EndpointError::Port)?;
        let config = builder.port(port).build().map_err(EndpointError::Config)?;
        let port = port.get();
        let is_named = self.client_name.is_some();
        let config = match self.client_name {
            Some(name) => config.with_client_name(name),
            None => config,
        };
        let tls = match (self.tls, config.security()) {
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
            config: Arc::new(config),
            is_named,
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
            .field("client_name", &self.client_name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Declares the options of a [`ConfigBuilder`] that a builder of endpoints has by the same name.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?);)+) => {
        impl EndpointBuilder {$(
            $(#[$doc])*
            ///
            #[doc = concat!("See [`ConfigBuilder::", stringify!($name), "`].")]
            pub fn $name(mut self $(, $argument: $type)?) -> Self {
                self.config = self.config.$name($($argument)?);
                self
            }
        )+}
    };
}
options! {
    /// Sets how the connection is secured; STARTTLS is required by default.
    security(security: Security);
    /// Authenticates with these credentials before the first message.
    credentials(credentials: Credentials);
    /// Permits credentials in cleartext under [`Security::Cleartext`]: anyone on the path can read them.
    dangerous_credentials_in_cleartext();
    /// Acts on behalf of another client, which XCLIENT names.
    xclient(client: Xclient);
    /// Sets the time limits; the defaults depend on credentials, security and port.
    timeouts(timeouts: Timeouts);
    /// Limits how much of a reply is kept; the rest is cut off.
    reply_limits(limits: ReplyLimits);
    /// Sets the level of pipelining with a server that advertises PIPELINING.
    pipelining(level: Pipelining);
    /// Limits the content that [`Pipelining::Speculative`] sends ahead.
    speculation(limits: SpeculationLimits);
    /// Limits the commands and replies in flight; by default, as the adapter needs it.
    window(window: Window);
    /// Sets the most bytes of a chunk with a server that advertises CHUNKING; 1 MiB by default.
    chunk_size(bytes: u64);
    /// Sets the protocol. With [`Protocol::Lmtp`] the default port is 24.
    protocol(protocol: Protocol);
    /// Ignores this extension, for servers that advertise it and get it wrong.
    ignore_extension(keyword: impl Into<String>);
    /// Calls `observer` with every line of the dialogue, in order; secrets are left out.
    transcript(observer: impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static);
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(fault) if f.alternate() => write!(f, "host: {fault}"),
            Self::Host(_) => f.write_str("invalid host"),
            Self::Port => f.write_str("port: 0 is no port to connect to"),
            Self::Config(error) if f.alternate() => error.fmt(f),
            Self::Config(_) => f.write_str("invalid configuration"),
            Self::Tls(error) if f.alternate() => write!(f, "tls: {error:#}"),
            Self::Tls(_) => f.write_str("invalid TLS configuration"),
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

/// Whether a port follows the host: digits after the only colon, or after the colon that follows a bracketed address.
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

/// Records the host in tracing spans.
fn named(builder: ConfigBuilder, host: &str) -> ConfigBuilder {
    #[cfg(feature = "tracing")]
    let builder = builder.host(host);
    #[cfg(not(feature = "tracing"))]
    let _ = host;
    builder
}

/// Message submission (RFC 6409).
const SUBMISSION: u16 = 587;

/// Message submission over TLS (RFC 8314).
const IMPLICIT: u16 = 465;

/// Between relays (RFC 5321).
const RELAY: u16 = 25;

/// Private mail systems, by custom LMTP.
const LMTP: u16 = 24;

#[cfg(test)]
mod tests {
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
}
