//! Proxies as URLs.

use std::str::FromStr;

use super::error::{UrlError, UrlErrorKind, UrlPart};
use super::percent::{decode, decode_text};
use super::split::{PLACEHOLDER, Slice, check_authority, check_space, split_host, split_tail};
use crate::endpoint::proxy::{Kind, ProxyServer};

impl ProxyServer {
    /// The proxy of a URL, such as a program reads from its environment.
    ///
    /// | URL | proxy | port by default |
    /// | --- | --- | --- |
    /// | `socks5://user:password@host:port` | SOCKS5; `socks5h` is the same | 1080 |
    /// | `http://user:password@host:port` | HTTP CONNECT | 80 |
    /// | `https://user:password@host:port` | HTTP CONNECT inside TLS to the proxy | 443 |
    ///
    /// The proxy resolves the name of the server, under either scheme of SOCKS5. User and password
    /// are optional, and percent-encoded as in [`Endpoint::from_url`](super::super::Endpoint::from_url).
    ///
    /// ```
    /// use smtp_rustls::ProxyServer;
    ///
    /// # fn main() -> Result<(), smtp_rustls::UrlError> {
    /// let proxy = ProxyServer::from_url("http://alice:pass%2Fword@proxy.example.net:3128")?;
    /// assert_eq!(proxy.to_string(), "http://alice:***@proxy.example.net:3128");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the URL is invalid. The error says where, and never shows user or password.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let url = Slice::whole(url);
        check_space(url)?;
        let scheme = || url.error(UrlErrorKind::ProxyScheme);
        let (name, rest) = url.split_once(':').ok_or_else(scheme)?;
        let kind = kind_of(name.text).ok_or_else(scheme)?;
        let rest = rest.strip_prefix("//").ok_or_else(scheme)?;
        let (authority, tail) = rest.split_before(&['/', '?', '#']);
        check_authority(authority, tail)?;
        let (path, query) = split_tail(tail)?;
        if let Some(query) = query {
            return Err(query.error(UrlErrorKind::ProxyQuery));
        }
        if !matches!(path.text, "" | "/") {
            return Err(path.error(UrlErrorKind::Path));
        }
        let (login, host) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((login, host)) => (Some(login), host),
        };
        let (host, port) =
            split_host(host, login.is_some()).map_err(|error| match error.kind() {
                UrlErrorKind::NoHost => host.error(UrlErrorKind::ProxyScheme),
                _ => error,
            })?;
        let mut proxy = Self::new(kind, host.text.to_owned());
        if let Some((port, _)) = port {
            proxy = proxy.port(port);
        }
        let Some(login) = login else {
            return Ok(proxy);
        };
        let (user, password) = login
            .split_once(':')
            .unwrap_or_else(|| (login, Slice::whole("")));
        if user.text.is_empty() {
            return Err(login.error(UrlErrorKind::NoUser));
        }
        if password.text == PLACEHOLDER {
            return Err(password.error(UrlErrorKind::Placeholder));
        }
        let proxy = proxy.credentials(
            decode_text(user, UrlPart::User)?,
            decode(password, UrlPart::Password)?,
        );
        match proxy.dialogue() {
            Ok(_) => Ok(proxy),
            Err(error) => Err(login.error(UrlErrorKind::ProxyLogin(error))),
        }
    }
}

/// [`ProxyServer::from_url`].
impl FromStr for ProxyServer {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::from_url(url)
    }
}

/// The kind of this scheme, in upper or lower case (RFC 3986, section 3.1).
fn kind_of(scheme: &str) -> Option<Kind> {
    // By convention the proxy resolves names under this scheme, and the client under `socks5`.
    if scheme.eq_ignore_ascii_case("socks5h") {
        return Some(Kind::Socks5);
    }
    Kind::ALL
        .into_iter()
        .find(|kind| kind.scheme().eq_ignore_ascii_case(scheme))
}
