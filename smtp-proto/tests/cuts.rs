//! No result depends on how the server's bytes are cut (I2), neither counts nor errors at a limit.

use crate::common::Answered as _;
use crate::common::pair::transmit;
use crate::common::raw_mail;
use std::sync::Arc;

use smtp_proto::{Config, Connection, Security, Seed, Time};

/// The outcome of a message to this number of recipients, from a server that sends these bytes in
/// pieces of this length.
fn heard(recipients: usize, setup: &[&str], server: &[u8], piece: usize) -> String {
    let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
    let mut connection =
        Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([0; 32]));
    let mail = raw_mail("a@x.test", vec!["b@x.test"; recipients], "Subject: t\r\n").unwrap();
    let id = connection.submit(mail);
    for input in setup {
        connection.handle_input(Time::ORIGIN, input.as_bytes());
        while let Some(transmit) = transmit(&mut connection, Time::ORIGIN) {
            let len = transmit.len();
            connection.handle_sent(Time::ORIGIN, len);
        }
    }
    for part in server.chunks(piece) {
        connection.handle_input(Time::ORIGIN, part);
    }
    let outcome = connection.poll_outcome(id).answer().unwrap();
    format!("{outcome:#?} {:?}", connection.stats())
}

#[test]
fn the_bytes_counted_in_an_outcome_do_not_depend_on_the_cuts() {
    let server = b"220 a\r\n250 b\r\n250 c\r\n";
    let whole = heard(1, &[], server, usize::MAX);
    assert!(whole.contains("received: 14"), "{whole}");
    for piece in 1..server.len() {
        assert_eq!(heard(1, &[], server, piece), whole, "pieces of {piece}");
    }
}

#[test]
fn too_much_input_is_found_at_the_same_reply_for_any_cuts() {
    let reply = format!("550-{}\r\n", "x".repeat(2000)).repeat(15) + "550 no\r\n";
    let server = reply.repeat(100).into_bytes();
    let setup = ["220 a\r\n", "250-b\r\n250 PIPELINING\r\n"];
    let whole = heard(100, &setup, &server, usize::MAX);
    assert!(whole.contains("TooMuchInput"));
    for piece in [100_000, 4096, 1000] {
        assert!(
            heard(100, &setup, &server, piece) == whole,
            "pieces of {piece}"
        );
    }
}

#[test]
fn a_surplus_reply_is_found_at_the_same_stage_with_or_without_a_question_before_it() {
    let error = |asks: bool| {
        let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
        let mut connection =
            Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([0; 32]));
        let id = connection.submit(raw_mail("a@x.test", ["b@x.test"], "Subject: t\r\n").unwrap());
        for input in ["220 a\r\n", "250 b\r\n"] {
            connection.handle_input(Time::ORIGIN, input.as_bytes());
            let len = transmit(&mut connection, Time::ORIGIN).unwrap().len();
            connection.handle_sent(Time::ORIGIN, len);
        }
        connection.handle_input(Time::ORIGIN, b"250 ok\r\n");
        // It queues RCPT, which has not been transmitted.
        assert!(!asks || connection.poll_outcome(id).is_pending());
        connection.handle_input(Time::ORIGIN, b"250 ok\r\n");
        let outcome = connection.poll_outcome(id).answer().unwrap();
        format!("{:#}", outcome.error().unwrap())
    };
    assert_eq!(error(true), error(false));
}

#[test]
fn an_api_misuse_error_has_no_partial_reply() {
    for reply in ["", "2", "250 o"] {
        let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
        let mut connection =
            Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([0; 32]));
        let id = connection.submit(raw_mail("a@x.test", ["b@x.test"], "Subject: t\r\n").unwrap());
        for input in ["220 a\r\n", "250 b\r\n", reply] {
            connection.handle_input(Time::ORIGIN, input.as_bytes());
            if let Some(len) = transmit(&mut connection, Time::ORIGIN).map(|offer| offer.len()) {
                connection.handle_sent(Time::ORIGIN, len);
            }
        }
        connection.abandon(id);
        let outcome = connection.poll_outcome(id).answer().unwrap();
        assert_eq!(outcome.error().unwrap().partial_reply(), None, "{reply:?}");
    }
}
