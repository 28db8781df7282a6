//! The server of a connection, as errors name it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;
use core::net::SocketAddr;

use crate::reply::Escaped;

/// The server of a connection: what the caller named, and the address that was taken.
///
/// Shown as `mail.example.org:587 (192.0.2.1)`, or
/// `mail.example.org:587 through proxy proxy.example.net:1080 (192.0.2.1)`; the address is left out
/// where it adds nothing.
///
/// ```
/// use smtp_proto::Peer;
///
/// let peer = Peer::host("mail.example.org", 587);
/// assert_eq!(peer.to_string(), "mail.example.org:587");
/// let peer = peer.at("192.0.2.1:587".parse().unwrap());
/// assert_eq!(peer.to_string(), "mail.example.org:587 (192.0.2.1)");
/// assert_eq!(Peer::host("2001:db8::1", 25).endpoint(), "[2001:db8::1]:25");
/// assert_eq!(Peer::path("/run/lmtp").endpoint(), "/run/lmtp");
///
/// let proxy = Peer::host("proxy.example.net", 1080);
/// let peer = Peer::host("mail.example.org", 587).through(proxy);
/// let shown = "mail.example.org:587 through proxy proxy.example.net:1080";
/// assert_eq!(peer.to_string(), shown);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    endpoint: Box<str>,
    port: Option<u16>,
    /// The proxy, whose own address is not set.
    proxy: Option<Box<Self>>,
    address: Option<SocketAddr>,
}

impl Peer {
    /// A host and a port; the host is a DNS name or an IP address.
    pub fn host(host: &str, port: u16) -> Self {
        let endpoint = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Self {
            port: Some(port),
            ..Self::path(endpoint)
        }
    }

    /// The path of a Unix socket, or any other name of a server without a port.
    pub fn path(path: impl Into<String>) -> Self {
        Self {
            endpoint: path.into().into_boxed_str(),
            port: None,
            proxy: None,
            address: None,
        }
    }

    /// The same server, reached through this proxy.
    #[must_use]
    pub fn through(mut self, proxy: Self) -> Self {
        self.proxy = Some(Box::new(proxy));
        self
    }

    /// The same server at this address. With a proxy it is the address of the proxy.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The server as the caller named it: `host:port`, or a path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The proxy through which the server is reached.
    pub fn proxy(&self) -> Option<&Self> {
        self.proxy.as_deref()
    }

    /// The address of the connection, if it is known. With a proxy it is the address of the proxy.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether it is the path of a Unix socket.
    #[cfg(feature = "std")]
    pub(super) fn is_path(&self) -> bool {
        self.port.is_none()
    }

    /// The address, with its port where that is not the endpoint's.
    pub(crate) fn shown_address(&self) -> Option<String> {
        let address = self.address?;
        let whole = address.to_string();
        let named = self.proxy().unwrap_or(self);
        Some(
            if named.port == Some(address.port()) && whole != *named.endpoint {
                address.ip().to_string()
            } else {
                whole
            },
        )
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped::new(self.endpoint.as_bytes(), ENDPOINT_SHOWN).fmt(f)?;
        if let Some(proxy) = self.proxy() {
            let proxy = Escaped::new(proxy.endpoint.as_bytes(), ENDPOINT_SHOWN);
            write!(f, " through proxy {proxy}")?;
        }
        let named = self.proxy().unwrap_or(self);
        match self.shown_address() {
            Some(address) if address != *named.endpoint => write!(f, " ({address})"),
            _ => Ok(()),
        }
    }
}

/// The longest DNS name has 253 bytes.
const ENDPOINT_SHOWN: usize = 264;
