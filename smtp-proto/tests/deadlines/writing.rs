//! Limits of a write and of a session: the peer must read, and every connection ends.

use smtp_proto::{MailId, Wire};

use super::*;
use crate::common::Answered as _;
use crate::common::raw_mail;

/// A connection that may send content of this length, none of which has been sent.
fn at_text(bytes: usize) -> (Harness, MailId) {
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    let text = "0123456789abcdefghijklmnopqrstuvwxyz\r\n".repeat(bytes / 38);
    let id = harness
        .connection
        .submit(raw_mail("a@x.test", ["b@x.test"], text).unwrap());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250 mx.test\r\n");
    harness.ask("250 ok\r\n");
    harness.ask("250 ok\r\n");
    harness.say("354 go ahead\r\n");
    (harness, id)
}

/// Acknowledges up to this number of bytes of output.
fn take(harness: &mut Harness, bytes: usize) -> usize {
    let offered =
        transmit(&mut harness.connection, harness.now).map_or(0, |transmit| transmit.len());
    let count = offered.min(bytes);
    harness.connection.handle_sent(harness.now, count);
    count
}

/// Checks that writing the content times out at this time, and the message is not sent.
#[track_caller]
fn check_not_written(mut harness: Harness, id: MailId, until: Time) {
    let step = Step {
        said: "",
        answer: None,
        stage: Stage::Content,
        wait: Wait::WRITE,
        limit: 37,
    };
    check_deadline(&mut harness, until, &step);
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::NotSent(_)
    ));
}

#[test]
fn v29_a_server_that_reads_no_content_is_a_timeout() {
    let (mut harness, id) = at_text(1_000_000);
    harness.wait(secs(3));
    assert_eq!(take(&mut harness, 0), 0);
    check_not_written(harness, id, at(3 + 37));
}

#[test]
fn v29_a_server_that_reads_content_by_single_bytes_is_a_timeout() {
    let (mut harness, _) = at_text(1_000_000);
    take(&mut harness, 0);
    while harness.now < at(36) {
        harness.wait(secs(2));
        harness.tick();
        assert_eq!(take(&mut harness, 1), 1);
        assert_eq!(
            harness.connection.poll_timeout(),
            Some(at(37)),
            "a single byte moved the deadline"
        );
    }
    harness.wait(secs(1));
    harness.tick();
    check_timeout(&harness.failure(), Stage::Content, Wait::WRITE);
}

#[test]
fn v29_a_server_that_reads_each_block_in_time_is_no_timeout() {
    let (mut harness, id) = at_text(1_000_000);
    let mut taken = 0;
    // Half a minute a block, over eight minutes in all.
    loop {
        let block = take(&mut harness, usize::MAX);
        if block == 0 {
            break;
        }
        taken += block;
        harness.wait(secs(30));
        harness.tick();
    }
    assert!(
        taken > 1_000_000 - 38 && harness.now >= at(8 * 60),
        "{taken} bytes, {:?}",
        harness.now
    );
    // The wait for the final reply began when the end of the data was first transmitted, with the
    // last block.
    assert_eq!(
        harness.connection.poll_timeout(),
        Some(Time::from_origin(
            harness.now.since_origin() - secs(30) + secs(41)
        ))
    );
    harness.say("250 taken\r\n");
    assert!(
        harness
            .connection
            .poll_outcome(id)
            .answer()
            .unwrap()
            .is_accepted()
    );
}

#[test]
fn a_command_that_is_not_read_has_a_limit_too() {
    // The limit for a write is shorter than the limit for the reply to a command.
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    harness.connection.command(Command::noop());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.say("250 mx.test\r\n");
    assert_eq!(take(&mut harness, 3), 3);
    assert_eq!(harness.connection.poll_timeout(), Some(at(37)));
    harness.now = at(37);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Command, Wait::WRITE);
}

/// Submits all output to an operation.
fn submit(harness: &mut Harness) -> usize {
    let count = transmit(&mut harness.connection, harness.now).map_or(0, |transmit| transmit.len());
    harness.connection.handle_submitted(harness.now, count);
    count
}

#[test]
fn v29_an_operation_that_does_not_complete_is_a_timeout() {
    let (mut harness, id) = at_text(1_000_000);
    harness.wait(secs(3));
    assert!(submit(&mut harness) > 0);
    harness.wait(secs(30));
    // The rest of the message was never handed out.
    check_not_written(harness, id, at(3 + 37));
}

#[test]
fn v29_operations_that_complete_in_time_are_no_timeout() {
    let (mut harness, id) = at_text(1_000_000);
    while submit(&mut harness) > 0 {
        harness.wait(secs(30));
        harness.tick();
        harness.connection.handle_completed(harness.now);
    }
    assert!(harness.now >= at(8 * 60));
    harness.say("250 taken\r\n");
    assert!(
        harness
            .connection
            .poll_outcome(id)
            .answer()
            .unwrap()
            .is_accepted()
    );
}

#[test]
fn the_end_of_data_in_an_operation_that_does_not_complete_is_in_doubt() {
    let (mut harness, id) = at_text(1000);
    assert!(submit(&mut harness) > 900);
    assert_eq!(harness.connection.poll_timeout(), Some(at(37)));
    harness.now = at(37);
    harness.tick();
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::InDoubt(_)
    ));
}

#[test]
fn a_reply_to_submitted_bytes_is_taken_before_their_completion() {
    let (mut harness, id) = at_text(1000);
    submit(&mut harness);
    harness.say("250 taken\r\n");
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert!(outcome.is_accepted());
    // The operation has its limit until it completes.
    assert_eq!(harness.connection.poll_timeout(), Some(at(37)));
    harness.connection.handle_completed(harness.now);
    assert_ne!(harness.connection.poll_timeout(), Some(at(37)));
}

#[test]
fn an_operation_that_fails_has_no_limit_any_more() {
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    harness.ask("220 mx.test\r\n");
    harness.say("250 mx.test\r\n");
    harness.connection.command(Command::noop());
    submit(&mut harness);
    let error = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    harness
        .connection
        .handle_write_error(harness.now, error.into());
    // The peer may still explain.
    assert_eq!(harness.connection.poll_timeout(), Some(at(7)));
    harness.say("421 4.3.2 down\r\n");
    assert!(harness.connection.is_closed());
    assert_eq!(harness.connection.poll_timeout(), None);
}

#[test]
fn a_last_quit_waits_for_an_operation_no_longer_than_its_limit() {
    let credentials = Credentials::password("alice", "secret").unwrap();
    let config = builder(Security::Cleartext)
        .credentials(credentials)
        .dangerous_credentials_in_cleartext();
    let mut harness = Harness::new(config.build().unwrap());
    harness.ask("220 mx.test\r\n");
    harness.say(ehlo("AUTH PLAIN"));
    assert!(submit(&mut harness) > 0);
    harness.say("535 5.7.8 no\r\n");
    harness.failure();
    // QUIT is queued behind the operation.
    assert!(!harness.connection.is_closed());
    assert_eq!(harness.connection.poll_timeout(), Some(at(37)));
    harness.now = at(37);
    harness.tick();
    assert!(harness.connection.is_closed());
}

#[test]
fn the_session_has_its_limit_at_every_step() {
    for (index, step) in SESSION.iter().enumerate() {
        // Two seconds after the step began.
        let budget = secs(u64::try_from(index).unwrap() + 2);
        let config = builder(Security::StartTls).timeouts(timeouts().with_session(budget));
        let (mut harness, _) = waiting(config, index);
        let until = Time::ORIGIN + budget;
        let named = Step {
            said: "",
            answer: None,
            stage: step.stage,
            wait: Wait::SESSION,
            limit: 0,
        };
        check_deadline(&mut harness, until, &named);
    }
}

#[test]
fn the_session_has_its_limit_while_it_is_idle() {
    let config = builder(Security::Cleartext).timeouts(timeouts().with_session(secs(60)));
    let mut harness = Harness::new(config.build().unwrap());
    harness.wait(secs(5));
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250 mx.test\r\n");
    assert!(harness.connection.is_idle());
    assert_eq!(harness.connection.poll_timeout(), Some(at(65)));
    harness.now = at(65);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Idle, Wait::SESSION);
}

#[test]
fn v29_the_default_limit_of_a_session_is_two_hours_and_one_more_for_each_message() {
    const HOUR: u64 = 3600;
    let mut harness = Harness::new(builder(Security::Cleartext).build().unwrap());
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250 mx.test\r\n");
    assert!(harness.connection.is_idle());
    assert_eq!(harness.connection.poll_timeout(), Some(at(2 * HOUR)));
    const TEXT: &str = "From: a@x.test\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\nhello\r\n";
    let mail = Mail::new("a@x.test", ["b@x.test"], TEXT).unwrap();
    let id = harness.connection.submit(mail);
    harness.listen();
    for reply in ["250 ok", "250 ok", "354 go ahead", "250 taken"] {
        harness.ask(format!("{reply}\r\n"));
    }
    assert!(
        harness
            .connection
            .poll_outcome(id)
            .answer()
            .unwrap()
            .is_accepted()
    );
    assert_eq!(harness.connection.poll_timeout(), Some(at(3 * HOUR)));
    harness.now = at(3 * HOUR);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Idle, Wait::SESSION);
}

#[test]
fn the_session_is_extended_as_each_message_begins() {
    let limits = timeouts().with_session(secs(60));
    let limits = limits.with_session_per_mail(secs(5));
    let mut harness = Harness::new(
        builder(Security::Cleartext)
            .timeouts(limits)
            .build()
            .unwrap(),
    );
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250 mx.test\r\n");
    let ids = [(); 3].map(|()| harness.connection.submit(mail()));
    assert_eq!(
        harness.connection.poll_timeout(),
        Some(at(60)),
        "a message that is queued has not begun"
    );
    for (number, id) in (1..).zip(ids) {
        assert_eq!(harness.listen(), "MAIL FROM:<a@x.test>\r\n");
        // The limit for the reply would end later.
        harness.now = at(50 + number * 5 - 1);
        for reply in ["250 ok", "250 ok", "250 ok", "354 go ahead"] {
            harness.ask(format!("{reply}\r\n"));
            assert_eq!(
                harness.connection.poll_timeout(),
                Some(at(60 + number * 5)),
                "message {number}, {reply}"
            );
        }
        harness.say("250 taken\r\n");
        let outcome = harness.connection.poll_outcome(id).answer().unwrap();
        assert!(outcome.is_accepted());
    }
    assert_eq!(harness.listen(), "");
    assert_eq!(harness.connection.poll_timeout(), Some(at(75)));
    harness.now = at(75);
    harness.tick();
    check_timeout(&harness.failure(), Stage::Idle, Wait::SESSION);
}

#[test]
fn after_a_write_error_input_is_read_for_a_short_time() {
    let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
    let (mut harness, id) = at_text(1_000_000);
    take(&mut harness, 1000);
    harness.wait(secs(3));
    harness.connection.handle_write_error(harness.now, reset());
    assert_eq!(harness.listen(), "", "output after a write error");
    assert_eq!(harness.connection.poll_timeout(), Some(at(10)));
    // Neither single bytes nor further errors move the deadline.
    for byte in b"552-" {
        harness.wait(secs(1));
        harness.say([*byte]);
        harness.connection.handle_write_error(harness.now, reset());
        assert_eq!(harness.connection.poll_timeout(), Some(at(10)));
    }
    harness.now = at(10);
    harness.tick();
    let error = harness.failure();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
    assert_eq!(error.stage(), Stage::Content);
    assert_eq!(error.partial_reply(), Some(&b"552-"[..]));
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::NotSent(_)
    ));

    // Within that time the server's reason is read.
    let (mut harness, id) = at_text(1_000_000);
    take(&mut harness, 1000);
    harness.connection.handle_write_error(harness.now, reset());
    harness.wait(secs(6));
    harness.say("552 5.3.4 too large\r\n");
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert_eq!(
        outcome.recipients()[0].status().reply().unwrap().code(),
        552
    );
}

#[test]
fn the_time_after_a_write_error_is_within_the_limit_of_the_session() {
    let config = builder(Security::Cleartext).timeouts(timeouts().with_session(secs(4)));
    let mut harness = Harness::new(config.build().unwrap());
    harness.listen();
    harness.say("220 mx.test\r\n");
    harness.wait(secs(1));
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    harness
        .connection
        .handle_write_error(harness.now, reset.into());
    assert_eq!(harness.connection.poll_timeout(), Some(at(4)));
}
