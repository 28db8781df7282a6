//! The peer has to take what is sent; and there is an end to all that a connection does.

use super::*;
use crate::common::raw_mail;

/// A connection that was let go on with a text of so many bytes, none of which was taken.
fn at_text(bytes: usize) -> (Rig, smtp_proto::MailId) {
    let mut rig = Rig::new(builder(Security::Cleartext).build().unwrap());
    let text = "0123456789abcdefghijklmnopqrstuvwxyz\r\n".repeat(bytes / 38);
    let id = rig
        .connection
        .submit(raw_mail("a@x.test", ["b@x.test"], text).unwrap());
    rig.listen();
    rig.ask("220 mx.test\r\n");
    rig.ask("250 mx.test\r\n");
    rig.ask("250 ok\r\n");
    rig.ask("250 ok\r\n");
    rig.say("354 go ahead\r\n");
    (rig, id)
}

/// Takes so many bytes of what is offered.
fn take(rig: &mut Rig, bytes: usize) -> usize {
    let offered = transmit(&mut rig.connection, rig.now).map_or(0, |transmit| transmit.len());
    let count = offered.min(bytes);
    rig.connection.handle_sent(rig.now, count);
    count
}

#[test]
fn v29_a_server_that_takes_nothing_of_the_text_is_given_up() {
    let (mut rig, id) = at_text(1_000_000);
    rig.wait(secs(3));
    assert_eq!(take(&mut rig, 0), 0);
    let step = Step {
        said: "",
        answer: None,
        stage: Stage::Content,
        wait: Wait::WRITE,
        limit: 37,
    };
    check_deadline(&mut rig, at(3 + 37), &step);
    let outcome = rig.connection.poll_outcome(id).unwrap().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::NotSent(_)
    ));
}

#[test]
fn v29_a_server_that_takes_the_text_by_drips_is_given_up() {
    let (mut rig, _) = at_text(1_000_000);
    take(&mut rig, 0);
    while rig.now < at(36) {
        rig.wait(secs(2));
        rig.tick();
        assert_eq!(take(&mut rig, 1), 1);
        assert_eq!(
            rig.connection.poll_timeout(),
            Some(at(37)),
            "a drip moved the deadline"
        );
    }
    rig.wait(secs(1));
    rig.tick();
    check_timeout(&rig.failure(), Stage::Content, Wait::WRITE);
}

#[test]
fn v29_a_server_that_takes_each_block_in_time_is_not_given_up() {
    let (mut rig, id) = at_text(1_000_000);
    let mut taken = 0;
    // Half a minute a block: over eight minutes in all.
    loop {
        let block = take(&mut rig, usize::MAX);
        if block == 0 {
            break;
        }
        taken += block;
        rig.wait(secs(30));
        rig.tick();
    }
    assert!(
        taken > 1_000_000 - 38 && rig.now >= at(8 * 60),
        "{taken} bytes, {:?}",
        rig.now
    );
    // The wait for the final reply began when the end of the text was first offered, with the last block.
    assert_eq!(
        rig.connection.poll_timeout(),
        Some(Time::from_origin(
            rig.now.since_origin() - secs(30) + secs(41)
        ))
    );
    rig.say("250 taken\r\n");
    assert!(
        rig.connection
            .poll_outcome(id)
            .unwrap()
            .unwrap()
            .is_accepted()
    );
}

#[test]
fn a_command_that_is_not_taken_has_a_limit_too() {
    // The limit for a write is shorter than that for the reply to a command.
    let mut rig = Rig::new(builder(Security::Cleartext).build().unwrap());
    rig.connection.command(Command::noop());
    rig.listen();
    rig.ask("220 mx.test\r\n");
    rig.say("250 mx.test\r\n");
    assert_eq!(take(&mut rig, 3), 3);
    assert_eq!(rig.connection.poll_timeout(), Some(at(37)));
    rig.now = at(37);
    rig.tick();
    check_timeout(&rig.failure(), Stage::Command, Wait::WRITE);
}

#[test]
fn the_session_has_its_limit_at_every_step() {
    for (index, step) in SESSION.iter().enumerate() {
        // Two seconds after the step began.
        let budget = secs(u64::try_from(index).unwrap() + 2);
        let config = builder(Security::StartTls).timeouts(timeouts().with_session(budget));
        let (mut rig, _) = waiting(config, index);
        let until = Time::ORIGIN + budget;
        let named = Step {
            said: "",
            answer: None,
            stage: step.stage,
            wait: Wait::SESSION,
            limit: 0,
        };
        check_deadline(&mut rig, until, &named);
    }
}

#[test]
fn the_session_has_its_limit_while_nothing_is_under_way() {
    let config = builder(Security::Cleartext).timeouts(timeouts().with_session(secs(60)));
    let mut rig = Rig::new(config.build().unwrap());
    rig.wait(secs(5));
    rig.listen();
    rig.ask("220 mx.test\r\n");
    rig.ask("250 mx.test\r\n");
    assert!(rig.connection.is_idle());
    assert_eq!(rig.connection.poll_timeout(), Some(at(65)));
    rig.now = at(65);
    rig.tick();
    check_timeout(&rig.failure(), Stage::Idle, Wait::SESSION);
}

#[test]
fn v29_a_session_has_two_hours_and_one_more_for_each_mail_by_default() {
    const HOUR: u64 = 3600;
    let mut rig = Rig::new(builder(Security::Cleartext).build().unwrap());
    rig.listen();
    rig.ask("220 mx.test\r\n");
    rig.ask("250 mx.test\r\n");
    assert!(rig.connection.is_idle());
    assert_eq!(rig.connection.poll_timeout(), Some(at(2 * HOUR)));
    const TEXT: &str = "From: a@x.test\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\nhello\r\n";
    let mail = Mail::new("a@x.test", ["b@x.test"], TEXT).unwrap();
    let id = rig.connection.submit(mail);
    rig.listen();
    for reply in ["250 ok", "250 ok", "354 go ahead", "250 taken"] {
        rig.ask(format!("{reply}\r\n"));
    }
    assert!(
        rig.connection
            .poll_outcome(id)
            .unwrap()
            .unwrap()
            .is_accepted()
    );
    assert_eq!(rig.connection.poll_timeout(), Some(at(3 * HOUR)));
    rig.now = at(3 * HOUR);
    rig.tick();
    check_timeout(&rig.failure(), Stage::Idle, Wait::SESSION);
}

#[test]
fn after_a_write_error_the_server_has_a_moment_to_say_why() {
    let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
    let (mut rig, id) = at_text(1_000_000);
    take(&mut rig, 1000);
    rig.wait(secs(3));
    rig.connection.handle_write_error(rig.now, reset());
    assert_eq!(rig.listen(), "", "offered after a write error");
    assert_eq!(rig.connection.poll_timeout(), Some(at(10)));
    // Neither drips nor further errors move it.
    for byte in b"552-" {
        rig.wait(secs(1));
        rig.say([*byte]);
        rig.connection.handle_write_error(rig.now, reset());
        assert_eq!(rig.connection.poll_timeout(), Some(at(10)));
    }
    rig.now = at(10);
    rig.tick();
    let error = rig.failure();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
    assert_eq!(error.stage(), Stage::Content);
    assert_eq!(error.partial_reply(), Some(&b"552-"[..]));
    let outcome = rig.connection.poll_outcome(id).unwrap().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::NotSent(_)
    ));

    // Within the moment, its reason is heard.
    let (mut rig, id) = at_text(1_000_000);
    take(&mut rig, 1000);
    rig.connection.handle_write_error(rig.now, reset());
    rig.wait(secs(6));
    rig.say("552 5.3.4 too large\r\n");
    let outcome = rig.connection.poll_outcome(id).unwrap().unwrap();
    assert_eq!(
        outcome.recipients()[0].status().reply().unwrap().code(),
        552
    );
}

#[test]
fn the_moment_after_a_write_error_is_within_the_limit_for_the_session() {
    let config = builder(Security::Cleartext).timeouts(timeouts().with_session(secs(4)));
    let mut rig = Rig::new(config.build().unwrap());
    rig.listen();
    rig.say("220 mx.test\r\n");
    rig.wait(secs(1));
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    rig.connection.handle_write_error(rig.now, reset.into());
    assert_eq!(rig.connection.poll_timeout(), Some(at(4)));
}
