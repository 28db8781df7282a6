//! No text for people has a secret, whether a session succeeds or fails: not as it is, not in
//! base64, not in hex.

#[cfg(feature = "tracing")]
use crate::span_collector;

use std::sync::Arc;

use crate::common::debug_output::DebugOutput;
use crate::common::invariants::{check_secret, disguises};
use crate::common::pair::{Cut, Fault, Pair, next_event, transmit};
use crate::common::raw_mail;
use smtp_proto::sasl::{Anonymous, External, Login, Mechanism, OAuthBearer, Plain, XOAuth2};
use smtp_proto::{Config, Connection, Credentials, Event, Secret, Security, Seed, Time};
use smtp_test::{Action, Machine, Stage};

const PASSWORD: &str = "Canary-pa55word=Zk3/+9x";
const TOKEN: &str = "ya29.Canary-t0ken_AbC/dEf+GhI=";

/// Credentials that send a secret, each with its mechanism and the secret.
fn ways() -> Vec<(&'static str, &'static str, Credentials)> {
    vec![
        (
            "PLAIN",
            PASSWORD,
            Credentials::password("alice", PASSWORD).unwrap(),
        ),
        (
            "PLAIN",
            PASSWORD,
            of(Plain::new("alice", PASSWORD).unwrap()),
        ),
        (
            "LOGIN",
            PASSWORD,
            of(Login::new("alice", PASSWORD).unwrap()),
        ),
        (
            "XOAUTH2",
            TOKEN,
            Credentials::xoauth2("alice", TOKEN).unwrap(),
        ),
        (
            "OAUTHBEARER",
            TOKEN,
            Credentials::token("alice", TOKEN).unwrap(),
        ),
        (
            "OAUTHBEARER",
            TOKEN,
            Credentials::token_provider("alice", |_| Some(TOKEN.into())).unwrap(),
        ),
        (
            "OAUTHBEARER",
            TOKEN,
            Credentials::fetched_token("alice").unwrap(),
        ),
        (
            "XOAUTH2",
            TOKEN,
            Credentials::fetched_token("alice").unwrap(),
        ),
    ]
}

/// Credentials that prove knowledge of a password, each with its mechanism.
fn proofs() -> Vec<(&'static str, Credentials)> {
    vec![
        #[cfg(feature = "scram")]
        (
            "SCRAM-SHA-256",
            // Few iterations: the cost is not under test.
            of(smtp_proto::sasl::Scram::sha256("alice", PASSWORD)
                .unwrap()
                .iterations(1..=1)),
        ),
        #[cfg(feature = "legacy")]
        (
            "CRAM-MD5",
            of(smtp_proto::sasl::CramMd5::new("alice", PASSWORD).unwrap()),
        ),
    ]
}

/// All credentials, with the secrets that no text may have.
fn all() -> impl Iterator<Item = (&'static str, &'static str, Credentials)> {
    let proofs = proofs().into_iter();
    ways()
        .into_iter()
        .chain(proofs.map(|(name, credentials)| (name, PASSWORD, credentials)))
}

fn of(mechanism: impl Mechanism + 'static) -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(mechanism)])
}

/// Runs a session, and adds all text at every step; returns the output.
fn session(
    credentials: Credentials,
    server: &smtp_test::Config,
    cut: Option<Cut>,
    shown: &DebugOutput,
) -> Vec<u8> {
    traced(shown, || converse(credentials, server, cut, shown))
}

fn converse(
    credentials: Credentials,
    server: &smtp_test::Config,
    cut: Option<Cut>,
    shown: &DebugOutput,
) -> Vec<u8> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Implicit)
        .credentials(credentials.clone())
        .transcript(shown.observer())
        .build()
        .unwrap();
    shown.debug(&config);
    shown.debug(&credentials);
    let mut pair = Pair::new(Arc::new(config), Machine::new(server));
    pair.cut = cut;
    let mail = raw_mail(
        "alice@x.test",
        ["bob@x.test"],
        "Subject: t\r\n\r\nhello\r\n",
    )
    .unwrap();
    shown.debug(&mail);
    let id = pair.connection.submit(mail);
    pair.connection.quit();
    shown.debug(&id);
    loop {
        shown.debug(&pair.connection);
        let now = pair.now;
        if let Some(offer) = transmit(&mut pair.connection, now) {
            shown.debug(&offer);
        }
        let event = pair.drive(|connection| {
            shown.debug(connection);
            next_event(connection)
        });
        shown.debug(&event);
        match event {
            Ok(Event::Outcome(_, outcome)) => shown.outcome(&outcome),
            Ok(Event::Closed) => break,
            Ok(Event::TokenWanted(_)) => {
                if let Err(error) = pair.connection.provide_token(TOKEN.into()) {
                    shown.error(&error);
                }
            }
            Ok(_) => {}
            Err(error) => {
                shown.error(&error);
                break;
            }
        }
    }
    shown.debug(&pair.connection);
    shown.debug(&pair.connection.capabilities());
    shown.debug(&pair.connection.mechanism());
    pair.sent
}

/// Adds the spans and events of `run`, with the feature `tracing`.
#[cfg(feature = "tracing")]
fn traced<T>(shown: &DebugOutput, run: impl FnOnce() -> T) -> T {
    let collector = span_collector::SpanCollector::new(tracing::Level::TRACE);
    let result = collector.during(run);
    shown.text(collector.lines().join("\n"));
    result
}

#[cfg(not(feature = "tracing"))]
fn traced<T>(_shown: &DebugOutput, run: impl FnOnce() -> T) -> T {
    run()
}

fn server(mechanism: &str) -> smtp_test::Config {
    smtp_test::Config::new()
        .user("alice", PASSWORD)
        .token("alice", TOKEN)
        .implicit_tls()
        .scram(smtp_test::Scram::new().iterations(1))
        .capabilities([format!("AUTH {mechanism}"), "PIPELINING".to_owned()])
}

fn sends(secret: &str, sent: &[u8]) -> bool {
    let sent = String::from_utf8_lossy(sent);
    disguises(secret).iter().any(|form| sent.contains(form))
}

#[test]
fn v37_no_secret_is_shown_by_a_successful_session() {
    for (mechanism, secret, credentials) in ways() {
        let shown = DebugOutput::default();
        let sent = session(credentials, &server(mechanism), None, &shown);
        assert!(sends(secret, &sent), "{mechanism}: it was not even used");
        let shown = shown.all();
        assert!(shown.contains("Accepted") && shown.contains(mechanism));
        if cfg!(feature = "tracing") {
            let traced = format!("TRACE /smtp.connection{{}}: C: AUTH {mechanism}");
            assert!(shown.contains(&traced), "{shown}");
        }
        check_secret(secret, &shown);
    }
}

#[test]
fn v37_a_proof_of_the_password_neither_shows_nor_sends_the_password() {
    for (mechanism, credentials) in proofs() {
        let shown = DebugOutput::default();
        let sent = session(credentials, &server(mechanism), None, &shown);
        assert!(!sends(PASSWORD, &sent), "{mechanism}");
        let shown = shown.all();
        // Nor does it show data against which passwords can be tried.
        let challenges = shown.split("S: 334 ").skip(1);
        assert!(challenges.clone().count() > 0, "{mechanism}");
        for text in challenges {
            let count = text.strip_prefix('<').unwrap().split(' ').next();
            assert!(count.unwrap().parse::<usize>().is_ok(), "{text}");
        }
        assert!(shown.contains("Accepted") && shown.contains(mechanism));
        check_secret(PASSWORD, &shown);
    }
}

#[test]
fn v37_no_secret_is_shown_wherever_a_session_fails() {
    for (mechanism, secret, credentials) in all() {
        let server = server(mechanism);
        let whole = session(credentials.clone(), &server, None, &DebugOutput::default()).len();
        let shown = DebugOutput::default();
        for after in (0..whole).step_by(3) {
            for fault in [
                Fault::Eof,
                Fault::WriteError,
                Fault::Silence,
                Fault::Input(b"no reply\r\n"),
            ] {
                let cut = Cut::Output {
                    after,
                    reaches: false,
                    fault,
                };
                session(credentials.clone(), &server, Some(cut), &shown);
            }
        }
        check_secret(secret, &shown.all());
    }
}

#[test]
fn v37_no_secret_is_shown_for_any_reply_to_it() {
    let answers = [
        "535 5.7.8 no",
        "534 5.7.9 use another",
        "454 4.7.0 later",
        "421 4.3.2 down",
        "334 ",
        "334 eHh4",
        "334 not base64!",
        "354 go on",
        "250 ok",
        "334 eyJzdGF0dXMiOiI0MDAifQ==",
        "199 what",
        "nonsense",
        "334-a\n334 b",
    ];
    for (mechanism, secret, credentials) in all() {
        let shown = DebugOutput::default();
        for answer in answers {
            for stage in [
                Stage::Auth,
                Stage::AuthStep(1),
                Stage::AuthStep(2),
                Stage::AnyAuthStep,
            ] {
                let server = server(mechanism).on(stage, Action::reply(answer));
                session(credentials.clone(), &server, None, &shown);
            }
        }
        for stage in [
            Stage::Mail,
            Stage::Rcpt(1),
            Stage::Data,
            Stage::EndOfData,
            Stage::Quit,
        ] {
            let server = server(mechanism).on(stage, Action::reply("530 5.7.0 log in"));
            session(credentials.clone(), &server, None, &shown);
        }
        let server = server("CRAM-MD5");
        session(credentials.clone(), &server, None, &shown);
        check_secret(secret, &shown.all());
    }
}

#[test]
fn v37_no_value_with_a_secret_shows_it() {
    let shown = DebugOutput::default();
    shown.debug(&Secret::from(PASSWORD));
    shown.debug(&Plain::new("alice", PASSWORD).unwrap());
    shown.debug(&Login::new("alice", PASSWORD).unwrap());
    shown.debug(&XOAuth2::new("alice", PASSWORD).unwrap());
    shown.debug(&OAuthBearer::new("alice", PASSWORD).unwrap());
    shown.debug(&External::new().authorize_as(PASSWORD).unwrap());
    shown.debug(&Anonymous::new().with_trace(PASSWORD).unwrap());
    for (_, credentials) in proofs() {
        shown.debug(&credentials);
    }
    shown.debug(&Credentials::password("alice", PASSWORD).unwrap());
    shown.debug(&Credentials::xoauth2("alice", PASSWORD).unwrap());
    for bad in ["\0", "\u{1}", ""] {
        let secret = format!("{PASSWORD}{bad}").repeat(if bad.is_empty() { 1000 } else { 1 });
        for error in [
            Plain::new("alice", secret.as_str()).err(),
            Login::new("alice", secret.as_str()).err(),
            XOAuth2::new("alice", secret.as_str()).err(),
            OAuthBearer::new("alice", secret.as_str()).err(),
            External::new().authorize_as(&secret).err(),
            Anonymous::new().with_trace(&secret).err(),
            Credentials::password("alice", secret.as_str()).err(),
            Credentials::xoauth2("alice", secret.as_str()).err(),
            Credentials::password(&secret, "x").err(),
        ]
        .into_iter()
        .flatten()
        {
            shown.debug(&error);
            shown.text(error);
        }
    }
    let config = Config::builder("client.test".parse().unwrap())
        .credentials(Credentials::password("alice", PASSWORD).unwrap());
    shown.debug(&config);
    let config = config.build().unwrap();
    shown.debug(&config);
    shown.debug(&config.cleartext_fallback());
    let rejected = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .credentials(Credentials::password("alice", PASSWORD).unwrap())
        .build()
        .unwrap_err();
    shown.debug(&rejected);
    shown.text(rejected);
    shown.debug(&Connection::new(
        Arc::new(config),
        Seed::from_bytes([0; 32]),
    ));
    shown.debug(&Time::ORIGIN);
    let shown = shown.all();
    assert!(shown.contains("too long") || shown.contains("TooLong"));
    check_secret(PASSWORD, &shown);
}

#[test]
fn a_secret_is_found_in_every_encoding() {
    // "abcdef", "xabcdef" and "xxabcdef" in base64 (RFC 4648): the groups that no neighbour
    // changes.
    let forms = disguises("abcdef");
    for form in ["abcdef", "616263646566", "YWJjZGVm", "Y2Rl", "YmNkZWY="] {
        let known = forms
            .iter()
            .any(|each| !each.is_empty() && form.starts_with(each.as_str()));
        assert!(known, "{form} is not known again among {forms:?}");
    }
    assert!(forms.iter().all(|form| form.len() >= 4), "{forms:?}");
}
