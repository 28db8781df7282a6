//! QUIT after a failure before the server was ready (RFC 5321, section 4.1.1.10).

use std::time::{Duration, Instant};

use smtp_proto::{Credentials, Error, Security, Timeouts};
use smtp_test::{Action, Config, Defect, Log, Stage, Tls};

use super::Adapter;
use super::host::Host;
use crate::common::secured::endpoint;

/// How a server keeps a client from being ready.
struct Failure {
    name: &'static str,
    config: Config,
    security: Security,
    timeouts: Timeouts,
    quits: bool,
}

impl Failure {
    fn new(name: &'static str, config: Config, security: Security, quits: bool) -> Self {
        Self {
            name,
            config,
            security,
            timeouts: Timeouts::default().with_drain(SOON),
            quits,
        }
    }

    fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts.with_drain(SOON);
        self
    }

    /// Has a client fail. Returns its error, what the server received, and the server's log.
    fn happen<A: Adapter>(&self, tls: &Tls) -> (Error, Vec<u8>, Log) {
        let host = Host::start(&self.config, Some(tls));
        let mut endpoint = endpoint(tls)
            .security(self.security)
            .port(host.address().port())
            .timeouts(self.timeouts);
        if self.security != Security::Cleartext {
            endpoint = endpoint.credentials(Credentials::password("alice", "horse").unwrap());
        }
        let endpoint = endpoint.build().unwrap();
        let Err(error) = A::connect(&endpoint, host.address()) else {
            panic!("{}: it went well", self.name);
        };
        let (received, log) = host.finish();
        (error, received, log)
    }
}

pub fn quit_is_the_last_word_where_both_sides_understand_each_other<A: Adapter>() {
    let tls = Tls::new().only_tls12();
    let clear = || Config::new();
    let secure = || Config::new().tls(tls.clone()).user("alice", "horse");
    let reply = |stage: Stage, reply: &str| clear().on(stage, Action::reply(reply));
    let secure_reply = |stage: Stage, reply: &str| secure().on(stage, Action::reply(reply));
    let no = "535 5.7.8 wrong";
    let untrusted = tls.clone().defect(Defect::UnknownAuthority);
    let failures = [
        Failure::new(
            "a greeting of 554",
            reply(Stage::Greeting, "554 no"),
            Security::Cleartext,
            true,
        ),
        Failure::new(
            "EHLO is rejected",
            reply(Stage::Ehlo, "550 no"),
            Security::Cleartext,
            true,
        ),
        Failure::new(
            "STARTTLS is rejected",
            secure_reply(Stage::StartTls, "454 no"),
            Security::StartTls,
            true,
        ),
        Failure::new("no STARTTLS", clear(), Security::StartTls, true),
        Failure::new(
            "no AUTH",
            secure().capabilities_in_tls(["SIZE"]),
            Security::StartTls,
            true,
        ),
        Failure::new(
            "a wrong password",
            secure_reply(Stage::Auth, no),
            Security::StartTls,
            true,
        ),
        Failure::new(
            "the same in implicit TLS",
            secure_reply(Stage::Auth, no).implicit_tls(),
            Security::Implicit,
            true,
        ),
        Failure::new(
            "a greeting of 421",
            reply(Stage::Greeting, "421 no"),
            Security::Cleartext,
            false,
        ),
        Failure::new(
            "EHLO gets 421",
            reply(Stage::Ehlo, "421 no"),
            Security::Cleartext,
            false,
        ),
        Failure::new(
            "EHLO gets 221",
            reply(Stage::Ehlo, "221 bye"),
            Security::Cleartext,
            false,
        ),
        Failure::new(
            "AUTH gets 421",
            secure_reply(Stage::Auth, "421 no"),
            Security::StartTls,
            false,
        ),
        Failure::new(
            "a greeting that is none",
            reply(Stage::Greeting, "SSH-2.0"),
            Security::Cleartext,
            false,
        ),
        Failure::new(
            "EHLO gets 220",
            reply(Stage::Ehlo, "220 here"),
            Security::Cleartext,
            false,
        ),
        Failure::new(
            "a close",
            clear().on(Stage::Ehlo, Action::close()),
            Security::Cleartext,
            false,
        ),
        Failure::new(
            "no greeting",
            clear().on(Stage::Greeting, Action::silent()),
            Security::Cleartext,
            false,
        )
        .timeouts(Timeouts::default().with_greeting(SOON)),
        Failure::new(
            "no reply to EHLO",
            clear().on(Stage::Ehlo, Action::silent()),
            Security::Cleartext,
            false,
        )
        .timeouts(Timeouts::default().with_ehlo(SOON)),
    ];
    for failure in failures {
        let (error, received, log) = failure.happen::<A>(&tls);
        let session = log.session();
        let quits = session
            .commands()
            .iter()
            .filter(|line| *line == "QUIT")
            .count();
        assert_eq!(
            quits,
            usize::from(failure.quits),
            "{}: {error:#}",
            failure.name
        );
        if session.tls().is_some() {
            assert_eq!(last_record(&received), Some(ALERT), "{}", failure.name);
        }
    }
    let config = Config::new().tls(untrusted.clone());
    let failure = Failure::new("a bad certificate", config, Security::StartTls, false);
    let (_, received, log) = failure.happen::<A>(&untrusted);
    assert_eq!(log.session().commands().last().unwrap(), "STARTTLS");
    assert_eq!(last_record(&received), Some(ALERT));
}

pub fn a_server_that_never_answers_quit_is_not_waited_for<A: Adapter>() {
    let tls = Tls::new().only_tls12();
    for security in [Security::Cleartext, Security::StartTls] {
        let config = match security {
            Security::Cleartext => Config::new().on(Stage::Greeting, Action::reply("554 no")),
            _ => {
                let config = Config::new().tls(tls.clone()).user("alice", "horse");
                config.on(Stage::Auth, Action::reply("535 5.7.8 wrong"))
            }
        };
        let config = config.on(Stage::Quit, Action::silent());
        let failure = Failure::new("a silent server", config, security, true)
            .timeouts(Timeouts::default().with_quit(SOON));
        let began = Instant::now();
        let (error, received, log) = failure.happen::<A>(&tls);
        // Every other limit is at least a minute.
        assert!(began.elapsed() < Duration::from_secs(30), "{error:#}");
        assert!(
            matches!(error.reply().unwrap().code().as_u16(), 554 | 535),
            "{error:#}"
        );
        assert_eq!(log.session().commands().last().unwrap(), "QUIT");
        if security != Security::Cleartext {
            assert_eq!(last_record(&received), Some(ALERT));
        }
    }
}

/// The type of the last TLS record received, after the cleartext (RFC 5246, section 6.2.1).
fn last_record(received: &[u8]) -> Option<u8> {
    let hello = [22, 3, 1];
    let begin = received.windows(3).position(|bytes| bytes == hello)?;
    let mut rest = received.get(begin..)?;
    let mut last = None;
    while let [kind, _, _, high, low, tail @ ..] = rest {
        last = Some(*kind);
        rest = tail.get(usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
    last
}

/// The record type of alerts.
const ALERT: u8 = 21;

/// A limit for what never comes.
const SOON: Duration = Duration::from_millis(50);
