//! The server to connect to, and how: one builder for all adapters.

mod attempts;
mod builder;
mod host;
mod proxy;
mod race;
mod url;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use smtp_proto::{Config, Mail, Peer, Protocol, Security, Timeouts};
use smtp_tunnel::ProxyHeader;

use crate::tls::TlsConfig;

use self::builder::Server;
use self::proxy::Route;

pub use self::attempts::{Attempts, Target};
pub use self::builder::{EndpointBuilder, EndpointError};
pub use self::host::HostErrorKind;
pub use self::proxy::{ProxyServer, ProxyServerError};
pub use self::url::{UrlError, UrlErrorKind, UrlPart};

/// A server and how to connect to it: host and port or Unix socket, proxy, security, credentials,
/// trust, time limits.
///
/// Cheap to clone. One endpoint serves any number of connections, which can resume each other's TLS
/// sessions. Neither its `Debug` nor its `Display`, a URL, shows a secret. A driver connects by
/// [`attempts`](Self::attempts).
///
/// ```
/// use smtp_proto::Credentials;
/// use smtp_rustls::Endpoint;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::starttls("mail.example.org")
///     .credentials(Credentials::password("alice", "correct horse")?)
///     .build()?;
/// assert_eq!((endpoint.host(), endpoint.port()), ("mail.example.org", 587));
///
/// // The same from a URL: see `from_url` for its schemes and parameters.
/// let same = Endpoint::from_url("smtp://alice:correct%20horse@mail.example.org")?;
/// assert_eq!(same.to_string(), endpoint.to_string());
/// assert_eq!(same.to_string(), "smtp://alice:***@mail.example.org");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    host: String,
    port: u16,
    /// The Unix socket, in place of host and port.
    path: Option<PathBuf>,
    /// Connections come from this address.
    local: Option<IpAddr>,
    peer: Peer,
    proxy: Option<Arc<Route>>,
    proxy_header: Option<ProxyHeader>,
    name: ServerName<'static>,
    /// With the client name that is used unless an attempt has a better one.
    config: Arc<Config>,
    /// Whether the user chose the client name.
    is_named: bool,
    tls: Option<TlsConfig>,
    /// Source of the seeds; none for cleartext without a crypto feature.
    provider: Option<Arc<CryptoProvider>>,
}

impl Endpoint {
    /// Begins an endpoint. `host` is a DNS name or an IP address, without a port; the server's
    /// certificate must be valid for it. For a URL see [`from_url`](Self::from_url).
    ///
    /// With the feature `idna`, the name may have U-labels. Their A-labels, as [`Domain::to_ascii`]
    /// returns them, are resolved and must be in the certificate.
    ///
    /// STARTTLS is required unless [`security`](EndpointBuilder::security) changes that.
    ///
    /// ```
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let relay = Endpoint::builder("mx.example.net")
    ///     .security(Security::Opportunistic)
    ///     .build()?;
    /// assert_eq!(relay.port(), 25);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Domain::to_ascii`]: smtp_proto::Domain::to_ascii
    pub fn builder(host: impl Into<String>) -> EndpointBuilder {
        let unknown = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        EndpointBuilder::new(Server::Host(host.into()), Config::builder(unknown))
    }

    /// Begins an endpoint with required STARTTLS (RFC 3207), on port 587.
    ///
    /// ```
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let endpoint = Endpoint::starttls("mail.example.org").build()?;
    /// assert_eq!((endpoint.security(), endpoint.port()), (Security::StartTls, 587));
    /// # Ok(())
    /// # }
    /// ```
    pub fn starttls(host: impl Into<String>) -> EndpointBuilder {
        Self::builder(host).security(Security::StartTls)
    }

    /// Begins an endpoint with implicit TLS (RFC 8314), on port 465.
    ///
    /// ```
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let endpoint = Endpoint::implicit("mail.example.org").build()?;
    /// assert_eq!((endpoint.security(), endpoint.port()), (Security::Implicit, 465));
    /// # Ok(())
    /// # }
    /// ```
    pub fn implicit(host: impl Into<String>) -> EndpointBuilder {
        Self::builder(host).security(Security::Implicit)
    }

    /// Begins an endpoint that is a Unix socket on this machine, in cleartext: no third party can
    /// read from it.
    ///
    /// The protocol is LMTP (RFC 2033), by which mail stores take messages;
    /// [`protocol`](EndpointBuilder::protocol) changes that. A port has no effect. If
    /// [`security`](EndpointBuilder::security) requires TLS, the certificate must be valid for
    /// `localhost`. On systems without Unix sockets, connecting fails.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Endpoint::unix("/run/dovecot/lmtp")
    ///     .client_name("relay.example.org".parse()?)
    ///     .build()?;
    /// assert_eq!(store.unix_path(), Some(Path::new("/run/dovecot/lmtp")));
    /// assert_eq!(store.security(), Security::Cleartext);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unix(path: impl Into<PathBuf>) -> EndpointBuilder {
        let unknown = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        let config = Config::builder(unknown)
            .protocol(Protocol::Lmtp)
            .security(Security::Cleartext);
        EndpointBuilder::new(Server::Unix(path.into()), config)
    }

    /// The endpoint to use for this message.
    ///
    /// If TLS is [optional](Mail::is_tls_optional) to its author, STARTTLS is tried but not
    /// required, unless there are credentials (RFC 8689, section 4.2.2): see
    /// [`Config::relaxed_for`]. Otherwise it is the same endpoint.
    ///
    /// ```
    /// use smtp_proto::{Mail, Security};
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let relay = Endpoint::starttls("mx.example.net").build()?;
    /// let message = "From: a@example.org\r\nTLS-Required: No\r\n\r\nhello\r\n";
    /// let mail = Mail::builder()
    ///     .sender("a@example.org")
    ///     .recipient("b@example.net")
    ///     .message(message)
    ///     .honor_tls_required()
    ///     .build()?;
    /// assert_eq!(relay.relaxed_for(&mail).security(), Security::Opportunistic);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn relaxed_for(&self, mail: &Mail) -> Self {
        let Some(config) = self.0.config.relaxed_for(mail) else {
            return self.clone();
        };
        let mut inner = Inner::clone(&self.0);
        inner.config = Arc::new(config);
        Self(Arc::new(inner))
    }

    /// The host of the server: as the user typed it, without the brackets of an IPv6 address, and
    /// with A-labels in place of U-labels. That of a [Unix socket](Self::unix) is `localhost`.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port of the server; 0 for a [Unix socket](Self::unix).
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The host to resolve and connect to: that of the [proxy](EndpointBuilder::proxy) if there is
    /// one, else [`host`](Self::host).
    ///
    /// ```
    /// use smtp_rustls::{Endpoint, ProxyServer};
    ///
    /// # fn main() -> Result<(), smtp_rustls::EndpointError> {
    /// let direct = Endpoint::starttls("mail.example.org").build()?;
    /// assert_eq!((direct.connect_host(), direct.connect_port()), ("mail.example.org", 587));
    /// let proxy = ProxyServer::socks5("proxy.example.net");
    /// let proxied = Endpoint::starttls("mail.example.org").proxy(proxy).build()?;
    /// assert_eq!((proxied.connect_host(), proxied.connect_port()), ("proxy.example.net", 1080));
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_host(&self) -> &str {
        self.0
            .proxy
            .as_ref()
            .map_or(&self.0.host, |route| &route.host)
    }

    /// The port to connect to: that of the [proxy](EndpointBuilder::proxy) if there is one, else
    /// [`port`](Self::port).
    pub fn connect_port(&self) -> u16 {
        self.0
            .proxy
            .as_ref()
            .map_or(self.0.port, |route| route.port)
    }

    /// The proxy through which the server is reached.
    pub fn proxy(&self) -> Option<&ProxyServer> {
        self.0.proxy.as_ref().map(|route| &route.server)
    }

    /// The path, if the endpoint is a [Unix socket](Self::unix).
    pub fn unix_path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The local address to [connect from](EndpointBuilder::local_address); `None` if the system
    /// chooses.
    pub fn local_address(&self) -> Option<IpAddr> {
        self.0.local
    }

    /// The server by host and port, or by its path, as errors name it; with the proxy, if there is
    /// one.
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
            .field("path", &self.0.path)
            .field("proxy", &self.proxy())
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
