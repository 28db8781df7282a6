//! Acting for another client, with a server that has its own parser for XCLIENT and XFORWARD.

use std::sync::Arc;

use crate::common::invariants::{check_commands, check_leaving};
use crate::common::pair::Pair;
use crate::common::raw_mail;
use proptest::prelude::*;
use smtp_proto::xclient::{Xclient, XclientProto, Xforward, XforwardSource};
use smtp_proto::{
    Command, Config, ConfigBuilder, ConfigError, Connection, Credentials, ErrorKind, Event, Mail,
    MissingExtension, Security, Stage,
};
use smtp_test::{Log, Machine};

fn client() -> Xclient {
    Xclient::new()
        .name("n".repeat(255).as_str())
        .and_then(|client| client.helo("h".repeat(255).as_str()))
        .and_then(|client| client.login("alice + bob=\u{e9}"))
        .unwrap()
        .addr("2001:db8::1".parse::<std::net::IpAddr>().unwrap())
        .port(4711)
        .proto(XclientProto::Esmtp)
        .dest_addr_unavailable()
        .dest_port(25)
}

fn config(security: Security) -> ConfigBuilder {
    Config::builder("client.test".parse().unwrap()).security(security)
}

fn server(security: Security) -> smtp_test::Config {
    let server = smtp_test::Config::new()
        .with("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT")
        .with("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
        .require_auth();
    match security {
        Security::StartTls => server.advertise_starttls().require_tls(),
        Security::Implicit => server.implicit_tls(),
        _ => server,
    }
}

fn mail(recipient: &str) -> Mail {
    raw_mail("a@x.test", [recipient], "Subject: t\r\n\r\nhello\r\n").unwrap()
}

#[test]
fn xclient_is_sent_whole_under_every_security_setting_and_only_inside_tls() {
    for security in [Security::StartTls, Security::Implicit, Security::Cleartext] {
        let log = Log::new();
        let config = Arc::new(config(security).xclient(client()).build().unwrap());
        let mut pair = Pair::new(config, Machine::with_log(&server(security), &log));
        // The driver begins TLS before its first question.
        pair.exchange();
        let origin = Xforward::new()
            .name("up.x.test")
            .and_then(|origin| origin.ident("4X"))
            .unwrap()
            .source(XforwardSource::Local);
        let told = pair.connection.command(Command::xforward(origin));
        let id = pair.connection.submit(mail("b@x.test"));
        let other = pair.connection.submit(mail("c@x.test"));
        assert!(pair.drive(|c| c.poll_reply(told)).unwrap().code() == 250);
        for id in [id, other] {
            assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
        }
        check_commands(&log);
        check_leaving(security, &pair.sent, pair.sent_in_cleartext);
        let session = log.session();
        for (attribute, value) in [
            ("NAME", "n".repeat(255).as_str()),
            ("HELO", "h".repeat(255).as_str()),
            ("ADDR", "IPV6:2001:db8::1"),
            ("PORT", "4711"),
            ("PROTO", "ESMTP"),
            ("LOGIN", "alice + bob=\u{e9}"),
            ("DESTADDR", "[UNAVAILABLE]"),
            ("DESTPORT", "25"),
        ] {
            assert_eq!(session.xclient(attribute).as_deref(), Some(value));
        }
        assert!(session.commands().iter().all(|line| line.len() <= 510));
        let mails = log.mails();
        assert_eq!(mails[0].authenticated_as(), Some("alice + bob=\u{e9}"));
        assert_eq!(mails[0].forwarded("NAME").as_deref(), Some("up.x.test"));
        assert_eq!(mails[0].forwarded("SOURCE").as_deref(), Some("LOCAL"));
        assert_eq!(mails[1].forwarded("IDENT"), None);
        assert_eq!(mails[0].over_tls(), security != Security::Cleartext);
        assert_eq!(pair.connection.tls().is_some(), mails[0].over_tls());
    }
}

#[test]
fn attributes_that_are_not_advertised_are_an_error_that_names_them() {
    let offers = [
        ("", "NAME"),
        (
            "XCLIENTS NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
            "NAME",
        ),
        (
            "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT",
            "LOGIN",
        ),
        ("XCLIENT", "NAME"),
    ];
    for (offer, missing) in offers {
        let server = smtp_test::Config::new().capabilities([offer.to_owned(), "HELP".into()]);
        let config = config(Security::Cleartext)
            .xclient(client())
            .build()
            .unwrap();
        let mut pair = Pair::new(Arc::new(config), Machine::new(&server));
        let error = pair.drive(Connection::poll_ready).unwrap_err();
        assert_eq!(error.stage(), Stage::Xclient);
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported(MissingExtension::Xclient { attribute }) if *attribute == missing),
            "{error:#}"
        );
        assert!(error.hint().unwrap().contains("trust"));
        assert!(!error.is_transient());
        assert!(!pair.sent.windows(7).any(|part| part == b"XCLIENT"));
    }
}

#[test]
fn an_ignored_extension_counts_as_not_advertised() {
    let config = config(Security::Cleartext)
        .xclient(client().optional())
        .ignore_extension("XCLIENT")
        .ignore_extension("XFORWARD");
    let server = server(Security::Cleartext);
    let mut pair = Pair::new(Arc::new(config.build().unwrap()), Machine::new(&server));
    pair.drive(Connection::poll_ready).unwrap();
    let origin = Xforward::new().addr_unavailable();
    let id = pair.connection.command(Command::xforward(origin));
    let error = pair.drive(|c| c.poll_reply(id)).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Unsupported(MissingExtension::Xforward)
    ));
    assert!(
        !pair
            .sent
            .windows(4)
            .any(|part| part == b"XCLI" || part == b"XFOR")
    );
    pair.connection.quit();
    assert!(matches!(pair.event(), Ok(Event::Ready)));
    assert!(matches!(pair.event(), Ok(Event::Closed)));
}

#[test]
fn xclient_without_attributes_is_not_sent() {
    let config = config(Security::Cleartext).xclient(Xclient::new());
    let mut pair = Pair::new(
        Arc::new(config.build().unwrap()),
        Machine::new(&smtp_test::Config::new()),
    );
    pair.drive(Connection::poll_ready).unwrap();
    assert_eq!(pair.sent, b"EHLO client.test\r\n");
}

#[test]
fn there_is_one_login_and_not_two() {
    let credentials = || Credentials::password("alice", "secret").unwrap();
    let both = config(Security::StartTls)
        .xclient(client())
        .credentials(credentials());
    let error = both.build().unwrap_err();
    assert_eq!(error, ConfigError::LoginTwice);
    assert!(format!("{error:#}").contains("XCLIENT"));
    let one = config(Security::StartTls).xclient(Xclient::new().port(1));
    assert!(one.credentials(credentials()).build().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_attributes_reach_the_server_unchanged(
        name in "[!-~]{1,255}",
        helo in "[+=a-z]{1,90}|[a-z.]{200,255}",
        login in "\\PC{1,40}",
        ident in "[!-~]{1,120}",
        missing in 0..4_usize,
    ) {
        let client = Xclient::new()
            .name(&name)
            .and_then(|client| client.helo(&helo))
            .and_then(|client| client.login(&login));
        let origin = Xforward::new().name(&name).and_then(|origin| origin.ident(&ident));
        let (Ok(client), Ok(origin)) = (client, origin) else {
            return Ok(());
        };
        // One attribute may not be advertised; it is then not sent.
        let offered = ["NAME", "HELO", "LOGIN"].into_iter().enumerate();
        let offered: Vec<_> = offered.filter(|(at, _)| *at != missing).map(|(_, word)| word).collect();
        let server = smtp_test::Config::new()
            .with(format!("XCLIENT {}", offered.join(" ")))
            .with("XFORWARD NAME HELO IDENT");
        let log = Log::new();
        let config = config(Security::Cleartext).xclient(client.optional());
        let mut pair = Pair::new(Arc::new(config.build().unwrap()), Machine::with_log(&server, &log));
        let told = pair.connection.command(Command::xforward(origin));
        let id = pair.connection.submit(mail("b@x.test"));
        prop_assert_eq!(pair.drive(|c| c.poll_reply(told)).unwrap().code(), 250);
        prop_assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
        check_commands(&log);
        let session = log.session();
        for (attribute, value) in [("NAME", &name), ("HELO", &helo), ("LOGIN", &login)] {
            let expected = offered.contains(&attribute).then(|| value.clone());
            prop_assert_eq!(session.xclient(attribute), expected);
        }
        let mails = log.mails();
        prop_assert_eq!(mails[0].forwarded("NAME"), Some(name));
        prop_assert_eq!(mails[0].forwarded("IDENT"), Some(ident));
    }
}
