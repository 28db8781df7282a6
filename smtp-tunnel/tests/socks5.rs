//! SOCKS5 (RFC 1928, RFC 1929): each transition, and each reply of a proxy.

use smtp_tunnel::{LoginError, Proxy, ProxyErrorKind as Kind};

use crate::model::End;
use crate::scripts::Line::{C, P};
use crate::scripts::{check, check_failure};

#[test]
fn a_tunnel_without_a_login_takes_two_round_trips() {
    let script = [
        C(&[5, 1, 0]),
        P(&[5, 0]),
        C(REQUEST),
        P(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
    ];
    check(&Proxy::socks5(), HOST, 587, &script, &open(b""));
}

#[test]
fn a_tunnel_with_a_login_takes_three_round_trips() {
    let script = [
        C(&[5, 2, 0, 2]),
        P(&[5, 2]),
        C(LOGIN),
        P(&[1, 0]),
        C(REQUEST),
        P(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
    ];
    check(&with_login(), HOST, 587, &script, &open(b""));
}

#[test]
fn v45_the_login_is_not_sent_to_a_proxy_that_requires_none() {
    let script = [
        C(&[5, 2, 0, 2]),
        P(&[5, 0]),
        C(REQUEST),
        P(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
    ];
    check(&with_login(), HOST, 587, &script, &open(b""));
}

/// RFC 1928, section 5.
#[test]
fn a_host_name_is_resolved_by_the_proxy_and_an_address_is_sent_as_one() {
    let cases: [(&str, &'static [u8]); 4] = [
        ("a.test", b"\x05\x01\x00\x03\x06a.test\x00\x19"),
        ("192.0.2.1", b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19"),
        ("2001:db8::1", IPV6_REQUEST),
        ("[2001:db8::1]", IPV6_REQUEST),
    ];
    for (host, request) in cases {
        let script = [C(&[5, 1, 0]), P(&[5, 0]), C(request)];
        check(&Proxy::socks5(), host, 25, &script, &End::Pending);
    }
}

/// RFC 1928, section 6: the proxy's own address, of each type, and the greeting after it.
#[test]
fn the_bytes_after_the_reply_are_the_servers() {
    let replies: [&'static [u8]; 5] = [
        b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38220 ready\r\n",
        b"\x05\x00\x00\x03\x05p.abc\x04\x38220 ready\r\n",
        b"\x05\x00\x00\x03\x00\x04\x38220 ready\r\n",
        b"\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x04\x38220 ready\r\n",
        // The reserved byte is not checked.
        b"\x05\x00\xff\x01\x7f\x00\x00\x01\x04\x38220 ready\r\n",
    ];
    for reply in replies {
        let script = [C(&[5, 1, 0]), P(&[5, 0]), C(REQUEST), P(reply)];
        let end = open(b"220 ready\r\n");
        check(&Proxy::socks5(), HOST, 587, &script, &end);
    }
}

/// RFC 1928, section 6.
#[test]
fn each_reply_code_has_its_text_its_class_and_its_hint() {
    let cases = [
        (
            1,
            "general SOCKS server failure",
            "resolve the name of the server",
        ),
        (
            2,
            "connection not allowed by ruleset",
            "the proxy's rules may forbid",
        ),
        (3, "network unreachable", "cannot reach the server"),
        (4, "host unreachable", "cannot reach the server"),
        (5, "connection refused", "cannot reach the server"),
        (6, "TTL expired", "cannot reach the server"),
        (7, "command not supported", ""),
        (8, "address type not supported", "may support only IPv4"),
        (9, "which is not assigned", ""),
        (255, "which is not assigned", ""),
    ];
    for (code, text, hint) in cases {
        // Whole, and cut after the code.
        for reply in [[5, code, 0, 1, 0, 0, 0, 0, 0, 0].to_vec(), vec![5, code]] {
            let reply: &'static [u8] = reply.leak();
            let script = [C(&[5, 1, 0]), P(&[5, 0]), C(REQUEST), P(reply)];
            let text = format!("SOCKS5 reply {code}, {text}");
            check_failure(&Proxy::socks5(), &script, Kind::Socks5(code), &text, hint);
        }
    }
}

/// RFC 1928, section 3.
#[test]
fn each_choice_of_a_method_is_taken_or_an_error() {
    let none = "the proxy accepts none of the client's methods of authentication";
    let refused = [C(&[5, 1, 0]), P(&[5, 0xff])];
    let kind = Kind::NoAcceptableMethod;
    check_failure(
        &Proxy::socks5(),
        &refused,
        kind,
        none,
        "may require a login",
    );
    let refused = [C(&[5, 2, 0, 2]), P(&[5, 0xff])];
    check_failure(
        &with_login(),
        &refused,
        kind,
        none,
        "another method of authentication",
    );

    let text = r"the proxy's reply is malformed: it begins with \x05\x02";
    let not_offered = [C(&[5, 1, 0]), P(&[5, 2])];
    check_failure(
        &Proxy::socks5(),
        &not_offered,
        Kind::Malformed,
        text,
        "may require a login",
    );
    for method in [1, 3, 0x80, 0xfe] {
        let choice: &'static [u8] = vec![5, method].leak();
        let text = format!("the proxy's reply is malformed: it begins with \\x05\\x{method:02x}");
        for (proxy, hello) in [
            (Proxy::socks5(), &[5, 1, 0][..]),
            (with_login(), &[5, 2, 0, 2]),
        ] {
            check_failure(&proxy, &[C(hello), P(choice)], Kind::Malformed, &text, "");
        }
    }
}

/// RFC 1929, section 2; some proxies put the version of SOCKS before the status.
#[test]
fn each_status_of_the_login_is_success_or_an_error() {
    for version in [1, 5] {
        let status: &'static [u8] = vec![version, 0].leak();
        let script = [
            C(&[5, 2, 0, 2]),
            P(&[5, 2]),
            C(LOGIN),
            P(status),
            C(REQUEST),
        ];
        check(&with_login(), HOST, 587, &script, &End::Pending);
        for code in [1, 2, 0xff] {
            let status: &'static [u8] = vec![version, code].leak();
            let script = [C(&[5, 2, 0, 2]), P(&[5, 2]), C(LOGIN), P(status)];
            let text = format!("the proxy rejected the login with status {code}");
            let kind = Kind::LoginRejected(code);
            check_failure(&with_login(), &script, kind, &text, "may be wrong");
        }
    }
    let script = [C(&[5, 2, 0, 2]), P(&[5, 2]), C(LOGIN), P(&[0, 0])];
    let text = r"the proxy's reply is malformed: it begins with \x00";
    check_failure(&with_login(), &script, Kind::Malformed, text, "");
}

#[test]
fn what_is_no_socks5_proxy_is_recognized_by_its_first_byte() {
    let cases: [(&'static [u8], &str, &str); 6] = [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "H",
            "this is an HTTP proxy",
        ),
        (
            b"220 mail.example.org ESMTP\r\n",
            "2",
            "this port speaks SMTP",
        ),
        (b"554 no\r\n", "5", "this port speaks SMTP"),
        (
            b"\x15\x03\x01\x00\x02\x02\x16",
            r"\x15",
            "this port speaks TLS",
        ),
        (b"\x00\x5b\0\0\0\0\0\0", r"\x00", "may support only SOCKS4"),
        (b"SSH-2.0-x\r\n", "S", ""),
    ];
    for (reply, first, hint) in cases {
        let text = format!("the proxy's reply is malformed: it begins with {first}");
        let script = [C(&[5, 1, 0]), P(reply)];
        check_failure(&Proxy::socks5(), &script, Kind::Malformed, &text, hint);
    }
}

#[test]
fn a_malformed_reply_is_an_error() {
    let cases: [(&'static [u8], &str); 3] = [
        (b"\x04\x00", r"\x04"),
        (b"\x05\x00\x00\x02\x00", r"\x05\x00\x00\x02"),
        (b"\x05\x00\x00\x00\x00", r"\x05\x00\x00\x00"),
    ];
    for (reply, beginning) in cases {
        let script = [C(&[5, 1, 0]), P(&[5, 0]), C(REQUEST), P(reply)];
        let text = format!("the proxy's reply is malformed: it begins with {beginning}");
        check_failure(&Proxy::socks5(), &script, Kind::Malformed, &text, "");
    }
}

#[test]
fn v45_a_reply_that_comes_before_its_request_is_an_error() {
    let early = "the peer sent bytes out of turn";
    let script = [
        C(&[5, 1, 0]),
        P(b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
    ];
    check_failure(&Proxy::socks5(), &script, Kind::Early, early, "");
    let script = [C(&[5, 2, 0, 2]), P(b"\x05\x02\x01\x00")];
    check_failure(&with_login(), &script, Kind::Early, early, "");
}

/// RFC 1929, section 2.
#[test]
fn user_name_and_password_have_1_to_255_bytes() {
    let longest = "x".repeat(255);
    let too_long = "x".repeat(256);
    let login = |user: &str, password: &str| Proxy::socks5().credentials(user, password).err();
    assert_eq!(login(&longest, &longest), None);
    assert_eq!(login("", "x"), Some(LoginError::UserLength));
    assert_eq!(login(&too_long, "x"), Some(LoginError::UserLength));
    assert_eq!(login("x", ""), Some(LoginError::PasswordLength));
    assert_eq!(login("x", &too_long), Some(LoginError::PasswordLength));
    // The length is that of the bytes.
    assert_eq!(
        login(&"\u{e9}".repeat(128), "x"),
        Some(LoginError::UserLength)
    );
    // Any byte is allowed.
    assert!(Proxy::socks5().credentials("a:\0", vec![0, 255]).is_ok());
}

fn with_login() -> Proxy {
    Proxy::socks5().credentials("alice", "pa55").unwrap()
}

fn open(rest: &[u8]) -> End {
    End::Open(rest.to_vec())
}

const HOST: &str = "mail.example.org";

const LOGIN: &[u8] = b"\x01\x05alice\x04pa55";

const REQUEST: &[u8] = b"\x05\x01\x00\x03\x10mail.example.org\x02\x4b";

const IPV6_REQUEST: &[u8] =
    b"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x19";
