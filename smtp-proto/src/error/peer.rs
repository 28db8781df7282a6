//! The server of a connection, as errors name it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;
use core::net::SocketAddr;

use crate::reply::Escaped;

/// The server of a connection: what the caller named, and the address that was taken.
///
/// Shown as `mail.example.org:587 (192.0.2.1)`; the address is left out where it adds nothing.
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
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    endpoint: Box<str>,
    port: Option<u16>,
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
            address: None,
        }
    }

    /// The same server at this address.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The server as the caller named it: `host:port`, or a path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The address of the connection, if it is known.
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
        Some(
            if self.port == Some(address.port()) && whole != *self.endpoint {
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
        match self.shown_address() {
            Some(address) if address != *self.endpoint => write!(f, " ({address})"),
            _ => Ok(()),
        }
    }
}

/// The longest DNS name has 253 bytes.
const ENDPOINT_SHOWN: usize = 264;
