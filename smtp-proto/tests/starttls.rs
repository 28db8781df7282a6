//! The step from clear text to TLS: who may take it, what may be said before it, and what is forgotten at it.

mod common;

use std::sync::Arc;

use common::invariants::{check_clear_text, check_leaving};
use common::rig::{Rig, ehlo};
use proptest::prelude::*;
use smtp_proto::sasl::{Context, Exchange, Failure, Login, Mechanism, Name, Plain, XOAuth2};
use smtp_proto::{
    Config, ConfigBuilder, ConfigError, Credentials, ErrorKind, Fate, Mail, Misuse, Parameter,
    ProtocolError, Secret, Security, Stage,
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
    Mail::new("a@x.test", ["b@x.test"], "Subject: t\r\n\r\nhello\r\n").unwrap()
}

/// Where an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    EhloInTls,
    HeloInTls,
}

/// What the server does.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Says a whole reply.
    Reply(u16),
    /// Says a whole 250 that lists STARTTLS.
    Offer,
    /// Says this.
    Says(&'static str),
    Closes,
    /// Says this and closes.
    Breaks(&'static str),
    Resets,
    /// Says this and no more.
    Sleeps(&'static str),
}

/// What may happen next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Says(&'static str),
    Tls,
    /// The way is free for mail.
    Ready,
    Fails,
}

const ANSWERS: [Answer; 31] = [
    Answer::Reply(220),
    Answer::Reply(221),
    Answer::Reply(235),
    Answer::Reply(250),
    Answer::Reply(299),
    Answer::Reply(334),
    Answer::Reply(354),
    Answer::Reply(421),
    Answer::Reply(450),
    Answer::Reply(454),
    Answer::Reply(500),
    Answer::Reply(501),
    Answer::Reply(502),
    Answer::Reply(503),
    Answer::Reply(504),
    Answer::Reply(530),
    Answer::Reply(550),
    Answer::Reply(554),
    Answer::Offer,
    Answer::Says("hello there\r\n"),
    Answer::Says("\r\n"),
    Answer::Says("150 wait\r\n"),
    Answer::Says("600 no\r\n"),
    Answer::Says("220-go\r\n250 no\r\n"),
    Answer::Says("\x16\x03\x01"),
    Answer::Closes,
    Answer::Breaks("220 g"),
    Answer::Breaks("220-go\r\n"),
    Answer::Resets,
    Answer::Sleeps(""),
    Answer::Sleeps("220 g"),
];

/// What RFC 3207 and the policies allow, written down without a look at the machine.
fn allowed(policy: Security, at: At, answer: Answer) -> Next {
    let in_tls = policy == Security::Implicit || matches!(at, At::EhloInTls | At::HeloInTls);
    let (code, offered) = match answer {
        Answer::Reply(code) => (code, false),
        Answer::Offer => (250, true),
        _ => return Next::Fails,
    };
    let welcome = (200..300).contains(&code) && code != 221;
    match at {
        At::Greeting if welcome => Next::Says("EHLO client.test\r\n"),
        At::Ehlo | At::EhloInTls if welcome && in_tls => Next::Ready,
        At::Ehlo if welcome => match policy {
            Security::StartTls if offered => Next::Says("STARTTLS\r\n"),
            Security::Opportunistic if offered => Next::Says("STARTTLS\r\n"),
            Security::Opportunistic | Security::Cleartext => Next::Ready,
            _ => Next::Fails,
        },
        At::Ehlo | At::EhloInTls if [500, 501, 502, 504, 550].contains(&code) => {
            if in_tls || policy != Security::StartTls {
                Next::Says("HELO client.test\r\n")
            } else {
                Next::Fails
            }
        }
        At::Helo | At::HeloInTls if welcome => Next::Ready,
        At::StartTls if code == 220 => Next::Tls,
        At::StartTls if policy == Security::Opportunistic && code >= 400 && code != 421 => {
            Next::Ready
        }
        _ => Next::Fails,
    }
}

/// Brings a connection to where the answer is due; `None` if it never gets there.
fn bring(policy: Security, at: At, login: bool) -> Option<Rig> {
    let mut config = builder(policy);
    if login {
        config = config.credentials(Credentials::password("alice", "canary").unwrap());
    }
    let mut rig = Rig::new(config.build().ok()?);
    rig.connection.submit(mail());
    rig.connection.quit();
    rig.listen();
    if policy == Security::Implicit {
        rig.upgrade();
        assert_eq!(rig.listen(), "");
    }
    let starttls = matches!(policy, Security::StartTls | Security::Opportunistic);
    let way: &[&str] = match at {
        At::Greeting => &[],
        At::Ehlo => &["220 mx.test\r\n"],
        At::Helo if policy != Security::StartTls => &["220 mx.test\r\n", "500 what\r\n"],
        At::StartTls if starttls => &["220 mx.test\r\n", "250-mx.test\r\n250 STARTTLS\r\n"],
        At::EhloInTls if starttls => &[
            "220 mx.test\r\n",
            "250-mx.test\r\n250 STARTTLS\r\n",
            "220 go\r\n",
        ],
        At::HeloInTls if starttls => &[
            "220 mx.test\r\n",
            "250-mx.test\r\n250 STARTTLS\r\n",
            "220 go\r\n",
            "502 what\r\n",
        ],
        _ => return None,
    };
    for (index, reply) in way.iter().enumerate() {
        rig.ask(reply);
        if index == 2 {
            rig.upgrade();
            rig.listen();
        }
    }
    Some(rig)
}

fn give(rig: &mut Rig, answer: Answer) {
    match answer {
        Answer::Reply(code) => rig.say(format!("{code} text\r\n")),
        Answer::Offer => rig.say(ehlo("STARTTLS")),
        Answer::Says(text) => rig.say(text),
        Answer::Closes => rig.connection.handle_eof(rig.now),
        Answer::Breaks(text) => {
            rig.say(text);
            rig.connection.handle_eof(rig.now);
        }
        Answer::Resets => {
            let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            rig.connection.handle_read_error(rig.now, reset.into());
        }
        Answer::Sleeps(text) => {
            rig.say(text);
            rig.now = rig
                .connection
                .poll_timeout()
                .expect("a deadline for a silent server");
            rig.tick();
        }
    }
}

fn check(policy: Security, at: At, answer: Answer, login: bool) {
    let Some(mut rig) = bring(policy, at, login) else {
        return;
    };
    let case = format!("{policy:?}, {at:?}, {answer:?}, login {login}");
    let mut expected = allowed(policy, at, answer);
    if login && expected == Next::Ready {
        // None of these replies offers AUTH, and without a login nothing is sent.
        expected = Next::Fails;
    }
    give(&mut rig, answer);
    let said = rig.listen();
    let tls = matches!(rig.connection.poll_upgrade(), Some(Ok(_)));
    let next = match rig.connection.poll_ready() {
        _ if tls => Next::Tls,
        Some(Err(error)) => {
            assert_eq!(said, "", "{case}: said after {error}");
            check_error(&case, policy, at, answer, &error);
            let Some(Ok(smtp_proto::Event::Outcome(_, outcome))) = rig.connection.poll_event()
            else {
                panic!("{case}: the mail has no outcome");
            };
            let fate = outcome.deliveries()[0].fate();
            assert!(
                matches!(fate, Fate::NotSent(_)) && fate.is_safe_to_retry(),
                "{case}: {fate}"
            );
            Next::Fails
        }
        _ if said.starts_with("MAIL FROM:") => Next::Ready,
        _ => Next::Says(
            [
                "EHLO client.test\r\n",
                "HELO client.test\r\n",
                "STARTTLS\r\n",
            ]
            .into_iter()
            .find(|line| *line == said)
            .unwrap_or_else(|| panic!("{case}: said {said:?}")),
        ),
    };
    assert_eq!(next, expected, "{case}");
    check_leaving(policy, &rig.sent, rig.sent_in_clear);
}

fn check_error(case: &str, policy: Security, at: At, answer: Answer, error: &smtp_proto::Error) {
    if let Answer::Reply(code) = answer
        && error.stage() != Stage::Auth
    {
        assert_eq!(
            error.reply().unwrap().code(),
            code,
            "{case}: the error keeps what the server said"
        );
    }
    let declined = match (at, answer) {
        (At::Ehlo, Answer::Reply(code)) => {
            (200..300).contains(&code) && code != 221 || [500, 501, 502, 504, 550].contains(&code)
        }
        (At::StartTls, Answer::Reply(code)) => code != 220,
        (At::StartTls, Answer::Offer) => true,
        _ => false,
    };
    if policy == Security::StartTls && declined {
        assert!(
            matches!(error.kind(), ErrorKind::TlsUnavailable),
            "{case}: {error}"
        );
    }
}

#[test]
fn v01_every_answer_before_tls_leads_where_the_policy_allows_and_nowhere_else() {
    for policy in POLICIES {
        for at in [
            At::Greeting,
            At::Ehlo,
            At::Helo,
            At::StartTls,
            At::EhloInTls,
            At::HeloInTls,
        ] {
            for answer in ANSWERS {
                for login in [false, true] {
                    check(policy, at, answer, login);
                }
            }
        }
    }
}

/// A connection that has said STARTTLS.
fn at_starttls(policy: Security) -> Rig {
    let mut rig = Rig::new(builder(policy).build().unwrap());
    rig.listen();
    rig.ask("220 mx.test\r\n");
    assert_eq!(rig.ask(ehlo("STARTTLS,AUTH PLAIN")), "STARTTLS\r\n");
    rig
}

fn check_injected(mut rig: Rig, stage: Stage, injected: &[u8]) {
    let error = rig.failure();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::InjectedBeforeTls)
        ),
        "{injected:?}: {error}"
    );
    assert_eq!(error.stage(), stage, "{injected:?}");
    assert!(error.hint().is_some());
    assert_eq!(rig.listen(), "", "{injected:?}");
    assert!(
        matches!(rig.connection.poll_upgrade(), Some(Err(_))),
        "{injected:?}: TLS could begin"
    );
    assert!(rig.connection.tls().is_none());
    check_clear_text(&rig.sent);
}

/// What an attacker could put behind the 220.
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
fn v02_bytes_behind_the_220_in_the_same_chunk_are_fatal() {
    for policy in [Security::StartTls, Security::Opportunistic] {
        for injected in injections() {
            for reply in ["220 go\r\n", "220-now\r\n220 go\r\n", "220\n"] {
                let mut rig = at_starttls(policy);
                rig.say([reply.as_bytes(), &injected].concat());
                check_injected(rig, Stage::StartTls, &injected);
            }
        }
    }
}

#[test]
fn v02_bytes_behind_the_220_in_a_later_chunk_are_fatal_until_tls_is_complete() {
    for injected in injections() {
        let mut rig = at_starttls(Security::StartTls);
        rig.say("220 go\r");
        rig.say("\n");
        rig.say("");
        // Whoever took on the upgrade has not done it yet.
        assert!(matches!(rig.connection.poll_upgrade(), Some(Ok(_))));
        assert!(rig.connection.poll_ready().is_none());
        rig.say(&injected);
        check_injected(rig, Stage::StartTls, &injected);
    }
}

#[test]
fn v02_bytes_before_implicit_tls_are_fatal() {
    for injected in injections() {
        let mut rig = Rig::new(builder(Security::Implicit).build().unwrap());
        rig.say(&injected);
        check_injected(rig, Stage::TlsHandshake, &injected);
    }
}

#[test]
fn nothing_is_offered_before_implicit_tls_is_complete() {
    let config =
        builder(Security::Implicit).credentials(Credentials::password("alice", "canary").unwrap());
    let mut rig = Rig::new(config.build().unwrap());
    rig.connection.submit(mail());
    rig.connection.quit();
    assert_eq!(rig.listen(), "");
    let error = rig.failure();
    assert!(
        matches!(error.kind(), ErrorKind::Misuse(Misuse::UpgradePending)),
        "{error}"
    );
    // It is a question badly put, and no failure.
    assert!(matches!(rig.connection.poll_upgrade(), Some(Ok(_))));
    assert!(rig.connection.poll_ready().is_none());
    assert_eq!(rig.listen(), "");
    assert_eq!(
        rig.secure("AUTH PLAIN"),
        "AUTH PLAIN AGFsaWNlAGNhbmFyeQ==\r\n"
    );
    assert_eq!(rig.sent_in_clear, Some(0));
}

#[test]
fn tls_begins_once() {
    let mut rig = Rig::new(builder(Security::StartTls).build().unwrap());
    assert_eq!(
        rig.secure("STARTTLS"),
        "",
        "STARTTLS inside TLS is of no interest"
    );
    assert!(rig.connection.poll_ready().unwrap().is_ok());
    assert!(rig.connection.tls().is_some());
    match rig.connection.poll_upgrade() {
        Some(Err(error)) => assert!(matches!(error.kind(), ErrorKind::Misuse(Misuse::NoUpgrade))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn i5_what_was_said_in_clear_is_forgotten_before_anything_is_heard_in_tls() {
    let mut rig = at_starttls(Security::StartTls);
    assert!(rig.connection.capabilities().starttls());
    assert_eq!(rig.connection.capabilities().greeting_name(), b"mx.test");
    rig.say("220 go\r\n");
    rig.upgrade();
    assert_eq!(rig.connection.capabilities().iter().count(), 0);
    assert_eq!(rig.connection.capabilities().auth().count(), 0);
    assert_eq!(rig.connection.capabilities().greeting_name(), b"");
    assert_eq!(rig.listen(), "EHLO client.test\r\n");
}

/// What is said inside TLS, and what is known there, after these two lists of capabilities.
fn inside(before: &str, after: &str) -> (String, Vec<String>, String) {
    let config =
        builder(Security::StartTls).credentials(Credentials::password("alice", "canary").unwrap());
    let mut rig = Rig::new(config.build().unwrap());
    let mail = Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .parameter(Parameter::new("BY", Some("120;R")).unwrap())
        .text("Subject: t\r\n\r\ngr\u{fc}\u{df}e\r\n")
        .build()
        .unwrap();
    let id = rig.connection.submit(mail);
    rig.listen();
    rig.ask("220 mx.test\r\n");
    assert_eq!(rig.ask(ehlo(before)), "STARTTLS\r\n");
    rig.say("220 go\r\n");
    rig.upgrade();
    let clear = rig.sent.len();
    rig.listen();
    rig.ask(ehlo(after));
    let known = rig.connection.capabilities().iter();
    let known = known.map(|capability| format!("{capability:?}")).collect();
    rig.ask("235 welcome\r\n");
    rig.ask("250 ok\r\n");
    rig.ask("250 ok\r\n");
    let said = String::from_utf8(rig.sent[clear..].to_vec()).unwrap();
    let outcome = match rig.connection.poll_outcome(id) {
        Some(Ok(outcome)) => format!("{:?}", outcome.deliveries()),
        other => format!("{other:?}"),
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
    fn v03_what_happens_inside_tls_depends_on_what_was_said_there_only(
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

/// A mechanism that would say anything to anybody.
#[derive(Debug)]
struct Eager(&'static str);

impl Mechanism for Eager {
    fn name(&self) -> Name {
        Name::new(self.0).unwrap()
    }

    fn start(&self, _: &Context<'_>) -> Box<dyn Exchange> {
        Box::new(Self(self.0))
    }
}

impl Exchange for Eager {
    fn initial_response(&mut self) -> Result<Option<Secret>, Failure> {
        Ok(Some("canary".into()))
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, Failure> {
        Ok("canary".into())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn steps(&self) -> usize {
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
        .map(|mechanism| Credentials::mechanisms(vec![mechanism]))
        .collect()
}

#[test]
fn v04_a_server_in_clear_that_offers_every_mechanism_gets_no_credentials() {
    for credentials in every_credential() {
        for dangerous in [false, true] {
            let mut config = builder(Security::StartTls).credentials(credentials.clone());
            if dangerous {
                // It counts under the policy that is clear by name, and under no other.
                config = config.dangerous_credentials_in_clear();
            }
            let mut rig = Rig::new(config.build().unwrap());
            rig.connection.submit(mail());
            rig.listen();
            rig.ask("220 mx.test\r\n");
            assert_eq!(rig.ask(ehlo(EVERYTHING)), "");
            assert!(matches!(rig.failure().kind(), ErrorKind::TlsUnavailable));
            assert_eq!(rig.sent, b"EHLO client.test\r\n");
        }
    }
}

#[test]
fn v04_credentials_need_a_policy_that_demands_tls_or_the_dangerous_escape_by_name() {
    for credentials in every_credential() {
        for policy in POLICIES {
            for dangerous in [false, true] {
                let mut config = builder(policy).credentials(credentials.clone());
                if dangerous {
                    config = config.dangerous_credentials_in_clear();
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
            .dangerous_credentials_in_clear();
        let mut rig = Rig::new(config.build().unwrap());
        rig.listen();
        rig.ask("220 mx.test\r\n");
        let said = rig.ask(ehlo(EVERYTHING));
        assert!(said.starts_with("AUTH "), "{said}");
    }
}

#[test]
fn v04_the_policy_to_fall_back_to_is_clear_and_carries_no_credentials() {
    for policy in POLICIES {
        let config = builder(policy)
            .dangerous_credentials_in_clear()
            .build()
            .unwrap();
        match config.fallback() {
            Some(fallback) => {
                assert_eq!(policy, Security::Opportunistic);
                assert_eq!(fallback.security(), Security::Cleartext);
                let mut rig = Rig::new(fallback);
                rig.listen();
                rig.ask("220 mx.test\r\n");
                assert_eq!(rig.ask(ehlo(EVERYTHING)), "");
                assert!(rig.connection.poll_ready().unwrap().is_ok());
            }
            None => assert_ne!(policy, Security::Opportunistic),
        }
    }
}
