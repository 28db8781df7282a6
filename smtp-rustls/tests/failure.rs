//! Failures of the transport and expired deadlines: what a session sends, and when the connection
//! receives the error.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

mod records;

use std::io;
use std::task::Poll;
use std::time::Duration;

use crate::common::answered::Answered as _;
use crate::common::{HELLO, NOW, Wiring, implicit, mail, session, starttls, transmit, wiring};
use proptest::prelude::*;
use smtp_rustls::Endpoint;
use smtp_rustls::proto::{
    ApiMisuse, Connection, Credentials, Error, ErrorKind, Stage, Time, Timeout, Timeouts,
    TransportError, Wire,
};
use smtp_test::{Action, Config, Defect, Log, Peer, Tls};

fn broken_pipe() -> TransportError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

/// A client that has received a bad certificate, and whose alert is not sent yet.
fn failing() -> (Wiring, Log) {
    let tls = Tls::new().defect(Defect::Expired);
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.write();
    wiring.read();
    (wiring, log)
}

fn failure(wiring: &mut Wiring) -> Option<Error> {
    match wiring.session.smtp_mut().poll_ready() {
        Poll::Ready(Err(error)) => Some(error),
        _ => None,
    }
}

fn is_expiry(error: &Error) -> bool {
    error.stage() == Stage::TlsHandshake && format!("{error:#}").contains("xpired")
}

#[test]
fn a_failure_is_reported_when_the_alert_is_sent() {
    let (mut wiring, log) = failing();
    assert!(failure(&mut wiring).is_none());
    assert!(wiring.session.poll_timeout().unwrap() <= NOW + Duration::from_secs(5));
    wiring.write = 1;
    wiring.write();
    assert!(is_expiry(&failure(&mut wiring).unwrap()));
    assert!(log.session().tls_error().unwrap().contains("alert"));
    assert_eq!(wiring.session.poll_timeout(), None);
    assert!(wiring.session.poll_transmit(NOW).is_none());
}

#[test]
fn more_bytes_acknowledged_than_transmitted_are_misuse() {
    let tls = Tls::new();
    for is_implicit in [true, false] {
        for ready in [true, false] {
            let mut wiring = wiring(is_implicit, &tls, &Log::new());
            if ready {
                wiring.ready().unwrap();
                wiring.session.smtp_mut().submit(mail(HELLO));
            }
            let pending = transmit(&mut wiring.session).map_or(0, |transmit| transmit.len());
            wiring.session.handle_sent(NOW, pending + 1);
            let error = failure(&mut wiring).unwrap();
            assert!(
                matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::SentTooMuch)),
                "{error:#}"
            );
            wiring.session.handle_sent(NOW, usize::MAX);
        }
    }
}

#[test]
fn a_failure_is_reported_at_once_if_the_alert_cannot_be_sent() {
    type Event = fn(&mut Wiring);
    let events: [Event; 4] = [
        |wiring| wiring.session.handle_write_error(NOW, broken_pipe()),
        |wiring| wiring.session.handle_read_error(NOW, broken_pipe()),
        |wiring| wiring.session.handle_eof(NOW),
        |wiring| {
            let until = wiring.session.poll_timeout().unwrap();
            wiring.session.handle_timeout(NOW);
            assert!(failure(wiring).is_none(), "before the deadline");
            wiring.session.handle_timeout(until);
        },
    ];
    for event in events {
        let (mut wiring, _) = failing();
        assert!(transmit(&mut wiring.session).is_some());
        event(&mut wiring);
        let error = failure(&mut wiring).unwrap();
        assert!(is_expiry(&error), "{error:#}");
        assert!(wiring.session.poll_transmit(NOW).is_none());
    }
}

#[test]
fn a_transport_error_during_the_handshake_is_an_error_of_the_handshake() {
    for written in [false, true] {
        let mut session = session(implicit(&Tls::new()));
        assert!(transmit(&mut session).is_some());
        if written {
            session.handle_read_error(NOW, broken_pipe());
        } else {
            session.handle_write_error(NOW, broken_pipe());
            assert!(session.poll_transmit(NOW).is_none());
            session.handle_eof(NOW);
        }
        let error = session.smtp_mut().poll_ready().answer().unwrap_err();
        assert_eq!(error.stage(), Stage::TlsHandshake);
        assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
        assert!(session.poll_transmit(NOW).is_none());
    }
}

#[test]
fn the_deadline_of_the_handshake_begins_with_the_first_transmit() {
    let limit = Duration::from_secs(7);
    let tls = Tls::new();
    let endpoint = implicit(&tls).timeouts(Timeouts::default().with_starttls(limit));
    let mut session = session(endpoint);
    assert_eq!(session.poll_timeout(), None);
    let began = Time::from_origin(Duration::from_secs(100));
    assert!(session.poll_transmit(began).is_some());
    assert_eq!(session.poll_timeout(), Some(began + limit));
    session.handle_timeout(began + limit);
    let error = session.smtp_mut().poll_ready().answer().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(Timeout::ImplicitTls)),
        "{error:#}"
    );
    assert!(error.hint().unwrap().contains("STARTTLS"), "{error:#}");
    assert!(
        session.poll_transmit(began + limit).is_none(),
        "nothing is sent after the timeout"
    );
}

#[test]
fn a_server_that_stops_reading_content_runs_into_its_deadline() {
    let tls = Tls::new();
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(body(1 << 20)));
    while log
        .session()
        .commands()
        .last()
        .is_none_or(|last| last != "DATA")
        || wiring.read()
    {
        wiring.write = 100;
        let transmit = transmit(&mut wiring.session).unwrap();
        let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
        if bytes.len() > 60_000 {
            break;
        }
        wiring.session.handle_sent(NOW, bytes.len());
        wiring.server.handle_input(&bytes);
        while wiring.read() {}
    }
    // The transport takes a part of the content, and then nothing.
    assert!(transmit(&mut wiring.session).unwrap().len() > 60_000);
    wiring.session.handle_sent(NOW, 1000);
    assert!(transmit(&mut wiring.session).is_some());
    let until = wiring.session.poll_timeout().unwrap();
    assert_eq!(until, NOW + Duration::from_secs(180));
    wiring.session.handle_timeout(until);
    let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
    assert!(
        matches!(
            outcome.error().unwrap().kind(),
            ErrorKind::Timeout(Timeout::Write)
        ),
        "{outcome:?}"
    );
    assert!(outcome.recipients()[0].status().is_safe_to_retry());
}

#[test]
fn after_its_close_notify_a_session_reads_and_sends_nothing() {
    type End = fn(&mut Wiring);
    let ends: [End; 3] = [
        |wiring| {
            wiring.ready().unwrap();
            wiring.session.smtp_mut().quit();
            wiring.drive(Connection::poll_closed).unwrap().unwrap();
            assert!(wiring.write(), "close_notify");
        },
        |wiring| {
            wiring.ready().unwrap();
            let id = wiring.session.smtp_mut().submit(mail(body(1 << 20)));
            while transmit(&mut wiring.session).unwrap().len() < 60_000 {
                let transmit = transmit(&mut wiring.session).unwrap();
                let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
                wiring.session.handle_sent(NOW, bytes.len());
                wiring.server.handle_input(&bytes);
                while wiring.read() {}
            }
            wiring.session.smtp_mut().abandon(id);
            assert!(wiring.write(), "the rest of the chunk, and close_notify");
        },
        |wiring| {
            wiring.ready().unwrap();
            wiring.session.handle_eof(NOW);
            assert!(wiring.write(), "close_notify");
        },
    ];
    for end in ends {
        for garbage in [&[0; 64][..], &[255; 64], &[23, 3, 3, 0, 32], &[23; 200]] {
            let mut wiring = wiring(true, &Tls::new(), &Log::new());
            end(&mut wiring);
            let before = format!("{:?}", wiring.session.smtp_mut().poll_ready());
            wiring.session.handle_input(NOW, garbage);
            assert!(wiring.session.poll_transmit(NOW).is_none(), "{garbage:?}");
            assert_eq!(wiring.session.poll_timeout(), None);
            assert_eq!(
                format!("{:?}", wiring.session.smtp_mut().poll_ready()),
                before
            );
        }
    }
}

#[test]
fn while_an_alert_is_pending_input_is_discarded() {
    let (mut wiring, _) = failing();
    let alert = wiring.session.poll_transmit(NOW).unwrap().len();
    let until = wiring.session.poll_timeout();
    let later = NOW + Duration::from_secs(4);
    wiring.session.handle_input(later, &[255; 64]);
    assert_eq!(wiring.session.poll_timeout(), until);
    assert_eq!(wiring.session.poll_transmit(later).unwrap().len(), alert);
    wiring.session.handle_sent(later, alert);
    assert!(is_expiry(&failure(&mut wiring).unwrap()));
    assert!(wiring.session.poll_transmit(later).is_none());
}

#[test]
fn after_a_write_error_the_reply_with_the_reason_is_still_read() {
    let tls = Tls::new();
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(HELLO));
    wiring.write();
    wiring.session.handle_write_error(NOW, broken_pipe());
    assert!(wiring.session.poll_transmit(NOW).is_none());
    while wiring.read() {}
    wiring.session.handle_eof(NOW);
    let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
    assert!(outcome.recipients()[0].status().is_safe_to_retry());
    assert!(wiring.session.poll_transmit(NOW).is_none());
}

#[test]
fn after_a_read_error_nothing_more_is_sent() {
    let mut wiring = wiring(true, &Tls::new(), &Log::new());
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(HELLO));
    assert!(transmit(&mut wiring.session).is_some());
    wiring.session.handle_read_error(NOW, broken_pipe());
    assert!(wiring.session.poll_transmit(NOW).is_none());
    let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
    assert!(outcome.recipients()[0].status().is_safe_to_retry());
}

#[test]
fn a_closed_session_sends_close_notify_once() {
    let tls = Tls::new();
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.ready().unwrap();
    wiring.session.smtp_mut().quit();
    wiring.drive(Connection::poll_closed).unwrap().unwrap();
    let before = wiring.sent.len();
    wiring.settle();
    assert_eq!(wiring.sent.len(), before + 1);
    assert!(log.session().client_eof());
    wiring.session.handle_eof(NOW);
    wiring.session.handle_input(NOW, &[0; 64]);
    wiring
        .session
        .handle_timeout(NOW + Duration::from_secs(3600));
    assert!(wiring.session.poll_transmit(NOW).is_none());
    assert_eq!(wiring.session.poll_timeout(), None);
}

#[test]
fn a_session_that_fails_inside_tls_sends_close_notify() {
    let tls = Tls::new();
    let log = Log::new();
    let config = Config::new()
        .tls(tls.clone())
        .implicit_tls()
        .on(smtp_test::Stage::EhloInTls, Action::raw(b"nonsense\r\n"));
    let mut wiring = Wiring::new(session(implicit(&tls)), &config, &tls, &log);
    let error = wiring.ready().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error:#}");
    wiring.settle();
    assert!(log.session().client_eof(), "{}", log.session().transcript());
}

#[test]
fn debug_shows_no_secret() {
    let tls = Tls::new();
    let endpoint = starttls(&tls)
        .credentials(Credentials::password("alice", "hunter2").unwrap())
        .build()
        .unwrap();
    let mut session = endpoint.session();
    session.handle_input(NOW, b"220 ready\r\n");
    for text in [
        format!("{endpoint:?}"),
        format!("{session:?}"),
        format!("{:?}", smtp_rustls::TlsConfig::builder()),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_session_can_be_sent_to_another_thread() {
    fn assert_send<T: Send>() {}
    fn assert_sync<T: Sync>() {}
    assert_send::<smtp_rustls::Session>();
    assert_sync::<smtp_rustls::Session>();
    assert_send::<Endpoint>();
    assert_sync::<Endpoint>();
    assert_sync::<smtp_rustls::TlsConfig>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_place_of_tls_are_a_typed_error(
        mut garbage in proptest::collection::vec(any::<u8>(), 0..400),
        record in any::<bool>(),
        cut in 1..50_usize,
    ) {
        if record {
            let length = u16::try_from(garbage.len()).unwrap().to_be_bytes();
            garbage.splice(0..0, [22, 3, 3, length[0], length[1]]);
        }
        let mut session = session(implicit(&TLS.with(Tls::clone)));
        let count = transmit(&mut session).unwrap().len();
        session.handle_sent(NOW, count);
        for segment in garbage.chunks(cut) {
            session.handle_input(NOW, segment);
        }
        let alert = transmit(&mut session).map_or(0, |transmit| transmit.len());
        session.handle_sent(NOW, alert);
        session.handle_eof(NOW);
        let error = session.smtp_mut().poll_ready().answer().unwrap_err();
        prop_assert_eq!(error.stage(), Stage::TlsHandshake);
        prop_assert!(matches!(error.kind(), ErrorKind::Transport(_)));
        prop_assert!(session.poll_transmit(NOW).is_none());
    }
}

thread_local! {
    static TLS: Tls = Tls::new();
}

fn body(len: usize) -> Vec<u8> {
    let line = b"It was a dark and stormy night; the rain fell in torrents, except at occasional intervals.\r\n";
    b"From: a@example.org\r\nSubject: long\r\n\r\n"
        .iter()
        .chain(line.iter().cycle().take(len / line.len() * line.len()))
        .copied()
        .collect()
}

#[test]
fn a_failure_of_tls_after_a_write_error_waits_for_no_alert() {
    let mut wiring = wiring(true, &Tls::new(), &Log::new());
    wiring.ready().unwrap();
    wiring.session.handle_write_error(NOW, broken_pipe());
    wiring.session.handle_input(NOW, &[255; 64]);
    assert!(wiring.session.poll_transmit(NOW).is_none());
    assert_eq!(wiring.session.poll_timeout(), None);
    let error = failure(&mut wiring).unwrap();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, broken_pipe().to_string(), "the first error counts");
}

#[test]
fn a_handshake_that_ends_after_its_time_limit_begins_no_session() {
    let mut wiring = wiring(true, &Tls::new().only_tls13(), &Log::new());
    assert!(wiring.write(), "the server's last flight is on its way");
    let until = wiring.session.poll_timeout().unwrap();
    wiring.session.handle_timeout(until);
    while wiring.read() {}
    assert!(wiring.session.smtp_mut().tls().is_none());
    let error = failure(&mut wiring).unwrap();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(Timeout::ImplicitTls)),
        "{error:#}"
    );
}
