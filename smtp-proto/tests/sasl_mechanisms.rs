//! Each mechanism against a server that follows its standard strictly.

#[cfg(feature = "scram")]
#[path = "sasl/scram.rs"]
mod scram;

use crate::common::pair::transmit;
use std::sync::Arc;
use std::task::Poll;

use crate::common::invariants::check_secret;
use smtp_proto::sasl::{
    Anonymous, ConnectionInfo, Exchange, ExchangeError, External, Login, Mechanism, Name,
    OAuthBearer, Plain, TokenRequest, XOAuth2,
};
use smtp_proto::{
    AuthenticationError, Config, Connection, Credentials, Error, ErrorKind, Secret, Security, Seed,
    Time, TlsInfo,
};
use smtp_test::{Action, Log, Machine, Output, Peer, Stage};

const PASSWORD: &str = "Canary-pa55word=Zk3/+9x";
const TOKEN: &str = "ya29.Canary-t0ken_AbC/dEf";
const EXPORTED: &[u8] = b"what both ends of this connection know";

fn server(mechanism: &str) -> smtp_test::Config {
    smtp_test::Config::new()
        .user("alice", PASSWORD)
        .token("alice", TOKEN)
        .implicit_tls()
        .mechanisms([mechanism])
}

fn of(mechanism: impl Mechanism + 'static) -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(mechanism)])
}

fn config(credentials: &Credentials) -> Config {
    Config::builder("client.test".parse().unwrap())
        .security(Security::Implicit)
        .credentials(credentials.clone())
        .build()
        .unwrap()
}

/// Logs in over a TLS connection that each side describes in its own way.
fn log_in(config: Config, facts: TlsInfo, server: &smtp_test::Config) -> (Result<(), Error>, Log) {
    log_in_past(config, facts, server, |said| said)
}

/// The same with an attacker that changes the server's replies.
fn log_in_past(
    config: Config,
    facts: TlsInfo,
    server: &smtp_test::Config,
    change: impl Fn(String) -> String,
) -> (Result<(), Error>, Log) {
    let mut machine = Machine::new(server);
    let log = machine.log();
    let mut connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    let now = Time::ORIGIN;
    let result = loop {
        let mut moved = false;
        if machine.poll_upgrade() {
            let upgrade = connection.begin_tls(now).expect("time for TLS");
            upgrade.complete(now, facts.clone());
            let known = smtp_test::TlsInfo::pretended().with_binding("tls-exporter", EXPORTED);
            machine.handle_tls(known);
            moved = true;
        }
        if let Some(transmit) = transmit(&mut connection, now) {
            let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
            connection.handle_sent(now, bytes.len());
            machine.handle_input(&bytes);
            moved = true;
        }
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Write(bytes) => {
                    let said = change(String::from_utf8(bytes).unwrap());
                    connection.handle_input(now, said.as_bytes());
                }
                _ => connection.handle_eof(now),
            }
            moved = true;
        }
        if let Poll::Ready(result) = connection.poll_ready() {
            break result;
        }
        assert!(moved, "both sides wait");
    };
    if let Err(error) = &result {
        check_secret(PASSWORD, &format!("{error:#} {error:?}"));
        check_secret(TOKEN, &format!("{error:#} {error:?}"));
    }
    (result, log)
}

fn facts() -> TlsInfo {
    TlsInfo::new().with_exporter(EXPORTED.to_vec())
}

fn auths(log: &Log) -> usize {
    let session = log.session();
    let is_auth = |line: &&String| line.starts_with("AUTH");
    session.commands().iter().filter(is_auth).count()
}

/// Logs in with one mechanism; the wrong secret is rejected.
fn check(name: &str, right: &Credentials, wrong: Option<&Credentials>, user: &str) {
    let server = server(name).external("carol").anonymous();
    let (result, log) = log_in(config(right), facts(), &server);
    assert_eq!(
        result.map_err(|error| format!("{error:#}")),
        Ok(()),
        "{name}"
    );
    assert_eq!(log.session().authenticated_as(), Some(user), "{name}");
    assert_eq!(auths(&log), 1);
    log.assert_clean();
    if let Some(wrong) = wrong {
        let (result, log) = log_in(config(wrong), facts(), &server);
        let error = result.unwrap_err();
        let ErrorKind::Authentication(AuthenticationError::Rejected { .. }) = error.kind() else {
            panic!("{name}: {error:#}");
        };
        assert_eq!(error.reply().unwrap().code(), 535);
        assert_eq!(log.session().authenticated_as(), None);
        assert_eq!(auths(&log), 1, "{name}");
        log.assert_clean();
    }
}

#[test]
fn each_mechanism_logs_in_with_the_right_secret_only() {
    let wrong = "wrong".to_owned() + PASSWORD;
    check(
        "PLAIN",
        &of(Plain::new("alice", PASSWORD).unwrap()),
        Some(&of(Plain::new("alice", wrong.as_str()).unwrap())),
        "alice",
    );
    check(
        "LOGIN",
        &of(Login::new("alice", PASSWORD).unwrap()),
        Some(&of(Login::new("alice", wrong.as_str()).unwrap())),
        "alice",
    );
    check(
        "XOAUTH2",
        &of(XOAuth2::new("alice", TOKEN).unwrap()),
        Some(&of(XOAuth2::new("alice", "expired").unwrap())),
        "alice",
    );
    check(
        "OAUTHBEARER",
        &of(OAuthBearer::new("alice", TOKEN).unwrap()),
        Some(&of(OAuthBearer::new("alice", "expired").unwrap())),
        "alice",
    );
    check(
        "EXTERNAL",
        &Credentials::external(),
        Some(&of(External::new().authorize_as("mallory").unwrap())),
        "carol",
    );
    check(
        "EXTERNAL",
        &of(External::new().authorize_as("carol").unwrap()),
        None,
        "carol",
    );
    let traced = Anonymous::new().with_trace("sirhc").unwrap();
    for anonymous in [Anonymous::new(), traced] {
        check("ANONYMOUS", &of(anonymous), None, "anonymous");
    }
    #[cfg(feature = "legacy")]
    check(
        "CRAM-MD5",
        &of(smtp_proto::sasl::CramMd5::new("alice", PASSWORD).unwrap()),
        Some(&of(
            smtp_proto::sasl::CramMd5::new("alice", wrong.as_str()).unwrap()
        )),
        "alice",
    );
}

#[test]
fn v33_the_json_of_a_rejected_token_is_kept_for_the_caller() {
    for (name, credentials) in [
        ("XOAUTH2", Credentials::xoauth2("alice", "expired").unwrap()),
        (
            "OAUTHBEARER",
            Credentials::token("alice", "expired").unwrap(),
        ),
    ] {
        let (result, log) = log_in(config(&credentials), facts(), &server(name));
        let error = result.unwrap_err();
        let ErrorKind::Authentication(AuthenticationError::Rejected {
            detail: Some(detail),
        }) = error.kind()
        else {
            panic!("{error:#}");
        };
        assert!(detail.starts_with(br#"{"status":""#));
        log.assert_clean();

        // A server that gives a reason and then accepts the login contradicts itself.
        let contradicts = server(name).on(Stage::AuthStep(1), Action::reply("235 welcome"));
        let (result, _) = log_in(config(&credentials), facts(), &contradicts);
        let error = result.unwrap_err();
        let ErrorKind::Authentication(AuthenticationError::Exchange(ExchangeError::Contradiction)) =
            error.kind()
        else {
            panic!("{error:#}");
        };
    }
}

/// Credentials with a token provider that gives one token after the other, and the requests to it.
fn source(tokens: [&'static str; 2]) -> (Credentials, Arc<std::sync::Mutex<Vec<TokenRequest>>>) {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let requests = Arc::clone(&asked);
    let give = move |request| {
        requests.lock().unwrap().push(request);
        Some(Secret::from(
            tokens[usize::from(request == TokenRequest::Refreshed)],
        ))
    };
    (Credentials::token_provider("alice", give).unwrap(), asked)
}

#[test]
fn v33_an_expired_token_is_refreshed_once() {
    use TokenRequest::{Cached, Refreshed};
    for (tokens, logs_in) in [(["expired", TOKEN], true), (["expired", "also"], false)] {
        let (credentials, asked) = source(tokens);
        let first = config(&credentials);
        let renewal = first.with_refreshed_token().unwrap();
        assert!(renewal.with_refreshed_token().is_none());
        for name in ["OAUTHBEARER", "XOAUTH2"] {
            asked.lock().unwrap().clear();
            let (result, log) = log_in(first.clone(), facts(), &server(name));
            let error = result.unwrap_err();
            let ErrorKind::Authentication(AuthenticationError::Expired { detail: Some(_) }) =
                error.kind()
            else {
                panic!("{error:#}");
            };
            assert!(!error.is_transient() && error.hint().unwrap().contains("new"));
            assert_eq!(auths(&log), 1);
            let (result, _) = log_in(renewal.clone(), facts(), &server(name));
            match result {
                Ok(()) => assert!(logs_in),
                Err(error) => {
                    let ErrorKind::Authentication(AuthenticationError::Rejected { .. }) =
                        error.kind()
                    else {
                        panic!("{error:#}");
                    };
                    assert!(!logs_in);
                }
            }
            assert_eq!(*asked.lock().unwrap(), [Cached, Refreshed]);
        }
    }
    let fixed = config(&Credentials::token("alice", TOKEN).unwrap());
    assert!(fixed.with_refreshed_token().is_none());
    let anonymous = Config::builder("client.test".parse().unwrap());
    assert!(anonymous.build().unwrap().with_refreshed_token().is_none());
}

#[test]
fn only_a_rejection_of_the_token_refreshes_it() {
    let (credentials, _) = source(["expired", "expired"]);
    for (reply, expired) in [
        ("535 5.7.8 no", true),
        ("534 5.7.9 not so", false),
        ("454 4.7.0 later", false),
        ("504 5.5.4 what is that", false),
        ("538 5.7.11 more encryption", false),
    ] {
        let server = server("XOAUTH2").on(Stage::Auth, Action::reply(reply));
        let (result, _) = log_in(config(&credentials), facts(), &server);
        let error = result.unwrap_err();
        let kind = error.kind();
        let is_expired = matches!(
            kind,
            ErrorKind::Authentication(AuthenticationError::Expired { detail: None })
        );
        assert_eq!(is_expired, expired, "{reply}");
        assert!(
            expired
                || matches!(
                    kind,
                    ErrorKind::Authentication(AuthenticationError::Rejected { detail: None })
                )
        );
    }
    // Without a token nothing is sent.
    let none = Credentials::token_provider("alice", |_| None).unwrap();
    let (result, log) = log_in(config(&none), facts(), &server("XOAUTH2"));
    let ErrorKind::Authentication(AuthenticationError::Exchange(ExchangeError::Mechanism(_))) =
        result.unwrap_err().kind()
    else {
        panic!("a reason of the mechanism's own");
    };
    assert_eq!(auths(&log), 0);
}

/// A mechanism outside the crate that is for some connections only.
#[derive(Debug, Clone)]
struct Picky(bool);

impl Mechanism for Picky {
    fn name(&self) -> Name {
        Name::new("X-PICKY").unwrap()
    }

    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        assert!(context.advertises("X-PICKY") && context.advertised().count() == 2);
        Plain::new("alice", PASSWORD).unwrap().start(context)
    }

    fn is_usable(&self, context: &ConnectionInfo<'_>) -> bool {
        assert!(context.secure());
        self.0
    }
}

#[test]
fn a_mechanism_that_this_connection_does_not_allow_is_skipped() {
    let server = server("PLAIN").mechanisms(["X-PICKY", "PLAIN"]);
    for usable in [false, true] {
        let plain = Plain::new("alice", PASSWORD).unwrap();
        let credentials =
            Credentials::from_mechanisms(vec![Arc::new(Picky(usable)), Arc::new(plain)]);
        let (result, log) = log_in(config(&credentials), facts(), &server);
        // The server does not implement what it advertises.
        assert_eq!(result.is_err(), usable);
        let said = log.session().commands().join("\n");
        assert_eq!(said.contains("AUTH X-PICKY"), usable, "{said}");
    }
}
