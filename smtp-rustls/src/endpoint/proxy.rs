//! The proxy through which a server is reached.

mod environment;

use std::fmt;
use std::time::Duration;

use smtp_proto::Secret;
use smtp_tunnel::{Destination, DestinationError, LoginError, Proxy};

use super::host::{self, HostErrorKind};
use super::url::percent::Encoded;
use super::url::split::PLACEHOLDER;
use crate::session::Via;
use crate::tls::{TlsConfig, TlsError};

/// A proxy through which an [`Endpoint`](super::Endpoint) is reached: host and port, protocol, login.
///
/// | kind | protocol | port by default |
/// | --- | --- | --- |
/// | [`socks5`](Self::socks5) | SOCKS5 (RFC 1928) | 1080 |
/// | [`http`](Self::http) | the method CONNECT of HTTP (RFC 9110, section 9.3.6) | 80 |
/// | [`https`](Self::https) | the same inside TLS to the proxy | 443 |
///
/// The proxy resolves the name of the server, and sees of the session what any router on the path
/// sees. `Display` and `Debug` show a URL without the password.
///
/// ```
/// use smtp_rustls::{Endpoint, ProxyServer};
///
/// # fn main() -> Result<(), smtp_rustls::EndpointError> {
/// let proxy = ProxyServer::socks5("proxy.example.net").credentials("alice", "correct horse");
/// assert_eq!(proxy.to_string(), "socks5://alice:***@proxy.example.net");
///
/// let endpoint = Endpoint::starttls("mail.example.org").proxy(proxy).build()?;
/// // A driver connects to the proxy.
/// assert_eq!((endpoint.connect_host(), endpoint.connect_port()), ("proxy.example.net", 1080));
/// assert_eq!(
///     endpoint.peer().to_string(),
///     "mail.example.org:587 through proxy proxy.example.net:1080"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a proxy has no effect until it is passed to `EndpointBuilder::proxy`"]
pub struct ProxyServer {
    kind: Kind,
    host: String,
    port: Option<u16>,
    login: Option<(String, Secret)>,
    timeout: Option<Duration>,
}

/// The protocol, and whether TLS is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Socks5,
    Http,
    Https,
}

/// A proxy of an endpoint.
pub(super) struct Route {
    pub(super) server: ProxyServer,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) via: Via,
}

impl ProxyServer {
    /// A SOCKS5 proxy (RFC 1928). `host` is a DNS name or an IP address, without a port.
    pub fn socks5(host: impl Into<String>) -> Self {
        Self::new(Kind::Socks5, host.into())
    }

    /// An HTTP proxy with the method CONNECT. `host` is a DNS name or an IP address, without a port.
    ///
    /// By the rules of URLs the default port is 80. Proxies are often on 3128 or 8080.
    ///
    /// ```
    /// use smtp_rustls::ProxyServer;
    ///
    /// let proxy = ProxyServer::http("proxy.example.net").port(3128);
    /// assert_eq!(proxy.to_string(), "http://proxy.example.net:3128");
    /// ```
    pub fn http(host: impl Into<String>) -> Self {
        Self::new(Kind::Http, host.into())
    }

    /// An HTTP proxy with the method CONNECT that is reached by TLS. `host` is a DNS name or an IP
    /// address, without a port.
    ///
    /// The proxy's certificate must be valid for `host`;
    /// [`EndpointBuilder::proxy_tls`](super::EndpointBuilder::proxy_tls) says whom to trust. TLS to
    /// the proxy protects the login and hides the name of the server. TLS to the server follows
    /// [`Security`](smtp_proto::Security), as without a proxy.
    pub fn https(host: impl Into<String>) -> Self {
        Self::new(Kind::Https, host.into())
    }

    pub(super) fn new(kind: Kind, host: String) -> Self {
        Self {
            kind,
            host,
            port: None,
            login: None,
            timeout: None,
        }
    }

    /// Sets the port; by default 1080 for SOCKS5, 80 for HTTP and 443 for HTTP inside TLS.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets user name and password.
    ///
    /// SOCKS5 sends them in cleartext if the proxy requests them (RFC 1929), HTTP with each request
    /// as Basic (RFC 7617): in cleartext, unless the proxy is reached by TLS.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// Sets the time limit for opening the tunnel, which begins when the TCP connection to the
    /// proxy is open. It includes TLS to the proxy, and the time in which the proxy connects to the
    /// server. By default it is the [limit for connecting](smtp_proto::Timeouts::connect).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Whether it is reached by TLS.
    pub(super) fn is_in_tls(&self) -> bool {
        self.kind == Kind::Https
    }

    /// The dialogue with the proxy.
    pub(super) fn dialogue(&self) -> Result<Proxy, LoginError> {
        let proxy = match self.kind {
            Kind::Socks5 => Proxy::socks5(),
            Kind::Http | Kind::Https => Proxy::http(),
        };
        let proxy = match &self.login {
            Some((user, password)) => proxy.credentials(user, password.clone())?,
            None => proxy,
        };
        Ok(match self.timeout {
            Some(limit) => proxy.timeout(limit),
            None => proxy,
        })
    }

    /// The route through this proxy to a server.
    pub(super) fn route(
        self,
        tls: Option<TlsConfig>,
        host: &str,
        port: u16,
    ) -> Result<Route, ProxyServerError> {
        let (own_host, name) = host::parse(&self.host).map_err(ProxyServerError::Host)?;
        let own_port = self.port.unwrap_or_else(|| self.kind.default_port());
        if own_port == 0 {
            return Err(ProxyServerError::Port);
        }
        let proxy = self.dialogue().map_err(ProxyServerError::Login)?;
        let destination = Destination::new(host, port).map_err(ProxyServerError::Destination)?;
        let tls = match (self.is_in_tls(), tls) {
            (false, _) => None,
            (true, Some(tls)) => Some((tls, name)),
            (true, None) => {
                let tls = TlsConfig::builder()
                    .build()
                    .map_err(ProxyServerError::Tls)?;
                Some((tls, name))
            }
        };
        Ok(Route {
            server: self,
            host: own_host,
            port: own_port,
            via: Via {
                proxy,
                tls,
                destination,
            },
        })
    }
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Socks5, Self::Http, Self::Https];

    pub(super) const fn scheme(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            // Assigned to SOCKS by IANA.
            Self::Socks5 => 1080,
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The [URL](ProxyServer::from_url) of the proxy, with `***` in place of the password.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.kind.scheme())?;
        if let Some((user, _)) = &self.login {
            let bytes = user.as_bytes();
            write!(f, "{}:{PLACEHOLDER}@", Encoded { bytes, safe: "" })?;
        }
        // Nothing of a host that may be a whole URL with its password.
        let host = host::parse(&self.host).map_or_else(|_| String::new(), |(host, _)| host);
        if host.contains(':') {
            write!(f, "[{host}]")?;
        } else {
            f.write_str(&host)?;
        }
        match self.port {
            Some(port) if port != self.kind.default_port() => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

/// As `Display`.
impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why an endpoint cannot be reached through its proxy.
///
/// ```
/// use smtp_rustls::{Endpoint, EndpointError, ProxyServer, ProxyServerError};
///
/// let proxy = ProxyServer::http("proxy.example.net:3128");
/// let error = Endpoint::starttls("mail.example.org").proxy(proxy).build().unwrap_err();
/// assert!(matches!(error, EndpointError::Proxy(ProxyServerError::Host(_))));
/// assert_eq!(
///     format!("{error:#}"),
///     "proxy: invalid host: it contains a port: set that by `ProxyServer::port`"
/// );
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum ProxyServerError {
    /// The host of the proxy is invalid.
    Host(HostErrorKind),
    /// The port of the proxy is 0.
    Port,
    /// The protocol cannot transport user name or password.
    Login(LoginError),
    /// The host of the endpoint is not one that a request to a proxy can contain.
    Destination(DestinationError),
    /// The default TLS configuration for the proxy cannot be built.
    Tls(TlsError),
    /// The endpoint is a Unix socket, which no proxy can reach.
    UnixSocket,
}

impl fmt::Display for ProxyServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(kind) => {
                f.write_str("invalid host: ")?;
                match kind {
                    HostErrorKind::Empty => {
                        f.write_str("empty: name the proxy, such as proxy.example.net")
                    }
                    HostErrorKind::Port => {
                        f.write_str("it contains a port: set that by `ProxyServer::port`")
                    }
                    HostErrorKind::Url => f.write_str("it is a URL: use `ProxyServer::from_url`"),
                    HostErrorKind::User => f.write_str(
                        "it contains an @: give the name of the proxy, and the user to `credentials`",
                    ),
                    kind => kind.fmt(f),
                }
            }
            Self::Port => f.write_str("port 0 is invalid"),
            Self::Login(error) => error.fmt(f),
            Self::Destination(error) => {
                write!(f, "invalid destination: {error}")
            }
            Self::Tls(error) if f.alternate() => write!(f, "tls: {error:#}"),
            Self::Tls(_) => f.write_str("invalid TLS configuration"),
            Self::UnixSocket => {
                f.write_str("the endpoint is a Unix socket, which no proxy can reach")
            }
        }
    }
}

debug_as_display!(ProxyServerError);

impl std::error::Error for ProxyServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            // Their texts are in that of this error.
            Self::Host(_)
            | Self::Port
            | Self::Login(_)
            | Self::Destination(_)
            | Self::UnixSocket => None,
        }
    }
}
