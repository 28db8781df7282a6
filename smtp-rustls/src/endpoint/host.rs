//! The host of an endpoint: its name as it is resolved, and as its certificate names it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use rustls::pki_types::ServerName;
use smtp_proto::{AddressError, AddressErrorKind, Domain};

/// What is wrong with a host.
///
/// ```
/// use smtp_rustls::{Endpoint, EndpointError, HostErrorKind};
///
/// let error = Endpoint::starttls("smtp://mail.example.org").build().unwrap_err();
/// assert!(matches!(error, EndpointError::Host(HostErrorKind::Url)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostErrorKind {
    /// It is neither a DNS name nor an IP address.
    Malformed,
    /// It is empty.
    Empty,
    /// It contains a port. Set the port by [`EndpointBuilder::port`](super::EndpointBuilder::port).
    Port,
    /// It is a URL, which [`Endpoint::from_url`](super::Endpoint::from_url) takes.
    /// [`Endpoint::starttls`](super::Endpoint::starttls) and
    /// [`Endpoint::implicit`](super::Endpoint::implicit) replace its scheme, and
    /// [`EndpointBuilder::credentials`](super::EndpointBuilder::credentials) its user and password.
    Url,
    /// It is a mail address, or contains a user.
    User,
    /// It contains white space or a control character.
    WhiteSpace,
    /// It is not ASCII. Write each such label as an A-label, `xn--bcher-kva.example`, or enable the
    /// feature `idna`.
    NotAscii,
    /// It is not ASCII, and has no A-labels.
    NotIdna(AddressError),
}

impl fmt::Display for HostErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "neither a DNS name nor an IP address",
            Self::Empty => "empty: name the server, such as mail.example.org",
            Self::Port => {
                "it contains a port: set that by `Endpoint::starttls(\"mail.example.org\").port(587)`"
            }
            Self::Url => {
                "it is a URL: use `Endpoint::from_url`; or `Endpoint::implicit(\"mail.example.org\")` for \
                 smtps:// (implicit TLS), `Endpoint::starttls` otherwise, and `credentials` for user and password"
            }
            Self::User => {
                "it contains an @: give the name of the server, and the user to `credentials`"
            }
            Self::WhiteSpace => "it contains white space or a control character",
            Self::NotAscii => {
                "it is not ASCII: write it as A-labels, such as xn--bcher-kva.example, or enable the feature \
                 `idna`"
            }
            Self::NotIdna(error) => return error.fmt(f),
        })
    }
}

debug_as_display!(HostErrorKind);

impl std::error::Error for HostErrorKind {}

/// The host to resolve, and the name for which the certificate must be valid.
pub(super) fn parse(host: &str) -> Result<(String, ServerName<'static>), HostErrorKind> {
    if let Some(fault) = usual_mistake(host) {
        return Err(fault);
    }
    if !host.is_ascii() {
        return parse(&to_a_labels(host)?);
    }
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed {
        let parsed: Ipv6Addr = address.parse().map_err(|_| HostErrorKind::Malformed)?;
        return Ok((address.to_owned(), IpAddr::V6(parsed).into()));
    }
    // A final dot keeps the resolver from appending search domains. No certificate has it.
    let name = host.strip_suffix('.').unwrap_or(host);
    match ServerName::try_from(name.to_owned()) {
        Ok(ServerName::IpAddress(_)) if name != host => Err(HostErrorKind::Malformed),
        Ok(parsed) => Ok((host.to_owned(), parsed)),
        Err(_) => Err(HostErrorKind::Malformed),
    }
}

/// The usual mistake that this input is, if it is one.
fn usual_mistake(host: &str) -> Option<HostErrorKind> {
    let mut space = host.chars().map(|c| c.is_whitespace() || c.is_control());
    if host.is_empty() {
        Some(HostErrorKind::Empty)
    } else if host.contains(['/', '\\', '?', '#']) || has_scheme(host) {
        Some(HostErrorKind::Url)
    } else if host.contains('@') {
        Some(HostErrorKind::User)
    } else if space.any(|is| is) {
        Some(HostErrorKind::WhiteSpace)
    } else if has_port(host) {
        Some(HostErrorKind::Port)
    } else {
        None
    }
}

/// Whether a port follows the host: digits after the only colon, or after the colon that follows a
/// bracketed address.
fn has_port(host: &str) -> bool {
    let Some((name, port)) = host.rsplit_once(':') else {
        return false;
    };
    let one = !name.contains(':') || (name.starts_with('[') && name.ends_with(']'));
    one && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the input begins with the scheme of a URL, even if the slashes are missing.
fn has_scheme(host: &str) -> bool {
    let Some((scheme, _)) = host.split_once(':') else {
        return false;
    };
    let schemes = [
        "smtp",
        "smtps",
        "submission",
        "submissions",
        "lmtp",
        "mailto",
    ];
    schemes
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known) && !has_port(host))
}

/// The A-labels of a non-ASCII host.
fn to_a_labels(host: &str) -> Result<String, HostErrorKind> {
    let (name, root) = match host.strip_suffix('.') {
        Some(name) => (name, "."),
        None => (host, ""),
    };
    let name: Domain = name.parse().map_err(|_| HostErrorKind::Malformed)?;
    match name.to_ascii() {
        Ok(name) => Ok(format!("{name}{root}")),
        Err(error) if error.kind() == AddressErrorKind::NonAscii => Err(HostErrorKind::NotAscii),
        Err(error) => Err(HostErrorKind::NotIdna(error)),
    }
}
