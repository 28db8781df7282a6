//! No text for people has the password of a proxy, and no proxy gets one of the server.

use std::sync::Arc;

use smtp_proto::{Config, Connection, Credentials, Seed, Time, Wire as _};
use smtp_tunnel::{Destination, Proxy, Tunnel};

use crate::answered::Answered as _;
use crate::debug_output::DebugOutput;
use crate::invariants::{check_secret, disguises};
use crate::model::{NOW, SMTP_SECRET, mail};

const SECRET: &str = "Canary-pa55word=Zk3/+9x";

#[test]
fn v37_no_text_has_the_password_of_a_proxy_wherever_the_handshake_ends() {
    let socks: &[&[u8]] = &[
        &[5, 2],
        &[1, 0],
        b"\x05\x00\x00\x01\0\0\0\0\0\x00220 ready\r\n",
    ];
    let refusals: &[&[u8]] = &[
        &[5, 0xff],
        &[1, 1],
        &[5, 2],
        b"220 ready\r\n",
        b"HTTP/1.1 407 no\r\nProxy-Authenticate: NTLM\r\n\r\n",
    ];
    let http: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n", b"\r\n220 ready\r\n"];
    for (proxy, turns) in [(Proxy::socks5(), socks), (Proxy::http(), http)] {
        for steps in 0..=turns.len() {
            for refusal in refusals {
                check(&proxy, &[&turns[..steps], &[refusal]].concat());
            }
        }
    }
}

#[test]
fn v37_debug_of_a_proxy_shows_that_there_is_a_login_and_not_which() {
    for proxy in [Proxy::socks5(), Proxy::http()] {
        assert!(format!("{proxy:?}").contains("login: None"));
        let proxy = proxy.credentials("proxy-user", SECRET).unwrap();
        let shown = format!("{proxy:?} {proxy:#?}");
        assert!(shown.contains("login: Some(Secret(..))"), "{shown}");
        check_secret(SECRET, &shown);
        check_secret("proxy-user", &shown);
    }
}

#[test]
fn an_invalid_login_says_what_is_wrong() {
    let long = "x".repeat(256);
    let cases = [
        (
            Proxy::socks5(),
            "",
            "x",
            "the user name for a SOCKS5 proxy must have 1 to 255 bytes",
        ),
        (
            Proxy::socks5(),
            "x",
            &*long,
            "the password for a SOCKS5 proxy must have 1 to 255 bytes",
        ),
        (
            Proxy::http(),
            "a:b",
            "x",
            "the user name for an HTTP proxy must not contain a colon",
        ),
        (
            Proxy::http(),
            "x",
            "\n",
            "user name and password for an HTTP proxy must not contain control characters",
        ),
    ];
    for (proxy, user, password, text) in cases {
        let error = proxy.credentials(user, password).unwrap_err();
        assert_eq!(
            (error.to_string(), format!("{error:?}")),
            (text.to_owned(), text.to_owned())
        );
    }
    let error = Proxy::http().credentials("x", vec![0xff]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the password for an HTTP proxy must be UTF-8"
    );
}

fn check(proxy: &Proxy, turns: &[&[u8]]) {
    let shown = DebugOutput::default();
    let proxy = proxy.clone().credentials("proxy-user", SECRET).unwrap();
    shown.debug(&proxy);
    let config = Config::builder("client.test".parse().unwrap())
        .credentials(Credentials::password("smtp-user", SMTP_SECRET).unwrap())
        .transcript(shown.observer())
        .build()
        .unwrap();
    let connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    let destination = Destination::new("mail.example.org", 587).unwrap();
    let mut tunnel = Tunnel::new(connection, &proxy, destination);
    let id = tunnel.smtp_mut().submit(mail());
    shown.debug(&tunnel);
    let mut to_proxy = Vec::new();
    for turn in turns {
        let is_inside = tunnel.is_open();
        if let Some(transmit) = tunnel.poll_transmit(NOW) {
            shown.debug(&transmit);
            let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
            tunnel.handle_sent(NOW, bytes.len());
            if !is_inside {
                to_proxy.extend(bytes);
            }
        }
        tunnel.handle_input(NOW, turn);
        shown.debug(&tunnel);
    }
    tunnel.handle_timeout(Time::from_origin(std::time::Duration::MAX));
    if let std::task::Poll::Ready(Err(error)) = tunnel.smtp_mut().poll_ready() {
        shown.error(&error);
        if let smtp_proto::ErrorKind::Proxy(cause) = error.kind() {
            shown.debug(&cause.get_ref());
        }
        shown.outcome(&tunnel.smtp_mut().poll_outcome(id).answer().unwrap());
    }
    check_secret(SECRET, &shown.all());
    let to_proxy = String::from_utf8_lossy(&to_proxy);
    for form in disguises(SMTP_SECRET)
        .iter()
        .map(String::as_str)
        .chain(["EHLO", "smtp-user"])
    {
        assert!(!to_proxy.contains(form), "I6: {form}: {to_proxy}");
    }
}
