//! What a driver owes the machine before it writes, and what it may say that it wrote.

use std::time::Duration;

use crate::common::rig::Rig;
use smtp_proto::{ApiMisuse, Command, Config, ErrorKind, ProtocolError, Security};

fn policy() -> Config {
    Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap()
}

#[test]
fn v42_an_offer_is_given_only_when_what_has_come_was_read() {
    let mut rig = Rig::new(policy());
    assert_eq!(rig.listen(), "");
    rig.say("220 mx.test\r\n");
    assert_eq!(rig.listen(), "EHLO client.test\r\n");
    rig.say("250 mx.test\r\n");
    let connection = &mut rig.connection;
    let noop = || Command::custom("NOOP", None).unwrap();
    let id = connection.command(noop());
    // What came a moment ago says nothing of now: the driver has to look once more.
    assert!(connection.poll_transmit(rig.now).is_none());
    assert!(connection.poll_timeout().unwrap() <= rig.now);
    assert!(connection.poll_transmit(rig.now).is_none());
    connection.handle_timeout(rig.now);
    let count = connection.poll_transmit(rig.now).unwrap().len();
    connection.handle_sent(rig.now, count);
    connection.handle_input(rig.now, b"250 ok\r\n");
    assert!(connection.poll_reply(id).unwrap().is_ok());
    // That nothing had come is known for a while only.
    connection.command(noop());
    assert!(connection.poll_transmit(rig.now).is_none());
    connection.handle_timeout(rig.now);
    rig.wait(Duration::from_secs(1));
    assert!(rig.connection.poll_transmit(rig.now).is_none());
    rig.say("250 surplus\r\n");
    assert!(rig.connection.poll_transmit(rig.now).is_none());
    let error = rig.failure();
    assert!(matches!(
        error.kind(),
        ErrorKind::Protocol(ProtocolError::UnexpectedReply)
    ));
}

#[test]
fn more_bytes_acknowledged_than_offered_are_misuse() {
    for extra in [1, usize::MAX] {
        let mut rig = Rig::new(policy());
        rig.listen();
        rig.say("220 mx.test\r\n");
        let offered = rig.connection.poll_transmit(rig.now).unwrap().len();
        let count = offered.saturating_add(extra);
        rig.connection.handle_sent(rig.now, count);
        let error = rig.failure();
        assert!(matches!(
            error.kind(),
            ErrorKind::Misuse(ApiMisuse::SentTooMuch)
        ));
        assert!(rig.connection.poll_transmit(rig.now).is_none());
        rig.connection.handle_sent(rig.now, count);
    }
}

#[test]
fn a_server_that_does_not_stop_to_speak_gets_no_last_word() {
    let mut rig = Rig::new(policy());
    rig.listen();
    rig.say("554 no\r\n");
    rig.wait(Duration::from_secs(1));
    for _ in 0..2000 {
        assert!(rig.connection.poll_transmit(rig.now).is_none());
        rig.say([b'x'; 1024]);
    }
    assert!(rig.connection.is_closed());
    assert_eq!(rig.failure().reply().unwrap().code().as_u16(), 554);
}
