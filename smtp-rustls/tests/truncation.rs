//! Truncation: of the handshake, of a record, of a reply.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use crate::common;
use crate::common::answered::Answered as _;

use common::{HELLO, NOW, Wiring, mail, session, steady, wiring};
use smtp_rustls::Endpoint;
use smtp_rustls::proto::{Error, ErrorKind, RecipientStatus, Stage, Wire};
use smtp_test::{Action, Config, Log, Tls};

/// A server for each version of TLS, and the client's configuration.
fn versions() -> [(Tls, smtp_rustls::TlsConfig); 2] {
    let (tls, trusted) = steady();
    [
        (tls.clone().only_tls12(), trusted.clone()),
        (tls.only_tls13(), trusted),
    ]
}

/// A new client, whose handshake resumes nothing.
fn steady_wiring((tls, trusted): &(Tls, smtp_rustls::TlsConfig), log: &Log) -> Wiring {
    let config = Config::new().tls(tls.clone()).implicit_tls();
    let endpoint = Endpoint::implicit("localhost").tls(trusted.clone());
    Wiring::new(session(endpoint), &config, tls, log)
}

/// Passes `pass` bytes from the server, then the bytes `then`, then the end of the stream. Returns
/// the result of the handshake, and how many bytes the server sent.
fn handshake_cut_at(
    tls: &(Tls, smtp_rustls::TlsConfig),
    pass: usize,
    then: &[u8],
) -> (Result<(), Error>, usize) {
    let log = Log::new();
    let mut wiring = steady_wiring(tls, &log);
    wiring.pass = pass;
    wiring.then = then.to_vec();
    let result = wiring.ready();
    if result.is_err() {
        wiring.settle();
    }
    assert!(
        result.is_ok() || log.session().commands().len() <= 1,
        "{result:?}"
    );
    (result, wiring.received)
}

/// Each position near the possible ends of records, and every ninth between them.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |at| *at < 160 || at % 9 == 0 || len - at < 100)
}

#[test]
fn v06_an_end_at_any_byte_of_the_handshake_is_a_typed_error() {
    for tls in versions() {
        let (result, len) = handshake_cut_at(&tls, usize::MAX, b"");
        result.unwrap();
        for pass in cuts(len) {
            let (result, _) = handshake_cut_at(&tls, pass, b"");
            let error = result.unwrap_err();
            let expected = match error.stage() {
                Stage::TlsHandshake => {
                    matches!(error.kind(), ErrorKind::Transport(_)) && error.hint().is_some()
                }
                Stage::Greeting | Stage::Ehlo => {
                    matches!(
                        error.kind(),
                        ErrorKind::Transport(_) | ErrorKind::ConnectionLost
                    )
                }
                _ => false,
            };
            assert!(expected, "cut at {pass} of {len}: {error:#}");
        }
    }
}

#[test]
fn v06_a_close_notify_or_another_alert_or_garbage_at_any_byte_of_the_handshake_is_a_typed_error() {
    const CLOSE_NOTIFY: &[u8] = &[21, 3, 3, 0, 2, 1, 0];
    const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    const EMPTY_RECORD: &[u8] = &[23, 3, 3, 0, 0];
    const THEN: [&[u8]; 5] = [
        CLOSE_NOTIFY,
        HANDSHAKE_FAILURE,
        EMPTY_RECORD,
        &[0; 64],
        &[255; 64],
    ];
    for tls in versions() {
        let (_, len) = handshake_cut_at(&tls, usize::MAX, b"");
        for (pass, then) in cuts(len).zip(THEN.iter().cycle()) {
            let (result, _) = handshake_cut_at(&tls, pass, then);
            let error = result.unwrap_err();
            let expected = matches!(
                error.kind(),
                ErrorKind::Transport(_) | ErrorKind::ConnectionLost
            );
            assert!(expected, "{then:?} at {pass} of {len}: {error:#}");
        }
    }
}

#[test]
fn v08_the_outcome_after_a_cut_depends_on_the_whole_replies_before_it() {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Status {
        NotSent,
        InDoubt,
        Accepted,
    }
    for tls in versions() {
        // The end of the stream, and a forged record.
        for then in [
            &b""[..],
            &[
                23, 3, 3, 0, 17, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            ],
        ] {
            let send = |pass: usize| {
                let log = Log::new();
                let mut wiring = steady_wiring(&tls, &log);
                wiring.pass = pass;
                wiring.then = then.to_vec();
                let outcome = wiring.send(mail(HELLO));
                let status = match outcome.recipients()[0].status() {
                    RecipientStatus::NotSent(_) => Status::NotSent,
                    RecipientStatus::InDoubt(_) => Status::InDoubt,
                    RecipientStatus::Accepted(_) => Status::Accepted,
                    RecipientStatus::Rejected { .. } => panic!("{outcome:?}"),
                };
                let stored = log.mails().len();
                match status {
                    Status::NotSent => assert_eq!(stored, 0, "cut at {pass}"),
                    Status::InDoubt | Status::Accepted => assert_eq!(stored, 1, "cut at {pass}"),
                }
                (status, wiring.received)
            };
            let (status, len) = send(usize::MAX);
            assert_eq!(status, Status::Accepted);
            // From the end of the replies before DATA to the final reply.
            let statuses: Vec<_> = (len - 120..=len).map(|pass| send(pass).0).collect();
            assert!(statuses.is_sorted(), "{statuses:?}");
            assert_eq!(statuses.first(), Some(&Status::NotSent));
            assert!(statuses.contains(&Status::InDoubt));
            assert_eq!(
                statuses
                    .iter()
                    .filter(|status| **status == Status::Accepted)
                    .count(),
                1,
                "{statuses:?}"
            );
        }
    }
}

#[test]
fn v08_an_end_within_a_record_is_told_from_an_end_between_records() {
    let [_, tls] = versions();
    let mut whole = steady_wiring(&tls, &Log::new());
    whole.ready().unwrap();
    // The last record is the reply to EHLO.
    let mut cut = steady_wiring(&tls, &Log::new());
    cut.pass = whole.received - 1;
    let error = cut.ready().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
    assert_eq!(error.stage(), Stage::Ehlo);
    assert!(
        format!("{error:#}").contains("in the middle of a TLS record"),
        "{error:#}"
    );

    let mut wiring = steady_wiring(&tls, &Log::new());
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(HELLO));
    wiring.session.handle_eof(NOW);
    let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
    let error = outcome.error().unwrap();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionLost),
        "{error:#}"
    );
}

#[test]
fn v08_a_close_notify_ends_the_connection_whatever_follows() {
    for tls in versions() {
        for after in [&b""[..], &[0; 64], &[23, 3, 3, 0, 32], b"250 OK\r\n"] {
            let log = Log::new();
            let config = Config::new()
                .tls(tls.0.clone())
                .implicit_tls()
                .on(smtp_test::Stage::EndOfData, Action::normal().then_close());
            let endpoint = Endpoint::implicit("localhost").tls(tls.1.clone());
            let mut wiring = Wiring::new(session(endpoint), &config, &tls.0, &log);
            wiring.ready().unwrap();
            let id = wiring.session.smtp_mut().submit(mail(HELLO));
            let next = wiring.session.smtp_mut().submit(mail(HELLO));
            // The last output of the server is `close_notify`. The stream does not end.
            let mut last = Vec::new();
            loop {
                wiring.write();
                match smtp_test::Peer::poll_output(&mut wiring.server) {
                    Some(smtp_test::Output::Write(bytes)) => {
                        wiring.session.handle_input(NOW, &last);
                        last = bytes;
                    }
                    Some(smtp_test::Output::Close) => break,
                    None => {
                        wiring.session.handle_input(NOW, &last);
                        last.clear();
                    }
                    other => panic!("{other:?}"),
                }
            }
            wiring
                .session
                .handle_input(NOW, &[&last[..], after].concat());
            let mut outcome = |id| wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
            assert!(outcome(id).is_accepted());
            assert!(outcome(next).recipients()[0].status().is_safe_to_retry());
            let error = wiring.session.smtp_mut().poll_ready().answer().unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::ConnectionLost),
                "{error:#}"
            );
            // The answer is `close_notify`, and nothing follows.
            assert!(wiring.write());
            wiring.session.handle_input(NOW, after);
            wiring.session.handle_eof(NOW);
            assert!(wiring.session.poll_transmit(NOW).is_none());
        }
    }
}

#[test]
fn v08_an_accepted_message_stays_accepted_whatever_follows_its_reply() {
    let tls = Tls::new();
    for action in [
        Action::normal().then_cut(),
        Action::normal().then_close(),
        Action::normal().then_reset(),
        Action::normal().append(b"garbage\r\n"),
    ] {
        let log = Log::new();
        let config = Config::new()
            .tls(tls.clone())
            .implicit_tls()
            .on(smtp_test::Stage::EndOfData, action);
        let mut wiring = Wiring::new(session(common::implicit(&tls)), &config, &tls, &log);
        let outcome = wiring.send(mail(HELLO));
        assert!(outcome.is_accepted(), "{outcome:?}");
    }
}

#[test]
fn v08_an_invalid_record_in_the_same_segment_does_not_affect_the_reply_before_it() {
    let tls = Tls::new().without_resumption();
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(HELLO));
    let reply = loop {
        wiring.write();
        let Some(smtp_test::Output::Write(bytes)) =
            smtp_test::Peer::poll_output(&mut wiring.server)
        else {
            panic!("the server replies");
        };
        if log.mails().len() == 1 {
            break bytes;
        }
        wiring.session.handle_input(NOW, &bytes);
    };
    // A forged record right after the final reply.
    let segment = [&reply[..], &[23, 3, 3, 0, 32], &[0; 32]].concat();
    wiring.session.handle_input(NOW, &segment);
    let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
    assert!(outcome.is_accepted(), "{outcome:?}");
    // The alert is sent first, then the connection receives the error.
    assert!(
        wiring
            .session
            .smtp_mut()
            .poll_event()
            .is_none_or(|event| event.is_ok())
    );
    wiring.write();
    let error = wiring.session.smtp_mut().poll_ready().answer().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
    assert!(log.session().tls_error().unwrap().contains("BadRecordMac"));
}
