//! The start of TLS: by STARTTLS, implicitly, or not at all.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use crate::common::answered::Answered as _;
use crate::common::{
    HELLO, NOW, Wiring, implicit, mail, session, starttls, transmit, trust, wiring,
};
use smtp_rustls::Endpoint;
use smtp_rustls::proto::{
    Connection, Credentials, ErrorKind, ProtocolError, Security, Stage, Wire,
};
use smtp_test::{Action, Config, Log, Peer, Tls};

#[test]
fn a_message_is_sent_in_each_version_of_tls_by_starttls_and_implicitly() {
    for (tls, version, suites) in [
        (Tls::new().only_tls12(), "TLSv1.2", "TLS_ECDHE_"),
        (Tls::new().only_tls13(), "TLSv1.3", "TLS_AES_"),
    ] {
        for is_implicit in [false, true] {
            let log = Log::new();
            let mut wiring = wiring(is_implicit, &tls, &log);
            let outcome = wiring.send(mail(HELLO));
            assert!(outcome.is_accepted(), "{outcome:?}");
            let facts = outcome.tls().unwrap();
            assert_eq!(facts.version(), Some(version));
            assert!(facts.cipher_suite().unwrap().starts_with(suites), "{facts}");
            assert!(facts.key_exchange_group().is_some());
            assert!(!facts.is_resumed());
            assert_eq!(facts.peer_certificates().len(), 1);
            wiring.session.smtp_mut().quit();
            wiring.drive(Connection::poll_closed).unwrap().unwrap();
            wiring.settle();
            assert_eq!(log.mails()[0].body(), HELLO.as_bytes());
            assert!(log.mails()[0].over_tls());
            assert!(
                log.session().client_eof(),
                "close_notify arrived: {}",
                log.session().transcript()
            );
            assert_eq!(
                log.session().tls().unwrap().server_name(),
                Some("localhost")
            );
            log.assert_clean();
        }
    }
}

#[test]
fn every_split_of_both_directions_gives_the_same_dialogue() {
    for tls in [Tls::new().only_tls12(), Tls::new().only_tls13()] {
        for is_implicit in [false, true] {
            let mut dialogues = Vec::new();
            for (write, read) in [
                (usize::MAX, usize::MAX),
                (1, usize::MAX),
                (usize::MAX, 1),
                (1, 1),
                (7, 5),
            ] {
                let log = Log::new();
                let mut wiring = wiring(is_implicit, &tls, &log);
                (wiring.write, wiring.read) = (write, read);
                let outcome = wiring.send(mail(HELLO));
                assert!(outcome.is_accepted(), "{outcome:?}");
                wiring.session.smtp_mut().quit();
                wiring.drive(Connection::poll_closed).unwrap().unwrap();
                wiring.settle();
                log.assert_clean();
                let trips = wiring.session.smtp_mut().tls().unwrap().round_trips();
                dialogues.push((log.session().transcript(), trips, outcome.stats()));
            }
            assert!(
                dialogues.windows(2).all(|pair| pair[0] == pair[1]),
                "{dialogues:#?}"
            );
        }
    }
}

#[test]
fn the_end_of_the_handshake_and_the_first_command_are_one_transmit() {
    let tls = Tls::new().only_tls13();
    let log = Log::new();
    let mut wiring = wiring(false, &tls, &log);
    wiring.ready().unwrap();
    // EHLO and STARTTLS in cleartext, ClientHello, Finished with EHLO.
    assert_eq!(wiring.sent.len(), 4, "{}", log.session().transcript());
    assert_eq!(wiring.session.smtp_mut().stats().round_trips(), 5);
    assert_eq!(log.session().commands().len(), 3);
}

#[test]
fn a_transmit_is_the_same_until_it_is_acknowledged() {
    let tls = Tls::new();
    let mut wiring = wiring(true, &tls, &Log::new());
    let pending = |wiring: &mut Wiring| {
        let transmit = transmit(&mut wiring.session).unwrap();
        transmit.iter().flatten().copied().collect::<Vec<u8>>()
    };
    let hello = pending(&mut wiring);
    assert_eq!(hello, pending(&mut wiring));
    wiring.session.handle_sent(NOW, 10);
    assert_eq!(hello[10..], pending(&mut wiring));
    wiring.server.handle_input(&hello[..10]);
    assert!(wiring.send(mail(HELLO)).is_accepted());
}

#[test]
fn a_second_connection_resumes_the_session_and_reports_it() {
    for (tls, first_trips) in [(Tls::new().only_tls12(), 2), (Tls::new().only_tls13(), 1)] {
        let endpoint = implicit(&tls).build().unwrap();
        let config = Config::new().tls(tls.clone()).implicit_tls();
        for (resumed, trips) in [(false, first_trips), (true, 1)] {
            let log = Log::new();
            let mut wiring = Wiring::new(endpoint.session(), &config, &tls, &log);
            assert!(wiring.send(mail(HELLO)).is_accepted());
            let facts = wiring.session.smtp_mut().tls().unwrap().clone();
            assert_eq!(
                (facts.is_resumed(), facts.round_trips()),
                (resumed, trips),
                "{facts}"
            );
            assert_eq!(log.session().resumed(), resumed);
            assert_eq!(facts.peer_certificates().len(), 1);
        }
    }
}

#[test]
fn a_session_that_is_not_driven_consumes_no_resumption_ticket() {
    for is_implicit in [false, true] {
        let tls = Tls::new().only_tls13();
        let endpoint = match is_implicit {
            true => implicit(&tls).build().unwrap(),
            false => starttls(&tls).build().unwrap(),
        };
        let config = Config::new().tls(tls.clone());
        let config = match is_implicit {
            true => config.implicit_tls(),
            false => config.advertise_starttls(),
        };
        for resumed in [false, true] {
            // More sessions than tickets, each of which is used once (RFC 8446, appendix C.4).
            for _ in 0..10 {
                drop(endpoint.session());
            }
            let session = endpoint.session();
            let mut wiring = Wiring::new(session, &config, &tls, &Log::new());
            assert!(wiring.send(mail(HELLO)).is_accepted());
            let facts = wiring.session.smtp_mut().tls().unwrap();
            assert_eq!(facts.is_resumed(), resumed, "{facts}");
        }
    }
}

#[test]
fn tls_13_has_a_channel_binding_and_tls_12_only_where_it_is_secure() {
    let binding = |tls: &Tls, require_ems: bool| {
        let mut config = (*tls.client_config()).clone();
        config.require_ems = require_ems;
        let endpoint = Endpoint::implicit("localhost").tls(config);
        let server = Config::new().tls(tls.clone()).implicit_tls();
        let mut wiring = Wiring::new(session(endpoint), &server, tls, &Log::new());
        wiring.ready().unwrap();
        let facts = wiring.session.smtp_mut().tls().unwrap();
        facts.channel_binding("tls-exporter").map(<[u8]>::len)
    };
    assert_eq!(binding(&Tls::new().only_tls13(), false), Some(32));
    assert_eq!(binding(&Tls::new().only_tls12(), false), None);
    assert_eq!(binding(&Tls::new().only_tls12(), true), Some(32));
}

#[test]
fn credentials_are_sent_only_inside_tls() {
    let tls = Tls::new();
    let config = Config::new()
        .tls(tls.clone())
        .user("alice", "secret")
        .require_tls()
        .require_auth();
    let log = Log::new();
    let endpoint = starttls(&tls).credentials(Credentials::password("alice", "secret").unwrap());
    let mut wiring = Wiring::new(session(endpoint), &config, &tls, &log);
    assert!(wiring.send(mail(HELLO)).is_accepted());
    assert_eq!(log.session().authenticated_as(), Some("alice"));
    log.assert_clean();
}

#[test]
fn v02_input_after_the_220_in_the_same_segment_is_fatal() {
    let tls = Tls::new();
    let mut tails: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    let reply = b"250-fake\r\n250 AUTH PLAIN\r\n";
    tails.extend((1..=reply.len()).map(|end| reply[..end].to_vec()));
    tails.extend([
        b"\r\n".to_vec(),
        b"\0".to_vec(),
        vec![0x16, 3, 1, 0, 4, 2, 0, 0, 0],
    ]);
    for tail in tails {
        let config = Config::new()
            .tls(tls.clone())
            .on(smtp_test::Stage::StartTls, Action::normal().append(&tail));
        let log = Log::new();
        let mut wiring = Wiring::new(session(starttls(&tls)), &config, &tls, &log);
        let error = wiring.ready().unwrap_err();
        let named = matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::InjectedBeforeTls)
        );
        assert!(named, "{tail:?}: {error:#}");
        let count = wiring.sent.len();
        wiring.settle();
        assert_eq!(wiring.sent.len(), count, "nothing more is sent");
        assert_eq!(log.session().commands().len(), 2);
    }
}

#[test]
fn v02_cleartext_after_the_220_in_a_later_segment_is_fatal() {
    let tls = Tls::new();
    for byte in 0..=u8::MAX {
        let tail = [&[byte; 5][..], b"-fake\r\n250 AUTH PLAIN\r\n"].concat();
        let config = Config::new().tls(tls.clone()).on(
            smtp_test::Stage::StartTls,
            Action::normal().then(&tail).then(vec![byte; 20_000]),
        );
        let log = Log::new();
        let mut wiring = Wiring::new(session(starttls(&tls)), &config, &tls, &log);
        let error = wiring.ready().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Transport(_)),
            "{byte}: {error:#}"
        );
        assert_eq!(error.stage(), Stage::TlsHandshake);
        let hint = error.hint().unwrap_or_default();
        let text = byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        assert_eq!(hint.contains("tampering"), text, "{byte}: {error:#}");
        assert_eq!(
            log.session().commands().len(),
            2,
            "{}",
            log.session().transcript()
        );
    }
}

#[test]
fn a_cleartext_server_on_the_port_of_implicit_tls_is_reported_as_such() {
    let tls = Tls::new();
    for read in [1, usize::MAX] {
        let log = Log::new();
        let mut wiring = Wiring::new(session(implicit(&tls)), &Config::new(), &tls, &log);
        wiring.read = read;
        let error = wiring.ready().unwrap_err();
        assert_eq!(error.stage(), Stage::TlsHandshake);
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("STARTTLS") && hint.contains("587"),
            "{error:#}"
        );
    }
}

#[test]
fn an_implicit_tls_server_on_the_port_of_starttls_is_silent_or_reported_as_such() {
    let tls = Tls::new();
    let mut session = session(starttls(&tls));
    assert!(session.poll_transmit(NOW).is_none());
    session.handle_input(NOW, &[0x15, 3, 1, 0, 2, 2, 40]);
    let error = session.smtp_mut().poll_ready().answer().unwrap_err();
    assert!(error.hint().unwrap().contains("465"), "{error:#}");
}

#[test]
fn cleartext_security_never_begins_tls() {
    let log = Log::new();
    let tls = Tls::new();
    let endpoint = Endpoint::builder("localhost").security(Security::Cleartext);
    let config = Config::new().tls(tls.clone());
    let mut wiring = Wiring::new(session(endpoint), &config, &tls, &log);
    assert!(wiring.send(mail(HELLO)).is_accepted());
    assert!(!log.mails()[0].over_tls());
}

#[test]
fn opportunistic_security_uses_tls_where_it_is_advertised() {
    let tls = Tls::new();
    for advertised in [true, false] {
        let log = Log::new();
        let endpoint = Endpoint::builder("localhost")
            .security(Security::Opportunistic)
            .tls(trust(&tls));
        let config = if advertised {
            Config::new().tls(tls.clone())
        } else {
            Config::new()
        };
        let mut wiring = Wiring::new(session(endpoint), &config, &tls, &log);
        assert!(wiring.send(mail(HELLO)).is_accepted());
        assert_eq!(log.mails()[0].over_tls(), advertised);
    }
}
