//! The errors of a connection that was not made, which a driver creates.

use super::{Error, ErrorKind, TransportError};
use crate::stage::{Stage, Timeout};

impl Error {
    /// The error of a transport that failed while connecting.
    pub fn connect(error: impl Into<TransportError>) -> Self {
        Self::new(Stage::Connect, ErrorKind::Transport(error.into()))
    }

    /// The error of an address for which connecting took too long.
    pub fn connect_timeout() -> Self {
        Self::new(Stage::Connect, ErrorKind::Timeout(Timeout::Connect))
    }

    /// The error of a connection whose proxy opened no tunnel to the server, or could not be reached.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Error, Stage};
    ///
    /// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    /// let error = Error::proxy(refused);
    /// assert_eq!(error.stage(), Stage::Proxy);
    /// assert_eq!(error.to_string(), "at the proxy: connection refused");
    /// ```
    pub fn proxy(error: impl Into<TransportError>) -> Self {
        Self::new(Stage::Proxy, ErrorKind::Proxy(error.into()))
    }

    /// The error of a proxy that took too long to open a tunnel to the server, or to be reached.
    pub fn proxy_timeout() -> Self {
        Self::new(Stage::Proxy, ErrorKind::Timeout(Timeout::Proxy))
    }
}
