//! The header of the PROXY protocol: its bytes, when it goes out, and a header through a proxy.

use std::net::SocketAddr;

use smtp_proto::Wire as _;
use smtp_tunnel::{Destination, Proxy, ProxyErrorKind, ProxyHeader, Tunnel};

use crate::model::{NOW, Spy, header};
use crate::scripts::PIECES;

#[test]
fn each_header_has_the_bytes_of_the_specification() {
    let v4 = (address("192.0.2.7:40000"), address("198.51.100.1:25"));
    let v6 = (address("[2001:db8::7]:1"), address("[2001:db8::1]:65535"));
    let cases: [(ProxyHeader, &[u8]); 8] = [
        (
            ProxyHeader::v1(v4.0, v4.1),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n",
        ),
        (
            ProxyHeader::v1(v6.0, v6.1),
            b"PROXY TCP6 2001:db8:0:0:0:0:0:7 2001:db8:0:0:0:0:0:1 1 65535\r\n",
        ),
        (
            ProxyHeader::v1(v4.0, v6.1),
            b"PROXY TCP6 0:0:0:0:0:ffff:c000:207 2001:db8:0:0:0:0:0:1 40000 65535\r\n",
        ),
        (ProxyHeader::v1_unknown(), b"PROXY UNKNOWN\r\n"),
        (
            ProxyHeader::v2(v4.0, v4.1),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x19",
        ),
        (
            ProxyHeader::v2(v6.0, v6.1),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
              \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x01\xff\xff",
        ),
        (
            ProxyHeader::v2(v6.0, v4.1),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
              \0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01\x00\x01\x00\x19",
        ),
        (
            ProxyHeader::v2_local(),
            b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
        ),
    ];
    for (proxy_header, bytes) in cases {
        assert_eq!(proxy_header.to_bytes(), bytes);
    }
}

#[test]
fn a_header_goes_out_at_once_and_takes_no_round_trip() {
    let pairs = [
        ("192.0.2.7:40000", "198.51.100.1:25"),
        ("[2001:db8::7]:1", "[2001:db8::1]:65535"),
        (
            "[::ffff:192.0.2.7]:0",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ),
        ("192.0.2.7:40000", "[2001:db8::1]:25"),
    ];
    for (source, destination) in pairs {
        for input in [&b""[..], b"220 ready\r\n"] {
            header::check(address(source), address(destination), input, &PIECES);
        }
    }
}

#[test]
fn a_server_that_speaks_before_it_has_the_header_does_not_expect_one() {
    let mut tunnel = Tunnel::with_header(Spy::new(), &ProxyHeader::v1_unknown());
    tunnel.handle_input(NOW, b"220 ready\r\n");
    let error = crate::failures::failure(&mut tunnel);
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("does not expect the header"))
    );
    assert!(!error.is_transient());
    assert_eq!(crate::failures::cause(&error).kind(), ProxyErrorKind::Early);
}

#[test]
fn a_header_may_go_through_a_proxy() {
    let header = ProxyHeader::v1_unknown();
    let inner = Tunnel::with_header(Spy::new(), &header);
    let destination = Destination::new("a.test", 25).unwrap();
    let mut tunnel = Tunnel::new(inner, &Proxy::http(), destination);
    let request = b"CONNECT a.test:25 HTTP/1.1\r\nHost: a.test:25\r\n\r\n";
    assert_eq!(crate::failures::sent(&mut tunnel), request);
    assert!(tunnel.poll_transmit(NOW).is_none());
    tunnel.handle_input(NOW, b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(tunnel.is_open() && !tunnel.get_ref().is_open());
    assert_eq!(crate::failures::sent(&mut tunnel), b"PROXY UNKNOWN\r\n");
    assert!(tunnel.get_ref().is_open());
    tunnel.handle_input(NOW, b"220 ready\r\n");
    assert_eq!(crate::failures::sent(&mut tunnel), b"EHLO client.test\r\n");
    assert_eq!(tunnel.into_inner().into_inner().input, b"220 ready\r\n");
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
