//! Time limits, ends of the connection, and what a failure means for a message.

use std::io;
use std::time::Duration;

use smtp_proto::{
    ApiMisuse, Error, ErrorKind, RecipientStatus, Stage, Time, Timeout, TransportError, Wire,
};
use smtp_tunnel::{Destination, Proxy, ProxyError, ProxyErrorKind as Kind, ProxyHeader, Tunnel};

use crate::answered::Answered as _;
use crate::model::{NOW, Spy, mail};

/// RFC 1928 has no time limit; RFC 5321, section 4.5.3.2, begins with the greeting.
#[test]
fn v29_the_whole_handshake_has_the_limit_for_connecting() {
    let mut tunnel = tunnel(&with_login());
    assert_eq!(tunnel.poll_timeout(), None);
    sent_at(&mut tunnel, seconds(100));
    let until = seconds(130);
    assert_eq!(tunnel.poll_timeout(), Some(until));
    tunnel.handle_input(seconds(110), &[5, 2]);
    sent_at(&mut tunnel, seconds(110));
    tunnel.handle_input(seconds(120), &[1, 0]);
    sent_at(&mut tunnel, seconds(120));
    // Single bytes do not extend it.
    tunnel.handle_input(seconds(129), &[5]);
    assert_eq!(tunnel.poll_timeout(), Some(until));
    tunnel.handle_timeout(Time::from_origin(Duration::from_millis(129_999)));
    assert_eq!(tunnel.poll_timeout(), Some(until));
    tunnel.handle_timeout(until);
    let error = failure(&mut tunnel);
    assert_eq!(error.kind(), &ErrorKind::Timeout(Timeout::Proxy));
    assert_eq!(
        error.to_string(),
        "at the proxy: timed out waiting for the proxy to reach the server"
    );
    assert!(error.is_transient() && error.hint().is_some());
    assert_eq!(tunnel.poll_timeout(), None);
    tunnel.handle_timeout(seconds(1000));
}

#[test]
fn the_limit_of_a_proxy_may_be_set() {
    for proxy in [Proxy::socks5(), Proxy::http()] {
        let mut tunnel = tunnel(&proxy.timeout(Duration::from_secs(3)));
        sent_at(&mut tunnel, seconds(1));
        assert_eq!(tunnel.poll_timeout(), Some(seconds(4)));
    }
}

/// The driver reads before it reports that time has come.
#[test]
fn v43_a_reply_that_has_arrived_is_not_late() {
    let mut tunnel = tunnel(&Proxy::http());
    sent(&mut tunnel);
    tunnel.handle_input(seconds(10_000), b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(tunnel.is_open());
}

#[test]
fn the_time_limits_of_the_connection_begin_when_the_tunnel_opens() {
    let mut tunnel = tunnel(&Proxy::http());
    sent_at(&mut tunnel, seconds(1));
    tunnel.handle_input(seconds(20), b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(tunnel.poll_transmit(seconds(20)).is_none());
    let timeouts = *tunnel.smtp().timeouts();
    assert_eq!(
        tunnel.poll_timeout(),
        Some(seconds(20) + timeouts.greeting())
    );
    tunnel.handle_timeout(seconds(20) + timeouts.greeting());
    let error = failure_at(&mut tunnel, Stage::Greeting);
    assert_eq!(error.kind(), &ErrorKind::Timeout(Timeout::Reply));
}

#[test]
fn an_end_of_the_connection_says_how_far_the_proxy_came() {
    let not_socks = Some("may not be a SOCKS5 proxy");
    type Case = (Proxy, &'static [&'static [u8]], Kind, Option<&'static str>);
    let cases: [Case; 8] = [
        (Proxy::socks5(), &[], Kind::Closed, not_socks),
        (Proxy::socks5(), &[&[5]], Kind::Closed, not_socks),
        (
            with_login(),
            &[&[5, 2]],
            Kind::Closed,
            Some("password for the proxy"),
        ),
        (
            Proxy::socks5(),
            &[&[5, 0], &[5, 0]],
            Kind::Closed,
            Some("rules may forbid"),
        ),
        (Proxy::http(), &[], Kind::Closed, Some("may expect TLS")),
        (Proxy::http(), &[b"HTTP/1.1 "], Kind::Closed, None),
        (Proxy::http(), &[b"HTTP/1.1 200 OK\r\n"], Kind::Closed, None),
        (
            Proxy::http(),
            &[b"HTTP/1.1 407 x\r\n"],
            Kind::Http(407),
            Some("requires a login"),
        ),
    ];
    for (proxy, turns, kind, hint) in cases {
        let mut tunnel = played(&proxy, turns);
        tunnel.handle_eof(NOW);
        let error = failure(&mut tunnel);
        assert_eq!(cause(&error).kind(), kind);
        match hint {
            None => assert_eq!(error.hint(), None),
            Some(hint) => assert!(error.hint().unwrap().contains(hint), "{error:#}"),
        }
    }
    let mut tunnel = Tunnel::with_header(Spy::new(), &ProxyHeader::v2_local());
    tunnel.handle_eof(NOW);
    let error = failure(&mut tunnel);
    assert_eq!(cause(&error).kind(), Kind::Closed);
    assert_eq!(error.to_string(), "at the proxy: the connection was closed");
}

#[test]
fn a_login_that_is_required_is_the_reason_at_any_end() {
    let ends: [fn(&mut Tunnel<Spy>); 4] = [
        |tunnel| tunnel.handle_eof(NOW),
        |tunnel| tunnel.handle_timeout(seconds(1000)),
        |tunnel| tunnel.handle_read_error(NOW, reset()),
        |tunnel| {
            tunnel.handle_write_error(NOW, reset());
            tunnel.handle_eof(NOW);
        },
    ];
    for end in ends {
        let mut tunnel = played(&Proxy::http(), &[b"HTTP/1.1 407 x\r\nVia: x\r\n"]);
        end(&mut tunnel);
        assert_eq!(cause(&failure(&mut tunnel)).kind(), Kind::Http(407));
    }
}

#[test]
fn an_error_of_the_transport_is_that_of_the_connection() {
    for (proxy, turns) in [
        (Proxy::socks5(), &[][..]),
        (with_login(), &[&[5, 2][..]]),
        (Proxy::http(), &[b"HTTP/1.1 200 OK\r\n"]),
    ] {
        let mut tunnel = played(&proxy, turns);
        tunnel.handle_read_error(NOW, reset());
        check_reset(&failure(&mut tunnel));
    }
    let ends: [fn(&mut Tunnel<Spy>); 3] = [
        |tunnel| tunnel.handle_read_error(NOW, reset()),
        |tunnel| tunnel.handle_write_error(NOW, reset()),
        |tunnel| {
            _ = tunnel.poll_transmit(NOW);
            tunnel.handle_write_error(NOW, reset());
        },
    ];
    for end in ends {
        let mut tunnel = Tunnel::with_header(Spy::new(), &ProxyHeader::v2_local());
        end(&mut tunnel);
        check_reset(&failure(&mut tunnel));
    }
}

/// The proxy may have sent its reason before it closed.
#[test]
fn after_a_write_error_the_proxy_has_some_time_to_explain() {
    let broken = |at: Time| {
        let mut tunnel = tunnel(&Proxy::http());
        let len = tunnel.poll_transmit(NOW).unwrap().len();
        tunnel.handle_sent(NOW, len - 1);
        tunnel.handle_write_error(at, reset());
        assert!(tunnel.poll_transmit(at).is_none());
        assert!(!tunnel.smtp().is_closed());
        tunnel
    };
    let drain = NOW + broken(NOW).smtp().timeouts().drain();
    assert_eq!(broken(NOW).poll_timeout(), Some(drain));
    // The limit of the handshake still counts.
    assert_eq!(broken(seconds(29)).poll_timeout(), Some(seconds(30)));

    let mut explained = broken(NOW);
    explained.handle_input(NOW, b"HTTP/1.1 403 Forbidden\r\n");
    assert_eq!(cause(&failure(&mut explained)).kind(), Kind::Http(403));
    let ends: [fn(&mut Tunnel<Spy>); 4] = [
        |tunnel| tunnel.handle_eof(NOW),
        |tunnel| tunnel.handle_read_error(NOW, TransportError::new(io::Error::other("another"))),
        |tunnel| tunnel.handle_timeout(seconds(5)),
        // A tunnel whose request was not sent whole is none.
        |tunnel| tunnel.handle_input(NOW, b"HTTP/1.1 200 OK\r\n\r\n220 ready\r\n"),
    ];
    for end in ends {
        let mut tunnel = broken(NOW);
        tunnel.handle_write_error(NOW, TransportError::new(io::Error::other("another")));
        end(&mut tunnel);
        check_reset(&failure(&mut tunnel));
    }
}

#[test]
fn v45_a_rejection_of_half_a_request_counts_and_a_tunnel_does_not() {
    let half = |input: &[u8]| {
        let mut tunnel = tunnel(&Proxy::http());
        tunnel.handle_sent(NOW, 0);
        let len = tunnel.poll_transmit(NOW).unwrap().len();
        tunnel.handle_sent(NOW, len / 2);
        tunnel.handle_input(NOW, input);
        cause(&failure(&mut tunnel)).kind()
    };
    assert_eq!(half(b"HTTP/1.1 403 Forbidden\r\n"), Kind::Http(403));
    assert_eq!(half(b"HTTP/1.1 200 OK\r\n\r\n"), Kind::Early);
}

/// RFC 1928, section 6; RFC 9110, section 15.
#[test]
fn a_retry_may_succeed_where_the_server_was_not_reached() {
    let transient = |proxy: &Proxy, turns: &[&[u8]]| {
        let mut tunnel = played(proxy, turns);
        failure(&mut tunnel).is_transient()
    };
    for (code, expected) in [
        (1, true),
        (2, false),
        (3, true),
        (4, true),
        (5, true),
        (6, true),
        (7, false),
        (8, false),
        (9, true),
    ] {
        let found = transient(&Proxy::socks5(), &[&[5, 0], &[5, code]]);
        assert_eq!(found, expected, "{code}");
    }
    for (status, expected) in [
        (101, false),
        (302, false),
        (400, false),
        (403, false),
        (404, false),
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
        (505, false),
    ] {
        let response = format!("HTTP/1.1 {status} x\r\n");
        let found = transient(&Proxy::http(), &[response.as_bytes()]);
        assert_eq!(found, expected, "{status}");
    }
    assert!(!transient(&Proxy::http(), &[b"HTTP/1.1 407 x\r\n\r\n"]));
    assert!(!transient(&Proxy::socks5(), &[&[5, 0xff]]));
    assert!(!transient(&with_login(), &[&[5, 2], &[1, 1]]));
    assert!(!transient(
        &Proxy::socks5(),
        b"220 ready\r\n".chunks(100).collect::<Vec<_>>().as_slice()
    ));
}

#[test]
fn all_messages_were_not_sent_and_the_next_is_not_taken() {
    let mut tunnel = tunnel(&Proxy::socks5());
    let ids = [(); 2].map(|()| tunnel.smtp_mut().submit(mail()));
    sent(&mut tunnel);
    tunnel.handle_input(NOW, &[5, 0xff]);
    let next = tunnel.smtp_mut().submit(mail());
    for id in ids.into_iter().chain([next]) {
        let outcome = tunnel.smtp_mut().poll_outcome(id).answer().unwrap();
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome}");
        };
        assert_eq!(cause(error).kind(), Kind::NoAcceptableMethod);
        assert!(
            outcome.retry().is_none(),
            "a login that is missing is not temporary"
        );
    }
}

#[test]
fn more_bytes_acknowledged_than_transmitted_are_misuse() {
    let acknowledge: [fn(&mut Tunnel<Spy>); 3] = [
        |tunnel| {
            let len = tunnel.poll_transmit(NOW).unwrap().len();
            tunnel.handle_sent(NOW, len + 1);
        },
        |tunnel| tunnel.handle_sent(NOW, 1),
        // The second message is queued, and was not transmitted.
        |tunnel| {
            sent(tunnel);
            tunnel.handle_input(NOW, &[5, 0]);
            tunnel.handle_sent(NOW, 1);
        },
    ];
    for acknowledge in acknowledge {
        let mut tunnel = tunnel(&Proxy::socks5());
        acknowledge(&mut tunnel);
        let error = failure_at(&mut tunnel, Stage::Greeting);
        assert_eq!(error.kind(), &ErrorKind::Misuse(ApiMisuse::SentTooMuch));
        assert!(tunnel.poll_transmit(NOW).is_none() && tunnel.poll_timeout().is_none());
    }
}

#[test]
fn a_connection_that_was_ended_otherwise_needs_no_tunnel() {
    let mut tunnel = tunnel(&Proxy::socks5());
    tunnel.smtp_mut().handle_sent(NOW, 1);
    assert!(tunnel.smtp().is_closed());
    assert!(tunnel.poll_transmit(NOW).is_none() && tunnel.poll_timeout().is_none());
}

/// An operation that owns its bytes, as of io_uring.
#[test]
fn submitted_bytes_count_as_sent() {
    let mut tunnel = tunnel(&Proxy::http());
    let len = tunnel.poll_transmit(NOW).unwrap().len();
    tunnel.handle_submitted(NOW, len);
    tunnel.handle_input(NOW, b"HTTP/1.1 200 OK\r\n\r\n220 ready\r\n");
    tunnel.handle_completed(NOW);
    assert_eq!(sent(&mut tunnel), b"EHLO client.test\r\n");
}

#[test]
fn without_a_tunnel_everything_passes() {
    let mut tunnel = Tunnel::direct(Spy::new());
    assert!(tunnel.is_open() && tunnel.poll_transmit(NOW).is_none());
    assert!(tunnel.poll_timeout().is_some());
    tunnel.handle_input(NOW, b"220 ready\r\n");
    assert_eq!(sent(&mut tunnel), b"EHLO client.test\r\n");
    tunnel.handle_timeout(NOW);
    tunnel.handle_write_error(NOW, reset());
    tunnel.handle_read_error(NOW, reset());
    failure_at(&mut tunnel, Stage::Ehlo);
    let mut tunnel = Tunnel::direct(Spy::new());
    tunnel.handle_eof(NOW);
    failure_at(&mut tunnel, Stage::Greeting);
    assert_eq!(tunnel.into_inner().calls.get(), 1);
}

#[test]
fn debug_names_the_state() {
    let mut tunnel = tunnel(&Proxy::http());
    assert!(format!("{tunnel:?}").ends_with("tunnel: \"handshake\" }"));
    tunnel.handle_eof(NOW);
    assert!(format!("{tunnel:?}").ends_with("tunnel: \"failed\" }"));
    assert!(format!("{:?}", Tunnel::direct(())).ends_with("tunnel: \"open\" }"));
}

fn tunnel(proxy: &Proxy) -> Tunnel<Spy> {
    let destination = Destination::new("mail.example.org", 587).unwrap();
    Tunnel::new(Spy::new(), proxy, destination)
}

/// A tunnel after the proxy sent these messages, each in reply to one of the client.
fn played(proxy: &Proxy, turns: &[&[u8]]) -> Tunnel<Spy> {
    let mut tunnel = tunnel(proxy);
    for turn in turns {
        sent(&mut tunnel);
        tunnel.handle_input(NOW, turn);
    }
    if !tunnel.smtp().is_closed() {
        sent(&mut tunnel);
    }
    tunnel
}

/// Sends all output, and returns it.
pub(crate) fn sent<W: Wire>(tunnel: &mut Tunnel<W>) -> Vec<u8> {
    sent_at(tunnel, NOW)
}

fn sent_at<W: Wire>(tunnel: &mut Tunnel<W>, now: Time) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(transmit) = tunnel.poll_transmit(now) {
        bytes.extend(transmit.iter().flatten());
    }
    tunnel.handle_sent(now, bytes.len());
    bytes
}

/// The error of a connection that failed at the proxy.
pub(crate) fn failure<W: Wire>(tunnel: &mut Tunnel<W>) -> Error {
    failure_at(tunnel, Stage::Proxy)
}

fn failure_at<W: Wire>(tunnel: &mut Tunnel<W>, stage: Stage) -> Error {
    let error = tunnel.smtp_mut().poll_ready().answer().unwrap_err();
    assert_eq!(error.stage(), stage, "{error:#}");
    error
}

/// The proxy's reply.
pub(crate) fn cause(error: &Error) -> &ProxyError {
    match error.kind() {
        ErrorKind::Proxy(cause) => cause.get_ref().downcast_ref().unwrap(),
        _ => panic!("{error:#}"),
    }
}

fn check_reset(error: &Error) {
    let ErrorKind::Proxy(cause) = error.kind() else {
        panic!("{error:#}");
    };
    let cause: &io::Error = cause.get_ref().downcast_ref().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset);
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "at the proxy: connection reset");
}

fn reset() -> TransportError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

fn with_login() -> Proxy {
    Proxy::socks5().credentials("alice", "pa55").unwrap()
}

fn seconds(count: u64) -> Time {
    Time::from_origin(Duration::from_secs(count))
}
