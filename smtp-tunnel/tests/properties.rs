//! Any bytes of a proxy: the tunnel does what the models do, however the bytes are cut.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use crate::exhaustive::cases;
use crate::model::{header, http, socks5};

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn i1_i2_any_bytes_of_a_socks5_proxy(
        turns in prop::collection::vec(socks5_message(), 0..4),
        login in login(),
        host in host(),
        piece in 1..9_usize,
    ) {
        let turns: Vec<&[u8]> = turns.iter().map(Vec::as_slice).collect();
        let login = login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        socks5::check(login, &host, &turns, &[usize::MAX, 1, piece]);
    }

    #[test]
    fn i1_i2_any_bytes_of_an_http_proxy(
        lines in prop::collection::vec(http_line(), 0..8),
        login in login(),
        host in host(),
        piece in 1..9_usize,
    ) {
        let login = login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        http::check(login, &host, &lines.concat(), &[usize::MAX, 1, piece]);
    }

    #[test]
    fn i1_i2_any_addresses_in_a_header(
        source in address(),
        destination in address(),
        input in prop::collection::vec(any::<u8>(), 0..20),
        piece in 1..60_usize,
    ) {
        header::check(source, destination, &input, &[usize::MAX, 1, piece]);
    }
}

/// A message of a proxy, valid or nearly so, or two of them.
fn socks5_message() -> impl Strategy<Value = Vec<u8>> {
    let valid = prop_oneof![
        Just(vec![5, 0]),
        Just(vec![5, 2]),
        Just(vec![5, 0xff]),
        Just(vec![1, 0]),
        Just(vec![5, 0, 0, 1, 127, 0, 0, 1, 4, 56]),
        Just([&[5, 0, 0, 4][..], &[0; 18]].concat()),
        prop::collection::vec(any::<u8>(), 0..256).prop_map(|name| {
            let length = u8::try_from(name.len()).unwrap();
            [&[5, 0, 0, 3, length], &name[..], &[0, 25]].concat()
        }),
        (1..12_u8).prop_map(|code| vec![5, code, 0, 1]),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    let changed = (valid.clone(), any::<prop::sample::Index>(), any::<u8>());
    prop_oneof![
        6 => valid.clone(),
        2 => (valid.clone(), valid).prop_map(|(first, second)| [first, second].concat()),
        1 => changed.prop_map(|(mut message, at, byte)| {
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = byte;
            }
            message
        }),
    ]
}

fn http_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (100..600_u16, "[ -~]{0,20}").prop_map(|(status, reason)| {
            format!("HTTP/1.1 {status} {reason}\r\n").into_bytes()
        }),
        3 => Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        1 => Just(b"HTTP/1.0 407 x\n".to_vec()),
        3 => "[A-Za-z-]{1,12}: ?[ -~]{0,20}".prop_map(|field| format!("{field}\r\n").into_bytes()),
        1 => Just(b"Proxy-Authenticate: NTLM\r\n".to_vec()),
        4 => Just(b"\r\n".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (4000..8200_usize).prop_map(|len| [b"a:", &vec![b'b'; len][..], b"\r\n"].concat()),
    ]
}

fn login() -> impl Strategy<Value = Option<(String, String)>> {
    prop::option::of((
        "[^\\x00-\\x1f\\x7f-\\x9f:]{1,20}",
        "Canary-[^\\x00-\\x1f\\x7f-\\x9f]{1,20}",
    ))
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9-]{1,10}(\\.[a-z_]{1,5}){0,3}\\.?",
        1 => any::<IpAddr>().prop_map(|address| address.to_string()),
        1 => any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        1 => "\\PC{0,12}",
    ]
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}
