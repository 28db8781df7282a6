use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Poll;

use super::{
    ApiMisuse, AuthenticationError, Error, ErrorKind, MissingExtension, Peer, ProtocolError, Stage,
    Timeout, TransportError,
};
use crate::address::Mailbox;
use crate::command::Command;
use crate::config::{Config, Security};
use crate::connection::Connection;
use crate::content;
use crate::extension::parameter::Parameter;
use crate::extension::xclient::Xclient;
use crate::mail::Mail;
use crate::outcome::{ConnectionStats, Outcome, RecipientOutcome, RecipientStatus};
use crate::reply::Reply;
use crate::reply_reader::ReplyError;
use crate::sasl::{Credentials, ExchangeError};
use crate::time::Time;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 587))
}

fn rejected() -> TransportError {
    std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()
}

#[test]
fn each_attempt_is_named_with_its_failure() {
    let peer = Peer::host("mail.example.org", 587);
    let first = Error::connect_timeout().with_peer(peer.clone().at(address(1)));
    let last = Error::connect(rejected()).with_peer(peer.at(address(2)));
    let error = last.with_attempts(Vec::from([first]));
    assert_eq!(
        format!("{error:#}"),
        "mail.example.org:587 (192.0.2.2): connecting: connection refused \
         (no server listens on this port: submission is on 587 (STARTTLS) or 465 (implicit TLS)); \
         before that, 192.0.2.1: connecting: timed out waiting for the address to answer"
    );
    assert_eq!(error.endpoint(), Some("mail.example.org:587"));
    assert_eq!(error.address(), Some(address(2)));
    assert_eq!(error.attempts()[0].address(), Some(address(1)));
}

#[test]
fn a_proxy_is_named_after_the_server_and_has_the_address() {
    let proxy = Peer::host("proxy.example.net", 587);
    let peer = Peer::host("mail.example.org", 25).through(proxy.clone());
    let error = Error::connect_timeout().with_peer(peer.clone().at(address(1)));
    assert_eq!(
        error.to_string(),
        "mail.example.org:25 through proxy proxy.example.net:587 (192.0.2.1): connecting: timed out waiting \
         for the address to answer"
    );
    assert_eq!(error.endpoint(), Some("mail.example.org:25"));
    assert_eq!(peer.proxy(), Some(&proxy));
    let by_address = Peer::host("192.0.2.1", 587);
    let peer = Peer::host("mail.example.org", 25).through(by_address);
    assert_eq!(
        peer.at(address(1)).to_string(),
        "mail.example.org:25 through proxy 192.0.2.1:587"
    );
}

#[test]
fn a_failure_to_connect_names_its_cure() {
    use std::io;
    let unknown = || io::Error::other("Name or service not known");
    let host = Peer::host("mail.example.org", 587);
    let path = Peer::path("/run/dovecot/lmtp");
    let proxied = host.clone().through(Peer::host("proxy.example.net", 1080));
    let cases = [
        (
            Error::connect(rejected()).with_peer(proxied.clone()),
            Some("no proxy listens"),
        ),
        (
            Error::connect(unknown()).with_peer(proxied.clone()),
            Some("the name of the proxy cannot be resolved"),
        ),
        (
            Error::connect_timeout().with_peer(proxied),
            Some("the proxy does not answer"),
        ),
        (
            Error::connect(rejected()).with_peer(host.clone()),
            Some("no server listens"),
        ),
        (Error::connect(rejected()), Some("no server listens")),
        (Error::connect(rejected()).with_peer(path.clone()), None),
        (
            Error::connect(unknown()).with_peer(host.clone()),
            Some("cannot be resolved"),
        ),
        (
            Error::connect(unknown()).with_peer(host.at(address(1))),
            None,
        ),
        (Error::connect(unknown()).with_peer(path), None),
        (Error::connect(unknown()), None),
        (Error::connect_timeout(), Some("a firewall")),
        (
            Error::connect(TransportError::from(unknown()).with_hint("start it")),
            Some("start it"),
        ),
    ];
    for (error, cure) in cases {
        match (error.hint(), cure) {
            (Some(hint), Some(cure)) => assert!(hint.contains(cure), "{error:#}"),
            (hint, cure) => assert_eq!(hint, cure, "{error:#}"),
        }
    }
}

#[test]
fn a_reset_in_place_of_the_greeting_has_the_hint_of_a_close() {
    let reset = || TransportError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let at = |stage| Error::new(stage, ErrorKind::Transport(reset())).hint();
    let closed = Error::new(Stage::Greeting, ErrorKind::ConnectionLost).hint();
    assert!(closed.unwrap().contains("465"));
    assert_eq!(at(Stage::Connect), closed);
    assert_eq!(at(Stage::Greeting), closed);
    assert_eq!(at(Stage::Mail), None);
}

#[test]
fn the_text_is_bounded_however_long_the_name_and_however_many_the_attempts() {
    let attempts = (0..=u8::MAX).map(|last| {
        let error = std::io::Error::other("very long indeed ".repeat(100));
        Error::connect(error).with_peer(Peer::path("/long".repeat(1000)).at(address(last)))
    });
    let error = Error::connect(rejected())
        .with_peer(Peer::path("/a\u{1b}[2J".repeat(1000)))
        .with_attempts(attempts.collect());
    let text = format!("{error:#}");
    assert!(text.len() <= 1024, "{} bytes", text.len());
    assert!(text.ends_with("; and 252 more"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_eq!(error.attempts().len(), 256);
}

#[test]
fn the_first_name_stays() {
    let error = Error::connect_timeout().with_peer(Peer::host("a.example", 25));
    let error = error.with_peer(Peer::host("b.example", 25));
    assert_eq!(error.endpoint(), Some("a.example:25"));
}

#[test]
fn a_connection_names_its_server_in_the_error_of_each_message_and_in_its_own() {
    let config = Config::builder("client.example.org".parse().unwrap())
        .security(Security::Cleartext)
        .build();
    let mut connection =
        Connection::new(Arc::new(config.unwrap()), crate::Seed::from_bytes([0; 32]));
    connection.set_peer(Peer::host("mail.example.org", 25).at(address(7)));
    let needs_utf8 = Mail::new(
        "a@example.org",
        ["\u{fc}@example.org"],
        "From: a@example.org\r\n\r\n",
    );
    let unsent = connection.submit(needs_utf8.unwrap());
    for input in ["220 ready\r\n", "250 hello\r\n"] {
        let count = connection.poll_transmit(Time::ORIGIN);
        let count = count.map_or(0, |transmit| transmit.len());
        connection.handle_sent(Time::ORIGIN, count);
        connection.handle_input(Time::ORIGIN, input.as_bytes());
    }
    let Poll::Ready(Ok(outcome)) = connection.poll_outcome(unsent) else {
        panic!("no outcome");
    };
    let error = outcome.error().unwrap();
    assert_eq!(error.endpoint(), Some("mail.example.org:25"));
    let fate = format!("{}", outcome.recipients()[0].status());
    assert!(
        fate.starts_with("not sent: mail.example.org:25 (192.0.2.7:587): at MAIL"),
        "{fate}"
    );

    connection.handle_eof(Time::ORIGIN);
    let Poll::Ready(Err(error)) = connection.poll_ready() else {
        panic!("no error");
    };
    assert_eq!(error.address(), Some(address(7)));
}

/// An error of each public type of this crate.
fn each_type() -> Vec<Box<dyn core::error::Error>> {
    let mail = |text: &'static str| Mail::new("a@example.org", ["b@example.org"], text);
    let unsent = RecipientOutcome {
        recipient: "b@example.org".parse().unwrap(),
        fate: RecipientStatus::NotSent(Error::connect_timeout()),
    };
    let outcome = Outcome::new(Vec::from([unsent]), None, ConnectionStats::default(), None);
    let in_clear = Config::builder("client.example.org".parse().unwrap())
        .security(Security::Cleartext)
        .credentials(Credentials::password("alice", "secret").unwrap());
    Vec::from([
        Box::new(Error::connect(rejected())) as Box<dyn core::error::Error>,
        Box::new("a b".parse::<Mailbox>().unwrap_err()),
        Box::new(Command::vrfy("a\r\nb").unwrap_err()),
        Box::new(Parameter::priority(99).unwrap_err()),
        Box::new(Credentials::password("a\0", "secret").unwrap_err()),
        Box::new(mail("Subject: x\n\n").unwrap_err()),
        Box::new(content::scan(b"\n", &content::LineRules::default()).unwrap_err()),
        Box::new(Xclient::new().login("a\0").unwrap_err()),
        Box::new(in_clear.build().unwrap_err()),
        Box::new(outcome.all_accepted().unwrap_err()),
        Box::new(ApiMisuse::UnknownId),
        Box::new(ReplyError::TlsRecord),
        Box::new(ExchangeError::Encoding),
    ])
}

/// The output of an error reporter: each error of the chain by `{}`.
fn chain(error: &dyn core::error::Error) -> Vec<String> {
    core::iter::successors(Some(error), |error| error.source())
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn no_error_of_a_chain_repeats_the_text_of_another() {
    for error in each_type() {
        let texts = chain(&*error);
        for (index, text) in texts.iter().enumerate() {
            assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
            let others = texts
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            for (_, other) in others {
                assert!(!text.contains(other.as_str()), "{texts:?}");
            }
        }
    }
    let lost = Error::connect(rejected());
    assert_eq!(
        chain(&lost),
        ["connecting: the transport failed", "connection refused"]
    );
    let error = Error::new(Stage::Mail, ErrorKind::Earlier(lost));
    assert_eq!(
        chain(&error),
        [
            "the connection failed before this message was done",
            "connecting: the transport failed",
            "connection refused"
        ]
    );
}

#[test]
fn main_prints_the_whole_text_of_an_error() {
    for error in each_type() {
        let text = format!("{error:#}");
        assert!(!text.is_empty());
        for debug in [format!("{error:?}"), format!("{error:#?}")] {
            assert!(debug.starts_with(&text), "{debug}");
        }
    }
    let error = Error::connect(rejected()).with_peer(Peer::host("mail.example.org", 587));
    let returned: Box<dyn core::error::Error> = error.clone().into();
    assert_eq!(
        format!("Error: {returned:?}"),
        "Error: mail.example.org:587: connecting: connection refused \
         (no server listens on this port: submission is on 587 (STARTTLS) or 465 (implicit TLS))"
    );
    // The parts are available on request.
    assert!(
        format!("{error:#?}").contains("kind: Transport("),
        "{error:#?}"
    );
    let nested = ErrorKind::Transport(rejected());
    assert_eq!(format!("{nested:?}"), "Transport(connection refused)");
}

fn reply(line: &str) -> Reply {
    Reply::parse(line.as_bytes()).unwrap().unwrap().0
}

#[test]
fn replies_out_of_step_after_pipelined_commands_suggest_to_send_one_at_a_time() {
    let wrong = || Error::protocol(Stage::Rcpt, ProtocolError::WrongClass);
    let late = |stage| Error::new(stage, ErrorKind::Timeout(Timeout::Reply));
    for error in [
        wrong(),
        Error::protocol(Stage::Mail, ProtocolError::UnexpectedReply),
        late(Stage::Mail),
        late(Stage::Rset),
    ] {
        assert_eq!(error.hint(), None, "{error}");
        let hint = error.pipelined().hint().unwrap();
        assert!(hint.contains("Pipelining::Off"), "{hint}");
    }
    // Between commands nothing was pipelined, and after the content the server has other reasons.
    let idle = Error::protocol(Stage::Idle, ProtocolError::UnexpectedReply);
    assert_eq!(idle.pipelined().hint(), None);
    assert_eq!(late(Stage::EndOfData).pipelined().hint(), None);
}

#[test]
fn a_reply_of_another_protocol_or_of_another_step_has_its_own_hint() {
    let malformed = || ProtocolError::Reply(ReplyError::Malformed { line: 1 });
    let greeting = Error::protocol(Stage::Greeting, malformed());
    assert!(greeting.hint().unwrap().contains("SMTP"));
    assert_eq!(Error::protocol(Stage::Mail, malformed()).hint(), None);

    let another =
        |stage, line| Error::protocol(stage, ProtocolError::WrongClass).with_reply(reply(line));
    let hint = another(Stage::Ehlo, "220 again\r\n").hint().unwrap();
    assert!(hint.contains("another greeting"), "{hint}");
    assert_eq!(another(Stage::Ehlo, "354 go on\r\n").hint(), None);
    assert_eq!(another(Stage::Mail, "220 again\r\n").hint(), None);
}

#[test]
fn without_a_common_mechanism_the_hint_says_which_credentials_the_server_accepts() {
    let hint = |offered: &[&str], ours: &[&str]| {
        let names = |all: &[&str]| all.iter().copied().map(String::from).collect();
        let error = AuthenticationError::NoCommonMechanism {
            offered: names(offered),
            ours: names(ours),
        };
        Error::new(Stage::Auth, ErrorKind::Authentication(error)).hint()
    };
    let part = |offered: &[&str], ours: &[&str]| hint(offered, ours).unwrap();
    assert!(part(&["SCRAM-SHA-256-PLUS"], &["PLAIN"]).contains("channel binding"));
    assert!(part(&["XOAUTH2", "OAUTHBEARER"], &["PLAIN"]).contains("no password"));
    assert!(part(&["PLAIN"], &["XOAUTH2"]).contains("a password may work"));
    assert_eq!(hint(&["PLAIN", "XOAUTH2"], &["OAUTHBEARER"]), None);
    assert_eq!(hint(&["GSSAPI"], &["PLAIN"]), None);
    assert_eq!(hint(&["GSSAPI"], &[]), None);
}

#[test]
fn a_missing_extension_of_a_parameter_says_what_to_do_without_it() {
    let hint = |extension: &str| {
        let missing = MissingExtension::Parameter {
            keyword: "KEYWORD".parse().unwrap(),
            extension: extension.into(),
            recipient: None,
        };
        Error::new(Stage::Mail, ErrorKind::Unsupported(missing)).hint()
    };
    assert!(hint("DSN").unwrap().contains("optional_extension"));
    assert!(hint("REQUIRETLS").unwrap().contains("inside TLS"));
    assert_eq!(hint("MT-PRIORITY"), None);
}

#[test]
fn errors_are_equal_if_stage_kind_and_reply_are() {
    let lost = |stage| Error::new(stage, ErrorKind::ConnectionLost);
    assert_eq!(lost(Stage::Mail), lost(Stage::Mail));
    assert_ne!(lost(Stage::Mail), lost(Stage::Rcpt));
    assert_ne!(
        lost(Stage::Mail),
        Error::new(Stage::Mail, ErrorKind::TooManyMails)
    );
    let told = lost(Stage::Mail).with_reply(reply("421 bye\r\n"));
    assert_ne!(told, lost(Stage::Mail));
    assert_eq!(told.clone(), told);
    // Errors of a transport are compared by their texts.
    let cause = rejected();
    assert_eq!(cause.clone(), cause);
    assert_eq!(rejected(), cause);
    assert_ne!(
        cause,
        std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
    );
}

#[test]
fn an_ipv6_host_is_in_brackets_once() {
    for host in ["2001:db8::1", "[2001:db8::1]"] {
        let error = Error::connect(rejected()).with_peer(Peer::host(host, 587));
        assert_eq!(error.endpoint(), Some("[2001:db8::1]:587"));
    }
}

#[test]
fn an_earlier_attempt_is_named_with_what_the_server_said() {
    let peer = Peer::host("mail.example.org", 587);
    let first = Error::rejected(Stage::Greeting, reply("554 5.7.1 go away\r\n"));
    let first = first.with_peer(peer.clone().at(address(1)));
    let last = Error::connect(rejected()).with_peer(peer.at(address(2)));
    let text = format!("{:#}", last.with_attempts(Vec::from([first])));
    assert!(text.contains("192.0.2.1: at the greeting: "), "{text}");
    assert!(
        text.ends_with("the server said: 554 5.7.1 go away"),
        "{text}"
    );
}

#[test]
fn the_reply_of_a_proxy_is_in_the_text_and_its_cause_in_the_source() {
    let cause = TransportError::new(std::io::Error::other("HTTP status 403 a\x1bb"));
    let error = Error::proxy(cause.clone().with_hint("ask the proxy's owner"));
    let peer = Peer::host("mail.example.org", 587).through(Peer::host("proxy.test", 1080));
    let error = error.with_peer(peer);
    let text =
        "mail.example.org:587 through proxy proxy.test:1080: at the proxy: HTTP status 403 a\\x1bb";
    assert_eq!(error.to_string(), text);
    assert_eq!(
        format!("{error:#}"),
        format!("{text} (ask the proxy's owner)")
    );
    assert!(core::error::Error::source(&error).is_none());
    assert_eq!(error.hint(), Some("ask the proxy's owner"));
    assert!(error.is_transient());
    assert!(!Error::proxy(cause.clone().permanent()).is_transient());
    assert!(!Error::connect(cause.permanent()).is_transient());
    let timeout = Error::proxy_timeout();
    assert!(timeout.is_transient() && timeout.hint().is_some());
    assert_eq!(
        timeout.to_string(),
        "at the proxy: timed out waiting for the proxy to reach the server"
    );
}

#[test]
fn a_connection_whose_proxy_fails_sends_nothing_and_fails_all_messages_alike() {
    let reports: [fn(&mut Connection); 2] = [
        |connection| connection.handle_proxy_error(Time::ORIGIN, rejected()),
        |connection| connection.handle_proxy_timeout(Time::ORIGIN),
    ];
    for security in [Security::Cleartext, Security::StartTls, Security::Implicit] {
        for report in reports {
            let config = Config::builder("client.test".parse().unwrap()).security(security);
            let seed = crate::seed::Seed::from_bytes([7; 32]);
            let mut connection = Connection::new(Arc::new(config.build().unwrap()), seed);
            connection.claim_tls();
            let message = "From: a@x.test\r\n\r\n";
            let ids = [(); 2]
                .map(|()| connection.submit(Mail::new("a@x.test", ["b@y.test"], message).unwrap()));
            report(&mut connection);
            let Poll::Ready(Err(error)) = connection.poll_ready() else {
                panic!("it has failed");
            };
            assert_eq!(error.stage(), Stage::Proxy);
            for id in ids {
                let Poll::Ready(Ok(outcome)) = connection.poll_outcome(id) else {
                    panic!("it has an outcome");
                };
                let status = outcome.recipients()[0].status();
                assert_eq!(status, &RecipientStatus::NotSent(error.clone()));
            }
            assert!(connection.is_closed() && connection.poll_timeout().is_none());
            assert!(connection.poll_transmit(Time::ORIGIN).is_none());
            // Later reports change nothing.
            connection.handle_proxy_error(Time::ORIGIN, rejected());
            connection.handle_eof(Time::ORIGIN);
            assert_eq!(connection.poll_ready(), Poll::Ready(Err(error)));
        }
    }
}
