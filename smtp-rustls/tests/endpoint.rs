//! Endpoints: their options, and the errors of contradicting ones.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

mod attempts;
mod host;
mod race;
mod url;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::answered::Answered as _;
use crate::common::{self, NOW, Wiring, transmit, trust};
use smtp_rustls::proto::{
    ConfigError, Connection, Credentials, ErrorKind, Mail, Peer, Pipelining, Protocol, ReplyLimits,
    Security, Seed, Stage, Timeout, Timeouts, Window, Wire,
};
use smtp_rustls::{Endpoint, EndpointBuilder, EndpointError, HostErrorKind, Session};
use smtp_test::{Config, Log, Tls};

/// A session for a connection with this local address.
fn session_from(endpoint: &Endpoint, local: IpAddr) -> Session {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2525);
    let mut attempts = endpoint.attempts([address]);
    let target = attempts.poll_connect(NOW).unwrap();
    let local = SocketAddr::new(local, 49152);
    attempts.handle_connected(&target, Some(local)).unwrap()
}

#[test]
fn credentials_are_an_error_where_the_connection_may_be_in_cleartext() {
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
fn the_default_port_depends_on_security_and_protocol() {
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
fn a_unix_socket_is_lmtp_in_cleartext_and_has_no_port() {
    let endpoint = Endpoint::unix("/run/lmtp").port(25).build().unwrap();
    assert_eq!(endpoint.unix_path(), Some(Path::new("/run/lmtp")));
    assert_eq!((endpoint.host(), endpoint.port()), ("localhost", 0));
    assert_eq!(endpoint.peer(), Peer::path("/run/lmtp"));
    assert_eq!(endpoint.security(), Security::Cleartext);
    assert_eq!(*endpoint.timeouts(), Timeouts::rfc5321());
    assert!(format!("{endpoint:?}").contains("Lmtp"));
    let smtp = Endpoint::unix("/run/smtp").protocol(Protocol::Smtp);
    assert!(format!("{:?}", smtp.build().unwrap()).contains("Smtp"));
    let host = Endpoint::builder("localhost").security(Security::Cleartext);
    assert_eq!(host.build().unwrap().unix_path(), None);
    assert!(matches!(
        Endpoint::unix("").build(),
        Err(EndpointError::Host(HostErrorKind::Empty))
    ));
}

#[test]
fn the_default_time_limits_depend_on_credentials_security_and_port() {
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
fn options_without_a_method_are_set_through_the_config() {
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
fn a_silent_server_on_the_port_of_implicit_tls_times_out_after_five_seconds() {
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
fn ehlo_has_the_client_name_or_the_local_address() {
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
fn every_option_reaches_the_connection() {
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
fn starttls_without_a_tls_layer_is_misuse() {
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
fn debug_of_an_error_begins_with_its_text() {
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

#[test]
fn an_endpoint_error_names_its_cause_only_in_the_alternate_form() {
    let host = Endpoint::starttls("a b").build().unwrap_err();
    let config = Endpoint::builder("localhost")
        .chunk_size(0)
        .security(Security::Cleartext)
        .build()
        .unwrap_err();
    let pem = smtp_rustls::TlsConfig::builder()
        .no_default_roots()
        .add_root_pem("no certificate")
        .build()
        .unwrap_err();
    let cause = std::error::Error::source(&pem).unwrap().to_string();
    assert!(!pem.to_string().contains(&cause), "{pem}");
    assert!(format!("{pem:#}").contains(&cause), "{pem:#}");
    for (error, brief) in [
        (host, "invalid host"),
        (config, "invalid configuration"),
        (EndpointError::Tls(pem), "invalid TLS configuration"),
    ] {
        assert_eq!(error.to_string(), brief);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(format!("{error:#}").contains(&cause), "{error:#}");
    }
}
