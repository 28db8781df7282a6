//! The server that a proxy connects to.

use alloc::boxed::Box;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The server that a proxy connects to: a host and a port.
///
/// A host name is resolved by the proxy. It is a domain name in ASCII: U-labels are converted
/// before, such as by [`Domain::to_ascii`](smtp_proto::Domain::to_ascii).
///
/// ```
/// use smtp_tunnel::{Destination, DestinationError};
///
/// let destination = Destination::new("mail.example.org", 587)?;
/// assert_eq!(destination.to_string(), "mail.example.org:587");
/// assert_eq!(Destination::new("2001:db8::1", 25)?.to_string(), "[2001:db8::1]:25");
/// assert_eq!(Destination::new("a b", 25), Err(DestinationError::Character));
/// # Ok::<(), DestinationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// At most 254 bytes.
    Name(Box<str>),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// The reason why a host and a port are not a destination.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationError {
    /// The host is empty.
    Empty,
    /// The host has more than 253 bytes, without the final dot (RFC 1035, section 2.3.4).
    TooLong,
    /// A label is empty, has more than 63 bytes, or begins or ends with a hyphen.
    Label,
    /// A character other than a letter, a digit, a hyphen, an underscore or a dot.
    Character,
    /// The host is not ASCII: write each U-label as an A-label.
    NonAscii,
    /// The last label is a number, and the host is not an IPv4 address in dotted decimal form.
    Number,
    /// The port is 0.
    Port,
}

impl Destination {
    /// A host, which is a domain name in ASCII or an IP address, and a port.
    ///
    /// An IPv6 address may be in brackets.
    ///
    /// # Errors
    /// If the host is neither, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, DestinationError> {
        if port == 0 {
            return Err(DestinationError::Port);
        }
        let host = parse(host)?;
        Ok(Self { host, port })
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) const fn host(&self) -> &Host {
        &self.host
    }
}

impl From<core::net::SocketAddr> for Destination {
    fn from(address: core::net::SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        };
        Self {
            host,
            port: address.port(),
        }
    }
}

/// `host:port`, with an IPv6 address in brackets (RFC 3986, section 3.2).
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{port}"),
            Host::V4(address) => write!(f, "{address}:{port}"),
            Host::V6(address) => write!(f, "[{address}]:{port}"),
        }
    }
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the host is empty",
            Self::TooLong => "the host has more than 253 bytes",
            Self::Label => {
                "a label of the host is empty, has more than 63 bytes, or begins or ends with a hyphen"
            }
            Self::Character => "the host is neither a domain name nor an IP address",
            Self::NonAscii => {
                "the host is not ASCII: write it as A-labels, such as xn--bcher-kva.example"
            }
            Self::Number => "the last label of the host is a number, and the host is not an IP address",
            Self::Port => "the port is 0",
        })
    }
}

debug_as_display!(DestinationError);

impl core::error::Error for DestinationError {}

fn parse(host: &str) -> Result<Host, DestinationError> {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed {
        return match address.parse() {
            Ok(address) => Ok(Host::V6(address)),
            Err(_) => Err(DestinationError::Character),
        };
    }
    match host.parse() {
        Ok(IpAddr::V4(address)) => Ok(Host::V4(address)),
        Ok(IpAddr::V6(address)) => Ok(Host::V6(address)),
        Err(_) => {
            check_name(host)?;
            Ok(Host::Name(host.into()))
        }
    }
}

/// Whether the name is one that a resolver may know: labels of letters, digits, hyphens and
/// underscores.
fn check_name(name: &str) -> Result<(), DestinationError> {
    if name.is_empty() {
        return Err(DestinationError::Empty);
    }
    if !name.is_ascii() {
        return Err(DestinationError::NonAscii);
    }
    // A final dot keeps a resolver from appending search domains.
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > MAX_NAME {
        return Err(DestinationError::TooLong);
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(is_allowed) {
        return Err(DestinationError::Character);
    }
    let is_bad = |label: &str| {
        !(1..=MAX_LABEL).contains(&label.len()) || label.starts_with('-') || label.ends_with('-')
    };
    if name.split('.').any(is_bad) {
        return Err(DestinationError::Label);
    }
    // Resolvers read `127.1` and `0x7f.1` as addresses.
    let is_number = |label: &str| {
        let hexadecimal = label
            .strip_prefix("0x")
            .or_else(|| label.strip_prefix("0X"));
        match hexadecimal {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => label.bytes().all(|byte| byte.is_ascii_digit()),
        }
    };
    if name.rsplit('.').next().is_some_and(is_number) {
        return Err(DestinationError::Number);
    }
    Ok(())
}

/// The longest domain name and the longest label, in bytes (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
