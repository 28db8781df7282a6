//! A header of the PROXY protocol from the other side: the specification of HAProxy, sections 2.1
//! and 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smtp_tunnel::{ProxyErrorKind, ProxyHeader, Tunnel};

use super::{End, Spy};

/// The addresses of a header; `None` if it says that they are those of the transport.
type Addresses = Option<(SocketAddr, SocketAddr)>;

/// Reads a header, which must be the whole input.
pub(crate) fn read(bytes: &[u8]) -> Addresses {
    match bytes.strip_prefix(b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a") {
        Some(rest) => read_binary(rest),
        None => read_text(bytes),
    }
}

fn read_text(bytes: &[u8]) -> Addresses {
    assert!(bytes.len() <= 107, "at most 107 bytes, CRLF included");
    let text = std::str::from_utf8(bytes).unwrap();
    let line = text.strip_suffix("\r\n").unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let [protocol, source, destination, source_port, destination_port] = match words[..] {
        ["PROXY", "UNKNOWN"] => return None,
        ["PROXY", ref rest @ ..] => rest.try_into().unwrap(),
        _ => panic!("{text}"),
    };
    let address = |text: &str| -> IpAddr {
        // An IPv6 address has groups of hexadecimal digits only.
        let address: IpAddr = match protocol {
            "TCP4" => text.parse::<Ipv4Addr>().unwrap().into(),
            "TCP6" => text.parse::<Ipv6Addr>().unwrap().into(),
            _ => panic!("{text}"),
        };
        assert!(protocol == "TCP4" || !text.contains('.'), "{text}");
        address
    };
    let port = |text: &str| -> u16 {
        let port: u16 = text.parse().unwrap();
        assert_eq!(port.to_string(), text, "no leading zero");
        port
    };
    Some((
        SocketAddr::new(address(source), port(source_port)),
        SocketAddr::new(address(destination), port(destination_port)),
    ))
}

fn read_binary(rest: &[u8]) -> Addresses {
    let (&[command, family, high, low], addresses) = rest.split_first_chunk().unwrap();
    assert_eq!(usize::from(high) << 8 | usize::from(low), addresses.len());
    let port = |at: usize| u16::from(addresses[at]) << 8 | u16::from(addresses[at + 1]);
    match (command, family, addresses.len()) {
        (0x20, 0, 0) => None,
        (0x21, 0x11, 12) => {
            let address = |at: usize| <[u8; 4]>::try_from(&addresses[at..at + 4]).unwrap();
            Some((
                SocketAddr::new(address(0).into(), port(8)),
                SocketAddr::new(address(4).into(), port(10)),
            ))
        }
        (0x21, 0x21, 36) => {
            let address = |at: usize| <[u8; 16]>::try_from(&addresses[at..at + 16]).unwrap();
            Some((
                SocketAddr::new(address(0).into(), port(32)),
                SocketAddr::new(address(16).into(), port(34)),
            ))
        }
        other => panic!("{other:?}"),
    }
}

/// Each header for these addresses reads back, goes out at once and whole, and opens the tunnel
/// without a reply. Input after it passes, and input before it is an error.
pub(crate) fn check(source: SocketAddr, destination: SocketAddr, input: &[u8], pieces: &[usize]) {
    // With families that differ, the IPv4 address is mapped.
    let same = source.is_ipv4() == destination.is_ipv4();
    let plain = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) if !same => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        ip => SocketAddr::new(ip, address.port()),
    };
    let addresses = Some((plain(source), plain(destination)));
    let headers = [
        (ProxyHeader::v1(source, destination), addresses),
        (ProxyHeader::v2(source, destination), addresses),
        (ProxyHeader::v1_unknown(), None),
        (ProxyHeader::v2_local(), None),
    ];
    for (header, addresses) in headers {
        assert_eq!(read(&header.to_bytes()), addresses);
        for &piece in pieces {
            let tunnel = Tunnel::with_header(Spy::new(), &header);
            let (run, _) = super::run(tunnel, &[input], piece);
            assert_eq!(run.sent, [header.to_bytes()]);
            assert_eq!(run.end, End::Open(input.to_vec()));
        }
        check_early(&header, input);
    }
}

fn check_early(header: &ProxyHeader, input: &[u8]) {
    use smtp_proto::Wire as _;

    let mut tunnel = Tunnel::with_header(Spy::new(), header);
    let len = tunnel.poll_transmit(super::NOW).unwrap().len();
    assert_eq!(len, header.to_bytes().len(), "in one slice");
    tunnel.handle_sent(super::NOW, len - 1);
    tunnel.handle_input(super::NOW, input);
    let (run, _) = super::run(tunnel, &[], usize::MAX);
    let expected = match input {
        [] => End::Open(Vec::new()),
        _ => End::Failed(ProxyErrorKind::Early),
    };
    assert_eq!(run.end, expected);
}
