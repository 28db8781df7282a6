//! Calls that a driver must make before it writes, and the limit of what it may acknowledge.

use std::time::Duration;

use crate::common::Answered as _;
use crate::common::harness::Harness;
use smtp_proto::{
    ApiMisuse, Command, Config, ErrorKind, Event, ProtocolError, Security, Timeout, Timeouts,
};

fn config() -> Config {
    Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap()
}

#[test]
fn v42_output_is_given_only_after_a_read_found_nothing() {
    let mut harness = Harness::new(config());
    assert_eq!(harness.listen(), "");
    harness.say("220 mx.test\r\n");
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    harness.say("250 mx.test\r\n");
    let connection = &mut harness.connection;
    let noop = || Command::custom("NOOP", None).unwrap();
    let id = connection.command(noop());
    // The last read is out of date: the driver has to read once more.
    assert!(connection.poll_transmit(harness.now).is_none());
    assert!(connection.poll_timeout().unwrap() <= harness.now);
    assert!(connection.poll_transmit(harness.now).is_none());
    connection.handle_timeout(harness.now);
    let count = connection.poll_transmit(harness.now).unwrap().len();
    connection.handle_sent(harness.now, count);
    connection.handle_input(harness.now, b"250 ok\r\n");
    assert!(connection.poll_reply(id).answer().is_ok());
    // An empty read counts for this moment only.
    connection.command(noop());
    assert!(connection.poll_transmit(harness.now).is_none());
    connection.handle_timeout(harness.now);
    harness.wait(Duration::from_secs(1));
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    harness.say("250 surplus\r\n");
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    let error = harness.failure();
    assert!(matches!(
        error.kind(),
        ErrorKind::Protocol(ProtocolError::UnexpectedReply)
    ));
}

#[test]
fn acknowledging_more_than_was_transmitted_is_api_misuse() {
    for extra in [1, usize::MAX] {
        let mut harness = Harness::new(config());
        harness.listen();
        harness.say("220 mx.test\r\n");
        let offered = harness.connection.poll_transmit(harness.now).unwrap().len();
        let count = offered.saturating_add(extra);
        harness.connection.handle_sent(harness.now, count);
        let error = harness.failure();
        assert!(matches!(
            error.kind(),
            ErrorKind::Misuse(ApiMisuse::SentTooMuch)
        ));
        assert!(harness.connection.poll_transmit(harness.now).is_none());
        harness.connection.handle_sent(harness.now, count);
    }
}

#[test]
fn a_server_that_keeps_sending_gets_no_quit() {
    let mut harness = Harness::new(config());
    harness.listen();
    harness.say("554 no\r\n");
    harness.wait(Duration::from_secs(1));
    for _ in 0..2000 {
        assert!(harness.connection.poll_transmit(harness.now).is_none());
        harness.say([b'x'; 1024]);
    }
    assert!(harness.connection.is_closed());
    assert_eq!(harness.failure().reply().unwrap().code().as_u16(), 554);
}

#[test]
fn a_cautious_connection_sends_no_content_ahead_of_the_replies() {
    use smtp_proto::Pipelining;
    let config = || {
        Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .pipelining(Pipelining::Speculative)
            .build()
            .unwrap()
    };
    let mail = || {
        let message = "From: a@x.test\r\n\r\nhello\r\n";
        smtp_proto::Mail::new("a@x.test", ["b@x.test"], message).unwrap()
    };
    let envelope = "MAIL FROM:<a@x.test> SIZE=25\r\nRCPT TO:<b@x.test>\r\n";
    let mut harness = Harness::new(config());
    harness.listen();
    harness.say("220 mx.test\r\n");
    harness.listen();
    harness.say("250-mx.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n");
    harness.connection.submit(mail());
    assert!(harness.listen().starts_with(&format!("{envelope}BDAT")));
    harness.say("250 ok\r\n250 ok\r\n250 taken\r\n");
    harness.connection.set_cautious(true);
    harness.connection.submit(mail());
    assert_eq!(harness.listen(), envelope);
    harness.say("250 ok\r\n250 ok\r\n");
    assert!(harness.listen().starts_with("BDAT"));
    harness.say("250 taken\r\n");
    harness.connection.set_cautious(false);
    harness.connection.submit(mail());
    let ahead = harness.listen();
    assert!(
        ahead.contains(envelope) && ahead.contains("BDAT"),
        "{ahead}"
    );
}

#[test]
fn v42_input_of_no_bytes_is_no_read_that_found_nothing() {
    let mut harness = Harness::new(config());
    harness.listen();
    harness.say("");
    assert_eq!(harness.connection.stats().bytes_received(), 0);
    harness.say("220 mx.test\r\n");
    harness.say("");
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    harness.say("250 mx.test\r\n");
    harness
        .connection
        .command(Command::custom("NOOP", None).unwrap());
    harness.say("");
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    harness.tick();
    assert_eq!(harness.listen(), "NOOP\r\n");
}

#[test]
fn v42_a_clock_that_goes_back_makes_the_last_read_count_no_more() {
    let mut harness = Harness::new(config());
    let before = harness.now;
    harness.wait(Duration::from_secs(1));
    harness.listen();
    harness.say("220 mx.test\r\n");
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    harness.say("250 mx.test\r\n");
    harness
        .connection
        .command(Command::custom("NOOP", None).unwrap());
    harness.tick();
    assert!(harness.connection.poll_transmit(before).is_none());
    harness.connection.handle_timeout(before);
    assert!(harness.connection.poll_transmit(before).is_some());
}

#[test]
fn the_end_is_an_event_once() {
    let mut harness = Harness::new(config());
    harness.connection.quit();
    harness.listen();
    harness.ask("220 mx.test\r\n");
    assert_eq!(harness.ask("250 mx.test\r\n"), "QUIT\r\n");
    harness.say("221 bye\r\n");
    let mut next = || harness.connection.poll_event().map(Result::unwrap);
    assert!(matches!(next(), Some(Event::Ready)));
    assert!(matches!(next(), Some(Event::Closed)));
    assert!(next().is_none());
}

#[test]
fn v42_a_timeout_call_counts_as_a_read_only_where_one_was_asked_for() {
    let mut harness = Harness::new(config());
    harness.listen();
    harness.say("220 mx.test\r\n");
    assert_eq!(harness.listen(), "EHLO client.test\r\n");
    harness.say("250 mx.test\r\n");
    let noop = || Command::custom("NOOP", None).unwrap();
    harness.connection.command(noop());
    harness.tick();
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    harness.tick();
    assert!(harness.connection.poll_transmit(harness.now).is_some());
}

#[test]
fn v42_a_first_item_does_not_undo_the_request_to_read() {
    let mut harness = Harness::new(config());
    harness.listen();
    harness.say("220 mx.test\r\n");
    harness.wait(Duration::from_secs(1));
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    let noop = Command::custom("NOOP", None).unwrap();
    harness.connection.command(noop);
    harness.tick();
    let transmit = harness.connection.poll_transmit(harness.now).unwrap();
    assert_eq!(
        transmit.iter().collect::<Vec<_>>().concat(),
        b"EHLO client.test\r\n"
    );
}

#[test]
fn a_time_limit_that_is_over_comes_before_the_request_to_read() {
    let limit = Duration::from_secs(7);
    let timeouts = Timeouts::default().with_session(limit);
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .timeouts(timeouts)
        .build()
        .unwrap();
    let mut harness = Harness::new(config);
    let end = harness.now + limit;
    harness.listen();
    harness.say("220 mx.test\r\n");
    harness.wait(Duration::from_secs(8));
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    assert_eq!(harness.connection.poll_timeout(), Some(end));
    harness.tick();
    let error = harness.failure();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(Timeout::Session)),
        "{error:#}"
    );
}

#[test]
fn replies_between_two_outputs_are_one_round_trip() {
    let mut harness = Harness::new(config());
    let trips = |harness: &Harness| harness.connection.stats().round_trips();
    harness.listen();
    harness.ask("220 mx.test\r\n");
    assert_eq!(trips(&harness), 1);
    harness.ask("250-mx.test\r\n250 PIPELINING\r\n");
    assert_eq!(trips(&harness), 2);
    let message = "From: a@x.test\r\n\r\nhello\r\n";
    let mail = smtp_proto::Mail::new("a@x.test", ["b@x.test"], message).unwrap();
    harness.connection.submit(mail);
    assert!(harness.listen().ends_with("DATA\r\n"));
    for reply in ["250 ok\r\n", "250 ok\r\n"] {
        harness.say(reply);
        assert_eq!(trips(&harness), 3);
    }
    assert!(harness.ask("354 go\r\n").ends_with("\r\n.\r\n"));
    assert_eq!(trips(&harness), 3);
    harness.say("250 taken\r\n");
    assert_eq!(trips(&harness), 4);
}

/// A connection that has a message for one flight, of which nothing is sent yet.
fn before_a_flight(message: &str, mails: usize) -> Harness {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(smtp_proto::Pipelining::Speculative)
        .build()
        .unwrap();
    let mut harness = Harness::new(config);
    harness
        .connection
        .set_window(smtp_proto::Window::FULL_DUPLEX);
    harness.listen();
    harness.ask("220 mx.test\r\n");
    harness.ask("250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    for _ in 0..mails {
        let mail = smtp_proto::Mail::new("a@x.test", ["b@x.test"], message.to_owned()).unwrap();
        harness.connection.submit(mail);
    }
    let now = harness.now;
    assert!(harness.connection.poll_transmit(now).is_none());
    harness.tick();
    harness
}

#[test]
fn v42_within_a_chunk_input_is_read_before_each_output_and_within_commands_it_need_not() {
    let message = format!("From: a@x.test\r\n\r\n{}\r\n", "x".repeat(500));
    let mut harness = before_a_flight(&message, 1);
    let now = harness.now;
    let connection = &mut harness.connection;
    let flight = connection.poll_transmit(now).unwrap();
    let flight = flight.iter().collect::<Vec<_>>().concat();
    let place = |part: &[u8]| flight.windows(part.len()).position(|at| at == part);
    let (rcpt, content) = (place(b"RCPT").unwrap(), place(b"From").unwrap());
    connection.handle_sent(now, rcpt + 1);
    assert!(connection.poll_transmit(now).is_some());
    connection.handle_sent(now, content - rcpt);
    assert!(connection.poll_transmit(now).is_none());
    connection.handle_timeout(now);
    assert!(connection.poll_transmit(now).is_some());
}

#[test]
fn v40_a_message_whose_end_was_queued_and_never_handed_out_is_not_in_doubt() {
    let mut harness = before_a_flight("From: a@x.test\r\n\r\nhello\r\n", 60);
    let now = harness.now;
    let flight = harness.connection.poll_transmit(now).unwrap();
    let flight = flight.iter().collect::<Vec<_>>().concat();
    let ends = flight.windows(7).filter(|part| part == b"hello\r\n");
    let handed_out = ends.count();
    assert!((1..60).contains(&handed_out), "{handed_out}");
    harness.connection.handle_eof(now);
    let (mut safe, mut in_doubt) = (0, 0);
    while let Some(Ok(event)) = harness.connection.poll_event() {
        if let Event::Outcome(_, outcome) = event {
            match outcome.recipients()[0].status().is_safe_to_retry() {
                true => safe += 1,
                false => in_doubt += 1,
            }
        }
    }
    assert_eq!((safe, in_doubt), (60 - handed_out, handed_out));
}
