//! The proxy that the environment of a program names.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::ProxyServer;
use crate::endpoint::{UrlError, host};

impl ProxyServer {
    /// The proxy that the environment of this process names for a server; `None` if it names none,
    /// or excludes the server.
    ///
    /// Nothing else reads these variables: a program that honors them calls this.
    ///
    /// | variable | value |
    /// | --- | --- |
    /// | `all_proxy`, else `ALL_PROXY` | the [URL](Self::from_url) of the proxy; without a scheme it is `http://`. Empty: none |
    /// | `no_proxy`, else `NO_PROXY` | the servers that are reached directly, with commas between them |
    ///
    /// An entry of `no_proxy` is `*` for all servers, or one of these, each with a port after a colon
    /// if it is only for that port:
    ///
    /// | entry | servers |
    /// | --- | --- |
    /// | `example.org`, `.example.org`, `*.example.org` | that domain and those below it |
    /// | `192.0.2.1`, `[2001:db8::1]` | that address |
    /// | `192.0.2.0/24`, `2001:db8::/32` | the addresses of that network |
    ///
    /// Names are not resolved: an entry with an address is for a `host` that is an address. Upper and
    /// lower case are equal, and with the feature `idna` a U-label and its A-label. Other entries are
    /// ignored.
    ///
    /// ```
    /// use smtp_rustls::{Endpoint, ProxyServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (host, port) = ("mail.example.org", 587);
    /// let endpoint = Endpoint::starttls(host)
    ///     .port(port)
    ///     .proxy(ProxyServer::from_env(host, port)?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the value of `all_proxy` is not the URL of a proxy.
    pub fn from_env(host: &str, port: u16) -> Result<Option<Self>, UrlError> {
        Self::from_variables(host, port, |name| {
            let value = std::env::var_os(name)?;
            Some(value.to_string_lossy().into_owned())
        })
    }

    /// The same as [`from_env`](Self::from_env), with variables from another source.
    ///
    /// ```
    /// use smtp_rustls::ProxyServer;
    ///
    /// # fn main() -> Result<(), smtp_rustls::UrlError> {
    /// let variable = |name: &str| match name {
    ///     "ALL_PROXY" => Some("socks5://proxy.example.net".to_owned()),
    ///     "NO_PROXY" => Some("localhost, .example.org".to_owned()),
    ///     _ => None,
    /// };
    /// assert!(ProxyServer::from_variables("mail.example.com", 587, variable)?.is_some());
    /// assert!(ProxyServer::from_variables("mail.example.org", 587, variable)?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the value of `all_proxy` is not the URL of a proxy.
    pub fn from_variables(
        host: &str,
        port: u16,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, UrlError> {
        let either = |lower: &str, upper: &str| variable(lower).or_else(|| variable(upper));
        let excluded = either("no_proxy", "NO_PROXY").unwrap_or_default();
        if excluded
            .split(',')
            .any(|entry| is_for(entry.trim(), host, port))
        {
            return Ok(None);
        }
        match either("all_proxy", "ALL_PROXY").as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(url) if url.contains("://") => Self::from_url(url).map(Some),
            Some(url) => Self::from_url(&format!("{DEFAULT_SCHEME}{url}"))
                .map(Some)
                .map_err(|error| error.without_prefix(DEFAULT_SCHEME.len())),
        }
    }
}

/// Whether an entry of `no_proxy` is for this server.
fn is_for(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (entry, only) = split_port(entry);
    if only.is_some_and(|only| only != port) {
        return false;
    }
    let entry = without_brackets(entry);
    match without_brackets(host).parse::<IpAddr>() {
        Ok(address) => is_network_of(entry, address),
        Err(_) => is_domain_of(entry, host),
    }
}

/// An entry and its port. A colon within an IPv6 address without brackets is none.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let split = entry.rsplit_once(':').filter(|(before, _)| {
        !before.contains(':') || (before.starts_with('[') && before.ends_with(']'))
    });
    match split.map(|(before, port)| (before, port.parse())) {
        Some((before, Ok(port))) => (before, Some(port)),
        _ => (entry, None),
    }
}

fn without_brackets(host: &str) -> &str {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host)
}

/// Whether a host is this domain, or in it.
fn is_domain_of(domain: &str, host: &str) -> bool {
    let domain = domain.strip_prefix('*').unwrap_or(domain);
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let (domain, host) = (with_a_labels(domain), with_a_labels(host));
    let domain = domain.strip_suffix('.').unwrap_or(&domain).as_bytes();
    let host = host.strip_suffix('.').unwrap_or(&host).as_bytes();
    if domain.is_empty() {
        return false;
    }
    let Some((above, end)) = host
        .len()
        .checked_sub(domain.len())
        .and_then(|at| host.split_at_checked(at))
    else {
        return false;
    };
    end.eq_ignore_ascii_case(domain) && (above.is_empty() || above.ends_with(b"."))
}

/// A domain with A-labels in place of U-labels, as an endpoint has it; as it is, if that cannot be.
fn with_a_labels(domain: &str) -> Cow<'_, str> {
    if domain.is_ascii() {
        return domain.into();
    }
    host::parse(domain).map_or_else(|_| domain.into(), |(name, _)| name.into())
}

/// Whether an address is this one, or in this network.
fn is_network_of(network: &str, address: IpAddr) -> bool {
    let (network, length) = match network.split_once('/') {
        Some((network, length)) => match length.parse::<u32>() {
            Ok(length) => (network, Some(length)),
            Err(_) => return false,
        },
        None => (network, None),
    };
    let Ok(network) = network.parse::<IpAddr>() else {
        return false;
    };
    // An IPv4 address and the IPv6 address to which it is mapped are different networks.
    let bits = match (network, address) {
        (IpAddr::V4(_), IpAddr::V4(_)) => u32::BITS,
        (IpAddr::V6(_), IpAddr::V6(_)) => u128::BITS,
        _ => return false,
    };
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    };
    let length = length.unwrap_or(bits);
    let Some(shift) = bits.checked_sub(length) else {
        return false;
    };
    // A shift by all bits leaves nothing to compare.
    let prefix = |address| number(address).checked_shr(shift).unwrap_or_default();
    prefix(network) == prefix(address)
}

/// The scheme of a value without one, by convention.
const DEFAULT_SCHEME: &str = "http://";
