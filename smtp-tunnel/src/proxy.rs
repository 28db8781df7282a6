//! How to speak to a proxy.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use smtp_proto::Secret;

use crate::http_connect;

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

/// The reason why user name and password cannot be sent to a proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// SOCKS5: the user name has no byte, or more than 255 (RFC 1929, section 2).
    UserLength,
    /// SOCKS5: the password has no byte, or more than 255 (RFC 1929, section 2).
    PasswordLength,
    /// HTTP: the user name contains a colon (RFC 7617, section 2).
    Colon,
    /// HTTP: user name or password contains a control character (RFC 7617, section 2).
    Control,
    /// HTTP: the password is not UTF-8 (RFC 7617, section 2.1).
    NotUtf8,
}

impl Proxy {
    /// A SOCKS5 proxy (RFC 1928).
    pub const fn socks5() -> Self {
        Self::new(Protocol::Socks5)
    }

    /// An HTTP proxy with the method CONNECT (RFC 9110, section 9.3.6).
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
            Protocol::Socks5 => for_socks5(user.as_bytes(), password.expose())?,
            Protocol::HttpConnect => http_connect::basic(user, password.expose())?,
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

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserLength => "the user name for a SOCKS5 proxy must have 1 to 255 bytes",
            Self::PasswordLength => "the password for a SOCKS5 proxy must have 1 to 255 bytes",
            Self::Colon => "the user name for an HTTP proxy must not contain a colon",
            Self::Control => {
                "user name and password for an HTTP proxy must not contain control characters"
            }
            Self::NotUtf8 => "the password for an HTTP proxy must be UTF-8",
        })
    }
}

debug_as_display!(LoginError);

impl core::error::Error for LoginError {}

/// `VER ULEN UNAME PLEN PASSWD` (RFC 1929, section 2).
fn for_socks5(user: &[u8], password: &[u8]) -> Result<Secret, LoginError> {
    let length = |text: &[u8]| u8::try_from(text.len()).ok().filter(|length| *length > 0);
    let user_length = length(user).ok_or(LoginError::UserLength)?;
    let password_length = length(password).ok_or(LoginError::PasswordLength)?;
    // A vector that grows leaves a copy in the memory that it frees.
    let mut message = Vec::with_capacity(3 + 255 + 255);
    message.extend_from_slice(&[1, user_length]);
    message.extend_from_slice(user);
    message.push(password_length);
    message.extend_from_slice(password);
    Ok(Secret::from(message))
}
