//! The header of the PROXY protocol: the addresses of another connection, sent before everything.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The header of the [PROXY protocol], which a relay sends on behalf of another client.
///
/// The server must be configured to expect it: with Postfix by `smtpd_upstream_proxy_protocol`. It
/// takes the addresses as those of the connection, so it must trust the sender. No reply to the
/// header follows.
///
/// If one address is of IPv4 and the other of IPv6, the first is written as an IPv4-mapped IPv6
/// address (RFC 4291, section 2.5.5.2).
///
/// ```
/// use smtp_tunnel::ProxyHeader;
///
/// let header = ProxyHeader::v1("192.0.2.7:40000".parse()?, "192.0.2.1:25".parse()?);
/// assert_eq!(header.to_bytes(), b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
///
/// [PROXY protocol]: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProxyHeader {
    version: Version,
    addresses: Option<Addresses>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    V1,
    V2,
}

/// The addresses of the connection that the header describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Addresses {
    source: SocketAddr,
    destination: SocketAddr,
}

impl ProxyHeader {
    /// Version 1, as text: a connection over TCP from `source` to `destination`.
    pub const fn v1(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            version: Version::V1,
            addresses: Some(Addresses {
                source,
                destination,
            }),
        }
    }

    /// Version 1, as text, without addresses: `PROXY UNKNOWN`. The server takes those of the
    /// transport.
    pub const fn v1_unknown() -> Self {
        Self {
            version: Version::V1,
            addresses: None,
        }
    }

    /// Version 2, binary: a connection over TCP from `source` to `destination`.
    pub const fn v2(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            version: Version::V2,
            addresses: Some(Addresses {
                source,
                destination,
            }),
        }
    }

    /// Version 2, binary, on the sender's own behalf: `LOCAL`. The server takes the addresses of
    /// the transport.
    pub const fn v2_local() -> Self {
        Self {
            version: Version::V2,
            addresses: None,
        }
    }

    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self.version {
            Version::V1 => self.to_text().into_bytes(),
            Version::V2 => self.to_binary(),
        }
    }

    /// Version 1: section 2.1.
    fn to_text(self) -> String {
        let Some(Addresses {
            source,
            destination,
        }) = self.addresses
        else {
            return "PROXY UNKNOWN\r\n".into();
        };
        let ports = format!("{} {}", source.port(), destination.port());
        match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                format!("PROXY TCP4 {source} {destination} {ports}\r\n")
            }
            (source, destination) => {
                let (source, destination) = (groups(mapped(source)), groups(mapped(destination)));
                format!("PROXY TCP6 {source} {destination} {ports}\r\n")
            }
        }
    }

    /// Version 2: section 2.2.
    fn to_binary(self) -> Vec<u8> {
        let mut addresses = Vec::with_capacity(36);
        let family = match self.addresses {
            None => UNSPECIFIED,
            Some(Addresses {
                source,
                destination,
            }) => {
                let family = match (source.ip(), destination.ip()) {
                    (IpAddr::V4(source), IpAddr::V4(destination)) => {
                        addresses.extend_from_slice(&source.octets());
                        addresses.extend_from_slice(&destination.octets());
                        TCP_OVER_IPV4
                    }
                    (source, destination) => {
                        addresses.extend_from_slice(&mapped(source).octets());
                        addresses.extend_from_slice(&mapped(destination).octets());
                        TCP_OVER_IPV6
                    }
                };
                addresses.extend_from_slice(&source.port().to_be_bytes());
                addresses.extend_from_slice(&destination.port().to_be_bytes());
                family
            }
        };
        let command = match self.addresses {
            None => LOCAL,
            Some(_) => PROXY,
        };
        // At most 36.
        let length = u16::try_from(addresses.len()).unwrap_or_default();
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[command, family]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.append(&mut addresses);
        bytes
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The eight groups of the address. `Display` writes a mapped address with an IPv4 address at its
/// end, which version 1 does not allow.
fn groups(address: Ipv6Addr) -> String {
    address
        .segments()
        .map(|group| format!("{group:x}"))
        .join(":")
}

/// Section 2.2: the first 12 bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The version in the upper half of the byte, the command in the lower.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// The family in the upper half of the byte, the transport in the lower.
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
