//! Why a proxy opened no tunnel.

use alloc::boxed::Box;
use core::fmt::{self, Write as _};

use smtp_proto::TransportError;

/// Why a proxy opened no tunnel to the server.
///
/// The connection fails with it: [`ErrorKind::Proxy`](smtp_proto::ErrorKind::Proxy), whose
/// [`get_ref`](TransportError::get_ref) is a `ProxyError`.
///
/// `{}` is one line, in which the proxy's text is escaped and cut; `{:#}` and `Debug` add the hint.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyError {
    kind: ProxyErrorKind,
    /// The proxy's text: a reason phrase, or the beginning of a malformed reply.
    text: Box<[u8]>,
    hint: Option<&'static str>,
}

/// The kinds of [`ProxyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyErrorKind {
    /// SOCKS5: the proxy replied to the request with this code (RFC 1928, section 6).
    Socks5(u8),
    /// SOCKS5: the proxy accepts none of the client's methods of authentication (RFC 1928, section
    /// 3).
    NoAcceptableMethod,
    /// SOCKS5: the proxy rejected user name and password with this status (RFC 1929, section 2).
    LoginRejected(u8),
    /// HTTP: the proxy responded with this status (RFC 9110, section 15), which is not 2xx.
    Http(u16),
    /// The reply does not follow the protocol.
    Malformed,
    /// HTTP: the responses have more than 8192 bytes.
    TooLong,
    /// The peer sent bytes out of turn: before all bytes that they reply to were sent.
    Early,
    /// The peer closed the connection before the tunnel was open.
    Closed,
}

impl ProxyError {
    pub(crate) fn new(kind: ProxyErrorKind, hint: Option<&'static str>) -> Self {
        Self {
            kind,
            text: Box::default(),
            hint,
        }
    }

    #[must_use]
    pub(crate) fn with_hint(self, hint: Option<&'static str>) -> Self {
        Self { hint, ..self }
    }

    #[must_use]
    pub(crate) fn with_text(mut self, text: &[u8]) -> Self {
        self.text = text.get(..TEXT_KEPT).unwrap_or(text).into();
        self
    }

    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> ProxyErrorKind {
        self.kind
    }

    /// Whether a retry may succeed.
    ///
    /// It may after any SOCKS5 reply except 2, 7 and 8, after the HTTP statuses 408, 425 and 429,
    /// after 5xx except 501 and 505, and after the proxy has closed the connection.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self.kind {
            // 2: rules; 7 and 8: not supported.
            ProxyErrorKind::Socks5(code) => !matches!(code, 2 | 7 | 8),
            ProxyErrorKind::Http(status) => match status {
                408 | 425 | 429 => true,
                501 | 505 => false,
                status => status >= 500,
            },
            ProxyErrorKind::Closed => true,
            ProxyErrorKind::NoAcceptableMethod
            | ProxyErrorKind::LoginRejected(_)
            | ProxyErrorKind::Malformed
            | ProxyErrorKind::TooLong
            | ProxyErrorKind::Early => false,
        }
    }

    /// The likely remedy, if the cause is a common mistake.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ProxyErrorKind::Socks5(code) => match socks5_text(code) {
                Some(text) => write!(f, "SOCKS5 reply {code}, {text}")?,
                None => write!(f, "SOCKS5 reply {code}, which is not assigned")?,
            },
            ProxyErrorKind::NoAcceptableMethod => {
                f.write_str("the proxy accepts none of the client's methods of authentication")?
            }
            ProxyErrorKind::LoginRejected(status) => {
                write!(f, "the proxy rejected the login with status {status}")?;
            }
            ProxyErrorKind::Http(status) => {
                write!(f, "HTTP status {status}")?;
                if !self.text.is_empty() {
                    f.write_char(' ')?;
                    escaped(f, &self.text)?;
                }
            }
            ProxyErrorKind::Malformed => {
                f.write_str("the proxy's reply is malformed: it begins with ")?;
                escaped(f, &self.text)?;
            }
            ProxyErrorKind::TooLong => f.write_str("the proxy's reply is too long")?,
            ProxyErrorKind::Early => {
                f.write_str("the peer sent bytes out of turn")?;
            }
            ProxyErrorKind::Closed => f.write_str("the connection was closed")?,
        }
        match self.hint {
            Some(hint) if f.alternate() => write!(f, " ({hint})"),
            _ => Ok(()),
        }
    }
}

debug_as_display!(ProxyError);

impl core::error::Error for ProxyError {}

impl From<ProxyError> for TransportError {
    fn from(error: ProxyError) -> Self {
        let (hint, is_transient) = (error.hint, error.is_transient());
        let error = hint.into_iter().fold(Self::new(error), Self::with_hint);
        if is_transient {
            error
        } else {
            error.permanent()
        }
    }
}

/// The text of RFC 1928, section 6, for a reply code.
const fn socks5_text(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => return None,
    })
}

/// Writes printable ASCII as it is, and any other byte as an escape.
fn escaped(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    for &byte in text {
        match byte {
            b' '..=b'~' => f.write_char(byte.into())?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

/// Bytes of the proxy's text that are kept.
const TEXT_KEPT: usize = 80;
