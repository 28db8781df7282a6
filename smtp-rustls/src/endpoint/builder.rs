//! The builder of an [`Endpoint`].

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;

use smtp_proto::xclient::Xclient;
use smtp_proto::{
    ClientName, ConfigBuilder, ConfigError, Credentials, Peer, Pipelining, Protocol, ReplyLimits,
    Security, SpeculationLimits, Timeouts, TranscriptEntry, Window,
};
use smtp_tunnel::ProxyHeader;

use super::host::{self, HostErrorKind};
use super::proxy::{ProxyServer, ProxyServerError};
use super::{Endpoint, Inner};
use crate::tls::{TlsConfig, TlsConfigBuilder, TlsError, default_provider};

/// Builds an [`Endpoint`].
///
/// Its `Debug` shows no secret, not even one in a URL that was given as the host.
///
/// ```
/// use smtp_proto::{Credentials, Timeouts};
/// use smtp_rustls::Endpoint;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::implicit("mail.example.org")
///     .credentials(Credentials::password("alice", "correct horse")?)
///     .timeouts(Timeouts::submission())
///     .transcript(|entry| println!("{entry}"))
///     .build()?;
/// assert!(!format!("{endpoint:?}").contains("correct horse"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct EndpointBuilder {
    server: Server,
    port: Option<u16>,
    local: Option<IpAddr>,
    client_name: Option<ClientName>,
    tls: Option<TlsConfig>,
    /// Those of a URL.
    pinned_keys: Vec<[u8; 32]>,
    proxy: Option<ProxyServer>,
    proxy_tls: Option<TlsConfig>,
    proxy_header: Option<ProxyHeader>,
    config: ConfigBuilder,
}

/// The server as the caller names it.
#[derive(Clone)]
pub(super) enum Server {
    Host(String),
    Unix(PathBuf),
}

/// Why building an [`Endpoint`] failed.
///
/// ```
/// use smtp_rustls::{Endpoint, EndpointError};
///
/// match Endpoint::starttls("mail.example.org:587").build() {
///     Ok(endpoint) => println!("{endpoint:?}"),
///     Err(EndpointError::Host(kind)) => println!("--host: {kind}"),
///     Err(error) => println!("{error:#}"),
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum EndpointError {
    /// The host is invalid.
    Host(HostErrorKind),
    /// The port is 0.
    Port,
    /// The options contradict each other.
    Config(ConfigError),
    /// The default TLS configuration cannot be built.
    Tls(TlsError),
    /// A TLS configuration, and keys that a [URL](EndpointBuilder::from_url) pins.
    PinnedKeys,
    /// The endpoint cannot be reached through its proxy.
    Proxy(ProxyServerError),
}

impl EndpointBuilder {
    pub(super) fn new(server: Server, config: ConfigBuilder) -> Self {
        Self {
            server,
            port: None,
            local: None,
            client_name: None,
            tls: None,
            pinned_keys: Vec::new(),
            proxy: None,
            proxy_tls: None,
            proxy_header: None,
            config,
        }
    }

    /// Pins keys in the default TLS configuration.
    pub(super) fn pinned_keys(mut self, keys: Vec<[u8; 32]>) -> Self {
        self.pinned_keys = keys;
        self
    }

    /// Changes the configuration of the connection: every option of [`ConfigBuilder`], also those
    /// that have no method here.
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
    /// [`Security`] that may end in cleartext, and 24 for LMTP. A [Unix socket](Endpoint::unix) has
    /// none.
    ///
    /// ```
    /// use smtp_rustls::{Endpoint, EndpointError};
    ///
    /// let endpoint = Endpoint::starttls("mail.example.org").port(2525).build()?;
    /// assert_eq!(endpoint.port(), 2525);
    /// # Ok::<(), EndpointError>(())
    /// ```
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Connects from this address of the local machine; the system chooses the port. By default it
    /// chooses the address too.
    ///
    /// Only addresses of the server of the same family are tried: `0.0.0.0` stands for IPv4, and
    /// `::` for IPv6. If there is none, connecting fails. It has no effect on a [Unix
    /// socket](Endpoint::unix). With a [proxy](Self::proxy) it is the address from which the proxy is
    /// reached.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// let relay = Endpoint::builder("mx.example.net")
    ///     .security(Security::Opportunistic)
    ///     .local_address("192.0.2.7".parse()?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_address(mut self, address: IpAddr) -> Self {
        self.local = Some(address);
        self
    }

    /// Sets the client name for EHLO; a relay should send its own name.
    ///
    /// By default it is the local address of the connection, if the adapter knows it, as an address
    /// literal (RFC 5321, section 4.1.3); else `[127.0.0.1]`, which reveals nothing. With a
    /// [proxy](Self::proxy) it is always the latter: the server sees the address of the proxy, and the
    /// local address would only tell it about a network that it cannot reach.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp_rustls::Endpoint;
    ///
    /// let relay = Endpoint::starttls("mx.example.net")
    ///     .client_name("relay.example.org".parse()?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_name(mut self, name: ClientName) -> Self {
        self.client_name = Some(name);
        self
    }

    /// Sets roots, client certificate and crypto provider; by default those of
    /// [`TlsConfig::builder`].
    ///
    /// Endpoints that share one `TlsConfig` load the roots once. It has the pinned keys, if any: with
    /// those of a [URL](Self::from_url) it is an error.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp_rustls::{Endpoint, TlsConfig};
    ///
    /// let tls = TlsConfig::builder().build()?;
    /// let first = Endpoint::starttls("mx1.example.net").tls(tls.clone()).build()?;
    /// let second = Endpoint::starttls("mx2.example.net").tls(tls).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls(mut self, tls: impl Into<TlsConfig>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Reaches the server through a proxy, or directly if it is `None`.
    ///
    /// Adapters resolve the name of the proxy, race its addresses, and open a tunnel. The proxy
    /// resolves the name of the server, which is never resolved locally. TLS to the server is
    /// inside the tunnel, and its certificate must be valid for the host of the endpoint, as
    /// without a proxy. A [permanent](smtp_proto::Error::is_transient) rejection by the proxy, such
    /// as that of a login, is final; after any other failure the next address of the proxy is
    /// tried.
    ///
    /// ```
    /// use smtp_rustls::{Endpoint, ProxyServer};
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let endpoint = Endpoint::starttls("mail.example.org")
    ///     .proxy(ProxyServer::socks5("proxy.example.net"))
    ///     .build()?;
    /// assert_eq!(endpoint.host(), "mail.example.org");
    /// assert_eq!(endpoint.connect_host(), "proxy.example.net");
    /// # Ok(())
    /// # }
    /// ```
    pub fn proxy(mut self, proxy: impl Into<Option<ProxyServer>>) -> Self {
        self.proxy = proxy.into();
        self
    }

    /// Sets roots, client certificate and crypto provider for TLS to an [HTTPS
    /// proxy](ProxyServer::https); by default those of [`TlsConfig::builder`], whatever
    /// [`tls`](Self::tls) is. It has no effect on other kinds.
    pub fn proxy_tls(mut self, tls: impl Into<TlsConfig>) -> Self {
        self.proxy_tls = Some(tls.into());
        self
    }

    /// Sends the server a header of the PROXY protocol first, on behalf of another client.
    ///
    /// The server must expect it, and trust the sender. It goes through the [proxy](Self::proxy), if
    /// there is one.
    ///
    /// ```
    /// use smtp_rustls::Endpoint;
    /// use smtp_rustls::tunnel::ProxyHeader;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let header = ProxyHeader::v2("192.0.2.7:40000".parse()?, "192.0.2.1:25".parse()?);
    /// let endpoint = Endpoint::starttls("mx.example.org").port(25).proxy_header(header).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn proxy_header(mut self, header: ProxyHeader) -> Self {
        self.proxy_header = Some(header);
        self
    }

    /// Builds the endpoint.
    ///
    /// # Errors
    /// If the host or the port is invalid, options contradict each other, the default TLS
    /// configuration cannot be built, or the proxy cannot be used.
    pub fn build(self) -> Result<Endpoint, EndpointError> {
        let (host, path) = match self.server {
            Server::Host(host) => (host, None),
            Server::Unix(path) if path.as_os_str().is_empty() => (String::new(), None),
            Server::Unix(path) => ("localhost".to_owned(), Some(path)),
        };
        let (host, name) = host::parse(&host).map_err(EndpointError::Host)?;
        let (port, peer, config) = match &path {
            Some(path) => (0, Peer::path(path.to_string_lossy()), self.config),
            None => {
                let port = self.port.unwrap_or_else(|| self.config.default_port());
                let set = NonZeroU16::new(port).ok_or(EndpointError::Port)?;
                (port, Peer::host(&host, port), self.config.port(set))
            }
        };
        let proxy = match (self.proxy, &path) {
            (None, _) => None,
            (Some(_), Some(_)) => return Err(EndpointError::Proxy(ProxyServerError::UnixSocket)),
            (Some(proxy), None) => {
                let route = proxy.route(self.proxy_tls, &host, port);
                Some(Arc::new(route.map_err(EndpointError::Proxy)?))
            }
        };
        let peer = match &proxy {
            Some(route) => peer.through(Peer::host(&route.host, route.port)),
            None => peer,
        };
        let config = with_host(config, path.as_ref().map_or(&host, |_| peer.endpoint()));
        let config = config.build().map_err(EndpointError::Config)?;
        let is_named = self.client_name.is_some();
        let config = match self.client_name {
            Some(name) => config.with_client_name(name),
            None => config,
        };
        let tls = tls_of(self.tls, self.pinned_keys, config.security())?;
        let provider = match &tls {
            Some(tls) => Some(Arc::clone(tls.config().crypto_provider())),
            None => default_provider().ok(),
        };
        Ok(Endpoint(Arc::new(Inner {
            host,
            port,
            path,
            local: self.local,
            peer,
            proxy,
            proxy_header: self.proxy_header,
            name,
            config: Arc::new(config),
            is_named,
            tls,
            provider,
        })))
    }
}

/// The TLS configuration for the server, unless it is in cleartext.
fn tls_of(
    tls: Option<TlsConfig>,
    pinned_keys: Vec<[u8; 32]>,
    security: Security,
) -> Result<Option<TlsConfig>, EndpointError> {
    match (tls, security) {
        (Some(_), _) if !pinned_keys.is_empty() => Err(EndpointError::PinnedKeys),
        (None, Security::Cleartext) => Ok(None),
        (None, _) => {
            let keys = pinned_keys.into_iter();
            let tls = keys.fold(TlsConfig::builder(), TlsConfigBuilder::pin_key);
            tls.build().map(Some).map_err(EndpointError::Tls)
        }
        (tls, _) => Ok(tls),
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder")
            .field("server", &self.server)
            .field("port", &self.port)
            .field("local", &self.local)
            .field("client_name", &self.client_name)
            .field("proxy", &self.proxy)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Shows no secret of a URL that was given as the host.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host::parse(host).map(|(host, _)| host).fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

/// Declares the options that an [`EndpointBuilder`] passes to the [`ConfigBuilder`] method of the
/// same name.
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
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// let relay = Endpoint::builder("localhost")
    ///     .security(Security::Cleartext)
    ///     .build()?;
    /// assert_eq!(relay.port(), 25);
    /// # Ok(())
    /// # }
    /// ```
    security(security: Security);
    /// Authenticates with these credentials before the first message. The [`Security`] must require
    /// TLS, unless [`dangerous_credentials_in_cleartext`] permits cleartext.
    ///
    /// [`dangerous_credentials_in_cleartext`]: Self::dangerous_credentials_in_cleartext
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp_proto::{ConfigError, Credentials, Security};
    /// use smtp_rustls::{Endpoint, EndpointError};
    ///
    /// let alice = Credentials::password("alice", "correct horse")?;
    /// let endpoint = Endpoint::implicit("mail.example.org").credentials(alice.clone()).build()?;
    ///
    /// let relay = Endpoint::builder("mx.example.net").security(Security::Opportunistic);
    /// assert!(matches!(
    ///     relay.credentials(alice).build(),
    ///     Err(EndpointError::Config(ConfigError::CredentialsWithoutTls))
    /// ));
    /// # Ok(())
    /// # }
    /// ```
    credentials(credentials: Credentials);
    /// Permits credentials in cleartext under [`Security::Cleartext`]: anyone on the path can read
    /// them.
    dangerous_credentials_in_cleartext();
    /// Acts on behalf of another client, which XCLIENT names.
    xclient(client: Xclient);
    /// Sets the time limits; the defaults depend on credentials, security and port.
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// use std::time::Duration;
    /// use smtp_proto::Timeouts;
    /// use smtp_rustls::Endpoint;
    ///
    /// let limits = Timeouts::submission().with_connect(Duration::from_secs(5));
    /// let endpoint = Endpoint::starttls("mail.example.org").timeouts(limits).build()?;
    /// assert_eq!(endpoint.timeouts().connect(), Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
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
            Self::Host(kind) if f.alternate() => write!(f, "host: {kind}"),
            Self::Host(_) => f.write_str("invalid host"),
            Self::Port => f.write_str("port 0 is invalid"),
            Self::Config(error) if f.alternate() => error.fmt(f),
            Self::Config(_) => f.write_str("invalid configuration"),
            Self::Tls(error) if f.alternate() => write!(f, "tls: {error:#}"),
            Self::Tls(_) => f.write_str("invalid TLS configuration"),
            Self::PinnedKeys => f.write_str(
                "the URL pins a key, and there is a TLS configuration: pin it there by `TlsConfigBuilder::pin_key`",
            ),
            Self::Proxy(error) if f.alternate() => write!(f, "proxy: {error:#}"),
            Self::Proxy(_) => f.write_str("invalid proxy"),
        }
    }
}

debug_as_display!(EndpointError);

impl std::error::Error for EndpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Host(kind) => Some(kind),
            Self::Port | Self::PinnedKeys => None,
            Self::Config(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Proxy(error) => Some(error),
        }
    }
}

/// Records the host in tracing spans.
fn with_host(builder: ConfigBuilder, host: &str) -> ConfigBuilder {
    #[cfg(feature = "tracing")]
    let builder = builder.host(host);
    #[cfg(not(feature = "tracing"))]
    let _ = host;
    builder
}
