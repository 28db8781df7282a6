//! HTTP CONNECT (RFC 9110, RFC 9112, RFC 7617): each transition, and each status of a proxy.

use smtp_tunnel::{LoginError, Proxy, ProxyErrorKind as Kind};

use crate::model::End;
use crate::scripts::Line::{C, P};
use crate::scripts::{check, check_failure};

#[test]
fn a_tunnel_takes_one_round_trip_with_a_login_or_without() {
    let response = P(b"HTTP/1.1 200 Connection established\r\n\r\n");
    let script = [C(REQUEST), response];
    check(&Proxy::http(), HOST, 587, &script, &open(b""));

    let request = b"CONNECT mail.example.org:587 HTTP/1.1\r\nHost: mail.example.org:587\r\n\
        Proxy-Authorization: Basic YWxpY2U6cGE6NTU=\r\n\r\n";
    let response = P(b"HTTP/1.1 200 OK\r\n\r\n");
    let script = [C(request), response];
    let proxy = Proxy::http().credentials("alice", "pa:55").unwrap();
    check(&proxy, HOST, 587, &script, &open(b""));
}

#[test]
fn an_ipv6_address_is_in_brackets() {
    let request = b"CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\n\r\n";
    for host in ["2001:db8::1", "[2001:db8::1]"] {
        check(&Proxy::http(), host, 25, &[C(request)], &End::Pending);
    }
    let request = b"CONNECT 192.0.2.1:25 HTTP/1.1\r\nHost: 192.0.2.1:25\r\n\r\n";
    check(
        &Proxy::http(),
        "192.0.2.1",
        25,
        &[C(request)],
        &End::Pending,
    );
}

/// RFC 9110, section 9.3.6: any 2xx, and a client ignores Content-Length and Transfer-Encoding.
#[test]
fn the_bytes_after_the_header_section_are_the_servers() {
    let responses: [&'static [u8]; 9] = [
        b"HTTP/1.1 200 OK\r\n\r\n220 ready\r\n",
        b"HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n220 ready\r\n",
        b"HTTP/1.1 200\r\n\r\n220 ready\r\n",
        b"HTTP/1.1 200 \r\n\r\n220 ready\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n220 ready\r\n",
        b"HTTP/1.1 299 \xe9\r\n\r\n220 ready\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n220 ready\r\n",
        // A line that continues the one before it (RFC 9112, section 5.2).
        b"HTTP/1.1 200 OK\r\nVia: a\r\n b\r\n\tc\r\n\r\n220 ready\r\n",
        // RFC 9112, section 2.2.
        b"HTTP/1.1 200 OK\nVia: a\n\n220 ready\r\n",
    ];
    for response in responses {
        let script = [C(REQUEST), P(response)];
        check(&Proxy::http(), HOST, 587, &script, &open(b"220 ready\r\n"));
    }
}

/// RFC 9110, section 15.2.
#[test]
fn interim_responses_are_skipped() {
    let script = [
        C(REQUEST),
        P(b"HTTP/1.1 100 Continue\r\n\r\n"),
        P(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 199 x\r\n\r\n"),
        P(b"HTTP/1.1 200 OK\r\n\r\n220 ready\r\n"),
    ];
    check(&Proxy::http(), HOST, 587, &script, &open(b"220 ready\r\n"));
}

#[test]
fn each_status_other_than_2xx_is_an_error() {
    let cases: [(&'static [u8], u16, &str, &str); 17] = [
        (
            b"HTTP/1.1 101 Switching Protocols\r\n",
            101,
            " Switching Protocols",
            "",
        ),
        (b"HTTP/1.1 301 Moved\r\n", 301, " Moved", ""),
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            400,
            " Bad Request",
            "does not support CONNECT",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n",
            403,
            " Forbidden",
            "the proxy's rules forbid",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\n",
            404,
            " Not Found",
            "does not support CONNECT",
        ),
        (b"HTTP/1.1 405 \r\n", 405, "", "does not support CONNECT"),
        (b"HTTP/1.1 408\r\n", 408, "", ""),
        (
            b"HTTP/1.1 429 Too Many Requests\r\n",
            429,
            " Too Many Requests",
            "",
        ),
        (
            b"HTTP/1.1 500 a\x1b[1mb\r\n",
            500,
            r" a\x1b[1mb",
            "cannot reach the server",
        ),
        (
            b"HTTP/1.1 401 Unauthorized\r\n",
            401,
            " Unauthorized",
            "the proxy requires a login",
        ),
        (
            b"HTTP/1.1 501 Not Implemented\r\n",
            501,
            " Not Implemented",
            "not support CONNECT",
        ),
        (
            b"HTTP/1.0 502 Bad Gateway\n",
            502,
            " Bad Gateway",
            "cannot reach the server",
        ),
        (b"HTTP/1.1 503 x\r\n", 503, " x", "cannot reach the server"),
        (b"HTTP/1.1 504 x\r\n", 504, " x", "cannot reach the server"),
        (b"HTTP/1.1 505 x\r\n", 505, " x", ""),
        (b"HTTP/1.1 599 \xc3\xa9\r\n", 599, r" \xc3\xa9", ""),
        (
            b"HTTP/1.1 407 x\r\n\r\n",
            407,
            " x",
            "the proxy requires a login",
        ),
    ];
    for (response, status, reason, hint) in cases {
        let text = format!("HTTP status {status}{reason}");
        let script = [C(REQUEST), P(response)];
        check_failure(&Proxy::http(), &script, Kind::Http(status), &text, hint);
    }
}

/// RFC 9110, sections 11.7.1 and 15.5.8.
#[test]
fn a_login_that_is_required_or_rejected_names_its_cure() {
    let other = "by a scheme other than Basic";
    let cases: [(&'static [u8], &str); 6] = [
        (
            b"Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
            "requires a login: set it",
        ),
        (
            b"proxy-authenticate:basic\r\nProxy-Authenticate: NTLM\r\n\r\n",
            "set it",
        ),
        (
            b"Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n",
            other,
        ),
        (
            b"WWW-Authenticate: NTLM\r\n\r\n",
            "requires a login: set it",
        ),
        // What follows does not matter.
        (b"no field\r\n", "requires a login: set it"),
        (b"a: \0\r\n", "requires a login: set it"),
    ];
    for (fields, hint) in cases {
        let head = b"HTTP/1.1 407 Proxy Authentication Required\r\n";
        let response: &'static [u8] = [head, fields].concat().leak();
        let script = [C(REQUEST), P(response)];
        let text = "HTTP status 407 Proxy Authentication Required";
        check_failure(&Proxy::http(), &script, Kind::Http(407), text, hint);
    }
    let proxy = Proxy::http().credentials("", "").unwrap();
    let request = b"CONNECT mail.example.org:587 HTTP/1.1\r\nHost: mail.example.org:587\r\n\
        Proxy-Authorization: Basic Og==\r\n\r\n";
    let script = [
        C(request),
        P(b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n"),
    ];
    check_failure(
        &proxy,
        &script,
        Kind::Http(407),
        "HTTP status 407 x",
        "may be wrong",
    );
}

#[test]
fn what_is_no_http_proxy_is_recognized_by_its_first_byte() {
    let cases: [(&'static [u8], &str, &str); 5] = [
        (b"\x05\xff", r"\x05", "this is a SOCKS5 proxy"),
        (
            b"220 mail.example.org ESMTP\r\n",
            "2",
            "this port speaks SMTP",
        ),
        (b"421 no\r\n", "4", "this port speaks SMTP"),
        (
            b"\x15\x03\x01\x00\x02\x02\x16",
            r"\x15",
            "the proxy expects TLS",
        ),
        (b"<html>", "<", ""),
    ];
    for (response, first, hint) in cases {
        let text = format!("the proxy's reply is malformed: it begins with {first}");
        let script = [C(REQUEST), P(response)];
        check_failure(&Proxy::http(), &script, Kind::Malformed, &text, hint);
    }
}

#[test]
fn a_malformed_response_is_an_error() {
    let lines: [&'static [u8]; 15] = [
        b"H\r\n",
        b"HTTP/1.1\r\n",
        b"HTTP/1.1 \r\n",
        b"HTTP/1.1 20\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 +20 OK\r\n",
        b"HTTP/1.1 099 OK\r\n",
        b"HTTP/1.1 600 OK\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1\t200 OK\r\n",
        b"HTTP/1.x 200 OK\r\n",
        b"HTTP/2 200 OK\r\n",
        b"Http/1.1 200 OK\r\n",
        b"HTTP/1.1 200 O\rK\r\n",
        b"HTTP/1.1 200 O\0K\r\n",
    ];
    for line in lines {
        let escaped: String = line[..line.len() - 2]
            .iter()
            .map(|byte| match byte {
                b' '..=b'~' => char::from(*byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            })
            .collect();
        let text = format!("the proxy's reply is malformed: it begins with {escaped}");
        check_failure(
            &Proxy::http(),
            &[C(REQUEST), P(line)],
            Kind::Malformed,
            &text,
            "",
        );
    }
    for field in [
        &b"no field\r\n"[..],
        b"220 ready\r\n",
        b"a: \r b\r\n",
        b"a: \0\r\n",
    ] {
        let response: &'static [u8] = [b"HTTP/1.1 200 OK\r\n", field].concat().leak();
        let end = End::Failed(Kind::Malformed);
        check(&Proxy::http(), HOST, 587, &[C(REQUEST), P(response)], &end);
    }
}

/// Of all responses together, interim ones included.
#[test]
fn v22_responses_have_at_most_8192_bytes() {
    let status = b"HTTP/1.1 200 OK\r\n";
    let filled = |len: usize| {
        let field = vec![b'x'; len - status.len() - 2 - 2 - 2];
        [status, &b"a:"[..], &field, b"\r\n\r\n", b"220 ready\r\n"].concat()
    };
    let longest: &'static [u8] = filled(8192).leak();
    let script = [C(REQUEST), P(longest)];
    check(&Proxy::http(), HOST, 587, &script, &open(b"220 ready\r\n"));

    let text = "the proxy's reply is too long";
    let too_long: &'static [u8] = filled(8193).leak();
    check_failure(
        &Proxy::http(),
        &[C(REQUEST), P(too_long)],
        Kind::TooLong,
        text,
        "",
    );
    let interim: &'static [u8] = b"HTTP/1.1 100 x\r\n\r\n".repeat(456).leak();
    check_failure(
        &Proxy::http(),
        &[C(REQUEST), P(interim)],
        Kind::TooLong,
        text,
        "",
    );
    let line: &'static [u8] = [b'H'; 9000].to_vec().leak();
    check_failure(
        &Proxy::http(),
        &[C(REQUEST), P(line)],
        Kind::TooLong,
        text,
        "",
    );

    let required = [b"HTTP/1.1 407 x\r\n", &b"a: b\r\n".repeat(2000)[..]].concat();
    let script = [C(REQUEST), P(required.leak())];
    let text = "HTTP status 407 x";
    check_failure(
        &Proxy::http(),
        &script,
        Kind::Http(407),
        text,
        "requires a login",
    );
}

#[test]
fn v22_a_response_without_end_is_read_in_bounded_memory() {
    use crate::model::{NOW, Spy};
    use smtp_proto::Wire as _;
    use smtp_tunnel::{Destination, Tunnel};

    let destination = Destination::new(HOST, 587).unwrap();
    let mut tunnel = Tunnel::new(Spy::new(), &Proxy::http(), destination);
    let len = tunnel.poll_transmit(NOW).unwrap().len();
    tunnel.handle_sent(NOW, len);
    let input = [b'H'; 16 << 10];
    let heap = allocation_counter::measure(|| {
        for piece in input.chunks(100) {
            tunnel.handle_input(NOW, piece);
        }
    });
    assert!(tunnel.smtp().is_closed());
    assert!(heap.bytes_max <= 32 << 10, "I10: {heap:?}");
}

/// RFC 7617, section 2.
#[test]
fn user_name_and_password_are_utf_8_without_controls_and_the_user_has_no_colon() {
    let login = |user: &str, password: &str| Proxy::http().credentials(user, password).err();
    assert_eq!(login("", ""), None);
    assert_eq!(login("\u{e9}", "a:\u{e9} b"), None);
    assert_eq!(login(&"x".repeat(1000), &"x".repeat(1000)), None);
    assert_eq!(login("a:b", "x"), Some(LoginError::Colon));
    for control in ["\0", "\n", "\r", "\x7f", "\u{85}"] {
        assert_eq!(login(control, "x"), Some(LoginError::Control));
        assert_eq!(login("x", control), Some(LoginError::Control));
    }
    let not_utf8 = Proxy::http().credentials("x", vec![0xff]);
    assert_eq!(not_utf8.err(), Some(LoginError::NotUtf8));
}

fn open(rest: &[u8]) -> End {
    End::Open(rest.to_vec())
}

const HOST: &str = "mail.example.org";

const REQUEST: &[u8] =
    b"CONNECT mail.example.org:587 HTTP/1.1\r\nHost: mail.example.org:587\r\n\r\n";
