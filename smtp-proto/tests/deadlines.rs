//! Deadlines under a virtual clock: where they are, what they are called, and that nothing but an answer moves them.

#[path = "deadlines/writing.rs"]
mod writing;

use std::task::Poll;
use std::time::Duration;

use crate::common::Answered as _;
use crate::common::harness::{Harness, ehlo};
use crate::common::pair::transmit;
use crate::common::raw_mail;
use smtp_proto::{
    Command, Config, ConfigBuilder, Credentials, Error, ErrorKind, Mail, Pipelining,
    RecipientStatus, Security, Stage, Time, Timeout, Timeouts,
};

/// Every limit is another, so that none can stand in for another.
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

/// Which limit is up when, and how an error names what was waited for.
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
    const WRITE: Self = Self::new(Timeout::Write, "the server to take what is sent");
    const END_OF_DATA: Self = Self::new(Timeout::Reply, "the final reply");
    const RSET: Self = Self::new(Timeout::Reply, "the reply to RSET");
    const COMMAND: Self = Self::new(Timeout::Reply, "the reply to the command");
    const QUIT: Self = Self::new(Timeout::Reply, "the reply to QUIT");
    const SESSION: Self = Self::new(Timeout::Session, "the connection's work to be done");

    const fn new(limit: Timeout, awaited: &'static str) -> Self {
        Self { limit, awaited }
    }
}

/// One wait of a dialogue: what was said before it, what ends it, and how long it may take.
struct Step {
    said: &'static str,
    /// The answer, or none where TLS begins.
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

/// A whole session, command by command; each wait begins a second after the answer before it.
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
    // A second of the time for STARTTLS is over.
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

/// A connection that waits for the answer of this step, and since when.
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
        // Somebody takes on the handshake.
        assert!(harness.connection.begin_tls(harness.now).is_ok());
    }
    let now = harness.now;
    (harness, now)
}

/// Fails a connection at its deadline, and not a nanosecond before.
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
        "{:?}: over before its time",
        step.wait
    );
    harness.now = until;
    harness.tick();
    assert_eq!(harness.connection.poll_timeout(), None);
    assert_eq!(harness.listen(), "");
    if step.stage == Stage::Quit {
        // All mails have their outcome: a server that does not say goodbye does no harm.
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
fn v29_a_silent_server_is_given_up_at_each_step_when_its_time_is_over() {
    for (index, step) in SESSION.iter().enumerate() {
        let (mut harness, since) = waiting(builder(Security::StartTls), index);
        check_deadline(&mut harness, since + secs(step.limit), step);
    }
}

/// The numbers that the documentation names, in seconds.
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
fn the_named_limits_are_those_that_the_documentation_names() {
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
                // So many seconds of the time for STARTTLS are over.
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
fn a_greeting_may_have_less_time_to_begin_than_to_be_whole() {
    let limits = timeouts().with_first_byte(secs(3));
    let config = || builder(Security::StartTls).timeouts(limits);
    let (mut harness, since) = waiting(config(), 0);
    check_deadline(&mut harness, since + secs(3), &SESSION[0]);
    let (mut harness, since) = waiting(config(), 0);
    harness.wait(secs(2));
    harness.say("2");
    check_deadline(&mut harness, since + secs(11), &SESSION[0]);
    // It is never more time than for all of it, and counts for nothing else.
    let (harness, since) = waiting(config().timeouts(timeouts().with_first_byte(secs(99))), 0);
    assert_eq!(harness.connection.poll_timeout(), Some(since + secs(11)));
    let (harness, since) = waiting(config(), 1);
    assert_eq!(harness.connection.poll_timeout(), Some(since + secs(13)));
}

#[test]
fn v29_a_server_that_drips_is_given_up_when_its_time_is_over() {
    for (index, step) in SESSION.iter().enumerate() {
        let (mut harness, since) = waiting(builder(Security::StartTls), index);
        if step.answer.is_none() {
            continue;
        }
        let until = since + secs(step.limit);
        // The code is that of the answer, so that each byte could be the beginning of a good one.
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
                "{:?} has moved",
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
fn a_time_that_has_not_come_changes_nothing() {
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
        // The answer may still come in the last moment, and just as well when the time is over and nobody said so.
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
fn a_time_long_past_is_the_time_of_the_wait_and_no_other() {
    // However late the driver wakes, one wait has failed: that which it woke for.
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
fn a_wait_begins_when_its_bytes_are_first_offered() {
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    assert_eq!(
        harness.connection.poll_timeout(),
        None,
        "nobody waits before the driver has begun"
    );
    harness.wait(secs(100));
    assert_eq!(harness.listen(), "");
    assert_eq!(harness.connection.poll_timeout(), Some(at(111)));
    // EHLO is due now, and not offered for a while: nothing is waited for but the end of the session.
    harness.wait(secs(1));
    harness.say("220 mx.test\r\n");
    harness.wait(secs(50));
    harness.tick();
    assert_eq!(harness.connection.poll_timeout(), Some(at(100 + 2 * 3600)));
    // Offered, and offered again, and taken: the first time counts.
    assert!(transmit(&mut harness.connection, harness.now).is_some());
    assert_eq!(harness.connection.poll_timeout(), Some(at(164)));
    harness.wait(secs(5));
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    assert_eq!(harness.connection.poll_timeout(), Some(at(164)));
}

/// A connection at STARTTLS since the third second.
fn at_starttls() -> Harness {
    waiting(builder(Security::StartTls), 2).0
}

#[test]
fn v07_the_limit_for_starttls_covers_all_up_to_the_reply_to_ehlo_inside_tls() {
    // The command was offered at two seconds.
    let mut harness = at_starttls();
    harness.wait(secs(6));
    harness.say("220 go\r\n");
    assert_eq!(harness.listen(), "");
    assert_eq!(harness.connection.poll_timeout(), Some(at(19)));
    harness.wait(secs(5));
    harness.upgrade();
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    // EHLO would have until 26.
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
fn v07_a_server_that_begins_no_tls_is_given_up() {
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
fn under_an_opportunistic_policy_a_rejected_starttls_takes_its_limit_with_it() {
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
fn each_reply_of_a_flight_has_its_limit_from_when_it_became_the_next() {
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
fn replies_in_one_chunk_leave_the_limit_of_the_next_one() {
    let mut harness = in_flight();
    harness.wait(secs(5));
    harness.say("250 ok\r\n250 ok\r\n25");
    assert_eq!(harness.connection.poll_timeout(), Some(at(5 + 29)));
    harness.now = at(5 + 29);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Rcpt, Wait::RCPT);
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
fn all_limits_can_be_brought_down_at_once() {
    for index in 0..SESSION.len() {
        let config = builder(Security::StartTls).timeouts(timeouts().at_most(secs(5)));
        let (harness, since) = waiting(config, index);
        // Of the time for STARTTLS some is over when the handshake and the second EHLO begin.
        let spent = [0, 0, 0, 1, 2].get(index).copied().unwrap_or(0);
        assert_eq!(
            harness.connection.poll_timeout(),
            Some(since + secs(5 - spent)),
            "step {index}"
        );
    }
}

#[test]
fn the_limits_are_those_of_the_standard_unless_said_otherwise() {
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
        "nobody waits long for a goodbye"
    );
}

/// A connection that is ready, and has not been asked what it has to send since.
fn ready() -> Harness {
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250 mx.test\r\n");
    harness
}

#[test]
fn what_needs_no_bytes_is_answered_without_any() {
    // Nothing will be sent for these, so nothing would ever come: a driver that waited would wait for ever.
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
fn a_question_begins_nothing() {
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
