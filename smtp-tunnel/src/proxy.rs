//! How to speak to a proxy.

use core::fmt;
use core::time::Duration;

use smtp_proto::Secret;

use crate::login::{self, LoginError};

/// A proxy that opens tunnels: its protocol, the login, and the time limit.
///
/// The address of the proxy is not part of it: the driver connects to the proxy.
///
/// ```
/// use smtp_tunnel::{LoginError, Proxy};
///
/// let proxy = Proxy::socks5().credentials("alice", "correct horse")?;
/// assert!(!format!("{proxy:?}").contains("horse"));
/// let long = "x".repeat(256);
/// assert_eq!(Proxy::socks5().credentials("alice", long.as_str()).unwrap_err(), LoginError::PasswordLength);
/// # Ok::<(), LoginError>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    pub(crate) protocol: Protocol,
    /// As the protocol sends it.
    pub(crate) login: Option<Secret>,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Socks5,
    HttpConnect,
}

impl Proxy {
    /// A SOCKS5 proxy (RFC 1928), with the command CONNECT.
    ///
    /// The proxy resolves the name of the destination. A client with a login lists two methods of
    /// authentication, none and user name with password, and the proxy chooses.
    pub const fn socks5() -> Self {
        Self::new(Protocol::Socks5)
    }

    /// An HTTP proxy with the method CONNECT (RFC 9110, section 9.3.6).
    ///
    /// Any status 2xx opens the tunnel, 1xx is skipped except 101, and any other is an error. All
    /// responses together have at most 8 KiB. A line may end with LF alone (RFC 9112, section 2.2).
    pub const fn http() -> Self {
        Self::new(Protocol::HttpConnect)
    }

    const fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            login: None,
            timeout: None,
        }
    }

    /// Sets user name and password, which the proxy may request.
    ///
    /// SOCKS5 sends them in cleartext (RFC 1929), and only if the proxy chooses that method. HTTP
    /// sends them with the request, as Basic (RFC 7617): in cleartext, unless the connection to the
    /// proxy is inside TLS.
    ///
    /// # Errors
    /// If the protocol cannot transport them.
    pub fn credentials(self, user: &str, password: impl Into<Secret>) -> Result<Self, LoginError> {
        let password = password.into();
        let login = match self.protocol {
            Protocol::Socks5 => login::for_socks5(user.as_bytes(), password.expose())?,
            Protocol::HttpConnect => login::for_http(user, password.expose())?,
        };
        Ok(Self {
            login: Some(login),
            ..self
        })
    }

    /// Sets the time limit for the whole handshake with the proxy. By default it is the
    /// [limit for connecting](smtp_proto::Timeouts::connect).
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("protocol", &self.protocol)
            .field("login", &self.login)
            .field("timeout", &self.timeout)
            .finish()
    }
}
