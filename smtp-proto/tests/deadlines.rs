//! Deadlines under a virtual clock: when they pass, the errors that they lead to, and that only a
//! reply moves them.

#[path = "deadlines/writing.rs"]
mod writing;

use std::task::Poll;
use std::time::Duration;

use crate::common::Answered as _;
use crate::common::harness::{Harness, ehlo};
use crate::common::pair::transmit;
use crate::common::raw_mail;
use smtp_proto::{
    Command, Config, ConfigBuilder, Credentials, Error, ErrorKind, Mail, Pipelining, Protocol,
    RecipientStatus, Security, Stage, Time, Timeout, Timeouts,
};

/// Limits that all differ, so that no limit can stand in for another.
fn timeouts() -> Timeouts {
    Timeouts::default()
        .with_greeting(secs(11))
        .with_ehlo(secs(13))
        .with_starttls(secs(17))
        .with_auth(secs(19))
        .with_mail(secs(23))
        .with_rcpt(secs(29))
        .with_data_init(secs(31))
        .with_data_block(secs(37))
        .with_data_end(secs(41))
        .with_command(secs(43))
        .with_quit(secs(47))
        .with_drain(secs(7))
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn at(seconds: u64) -> Time {
    Time::from_origin(secs(seconds))
}

fn builder(security: Security) -> ConfigBuilder {
    Config::builder("client.test".parse().unwrap())
        .security(security)
        .timeouts(timeouts())
}

fn mail() -> Mail {
    raw_mail(
        "a@x.test",
        ["b@x.test", "c@x.test"],
        "Subject: t\r\n\r\nhello\r\n",
    )
    .unwrap()
}

/// A time limit, and the name of the wait in the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    limit: Timeout,
    awaited: &'static str,
}

impl Wait {
    const GREETING: Self = Self::new(Timeout::Reply, "the greeting");
    const EHLO: Self = Self::new(Timeout::Reply, "the reply to EHLO");
    const STARTTLS: Self = Self::new(Timeout::StartTls, "STARTTLS to be done");
    const TLS_HANDSHAKE: Self = Self::new(Timeout::StartTls, "the TLS handshake");
    const IMPLICIT_TLS: Self = Self::new(Timeout::ImplicitTls, "the TLS handshake");
    const AUTH: Self = Self::new(Timeout::Reply, "the reply to AUTH");
    const MAIL: Self = Self::new(Timeout::Reply, "the reply to MAIL");
    const RCPT: Self = Self::new(Timeout::Reply, "the reply to RCPT");
    const DATA: Self = Self::new(Timeout::Reply, "the reply to DATA");
    const WRITE: Self = Self::new(Timeout::Write, "the server to accept the bytes sent");
    const END_OF_DATA: Self = Self::new(Timeout::Reply, "the final reply");
    const RSET: Self = Self::new(Timeout::Reply, "the reply to RSET");
    const COMMAND: Self = Self::new(Timeout::Reply, "the reply to the command");
    const QUIT: Self = Self::new(Timeout::Reply, "the reply to QUIT");
    const SESSION: Self = Self::new(Timeout::Session, "the connection's work to be done");

    const fn new(limit: Timeout, awaited: &'static str) -> Self {
        Self { limit, awaited }
    }
}

/// One wait of a dialogue: the output before it, the reply that ends it, and its limit.
struct Step {
    said: &'static str,
    /// The reply; none where TLS begins.
    answer: Option<&'static str>,
    stage: Stage,
    wait: Wait,
    limit: u64,
}

const fn step(
    said: &'static str,
    answer: &'static str,
    stage: Stage,
    wait: Wait,
    limit: u64,
) -> Step {
    Step {
        said,
        answer: Some(answer),
        stage,
        wait,
        limit,
    }
}

/// A whole session, one command at a time. Each wait begins a second after the reply before it.
const SESSION: [Step; 19] = [
    step("", "220 mx.test\r\n", Stage::Greeting, Wait::GREETING, 11),
    step(
        "EHLO client.test\r\n",
        "250-mx.test\r\n250 STARTTLS\r\n",
        Stage::Ehlo,
        Wait::EHLO,
        13,
    ),
    step(
        "STARTTLS\r\n",
        "220 go\r\n",
        Stage::StartTls,
        Wait::STARTTLS,
        17,
    ),
    // One second of the limit for STARTTLS has passed.
    Step {
        said: "",
        answer: None,
        stage: Stage::TlsHandshake,
        wait: Wait::TLS_HANDSHAKE,
        limit: 16,
    },
    step(
        "EHLO client.test\r\n",
        "250-mx.test\r\n250 AUTH LOGIN\r\n",
        Stage::Ehlo,
        Wait::EHLO,
        13,
    ),
    step(
        "AUTH LOGIN\r\n",
        "334 VXNlcm5hbWU6\r\n",
        Stage::Auth,
        Wait::AUTH,
        19,
    ),
    step(
        "YWxpY2U=\r\n",
        "334 UGFzc3dvcmQ6\r\n",
        Stage::Auth,
        Wait::AUTH,
        19,
    ),
    step(
        "Y2FuYXJ5\r\n",
        "235 welcome\r\n",
        Stage::Auth,
        Wait::AUTH,
        19,
    ),
    step(
        "MAIL FROM:<a@x.test>\r\n",
        "250 ok\r\n",
        Stage::Mail,
        Wait::MAIL,
        23,
    ),
    step(
        "RCPT TO:<b@x.test>\r\n",
        "550 no\r\n",
        Stage::Rcpt,
        Wait::RCPT,
        29,
    ),
    step(
        "RCPT TO:<c@x.test>\r\n",
        "550 no\r\n",
        Stage::Rcpt,
        Wait::RCPT,
        29,
    ),
    step("RSET\r\n", "250 ok\r\n", Stage::Rset, Wait::RSET, 43),
    step(
        "MAIL FROM:<a@x.test>\r\n",
        "250 ok\r\n",
        Stage::Mail,
        Wait::MAIL,
        23,
    ),
    step(
        "RCPT TO:<b@x.test>\r\n",
        "250 ok\r\n",
        Stage::Rcpt,
        Wait::RCPT,
        29,
    ),
    step(
        "RCPT TO:<c@x.test>\r\n",
        "550 no\r\n",
        Stage::Rcpt,
        Wait::RCPT,
        29,
    ),
    step("DATA\r\n", "354 go ahead\r\n", Stage::Data, Wait::DATA, 31),
    step(
        "Subject: t\r\n\r\nhello\r\n.\r\n",
        "250 taken\r\n",
        Stage::EndOfData,
        Wait::END_OF_DATA,
        41,
    ),
    step("NOOP\r\n", "250 ok\r\n", Stage::Command, Wait::COMMAND, 43),
    step("QUIT\r\n", "221 bye\r\n", Stage::Quit, Wait::QUIT, 47),
];

/// A connection that waits for the reply of this step, and the time since when it waits.
fn waiting(config: ConfigBuilder, index: usize) -> (Harness, Time) {
    let credentials = Credentials::password("alice", "canary").unwrap();
    let mut harness = Harness::new(config.credentials(credentials).build().unwrap());
    harness.connection.submit(mail());
    harness.connection.submit(mail());
    harness.connection.command(Command::noop());
    harness.connection.quit();
    for (number, step) in SESSION.iter().enumerate().take(index + 1) {
        assert_eq!(harness.listen(), step.said, "step {number}");
        if number < index {
            harness.wait(secs(1));
            match step.answer {
                Some(answer) => harness.say(answer),
                None => harness.upgrade(),
            }
        }
    }
    if SESSION[index].answer.is_none() {
        // The driver claims the handshake.
        assert!(harness.connection.begin_tls(harness.now).is_ok());
    }
    let now = harness.now;
    (harness, now)
}

/// Asserts that a connection fails at its deadline, and not a nanosecond before.
fn check_deadline(harness: &mut Harness, until: Time, step: &Step) {
    assert_eq!(
        harness.connection.poll_timeout(),
        Some(until),
        "{:?}",
        step.wait
    );
    harness.now = Time::from_origin(until.since_origin() - Duration::from_nanos(1));
    harness.tick();
    assert_eq!(
        harness.connection.poll_timeout(),
        Some(until),
        "{:?}",
        step.wait
    );
    assert!(
        harness.connection.poll_closed().is_pending(),
        "{:?}: failed before its deadline",
        step.wait
    );
    harness.now = until;
    harness.tick();
    assert_eq!(harness.connection.poll_timeout(), None);
    assert_eq!(harness.listen(), "");
    if step.stage == Stage::Quit {
        // Every message has its outcome: a server that does not answer QUIT does no harm.
        assert!(harness.connection.poll_closed().answer().is_ok());
    } else {
        check_timeout(&harness.failure(), step.stage, step.wait);
    }
}

fn check_timeout(error: &Error, stage: Stage, wait: Wait) {
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(limit) if *limit == wait.limit),
        "{error:#} and not {wait:?}"
    );
    assert_eq!(error.stage(), stage, "{error:#}");
    assert!(error.is_transient());
    assert!(format!("{error:#}").contains(wait.awaited));
}

#[test]
fn v29_a_silent_server_is_a_timeout_at_each_step() {
    for (index, step) in SESSION.iter().enumerate() {
        let (mut harness, since) = waiting(builder(Security::StartTls), index);
        check_deadline(&mut harness, since + secs(step.limit), step);
    }
}

/// The limit that the documentation promises, in seconds.
fn promised(wait: Wait, submission: bool) -> u64 {
    match wait {
        Wait::GREETING | Wait::STARTTLS | Wait::TLS_HANDSHAKE if submission => 30,
        Wait::END_OF_DATA => 600,
        Wait::QUIT => 5,
        _ if submission => 60,
        Wait::DATA => 120,
        _ => 300,
    }
}

#[test]
fn the_limits_are_those_in_the_documentation() {
    for (limits, submission) in [
        (Timeouts::submission(), true),
        (Timeouts::rfc5321(), false),
        (Timeouts::default(), false),
    ] {
        for (index, step) in SESSION.iter().enumerate() {
            let config = Config::builder("client.test".parse().unwrap()).timeouts(limits);
            let (harness, since) = waiting(config, index);
            let tls = promised(Wait::STARTTLS, submission);
            let limit = secs(match index {
                // This much of the limit for STARTTLS has passed.
                3 => tls - 1,
                4 => tls - 2,
                _ => promised(step.wait, submission),
            });
            assert_eq!(
                harness.connection.poll_timeout(),
                Some(since + limit),
                "{:?}",
                step.wait
            );
        }
        let connect = if submission { 10 } else { 30 };
        assert_eq!(limits.connect(), secs(connect));
    }
}

#[test]
fn the_first_byte_of_a_greeting_may_have_its_own_limit() {
    let limits = timeouts().with_first_byte(secs(3));
    let config = || builder(Security::StartTls).timeouts(limits);
    let (mut harness, since) = waiting(config(), 0);
    check_deadline(&mut harness, since + secs(3), &SESSION[0]);
    let (mut harness, since) = waiting(config(), 0);
    harness.wait(secs(2));
    harness.say("2");
    check_deadline(&mut harness, since + secs(11), &SESSION[0]);
    // It is never more than the limit for the whole greeting, and applies to no other reply.
    let (harness, since) = waiting(config().timeouts(timeouts().with_first_byte(secs(99))), 0);
    assert_eq!(harness.connection.poll_timeout(), Some(since + secs(11)));
    let (harness, since) = waiting(config(), 1);
    assert_eq!(harness.connection.poll_timeout(), Some(since + secs(13)));
}

#[test]
fn a_greeting_that_begins_before_output_is_asked_for_has_the_limit_for_its_rest() {
    for security in [Security::Cleartext, Security::Implicit] {
        let limits = timeouts().with_first_byte(secs(3));
        let mut harness = Harness::new(builder(security).timeouts(limits).build().unwrap());
        if security == Security::Implicit {
            harness.listen();
            harness.wait(secs(2));
            harness.upgrade();
        }
        // In the read that ends the handshake, or as the first call of all.
        let since = harness.now;
        harness.say("2");
        assert_eq!(harness.connection.poll_timeout(), Some(since + secs(11)));
        harness.wait(secs(4));
        assert_eq!(harness.listen(), "");
        check_deadline(&mut harness, since + secs(11), &SESSION[0]);
    }
}

#[test]
fn v29_a_server_that_sends_single_bytes_is_a_timeout_at_each_step() {
    for (index, step) in SESSION.iter().enumerate() {
        let (mut harness, since) = waiting(builder(Security::StartTls), index);
        if step.answer.is_none() {
            continue;
        }
        let until = since + secs(step.limit);
        // The code is that of a good reply, so each byte could begin one.
        let code = &step.answer.unwrap()[..3];
        let drip = format!("{code}-one\r\n{code}-two\r\n{code}-three\r\n{code}-four");
        for byte in drip.bytes() {
            harness.wait(secs(2));
            if harness.now >= until {
                break;
            }
            harness.say([byte]);
            harness.tick();
            assert_eq!(harness.listen(), "");
            assert_eq!(
                harness.connection.poll_timeout(),
                Some(until),
                "the deadline of {:?} has moved",
                step.wait
            );
        }
        check_deadline(&mut harness, until, step);
        if step.stage != Stage::Quit {
            let error = harness.failure();
            assert!(
                error.partial_reply().unwrap().starts_with(code.as_bytes()),
                "{error:#}"
            );
        }
    }
}

#[test]
fn a_timeout_call_before_the_deadline_changes_nothing() {
    for (index, step) in SESSION.iter().enumerate() {
        let (mut harness, since) = waiting(builder(Security::StartTls), index);
        for _ in 0..step.limit {
            harness.tick();
            harness.tick();
            assert_eq!(
                harness.connection.poll_timeout(),
                Some(since + secs(step.limit))
            );
            assert_eq!(harness.listen(), "");
            harness.wait(secs(1));
        }
        // The reply may come in the last moment, and also after it, until the driver reports the
        // time.
        match step.answer {
            Some(answer) => harness.say(answer),
            None => harness.upgrade(),
        }
        assert!(
            !matches!(harness.connection.poll_ready(), Poll::Ready(Err(error)) if matches!(error.kind(), ErrorKind::Timeout(_))),
            "{:?}",
            step.wait
        );
    }
}

#[test]
fn a_late_timeout_call_fails_the_wait_that_had_the_deadline() {
    // However late the driver calls, the wait that had the deadline is the one that fails.
    let (mut harness, _) = waiting(builder(Security::StartTls), 12);
    harness.wait(secs(100_000));
    harness.tick();
    check_timeout(&harness.failure(), Stage::Mail, Wait::MAIL);
    let error = harness.failure();
    harness.wait(secs(100_000));
    harness.tick();
    assert_eq!(format!("{:#}", harness.failure()), format!("{error:#}"));
}

#[test]
fn a_wait_begins_when_its_bytes_are_first_transmitted() {
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    assert_eq!(
        harness.connection.poll_timeout(),
        None,
        "a wait before the driver has begun"
    );
    harness.wait(secs(100));
    assert_eq!(harness.listen(), "");
    assert_eq!(harness.connection.poll_timeout(), Some(at(111)));
    // EHLO is due and not transmitted yet: only the limit of the session runs.
    harness.wait(secs(1));
    harness.say("220 mx.test\r\n");
    harness.wait(secs(50));
    harness.tick();
    assert_eq!(harness.connection.poll_timeout(), Some(at(100 + 2 * 3600)));
    // Transmitted twice, and then acknowledged: the first time counts.
    assert!(transmit(&mut harness.connection, harness.now).is_some());
    assert_eq!(harness.connection.poll_timeout(), Some(at(164)));
    harness.wait(secs(5));
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    assert_eq!(harness.connection.poll_timeout(), Some(at(164)));
}

/// A connection that sent STARTTLS at three seconds.
fn at_starttls() -> Harness {
    waiting(builder(Security::StartTls), 2).0
}

#[test]
fn v07_the_limit_for_starttls_runs_until_the_reply_to_ehlo_inside_tls() {
    // The command was transmitted at two seconds.
    let mut harness = at_starttls();
    harness.wait(secs(6));
    harness.say("220 go\r\n");
    assert_eq!(harness.listen(), "");
    assert_eq!(harness.connection.poll_timeout(), Some(at(19)));
    harness.wait(secs(5));
    harness.upgrade();
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    // EHLO would have until second 26.
    assert_eq!(harness.connection.poll_timeout(), Some(at(19)));
    harness.now = at(19);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Ehlo, Wait::STARTTLS);
}

#[test]
fn v07_the_limit_for_starttls_ends_with_the_reply_to_ehlo_inside_tls() {
    for (reply, next) in [
        (ehlo("AUTH LOGIN"), 17 + 19),
        // Without EHLO the limit is that for HELO.
        ("500 what\r\n".to_owned(), 17 + 13),
    ] {
        let mut harness = at_starttls();
        harness.say("220 go\r\n");
        harness.upgrade();
        harness.wait(secs(12));
        harness.listen();
        harness.wait(secs(3));
        harness.say(reply);
        assert!(!harness.listen().is_empty());
        assert_eq!(harness.connection.poll_timeout(), Some(at(next)));
    }
}

#[test]
fn v07_a_server_that_begins_no_tls_is_a_timeout() {
    let mut harness = at_starttls();
    harness.wait(secs(1));
    harness.say("220 go\r\n");
    harness.listen();
    assert!(harness.connection.begin_tls(harness.now).is_ok());
    for second in 4..19 {
        harness.now = at(second);
        harness.tick();
        assert_eq!(harness.connection.poll_timeout(), Some(at(19)));
    }
    harness.now = at(19);
    harness.tick();
    let error = harness.failure();
    check_timeout(&error, Stage::TlsHandshake, Wait::TLS_HANDSHAKE);
    assert_eq!(error.hint(), None, "the port is the right one: {error:#}");
    assert!(harness.connection.begin_tls(harness.now).is_err());
}

#[test]
fn v07_implicit_tls_has_the_limit_for_starttls_and_the_greeting_its_own() {
    let mut harness = Harness::new(builder(Security::Implicit).build().unwrap());
    harness.wait(secs(2));
    harness.listen();
    assert_eq!(harness.connection.poll_timeout(), Some(at(19)));
    harness.wait(secs(10));
    harness.listen();
    harness.upgrade();
    harness.listen();
    assert_eq!(harness.connection.poll_timeout(), Some(at(12 + 11)));
    let mut harness = Harness::new(builder(Security::Implicit).build().unwrap());
    harness.listen();
    assert!(harness.connection.begin_tls(harness.now).is_ok());
    harness.now = at(17);
    harness.tick();
    let error = harness.failure();
    check_timeout(&error, Stage::TlsHandshake, Wait::IMPLICIT_TLS);
    assert!(error.hint().unwrap().contains("465"), "{error:#}");
}

#[test]
fn a_rejected_starttls_ends_its_limit_under_opportunistic_tls() {
    let mut harness = Harness::new(builder(Security::Opportunistic).build().unwrap());
    harness.connection.submit(mail());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    assert_eq!(harness.ask(ehlo("STARTTLS")), "STARTTLS\r\n");
    harness.wait(secs(2));
    assert_eq!(harness.ask("454 not now\r\n"), "MAIL FROM:<a@x.test>\r\n");
    assert_eq!(harness.connection.poll_timeout(), Some(at(2 + 23)));
}

#[test]
fn each_reply_of_a_flight_has_its_limit_from_the_reply_before_it() {
    let mut harness = in_flight();
    assert_eq!(harness.connection.poll_timeout(), Some(at(23)));
    for (reply, at_second, until) in [
        ("250 ok\r\n", 10, 10 + 29),
        ("250 ok\r\n", 38, 38 + 29),
        ("550 no\r\n", 66, 66 + 31),
    ] {
        harness.now = at(at_second);
        harness.say(reply);
        assert_eq!(harness.listen(), "");
        assert_eq!(
            harness.connection.poll_timeout(),
            Some(at(until)),
            "{reply:?}"
        );
    }
    harness.now = at(97);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Data, Wait::DATA);
}

#[test]
fn after_replies_in_one_read_the_limit_is_that_of_the_next() {
    let mut harness = in_flight();
    harness.wait(secs(5));
    harness.say("250 ok\r\n250 ok\r\n25");
    assert_eq!(harness.connection.poll_timeout(), Some(at(5 + 29)));
    harness.now = at(5 + 29);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Rcpt, Wait::RCPT);
}

#[test]
fn each_final_reply_of_lmtp_has_its_limit_from_the_final_reply_before_it() {
    for chunking in [false, true] {
        let config = builder(Security::Cleartext).protocol(Protocol::Lmtp);
        let mut harness = Harness::new(config.build().unwrap());
        let recipients = ["b@x.test", "c@x.test", "d@x.test", "e@x.test"];
        let text = "Subject: t\r\n\r\nhello\r\n";
        let mail = raw_mail("a@x.test", recipients, text).unwrap();
        let id = harness.connection.submit(mail);
        harness.listen();
        harness.ask("220 mx.test\r\n");
        harness.ask(ehlo(if chunking { "CHUNKING" } else { "" }));
        for _ in 0..=recipients.len() {
            harness.ask("250 ok\r\n");
        }
        if !chunking {
            harness.ask("354 go ahead\r\n");
        }
        assert!(
            harness
                .sent
                .ends_with(if chunking { b"hello\r\n" } else { b"\r\n.\r\n" })
        );
        assert_eq!(harness.connection.poll_timeout(), Some(at(41)));
        harness.now = at(40);
        // A part of a reply does not move the deadline.
        harness.say("250 2.1.5 del");
        assert_eq!(harness.connection.poll_timeout(), Some(at(41)));
        harness.say("ivered\r\n");
        assert_eq!(harness.connection.poll_timeout(), Some(at(40 + 41)));
        harness.now = at(80);
        assert_eq!(harness.listen(), "");
        // The next reply, and the first byte of the one after it.
        harness.say("452 full\r\n2");
        assert_eq!(harness.connection.poll_timeout(), Some(at(80 + 41)));
        harness.now = at(120);
        harness.say("50 ok\r\n");
        assert_eq!(harness.connection.poll_timeout(), Some(at(120 + 41)));
        harness.now = at(120 + 41);
        harness.tick();
        let stage = if chunking {
            Stage::LastChunk
        } else {
            Stage::EndOfData
        };
        assert_eq!(harness.failure().stage(), stage);
        let outcome = harness.connection.poll_outcome(id).answer().unwrap();
        let statuses: Vec<_> = outcome
            .recipients()
            .iter()
            .map(|each| each.status())
            .collect();
        assert!(
            matches!(
                statuses[..],
                [
                    RecipientStatus::Accepted(_),
                    RecipientStatus::Rejected { .. },
                    RecipientStatus::Accepted(_),
                    RecipientStatus::InDoubt(_),
                ]
            ),
            "{outcome:#?}"
        );
    }
}

#[test]
fn a_quit_after_a_failure_has_its_own_limit_from_when_it_is_sent() {
    // After STARTTLS the limit of TLS is running, which would end first.
    for (index, rejection) in [(1, "550 not you\r\n"), (2, "454 not now\r\n")] {
        let (mut harness, since) = waiting(builder(Security::StartTls), index);
        harness.wait(secs(12));
        harness.say(rejection);
        let error = harness.failure();
        harness.wait(secs(2));
        assert_eq!(harness.listen(), "QUIT\r\n");
        let until = since + secs(14 + 47);
        assert_eq!(harness.connection.poll_timeout(), Some(until));
        harness.wait(secs(46));
        harness.tick();
        assert!(!harness.connection.is_closed());
        assert_eq!(harness.connection.poll_timeout(), Some(until));
        harness.now = until;
        harness.tick();
        assert!(harness.connection.is_closed());
        assert_eq!(harness.connection.poll_timeout(), None);
        assert_eq!(harness.failure(), error, "silence after QUIT is no failure");
    }
}

/// A connection that has said MAIL, two RCPTs and DATA at zero seconds.
fn in_flight() -> Harness {
    let config = builder(Security::Cleartext).pipelining(Pipelining::Envelope);
    let mut harness = Harness::new(config.build().unwrap());
    harness.connection.submit(mail());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    let said = harness.ask(ehlo("PIPELINING"));
    assert!(
        said.starts_with("MAIL") && said.ends_with("DATA\r\n"),
        "{said}"
    );
    harness
}

#[test]
fn all_limits_can_be_lowered_at_once() {
    for index in 0..SESSION.len() {
        let config = builder(Security::StartTls).timeouts(timeouts().at_most(secs(5)));
        let (harness, since) = waiting(config, index);
        // Some of the limit for STARTTLS has passed when the handshake and the second EHLO begin.
        let spent = [0, 0, 0, 1, 2].get(index).copied().unwrap_or(0);
        assert_eq!(
            harness.connection.poll_timeout(),
            Some(since + secs(5 - spent)),
            "step {index}"
        );
    }
}

#[test]
fn the_default_limits_are_those_of_the_standard() {
    // RFC 5321, section 4.5.3.2.
    let minutes = [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 2, 10, 5];
    for (index, count) in minutes.into_iter().enumerate() {
        let config = builder(Security::StartTls).timeouts(Timeouts::default());
        let (harness, since) = waiting(config, index);
        let spent = [0, 0, 0, 1, 2].get(index).copied().unwrap_or(0);
        assert_eq!(
            harness.connection.poll_timeout(),
            Some(since + secs(count * 60 - spent)),
            "step {index}"
        );
    }
    let (harness, since) = waiting(
        builder(Security::StartTls).timeouts(Timeouts::default()),
        18,
    );
    assert_eq!(
        harness.connection.poll_timeout(),
        Some(since + secs(5)),
        "a long wait for the reply to QUIT"
    );
}

/// A connection that is ready, and was not asked for output since.
fn ready() -> Harness {
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250 mx.test\r\n");
    harness
}

#[test]
fn results_that_need_no_bytes_come_without_any() {
    // Nothing is sent for these, so no reply would ever come: a driver that waited would wait for
    // ever.
    let mut harness = ready();
    let text = "Subject: t\r\n\r\ngr\u{fc}\u{df}e\r\n";
    let mail = raw_mail("a@x.test", ["b@x.test"], text).unwrap();
    let id = harness.connection.submit(mail);
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::NotSent(_)
    ));
    let id = harness
        .connection
        .command(Command::vrfy("b\u{fc}").unwrap());
    assert!(harness.connection.poll_reply(id).answer().is_err());
    harness.connection.quit();
    assert_eq!(harness.listen(), "QUIT\r\n");
}

#[test]
fn a_question_starts_no_transaction() {
    let mut harness = ready();
    let id = harness.connection.submit(mail());
    assert!(harness.connection.poll_outcome(id).is_pending());
    harness.connection.abandon(id);
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    let fate = outcome.recipients()[0].status();
    assert!(
        matches!(fate, RecipientStatus::NotSent(error) if matches!(error.kind(), ErrorKind::Abandoned))
    );
    assert!(
        harness.connection.poll_ready().answer().is_ok(),
        "it was withdrawn"
    );
    assert_eq!(harness.listen(), "");
}
