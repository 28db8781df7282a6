//! Which endpoints can be, and which attempts they make.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use crate::common;
use crate::common::Answered as _;
use crate::common::transmit;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{HELLO, NOW, Wiring, mail, trust};
use smtp_rustls::proto::sasl::TokenRequest;
use smtp_rustls::proto::{
    AuthenticationError, ConfigError, Connection, Credentials, Error, ErrorKind, Mail, Pipelining,
    Protocol, ReplyLimits, Secret, Security, Seed, Stage, Timeout, Timeouts, TransportError,
    Window, Wire,
};
use smtp_rustls::{Endpoint, EndpointBuilder, EndpointError, HostErrorKind, Session};
use smtp_test::{Action, Config, Defect, Log, Tls};

fn opportunistic(tls: &Tls) -> Endpoint {
    let builder = Endpoint::builder("localhost").security(Security::Opportunistic);
    builder.tls(trust(tls)).build().unwrap()
}

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2525);

/// Whether the only address is tried once more after this failure.
fn tries_again_after(endpoint: &Endpoint, error: &Error) -> bool {
    let mut attempts = endpoint.attempts([ADDRESS]);
    assert!(attempts.next(None).is_some());
    attempts.next(Some(error.clone())).is_some()
}

/// A session for a connection whose own end has this address.
fn session_from(endpoint: &Endpoint, local: IpAddr) -> Session {
    let attempt = endpoint.attempts([ADDRESS]).next(None).unwrap();
    attempt.into_session(Some(SocketAddr::new(local, 49152)))
}

#[test]
fn the_next_address_is_tried_after_a_transient_failure_only() {
    let addresses: [SocketAddr; 3] = [1, 2, 3].map(|host| ([192, 0, 2, host], 25).into());
    let builder = Endpoint::builder("mail.example.org").security(Security::Cleartext);
    let endpoint = builder.build().unwrap();
    let refused = || Error::connect(io::Error::from(io::ErrorKind::ConnectionRefused));
    let mut attempts = endpoint.attempts(addresses);
    assert_eq!(attempts.next(None).unwrap().address(), addresses[0]);
    assert_eq!(
        attempts.next(Some(refused())).unwrap().address(),
        addresses[1]
    );
    // A greeting that rejects the client for good.
    let mut session = endpoint.session();
    session.handle_input(NOW, b"554 5.7.1 not you\r\n");
    let rejected = session.smtp_mut().poll_ready().answer().unwrap_err();
    assert!(attempts.next(Some(rejected.clone())).is_none());
    let error = attempts.into_error();
    assert_eq!(error.reply(), rejected.reply());
    assert_eq!(error.attempts().len(), 1);
    assert_eq!(error.attempts()[0].address(), Some(addresses[0]));

    let mut attempts = endpoint.attempts(addresses);
    let mut failure = None;
    while attempts.next(failure.take()).is_some() {
        failure = Some(refused());
    }
    let error = attempts.into_error();
    assert_eq!(error.address(), Some(addresses[2]));
    let earlier: Vec<_> = error.attempts().iter().map(Error::address).collect();
    assert_eq!(earlier, [Some(addresses[0]), Some(addresses[1])]);

    let none = endpoint.attempts([]).into_error();
    assert_eq!(none.endpoint(), Some("mail.example.org:25"));
    assert_eq!(none.stage(), Stage::Connect);
}

/// Makes attempts against servers of this kind until one succeeds or there are none left.
fn attempts(
    endpoint: &Endpoint,
    config: &Config,
    tls: &Tls,
    log: &Log,
) -> (usize, Result<(), Error>) {
    let mut count = 0;
    let mut last: Result<(), Error> = Ok(());
    let mut attempts = endpoint.attempts([ADDRESS]);
    while let Some(attempt) = attempts.next(last.as_ref().err().cloned()) {
        count += 1;
        assert_eq!(attempt.address(), ADDRESS);
        let session = attempt.into_session(None);
        let mut wiring = Wiring::new(session, config, tls, log);
        last = wiring.ready();
        if last.is_ok() {
            assert!(wiring.send(mail(HELLO)).is_accepted());
            break;
        }
    }
    (count, last)
}

#[test]
fn v33_a_rejected_token_is_renewed_by_one_more_attempt() {
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
        // The same for every connection of the endpoint.
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
    // A token that has no source is not tried again.
    let endpoint = Endpoint::starttls("localhost")
        .tls(trust(&tls))
        .credentials(Credentials::token("alice", "expired").unwrap())
        .build()
        .unwrap();
    assert_eq!(attempts(&endpoint, &config, &tls, &Log::new()).0, 1);
}

#[test]
fn an_opportunistic_policy_tries_again_in_clear_only_if_tls_itself_failed() {
    use smtp_test::Stage as At;
    let good = Tls::new();
    let bad = good.clone().defect(Defect::Expired);
    let offers = |tls: &Tls| Config::new().tls(tls.clone());
    let table: [(&str, &Tls, Config, usize, bool); 10] = [
        ("all is well", &good, offers(&good), 1, true),
        ("it is not offered", &good, Config::new(), 1, true),
        (
            "it is rejected for now",
            &good,
            offers(&good).on(At::StartTls, Action::reply("454 not now")),
            1,
            true,
        ),
        (
            "it is rejected for good",
            &good,
            offers(&good).on(At::StartTls, Action::reply("502 no")),
            1,
            true,
        ),
        ("the certificate is bad", &bad, offers(&bad), 1, true),
        (
            "the server closes",
            &good,
            offers(&good).on(At::StartTls, Action::close()),
            2,
            true,
        ),
        (
            "the server resets",
            &good,
            offers(&good).on(At::StartTls, Action::reset()),
            2,
            true,
        ),
        (
            "there is no handshake",
            &good,
            offers(&good).on(At::StartTls, Action::normal().then("no\r\n no\r\n")),
            2,
            true,
        ),
        (
            "somebody injects",
            &good,
            offers(&good).on(At::StartTls, Action::normal().append("250 x\r\n")),
            1,
            false,
        ),
        (
            "the greeting is a rejection",
            &good,
            offers(&good).on(At::Greeting, Action::reply("554 no")),
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
fn v01_an_endpoint_gives_way_for_a_mail_that_needs_no_tls_and_for_no_other() {
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
fn an_opportunistic_policy_tries_again_in_clear_if_tls_takes_too_long() {
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
fn no_other_policy_ever_tries_again() {
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

#[test]
fn no_credentials_go_with_a_policy_that_may_end_in_clear() {
    let credentials = Credentials::password("alice", "secret").unwrap();
    let builder = |security| {
        Endpoint::builder("localhost")
            .security(security)
            .credentials(credentials.clone())
    };
    for security in [Security::Opportunistic, Security::Cleartext] {
        let error = builder(security).build().unwrap_err();
        assert!(
            matches!(
                error,
                EndpointError::Config(ConfigError::CredentialsWithoutTls)
            ),
            "{error:#}"
        );
    }
    let error = builder(Security::Opportunistic)
        .dangerous_credentials_in_cleartext()
        .build()
        .unwrap_err();
    assert!(
        matches!(
            error,
            EndpointError::Config(ConfigError::CredentialsWithoutTls)
        ),
        "{error:#}"
    );
    builder(Security::Cleartext)
        .dangerous_credentials_in_cleartext()
        .build()
        .unwrap();
}

#[test]
fn a_port_follows_from_the_policy_unless_it_is_given() {
    let tls = trust(&Tls::new());
    let port = |builder: EndpointBuilder| builder.tls(tls.clone()).build().unwrap().port();
    assert_eq!(port(Endpoint::starttls("localhost")), 587);
    assert_eq!(port(Endpoint::implicit("localhost")), 465);
    assert_eq!(port(Endpoint::builder("localhost")), 587);
    assert_eq!(
        port(Endpoint::builder("localhost").security(Security::Opportunistic)),
        25
    );
    assert_eq!(
        port(Endpoint::builder("localhost").security(Security::Cleartext)),
        25
    );
    assert_eq!(port(Endpoint::implicit("localhost").port(2465)), 2465);
    let lmtp = Endpoint::builder("localhost").protocol(Protocol::Lmtp);
    assert_eq!(port(lmtp.clone().security(Security::Cleartext)), 24);
    assert_eq!(port(lmtp.port(2424)), 2424);
    let error = Endpoint::starttls("localhost")
        .tls(tls.clone())
        .port(0)
        .build()
        .unwrap_err();
    assert!(matches!(error, EndpointError::Port));
}

#[test]
fn patience_follows_from_the_policy_unless_it_is_given() {
    let tls = trust(&Tls::new());
    let limits = |builder: EndpointBuilder| *builder.tls(tls.clone()).build().unwrap().timeouts();
    let builder = |security| Endpoint::builder("localhost").security(security);
    let (person, relay) = (Timeouts::submission(), Timeouts::rfc5321());
    let login = || Credentials::password("alice", "secret").unwrap();
    for (given, expected) in [
        (Endpoint::starttls("localhost"), person),
        (Endpoint::implicit("localhost"), person),
        (Endpoint::implicit("localhost").port(2465), person),
        (Endpoint::starttls("localhost").port(25), relay),
        (
            Endpoint::starttls("localhost")
                .port(25)
                .credentials(login()),
            person,
        ),
        (builder(Security::Opportunistic), relay),
        (builder(Security::Opportunistic).port(587), relay),
        (builder(Security::Cleartext), relay),
        (
            builder(Security::Cleartext)
                .credentials(login())
                .dangerous_credentials_in_cleartext(),
            person,
        ),
        (
            Endpoint::starttls("localhost")
                .protocol(Protocol::Lmtp)
                .credentials(login()),
            relay,
        ),
        (Endpoint::starttls("localhost").timeouts(relay), relay),
        (builder(Security::Cleartext).timeouts(person), person),
    ] {
        let shown = format!("{given:?}");
        assert_eq!(limits(given), expected, "{shown}");
    }
}

#[test]
fn each_option_of_the_configuration_can_be_set() {
    let flight = |builder: EndpointBuilder| {
        let builder = builder.security(Security::Cleartext);
        let mut session = common::session(builder);
        let mail = Mail::new("a@x.test", ["b@x.test"; 3], "From: a@x.test\r\n\r\n").unwrap();
        session.smtp_mut().submit(mail);
        let mut sent = String::new();
        for replies in ["220 x\r\n", "250-x\r\n250 PIPELINING\r\n"] {
            session.handle_input(NOW, replies.as_bytes());
            while let Some(part) = transmit(&mut session) {
                let part: Vec<u8> = part.iter().flatten().copied().collect();
                sent.push_str(std::str::from_utf8(&part).unwrap());
                session.handle_sent(NOW, part.len());
            }
        }
        sent.matches("RCPT").count()
    };
    let endpoint = || Endpoint::builder("localhost");
    assert_eq!(flight(endpoint()), 3);
    let window = Window::FULL_DUPLEX.with_replies(2);
    assert_eq!(flight(endpoint().window(window)), 1);
    assert_eq!(flight(endpoint().config(|config| config.window(window))), 1);
    let none = endpoint().security(Security::Cleartext).chunk_size(0);
    assert!(matches!(
        none.build().unwrap_err(),
        EndpointError::Config(ConfigError::ChunkSize)
    ));
}

#[test]
fn a_silent_server_on_the_port_of_implicit_tls_is_given_up_after_five_seconds() {
    let tls = trust(&Tls::new());
    let after = |builder: EndpointBuilder, input: &str| {
        let endpoint = builder.tls(tls.clone()).build().unwrap();
        let mut session = endpoint.session();
        assert!(session.poll_transmit(NOW).is_none());
        session.handle_input(NOW, input.as_bytes());
        let until = session.poll_timeout().unwrap();
        session.handle_timeout(until);
        let error = session.smtp_mut().poll_ready().answer().unwrap_err();
        assert!(
            matches!(
                (error.kind(), error.stage()),
                (ErrorKind::Timeout(Timeout::Reply), Stage::Greeting)
            ),
            "{error:#}"
        );
        assert!(error.is_transient());
        let seconds = (until.since_origin() - NOW.since_origin()).as_secs();
        (
            seconds,
            error
                .hint()
                .is_some_and(|hint| hint.contains("implicit TLS")),
        )
    };
    let wrong = || Endpoint::starttls("localhost").port(465);
    assert_eq!(after(wrong(), ""), (5, true));
    assert_eq!(after(wrong().timeouts(Timeouts::rfc5321()), ""), (5, true));
    let security = Security::Opportunistic;
    assert_eq!(after(wrong().security(security), ""), (5, true));
    // A server that has begun its greeting does not wait for TLS.
    assert_eq!(after(wrong(), "220 mail.").0, 30);
    let limit = Duration::from_secs(20);
    let patient = wrong().timeouts(Timeouts::submission().with_first_byte(limit));
    assert_eq!(after(patient, ""), (20, true));
    assert_eq!(after(Endpoint::starttls("localhost"), "").0, 30);
}

#[test]
fn a_host_is_a_name_or_an_address_and_the_error_says_which_it_is_not() {
    let tls = trust(&Tls::new());
    let host = |host: &str| Endpoint::starttls(host).tls(tls.clone()).build();
    for (typed, kept) in [
        ("mail.example.org", "mail.example.org"),
        ("mail.example.org.", "mail.example.org."),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ] {
        assert_eq!(host(typed).unwrap().host(), kept);
    }
    for (typed, expected) in [
        ("", HostErrorKind::Empty),
        (".", HostErrorKind::Malformed),
        ("a..b", HostErrorKind::Malformed),
        ("-a", HostErrorKind::Malformed),
        ("[mail]", HostErrorKind::Malformed),
        ("[", HostErrorKind::Malformed),
        ("127.0.0.1.", HostErrorKind::Malformed),
        ("[127.0.0.1]", HostErrorKind::Malformed),
        ("127.1", HostErrorKind::Malformed),
        ("2130706433", HostErrorKind::Malformed),
        ("mail:smtp", HostErrorKind::Malformed),
        ("2001:db8::1::25", HostErrorKind::Malformed),
        ("mail example.org", HostErrorKind::WhiteSpace),
        (" mail.example.org", HostErrorKind::WhiteSpace),
        ("mail.example.org\n", HostErrorKind::WhiteSpace),
        ("mail\u{a0}example.org", HostErrorKind::WhiteSpace),
        ("a\0b", HostErrorKind::WhiteSpace),
        ("a\r\nb", HostErrorKind::WhiteSpace),
        ("mail:25", HostErrorKind::Port),
        ("mail.example.org:", HostErrorKind::Port),
        ("192.0.2.1:587", HostErrorKind::Port),
        ("[2001:db8::1]:587", HostErrorKind::Port),
        ("b\u{fc}cher.example:587", HostErrorKind::Port),
        ("smtp:587", HostErrorKind::Port),
        ("smtp://a", HostErrorKind::Url),
        (
            "smtps://alice:canary@mail.example.org:465/",
            HostErrorKind::Url,
        ),
        ("SMTP:mail.example.org", HostErrorKind::Url),
        ("mail.example.org/", HostErrorKind::Url),
        ("mailto:bob@example.org", HostErrorKind::Url),
        ("a@b", HostErrorKind::User),
        ("alice:canary@mail.example.org", HostErrorKind::User),
    ] {
        let fault = host(typed).expect_err(typed);
        let EndpointError::Host(found) = fault else {
            panic!("{typed:?}: {fault:#}");
        };
        assert_eq!(found, expected, "{typed:?}");
        // It says what to call in its place, and nothing of what was typed, which may be a password.
        let text = format!("{fault:#} {fault:?} {:?}", Endpoint::starttls(typed));
        assert!(!text.contains("canary"), "{text}");
        let calls = match found {
            HostErrorKind::Port => ".port(587)",
            HostErrorKind::Url => "`Endpoint::implicit(",
            HostErrorKind::User => "`credentials`",
            _ => "",
        };
        assert!(format!("{fault:#}").contains(calls), "{fault:#}");
    }
}

#[cfg(not(feature = "idna"))]
#[test]
fn a_host_beyond_ascii_is_rejected_with_what_helps() {
    let fault = Endpoint::starttls("bücher.example").build().unwrap_err();
    assert!(matches!(
        fault,
        EndpointError::Host(HostErrorKind::NotAscii)
    ));
    assert!(format!("{fault:#}").contains("xn--"), "{fault:#}");
    assert!(format!("{fault:#}").contains("feature `idna`"), "{fault:#}");
}

#[cfg(feature = "idna")]
#[test]
fn v19_a_host_beyond_ascii_is_resolved_by_its_a_labels() {
    let tls = trust(&Tls::new());
    let host = |host: &str| Endpoint::starttls(host).tls(tls.clone()).build();
    for (typed, resolved) in [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example."),
        ("mail.faß.example", "mail.xn--fa-hia.example"),
    ] {
        assert_eq!(host(typed).unwrap().host(), resolved);
    }
    for (typed, at) in [
        ("mail.bü\u{200d}cher.example", 5),
        ("bu\u{308}cher.example", 0),
    ] {
        match host(typed).unwrap_err() {
            EndpointError::Host(HostErrorKind::NotIdna(error)) => assert_eq!(error.offset(), at),
            other => panic!("{typed}: {other}"),
        }
    }
    for (typed, expected) in [
        ("bü cher.example", HostErrorKind::WhiteSpace),
        ("[bücher]", HostErrorKind::Malformed),
        ("bücher..example", HostErrorKind::Malformed),
        ("bücher.example:25", HostErrorKind::Port),
        ("bü\u{ff0e}a", HostErrorKind::Malformed),
    ] {
        match host(typed).unwrap_err() {
            EndpointError::Host(fault) => {
                assert_eq!(format!("{fault:?}"), format!("{expected:?}"), "{typed}");
            }
            other => panic!("{typed}: {other}"),
        }
    }
}

#[test]
fn ehlo_says_the_chosen_name_or_the_address_of_this_end() {
    let said = |session: Session| {
        let log = Log::new();
        let mut wiring = Wiring::new(session, &Config::new(), &Tls::new(), &log);
        wiring.ready().unwrap();
        log.session().client_name().unwrap().to_owned()
    };
    let builder = Endpoint::builder("localhost").security(Security::Cleartext);
    let endpoint = builder.clone().build().unwrap();
    let local = IpAddr::V6(Ipv6Addr::LOCALHOST);
    assert_eq!(said(endpoint.session()), "[127.0.0.1]");
    assert_eq!(said(session_from(&endpoint, local)), "[IPv6:::1]");
    let endpoint = builder
        .client_name("relay.example.org".parse().unwrap())
        .build()
        .unwrap();
    assert_eq!(said(endpoint.session()), "relay.example.org");
    assert_eq!(said(session_from(&endpoint, local)), "relay.example.org");
}

#[test]
fn every_setting_reaches_the_connection() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&lines);
    let patience = Timeouts::default().with_greeting(Duration::from_secs(1));
    let endpoint = Endpoint::builder("localhost")
        .security(Security::Cleartext)
        .timeouts(patience)
        .pipelining(Pipelining::Off)
        .reply_limits(ReplyLimits::default().line(30))
        .ignore_extension("SIZE")
        .transcript(move |entry| observer.lock().unwrap().push(entry.to_string()))
        .build()
        .unwrap();
    assert_eq!(endpoint.timeouts(), &patience);
    assert_eq!(endpoint.security(), Security::Cleartext);
    let local = IpAddr::V6(Ipv6Addr::LOCALHOST);
    for mut session in [endpoint.session(), session_from(&endpoint, local)] {
        assert!(session.poll_transmit(NOW).is_none());
        assert_eq!(session.poll_timeout(), Some(NOW + Duration::from_secs(1)));
        session.handle_input(NOW, b"220 ready\r\n");
        assert!(transmit(&mut session).is_some());
        let count = transmit(&mut session).unwrap().len();
        session.handle_sent(NOW, count);
        session.handle_input(
            NOW,
            b"250-hello, and more than is kept\r\n250 SIZE 1000\r\n",
        );
        assert!(session.smtp_mut().poll_ready().answer().is_ok());
        assert!(session.smtp_mut().capabilities().size().is_none());
        let said = std::mem::take(&mut *lines.lock().unwrap());
        assert!(
            said.iter().any(|line| line.starts_with("C: EHLO")),
            "{said:?}"
        );
        let cut = "S: 250 hello, and more than … / SIZE 1000";
        assert!(said.iter().any(|line| line == cut), "{said:?}");
    }
}

#[test]
fn a_connection_that_comes_to_tls_without_a_layer_for_it_ends_in_misuse() {
    let config = smtp_rustls::proto::Config::builder("client.example.org".parse().unwrap())
        .build()
        .unwrap();
    let mut session =
        Session::cleartext(Connection::new(Arc::new(config), Seed::from_bytes([0; 32])));
    for reply in [
        "220 ready\r\n",
        "250-hello\r\n250 STARTTLS\r\n",
        "220 go ahead\r\n",
    ] {
        session.handle_input(NOW, reply.as_bytes());
        let count = transmit(&mut session).map_or(0, |transmit| transmit.len());
        session.handle_sent(NOW, count);
    }
    let error = session.smtp_mut().poll_ready().answer().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Misuse(_)), "{error:#}");
    assert!(session.poll_transmit(NOW).is_none());
}

#[test]
fn what_main_prints_of_an_error_begins_with_its_text() {
    let host = Endpoint::starttls("a b").build().unwrap_err();
    let EndpointError::Host(fault) = host else {
        panic!("{host}");
    };
    let roots = || {
        smtp_rustls::TlsConfig::builder()
            .no_default_roots()
            .build()
            .unwrap_err()
    };
    let config = Endpoint::builder("localhost")
        .security(Security::Cleartext)
        .credentials(Credentials::password("alice", "secret").unwrap())
        .build()
        .unwrap_err();
    let errors: [Box<dyn std::error::Error>; 5] = [
        Box::new(fault),
        Box::new(EndpointError::Host(fault)),
        Box::new(roots()),
        Box::new(EndpointError::Tls(roots())),
        Box::new(config),
    ];
    for error in errors {
        let text = format!("{error:#}");
        assert!(format!("{error:?}").starts_with(&text), "{error:?}");
        assert!(format!("{error:#?}").starts_with(&text), "{error:#?}");
    }
}
