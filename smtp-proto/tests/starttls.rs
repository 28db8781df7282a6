//! The upgrade from cleartext to TLS: who may start it, what may be sent before it, and what it
//! discards.

#[path = "starttls/answers.rs"]
mod answers;

use std::sync::Arc;
use std::task::Poll;

use crate::common::Answered as _;
use crate::common::harness::{Harness, ehlo};
use crate::common::invariants::{check_clear_text, check_leaving};
use crate::common::raw_mail;
use proptest::prelude::*;
use smtp_proto::sasl::{
    ConnectionInfo, Exchange, ExchangeError, Login, Mechanism, Name, Plain, XOAuth2,
};
use smtp_proto::{
    ApiMisuse, Config, ConfigBuilder, ConfigError, Credentials, ErrorKind, Mail, Parameter,
    ProtocolError, RecipientStatus, Secret, Security, Stage,
};

const POLICIES: [Security; 4] = [
    Security::StartTls,
    Security::Implicit,
    Security::Opportunistic,
    Security::Cleartext,
];

fn builder(security: Security) -> ConfigBuilder {
    Config::builder("client.test".parse().unwrap()).security(security)
}

fn mail() -> Mail {
    raw_mail("a@x.test", ["b@x.test"], "Subject: t\r\n\r\nhello\r\n").unwrap()
}

/// A connection that has sent STARTTLS.
fn at_starttls(policy: Security) -> Harness {
    let mut harness = Harness::new(builder(policy).build().unwrap());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    assert_eq!(harness.ask(ehlo("STARTTLS,AUTH PLAIN")), "STARTTLS\r\n");
    harness
}

fn check_injected(mut harness: Harness, stage: Stage, injected: &[u8]) {
    let error = harness.failure();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::InjectedBeforeTls)
        ),
        "{injected:?}: {error:#}"
    );
    assert_eq!(error.stage(), stage, "{injected:?}");
    assert!(error.hint().is_some());
    assert_eq!(harness.listen(), "", "{injected:?}");
    assert!(
        harness.connection.begin_tls(harness.now).is_err(),
        "{injected:?}: TLS could begin"
    );
    assert!(harness.connection.tls().is_none());
    check_clear_text(&harness.sent);
}

/// Bytes that an attacker could insert after the 220.
fn injections() -> Vec<Vec<u8>> {
    let forged = ehlo("AUTH PLAIN LOGIN,SIZE 0").into_bytes();
    (0..=u8::MAX)
        .map(|byte| vec![byte])
        .chain((1..=forged.len()).map(|len| forged[..len].to_vec()))
        .chain(
            [
                &b"250 mx"[..],
                b"\r\n",
                b"\n",
                b"\0\0",
                b"220 again\r\n",
                b"\x16\x03\x03\0\x7a\x02",
            ]
            .map(<[u8]>::to_vec),
        )
        .collect()
}

#[test]
fn v02_bytes_after_the_220_in_the_same_read_are_fatal() {
    for policy in [Security::StartTls, Security::Opportunistic] {
        for injected in injections() {
            for reply in ["220 go\r\n", "220-now\r\n220 go\r\n", "220\n"] {
                let mut harness = at_starttls(policy);
                harness.say([reply.as_bytes(), &injected].concat());
                check_injected(harness, Stage::StartTls, &injected);
            }
        }
    }
}

#[test]
fn v02_bytes_after_the_220_in_a_later_read_are_fatal_until_tls_is_complete() {
    for injected in injections() {
        let mut harness = at_starttls(Security::StartTls);
        harness.say("220 go\r");
        harness.say("\n");
        harness.say("");
        // The upgrade has begun, and is not complete.
        assert!(harness.connection.begin_tls(harness.now).is_ok());
        assert!(harness.connection.poll_ready().is_pending());
        harness.say(&injected);
        check_injected(harness, Stage::StartTls, &injected);
    }
}

#[test]
fn v02_bytes_before_implicit_tls_are_fatal() {
    for injected in injections() {
        let mut harness = Harness::new(builder(Security::Implicit).build().unwrap());
        harness.say(&injected);
        check_injected(harness, Stage::TlsHandshake, &injected);
    }
}

#[test]
fn no_output_before_implicit_tls_is_complete() {
    let config =
        builder(Security::Implicit).credentials(Credentials::password("alice", "canary").unwrap());
    let mut harness = Harness::new(config.build().unwrap());
    harness.connection.submit(mail());
    harness.connection.quit();
    assert_eq!(harness.listen(), "");
    let error = harness.failure();
    assert!(
        matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::UpgradePending)),
        "{error:#}"
    );
    // An error of the caller, and not of the connection.
    assert!(harness.connection.begin_tls(harness.now).is_ok());
    assert!(harness.connection.poll_ready().is_pending());
    assert_eq!(harness.listen(), "");
    assert_eq!(
        harness.secure("AUTH PLAIN"),
        "AUTH PLAIN AGFsaWNlAGNhbmFyeQ==\r\n"
    );
    assert_eq!(harness.sent_in_cleartext, Some(0));
}

#[test]
fn tls_begins_once() {
    let mut harness = Harness::new(builder(Security::StartTls).build().unwrap());
    assert_eq!(
        harness.secure("STARTTLS"),
        "",
        "STARTTLS inside TLS is of no interest"
    );
    assert!(harness.connection.poll_ready().answer().is_ok());
    assert!(harness.connection.tls().is_some());
    match harness.connection.begin_tls(harness.now) {
        Err(error) => assert!(matches!(
            error.kind(),
            ErrorKind::Misuse(ApiMisuse::NoUpgrade)
        )),
        Ok(upgrade) => panic!("{upgrade:?}"),
    }
}

#[test]
fn i5_capabilities_from_cleartext_are_discarded_before_the_first_reply_in_tls() {
    let mut harness = at_starttls(Security::StartTls);
    assert!(harness.connection.capabilities().start_tls());
    assert_eq!(harness.connection.capabilities().server_name(), b"mx.test");
    harness.say("220 go\r\n");
    harness.upgrade();
    assert_eq!(harness.connection.capabilities().iter().count(), 0);
    assert_eq!(harness.connection.capabilities().auth().count(), 0);
    assert_eq!(harness.connection.capabilities().server_name(), b"");
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
}

/// The output inside TLS, and the capabilities there, after these two replies to EHLO.
fn inside(before: &str, after: &str) -> (String, Vec<String>, String) {
    let config =
        builder(Security::StartTls).credentials(Credentials::password("alice", "canary").unwrap());
    let mut harness = Harness::new(config.build().unwrap());
    let mail = Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .parameter(Parameter::new("BY", Some("120;R")).unwrap())
        .without_header_check()
        .message("Subject: t\r\n\r\ngr\u{fc}\u{df}e\r\n")
        .build()
        .unwrap();
    let id = harness.connection.submit(mail);
    harness.listen();
    harness.ask("220 mx.test\r\n");
    assert_eq!(harness.ask(ehlo(before)), "STARTTLS\r\n");
    harness.say("220 go\r\n");
    harness.upgrade();
    let clear = harness.sent.len();
    harness.listen();
    harness.ask(ehlo(after));
    let known = harness.connection.capabilities().iter();
    let known = known.map(|capability| format!("{capability:?}")).collect();
    harness.ask("235 welcome\r\n");
    harness.ask("250 ok\r\n");
    harness.ask("250 ok\r\n");
    let said = String::from_utf8(harness.sent[clear..].to_vec()).unwrap();
    let outcome = match harness.connection.poll_outcome(id) {
        Poll::Ready(Ok(outcome)) => format!("{:#?}", outcome.recipients()),
        other => format!("{other:#?}"),
    };
    (said, known, outcome)
}

fn keywords() -> impl Strategy<Value = Vec<&'static str>> {
    let all = [
        "AUTH PLAIN",
        "AUTH LOGIN",
        "AUTH CRAM-MD5",
        "SIZE 10",
        "SIZE 1000",
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "DELIVERBY",
        "REQUIRETLS",
        "CHUNKING",
    ];
    proptest::sample::subsequence(all.to_vec(), 0..=all.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn v03_the_session_inside_tls_does_not_depend_on_cleartext(
        before in keywords(), other in keywords(), after in keywords(),
    ) {
        let list = |mut keywords: Vec<&str>| {
            keywords.push("STARTTLS");
            keywords.join(",")
        };
        let after = list(after);
        prop_assert_eq!(inside(&list(before), &after), inside(&list(other), &after));
    }
}

/// A mechanism that sends its secret in any connection.
#[derive(Debug)]
struct Eager(&'static str);

impl Mechanism for Eager {
    fn name(&self) -> Name {
        Name::new(self.0).unwrap()
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        Box::new(Self(self.0))
    }
}

impl Exchange for Eager {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        Ok(Some("canary".into()))
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
        Ok("canary".into())
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        Ok(())
    }

    fn max_challenges(&self) -> usize {
        16
    }
}

const EVERYTHING: &str = "AUTH PLAIN LOGIN XOAUTH2 EXTERNAL ANONYMOUS CRAM-MD5 SCRAM-SHA-256 SCRAM-SHA-256-PLUS,AUTH=PLAIN";

fn every_credential() -> Vec<Credentials> {
    let eager = [
        "EXTERNAL",
        "ANONYMOUS",
        "CRAM-MD5",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
    ];
    eager
        .into_iter()
        .map(|name| -> Arc<dyn Mechanism> { Arc::new(Eager(name)) })
        .chain([
            Arc::new(Plain::new("alice", "canary").unwrap()) as Arc<dyn Mechanism>,
            Arc::new(Login::new("alice", "canary").unwrap()),
            Arc::new(XOAuth2::new("alice", "canary").unwrap()),
        ])
        .map(|mechanism| Credentials::from_mechanisms(vec![mechanism]))
        .collect()
}

#[test]
fn v04_a_cleartext_server_that_advertises_every_mechanism_gets_no_credentials() {
    for credentials in every_credential() {
        for dangerous in [false, true] {
            let mut config = builder(Security::StartTls).credentials(credentials.clone());
            if dangerous {
                // It is used with `Cleartext`, and with no other setting.
                config = config.dangerous_credentials_in_cleartext();
            }
            let mut harness = Harness::new(config.build().unwrap());
            harness.connection.submit(mail());
            harness.listen();
            harness.ask("220 mx.test\r\n");
            assert_eq!(harness.ask(ehlo(EVERYTHING)), "QUIT\r\n");
            assert!(matches!(
                harness.failure().kind(),
                ErrorKind::TlsUnavailable
            ));
            assert_eq!(harness.sent, b"EHLO client.test\r\nQUIT\r\n");
        }
    }
}

#[test]
fn v04_credentials_need_required_tls_or_the_dangerous_option() {
    for credentials in every_credential() {
        for policy in POLICIES {
            for dangerous in [false, true] {
                let mut config = builder(policy).credentials(credentials.clone());
                if dangerous {
                    config = config.dangerous_credentials_in_cleartext();
                }
                let allowed = match policy {
                    Security::StartTls | Security::Implicit => true,
                    Security::Cleartext => dangerous,
                    _ => false,
                };
                match config.build() {
                    Ok(_) => assert!(allowed, "{policy:?}, {dangerous}"),
                    Err(error) => {
                        assert!(!allowed, "{policy:?}, {dangerous}");
                        assert_eq!(error, ConfigError::CredentialsWithoutTls);
                    }
                }
            }
        }
        let config = builder(Security::Cleartext)
            .credentials(credentials)
            .dangerous_credentials_in_cleartext();
        let mut harness = Harness::new(config.build().unwrap());
        harness.listen();
        harness.ask("220 mx.test\r\n");
        let said = harness.ask(ehlo(EVERYTHING));
        assert!(said.starts_with("AUTH "), "{said}");
    }
}

#[test]
fn v04_the_cleartext_fallback_has_no_credentials() {
    for policy in POLICIES {
        let config = builder(policy)
            .dangerous_credentials_in_cleartext()
            .build()
            .unwrap();
        match config.cleartext_fallback() {
            Some(fallback) => {
                assert_eq!(policy, Security::Opportunistic);
                assert_eq!(fallback.security(), Security::Cleartext);
                let mut harness = Harness::new(fallback);
                harness.listen();
                harness.ask("220 mx.test\r\n");
                assert_eq!(harness.ask(ehlo(EVERYTHING)), "");
                assert!(harness.connection.poll_ready().answer().is_ok());
            }
            None => assert_ne!(policy, Security::Opportunistic),
        }
    }
}
