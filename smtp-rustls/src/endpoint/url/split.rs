//! A URL in its parts (RFC 3986, section 3), each with its offset.

use std::net::Ipv6Addr;

use super::error::{UrlError, UrlErrorKind, UrlPart};
use super::percent::decode_text;
use super::scheme::Scheme;
use crate::endpoint::host;

/// A part of a URL, and its offset.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a> {
    pub(super) text: &'a str,
    offset: usize,
}

/// The parts of a URL.
pub(super) struct Parts<'a> {
    pub(super) scheme: Scheme,
    pub(super) server: Server<'a>,
    /// What follows the question mark.
    pub(super) query: Option<Slice<'a>>,
}

/// The server of a URL.
pub(super) enum Server<'a> {
    Host {
        /// User and password, percent-encoded.
        login: Option<(Slice<'a>, Slice<'a>)>,
        host: Slice<'a>,
        port: Option<(u16, Slice<'a>)>,
    },
    /// The path of a Unix socket.
    Unix(String),
}

impl<'a> Slice<'a> {
    /// A whole URL.
    pub(super) fn whole(text: &'a str) -> Self {
        Self { text, offset: 0 }
    }

    /// An error of this part.
    pub(super) fn error(self, kind: UrlErrorKind) -> UrlError {
        UrlError::new(self.offset, kind)
    }

    /// An error at an offset in this part.
    pub(super) fn error_at(self, at: usize, kind: UrlErrorKind) -> UrlError {
        UrlError::new(self.offset.saturating_add(at), kind)
    }

    /// What is before and what is after the first of these characters.
    pub(super) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        Some((self.part(before, 0), self.end(after)))
    }

    /// What is before and what is after the last of these characters.
    pub(super) fn rsplit_once(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.rsplit_once(separator)?;
        Some((self.part(before, 0), self.end(after)))
    }

    /// What is before the first of these characters, and what begins with it.
    pub(super) fn split_before(self, characters: &[char]) -> (Self, Self) {
        let at = self.text.find(characters).unwrap_or(self.text.len());
        let (before, after) = self.text.split_at_checked(at).unwrap_or_default();
        (self.part(before, 0), self.end(after))
    }

    fn part(self, text: &'a str, at: usize) -> Self {
        Self {
            text,
            offset: self.offset.saturating_add(at),
        }
    }

    /// The part that ends where this one ends.
    fn end(self, text: &'a str) -> Self {
        self.part(text, self.text.len().saturating_sub(text.len()))
    }

    pub(super) fn strip_prefix(self, prefix: &str) -> Option<Self> {
        Some(self.end(self.text.strip_prefix(prefix)?))
    }
}

impl<'a> Parts<'a> {
    pub(super) fn of(url: &'a str) -> Result<Self, UrlError> {
        let url = Slice::whole(url);
        if url.text.is_empty() {
            return Err(url.error(UrlErrorKind::Empty));
        }
        check_space(url)?;
        let (scheme, rest) = split_scheme(url)?;
        let (authority, tail) = rest.split_before(&['/', '?', '#']);
        let (server, query) = match scheme {
            Scheme::LmtpUnix => split_socket(authority, tail)?,
            _ => split_server(authority, tail)?,
        };
        Ok(Self {
            scheme,
            server,
            query,
        })
    }
}

/// Rejects white space and control characters.
pub(super) fn check_space(url: Slice<'_>) -> Result<(), UrlError> {
    let space = |c: char| c.is_whitespace() || c.is_control();
    match url.text.find(space) {
        Some(at) => Err(url.error_at(at, UrlErrorKind::WhiteSpace)),
        None => Ok(()),
    }
}

/// The scheme, and what follows its slashes.
fn split_scheme(url: Slice<'_>) -> Result<(Scheme, Slice<'_>), UrlError> {
    let missing = || url.error(UrlErrorKind::NoScheme);
    let (name, rest) = url.split_once(':').ok_or_else(missing)?;
    match (Scheme::named(name.text), rest.strip_prefix("//")) {
        (Some(scheme), Some(rest)) => Ok((scheme, rest)),
        (Some(_), None) => Err(rest.error(UrlErrorKind::NoSlashes)),
        (None, Some(_)) if is_scheme(name.text) => {
            Err(url.error(UrlErrorKind::UnknownScheme(name.text.into())))
        }
        (None, _) => Err(missing()),
    }
}

/// Whether this has the form of a scheme (RFC 3986, section 3.1), and the length of one.
fn is_scheme(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    name.len() <= 16
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(rest)
}

/// Rejects characters in a user or a password after which another parser would see the host
/// elsewhere.
pub(super) fn check_authority(authority: Slice<'_>, tail: Slice<'_>) -> Result<(), UrlError> {
    if let Some(at) = authority.text.find('\\') {
        return Err(authority.error_at(at, UrlErrorKind::Reserved('\\')));
    }
    match tail.text.chars().next() {
        Some(first) if tail.text.contains('@') => Err(tail.error(UrlErrorKind::Reserved(first))),
        _ => Ok(()),
    }
}

/// The path of a Unix socket, and the query.
fn split_socket<'a>(
    authority: Slice<'a>,
    tail: Slice<'a>,
) -> Result<(Server<'a>, Option<Slice<'a>>), UrlError> {
    if !authority.text.is_empty() {
        return Err(authority.error(UrlErrorKind::UnixAuthority));
    }
    let (path, query) = split_tail(tail)?;
    if path.text.len() < 2 {
        return Err(path.error(UrlErrorKind::NoPath));
    }
    Ok((Server::Unix(decode_text(path, UrlPart::Path)?), query))
}

/// The server of the authority, and the query.
fn split_server<'a>(
    authority: Slice<'a>,
    tail: Slice<'a>,
) -> Result<(Server<'a>, Option<Slice<'a>>), UrlError> {
    check_authority(authority, tail)?;
    let (path, query) = split_tail(tail)?;
    let server = split_authority(authority)?;
    match path.text {
        "" | "/" => Ok((server, query)),
        _ => Err(path.error(UrlErrorKind::Path)),
    }
}

/// Path and query.
pub(super) fn split_tail(tail: Slice<'_>) -> Result<(Slice<'_>, Option<Slice<'_>>), UrlError> {
    let (tail, fragment) = tail.split_before(&['#']);
    if !fragment.text.is_empty() {
        return Err(fragment.error(UrlErrorKind::Fragment));
    }
    Ok(match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    })
}

/// User and password, host and port.
fn split_authority(authority: Slice<'_>) -> Result<Server<'_>, UrlError> {
    let (login, host) = match authority.rsplit_once('@') {
        None => (None, authority),
        Some((login, host)) => (Some(split_login(login)?), host),
    };
    let (host, port) = split_host(host, login.is_some())?;
    Ok(Server::Host { login, host, port })
}

/// The host, and the port if there is one.
pub(super) fn split_host(
    host: Slice<'_>,
    has_login: bool,
) -> Result<(Slice<'_>, Option<(u16, Slice<'_>)>), UrlError> {
    let (host, port) = split_port(host)?;
    if host.text.is_empty() {
        return Err(host.error(UrlErrorKind::NoHost));
    }
    if let Some(at) = host.text.find('%') {
        return Err(host.error_at(at, UrlErrorKind::PercentInHost));
    }
    if let Some(at) = host.text.find(['&', ';', '=']) {
        return Err(host.error_at(at, UrlErrorKind::ParameterForm));
    }
    host::parse(host.text).map_err(|kind| host.error(UrlErrorKind::Host(kind)))?;
    let port = match port {
        Some(port) => Some((parse_port(port, has_login)?, port)),
        None => None,
    };
    Ok((host, port))
}

fn split_login(login: Slice<'_>) -> Result<(Slice<'_>, Slice<'_>), UrlError> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let Some(password) = password.filter(|_| !user.text.is_empty()) else {
        return Err(login.error(if user.text.is_empty() {
            UrlErrorKind::NoUser
        } else {
            UrlErrorKind::NoPassword
        }));
    };
    match password.text {
        "" => Err(password.error(UrlErrorKind::EmptyPassword)),
        PLACEHOLDER => Err(password.error(UrlErrorKind::Placeholder)),
        _ => Ok((user, password)),
    }
}

/// The host, in its brackets if it has any, and the text after its colon.
fn split_port(host: Slice<'_>) -> Result<(Slice<'_>, Option<Slice<'_>>), UrlError> {
    if host.text.starts_with('[') {
        let Some((_, after)) = host.split_once(']') else {
            return Err(host.error(UrlErrorKind::Brackets));
        };
        let length = host.text.len().saturating_sub(after.text.len());
        let address = host.text.get(..length).unwrap_or_default();
        return match after.strip_prefix(":") {
            Some(port) => Ok((host.part(address, 0), Some(port))),
            None if after.text.is_empty() => Ok((host, None)),
            None => Err(after.error(UrlErrorKind::Brackets)),
        };
    }
    if host.text.matches(':').count() > 1 && is_ipv6(host.text) {
        return Err(host.error(UrlErrorKind::Brackets));
    }
    Ok(match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    })
}

/// Whether this is an IPv6 address, or one with a port.
fn is_ipv6(text: &str) -> bool {
    let address = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    address(text) || text.rsplit_once(':').is_some_and(|(text, _)| address(text))
}

fn parse_port(port: Slice<'_>, has_login: bool) -> Result<u16, UrlError> {
    let digits = port.text.bytes().all(|byte| byte.is_ascii_digit());
    match port.text.parse() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ if digits || has_login => Err(port.error(UrlErrorKind::Port)),
        _ => Err(port.error(UrlErrorKind::PortOrPassword)),
    }
}

/// What a printed URL has in place of the password.
pub(in crate::endpoint) const PLACEHOLDER: &str = "***";
