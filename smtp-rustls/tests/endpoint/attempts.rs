//! The attempts to connect: when a target is tried again, and how.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::common::answered::Answered as _;
use crate::common::{self, HELLO, NOW, Wiring, mail, transmit, trust};
use smtp_rustls::proto::sasl::TokenRequest;
use smtp_rustls::proto::{
    AuthenticationError, Connection, Credentials, Error, ErrorKind, Mail, Secret, Security, Seed,
    Stage, Time, TransportError, Wire,
};
use smtp_rustls::{Endpoint, Target};
use smtp_test::{Action, Config, Defect, Log, Tls};

fn opportunistic(tls: &Tls) -> Endpoint {
    let builder = Endpoint::builder("localhost").security(Security::Opportunistic);
    builder.tls(trust(tls)).build().unwrap()
}

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2525);

/// Whether the only address is tried again after its session failed so.
fn tries_again_after(endpoint: &Endpoint, error: &Error) -> bool {
    let mut attempts = endpoint.attempts([ADDRESS]);
    let target = attempts.poll_connect(NOW).unwrap();
    assert!(attempts.handle_connected(&target, None).is_some());
    attempts.handle_failure(error.clone());
    assert_eq!(attempts.is_over(), attempts.poll_timeout().is_none());
    attempts.poll_connect(NOW) == Some(target)
}

#[test]
fn a_unix_socket_is_tried_again_and_is_the_only_target() {
    let path = Target::Unix("/run/smtp".into());
    let tls = Tls::new();
    let endpoint = Endpoint::unix("/run/smtp")
        .security(Security::Opportunistic)
        .tls(trust(&tls))
        .build()
        .unwrap();
    let mut attempts = endpoint.attempts([ADDRESS; 3]);
    assert_eq!(attempts.poll_connect(NOW), Some(path.clone()));
    let session = attempts.handle_connected(&path, None).unwrap();
    // A handshake that breaks leads to cleartext.
    let config = Config::new()
        .lmtp()
        .tls(tls.clone())
        .on(smtp_test::Stage::StartTls, Action::cut());
    let error = Wiring::new(session, &config, &tls, &Log::new())
        .ready()
        .unwrap_err();
    assert_eq!(error.endpoint(), Some("/run/smtp"));
    assert_eq!(error.address(), None);
    attempts.handle_failure(error);
    assert_eq!(attempts.poll_connect(NOW), Some(path.clone()));
    attempts.handle_connect_error(&path, io::ErrorKind::ConnectionRefused.into());
    assert!(attempts.is_over());
    assert_eq!(attempts.poll_connect(NOW), None);
    assert_eq!(attempts.into_error().attempts().len(), 1);
}

/// Makes attempts against servers with this configuration until one succeeds or none is left.
fn attempts(
    endpoint: &Endpoint,
    config: &Config,
    tls: &Tls,
    log: &Log,
) -> (usize, Result<(), Error>) {
    let mut count = 0;
    let mut attempts = endpoint.attempts([ADDRESS]);
    while let Some(target) = attempts.poll_connect(NOW) {
        count += 1;
        assert_eq!(target, Target::Tcp(ADDRESS));
        let session = attempts.handle_connected(&target, None).unwrap();
        let mut wiring = Wiring::new(session, config, tls, log);
        match wiring.ready() {
            Ok(()) => {
                assert!(wiring.send(mail(HELLO)).is_accepted());
                return (count, Ok(()));
            }
            Err(error) => attempts.handle_failure(error),
        }
    }
    assert!(attempts.is_over());
    (count, Err(attempts.into_error()))
}

#[test]
fn v33_a_rejected_token_is_refreshed_by_one_more_attempt() {
    use TokenRequest::{Cached, Refreshed};
    let tls = Tls::new();
    let config = Config::new()
        .tls(tls.clone())
        .token("alice", "valid")
        .mechanisms(["OAUTHBEARER", "XOAUTH2"]);
    for (tokens, expected) in [
        (["valid", "unused"], &[Cached][..]),
        (["expired", "valid"], &[Cached, Refreshed]),
        (["expired", "expired-too"], &[Cached, Refreshed]),
    ] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&asked);
        let source = move |request| {
            requests.lock().unwrap().push(request);
            let place = usize::from(request == Refreshed);
            Some(Secret::from(tokens[place]))
        };
        let endpoint = Endpoint::starttls("localhost")
            .tls(trust(&tls))
            .credentials(Credentials::token_provider("alice", source).unwrap())
            .build()
            .unwrap();
        // The same for each connection of the endpoint.
        for _ in 0..2 {
            asked.lock().unwrap().clear();
            let (count, result) = attempts(&endpoint, &config, &tls, &Log::new());
            assert_eq!(count, expected.len());
            assert_eq!(*asked.lock().unwrap(), expected);
            match result {
                Ok(()) => assert!(tokens.contains(&"valid")),
                Err(error) => {
                    let ErrorKind::Authentication(AuthenticationError::Rejected { .. }) =
                        error.kind()
                    else {
                        panic!("{error:#}");
                    };
                    assert!(!tokens.contains(&"valid"));
                }
            }
        }
    }
    // Without a token provider there is no second attempt.
    let endpoint = Endpoint::starttls("localhost")
        .tls(trust(&tls))
        .credentials(Credentials::token("alice", "expired").unwrap())
        .build()
        .unwrap();
    assert_eq!(attempts(&endpoint, &config, &tls, &Log::new()).0, 1);
}

#[test]
fn a_race_ends_when_no_token_can_be_fetched() {
    let credentials = Credentials::fetched_token("alice").unwrap();
    let endpoint = Endpoint::starttls("localhost").credentials(credentials.clone());
    let endpoint = endpoint.build().unwrap();
    let config = smtp_rustls::proto::Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .dangerous_credentials_in_cleartext()
        .credentials(credentials)
        .build()
        .unwrap();
    let now = Time::ORIGIN;
    type End = fn(&mut Connection);
    let ends: [(End, bool); 3] = [
        // Another address has the same source.
        (
            |smtp| smtp.fail_token(io::Error::other("the token server is down").into()),
            true,
        ),
        (
            |smtp| smtp.handle_timeout(smtp.poll_timeout().unwrap()),
            true,
        ),
        // But it may be another server.
        (|smtp| smtp.handle_eof(Time::ORIGIN), false),
    ];
    for (end, is_over) in ends {
        let mut smtp = Connection::new(Arc::new(config.clone()), Seed::random());
        for reply in ["220 mx.test\r\n", "250-mx.test\r\n250 AUTH XOAUTH2\r\n"] {
            smtp.handle_input(now, reply.as_bytes());
            let count = smtp.poll_transmit(now).map_or(0, |output| output.len());
            smtp.handle_sent(now, count);
        }
        assert!(matches!(smtp.poll_token(), Poll::Ready(Ok(Some(_)))));
        end(&mut smtp);
        let Poll::Ready(Err(error)) = smtp.poll_ready() else {
            panic!("it has not failed");
        };
        assert!(error.is_transient());
        let addresses = [([192, 0, 2, 1], 587).into(), ([192, 0, 2, 2], 587).into()];
        let mut attempts = endpoint.attempts(addresses);
        let target = attempts.poll_connect(now).unwrap();
        assert!(attempts.handle_connected(&target, None).is_some());
        attempts.handle_failure(error);
        assert_eq!(attempts.is_over(), is_over);
    }
}

#[test]
fn opportunistic_tls_falls_back_to_cleartext_only_if_tls_itself_failed() {
    use smtp_test::Stage as At;
    let good = Tls::new();
    let bad = good.clone().defect(Defect::Expired);
    let with_starttls = |tls: &Tls| Config::new().tls(tls.clone());
    let table: [(&str, &Tls, Config, usize, bool); 10] = [
        ("TLS works", &good, with_starttls(&good), 1, true),
        ("STARTTLS is not advertised", &good, Config::new(), 1, true),
        (
            "STARTTLS is rejected temporarily",
            &good,
            with_starttls(&good).on(At::StartTls, Action::reply("454 not now")),
            1,
            true,
        ),
        (
            "STARTTLS is rejected permanently",
            &good,
            with_starttls(&good).on(At::StartTls, Action::reply("502 no")),
            1,
            true,
        ),
        ("the certificate is bad", &bad, with_starttls(&bad), 1, true),
        (
            "the server closes",
            &good,
            with_starttls(&good).on(At::StartTls, Action::close()),
            2,
            true,
        ),
        (
            "the server resets",
            &good,
            with_starttls(&good).on(At::StartTls, Action::reset()),
            2,
            true,
        ),
        (
            "there is no handshake",
            &good,
            with_starttls(&good).on(At::StartTls, Action::normal().then("no\r\n no\r\n")),
            2,
            true,
        ),
        (
            "an attacker injects a reply",
            &good,
            with_starttls(&good).on(At::StartTls, Action::normal().append("250 x\r\n")),
            1,
            false,
        ),
        (
            "the greeting is a rejection",
            &good,
            with_starttls(&good).on(At::Greeting, Action::reply("554 no")),
            1,
            false,
        ),
    ];
    for (case, tls, config, expected, ends_well) in table {
        let log = Log::new();
        let (count, result) = attempts(&opportunistic(&good), &config, tls, &log);
        assert_eq!(
            (count, result.is_ok()),
            (expected, ends_well),
            "{case}: {result:?}"
        );
        let sessions = log.sessions();
        if case == "the certificate is bad" {
            assert!(sessions[0].tls().is_some(), "encrypted is better than not");
        }
        if count == 2 {
            assert!(sessions[1].tls().is_none(), "{case}");
            assert!(
                !sessions[1]
                    .commands()
                    .iter()
                    .any(|command| command == "STARTTLS"),
                "{case}"
            );
        }
    }
}

/// RFC 8689, section 4.2.2.
#[test]
fn v01_an_endpoint_is_relaxed_for_a_message_with_optional_tls_and_for_no_other() {
    let bad = Tls::new().defect(Defect::Expired);
    let config = Config::new().tls(bad.clone());
    let text = |header: &str| format!("{header}From: a@x.test\r\nSubject: t\r\n\r\nhello\r\n");
    let mail = |header: &str| {
        let mail = Mail::builder().sender("a@x.test").recipient("b@x.test");
        mail.message(text(header))
            .honor_tls_required()
            .build()
            .unwrap()
    };
    let (optional, other) = (mail("TLS-Required: No\r\n"), mail(""));
    let strict = common::starttls(&bad).build().unwrap();
    let reached = |endpoint: &Endpoint| {
        let (count, last) = attempts(endpoint, &config, &bad, &Log::new());
        (count, last.is_ok())
    };
    assert_eq!(reached(&strict.relaxed_for(&optional)), (1, true));
    assert_eq!(reached(&strict.relaxed_for(&other)), (1, false));
    let relaxed = strict.relaxed_for(&optional);
    assert_eq!(relaxed.security(), Security::Opportunistic);
    assert_eq!(
        (relaxed.port(), relaxed.host()),
        (strict.port(), strict.host())
    );

    let login = Credentials::password("alice", "canary").unwrap();
    let login = common::starttls(&bad).credentials(login).build().unwrap();
    assert_eq!(reached(&login.relaxed_for(&optional)), (1, false));
    let implicit = common::implicit(&bad).build().unwrap();
    assert_eq!(
        implicit.relaxed_for(&optional).security(),
        Security::Implicit
    );
}

#[test]
fn opportunistic_tls_falls_back_to_cleartext_if_tls_takes_too_long() {
    let endpoint = opportunistic(&Tls::new());
    let run = |replies: &[&str]| {
        let mut session = endpoint.session();
        for reply in replies {
            session.handle_input(NOW, reply.as_bytes());
            let count = transmit(&mut session).map_or(0, |transmit| transmit.len());
            session.handle_sent(NOW, count);
            assert!(session.poll_transmit(NOW).is_none());
        }
        let until = session.poll_timeout().unwrap();
        session.handle_timeout(until);
        let error = session.smtp_mut().poll_ready().answer().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:#}");
        tries_again_after(&endpoint, &error)
    };
    assert!(!run(&["220 ready\r\n"]));
    assert!(run(&["220 ready\r\n", "250-hello\r\n250 STARTTLS\r\n"]));
    assert!(run(&[
        "220 ready\r\n",
        "250-hello\r\n250 STARTTLS\r\n",
        "220 go ahead\r\n"
    ]));
}

#[test]
fn no_other_security_falls_back_to_cleartext() {
    let tls = Tls::new().defect(Defect::WrongName);
    for security in [Security::StartTls, Security::Implicit] {
        let mut config = Config::new().tls(tls.clone());
        if security == Security::Implicit {
            config = config.implicit_tls();
        }
        let endpoint = Endpoint::builder("localhost")
            .security(security)
            .tls(trust(&tls))
            .build()
            .unwrap();
        let log = Log::new();
        let (count, result) = attempts(&endpoint, &config, &tls, &log);
        assert_eq!(count, 1);
        assert_eq!(result.unwrap_err().stage(), Stage::TlsHandshake);
        assert!(log.mails().is_empty());
    }
    let endpoint = Endpoint::builder("localhost")
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let error = Error::connect(TransportError::from(io::Error::from(
        io::ErrorKind::ConnectionRefused,
    )));
    assert!(!tries_again_after(&endpoint, &error));
    assert!(!tries_again_after(&opportunistic(&tls), &error));
}
