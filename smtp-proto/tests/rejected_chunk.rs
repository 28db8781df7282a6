//! A chunk is rejected before the last one is sent (RFC 3030, section 2).

use crate::common::Answered as _;
use crate::common::pair::transmit;
use crate::common::raw_mail;
use std::sync::Arc;

use smtp_proto::{
    Config, Connection, Mail, RecipientStatus, Security, Seed, Stage, StreamedContent, Time,
};

/// Gives a line to the client, and returns the output after it.
fn say(connection: &mut Connection, line: &str) -> String {
    connection.handle_input(Time::ORIGIN, line.as_bytes());
    let mut sent = Vec::new();
    while let Some(transmit) = transmit(connection, Time::ORIGIN) {
        let before = sent.len();
        transmit
            .iter()
            .for_each(|slice| sent.extend_from_slice(slice));
        connection.handle_sent(Time::ORIGIN, sent.len() - before);
    }
    String::from_utf8(sent).unwrap()
}

#[test]
fn v39_after_a_rejected_chunk_the_next_message_begins_with_rset_and_gets_its_own_replies() {
    let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
    let mut connection =
        Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([0; 32]));
    let streamed = Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .without_header_check()
        .streamed(StreamedContent::new());
    let first = connection.submit(streamed.build().unwrap());
    let second = connection.submit(raw_mail("c@x.test", ["d@x.test"], "Subject: c\r\n").unwrap());
    connection
        .write_content(first, "Subject: a\r\n".into())
        .unwrap();
    for line in ["220 mx\r\n", "250-mx\r\n250 CHUNKING\r\n", "250 ok\r\n"] {
        say(&mut connection, line);
    }
    assert_eq!(
        say(&mut connection, "250 ok\r\n"),
        "BDAT 12\r\nSubject: a\r\n"
    );
    assert_eq!(say(&mut connection, "552 full\r\n"), "RSET\r\n");
    assert_eq!(
        say(&mut connection, "250 ok\r\n"),
        "MAIL FROM:<c@x.test>\r\n"
    );
    assert_eq!(say(&mut connection, "550 no\r\n"), "");

    for (mail, at, code) in [(first, Stage::Content, 552), (second, Stage::Mail, 550)] {
        let outcome = connection.poll_outcome(mail).answer().unwrap();
        let fate = outcome.recipients()[0].status();
        let RecipientStatus::Rejected { stage, reply, .. } = fate else {
            panic!("{fate:#}");
        };
        assert_eq!((*stage, reply.code().as_u16()), (at, code));
    }
}

#[test]
fn v40_a_message_accepted_after_a_rejected_chunk_is_in_doubt() {
    let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
    let mut connection =
        Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([0; 32]));
    let streamed = Mail::builder()
        .sender("a@x.test")
        .recipients(["b@x.test", "c@x.test"])
        .without_header_check()
        .streamed(StreamedContent::new());
    let mail = connection.submit(streamed.build().unwrap());
    connection
        .write_content(mail, "Subject: a\r\n".into())
        .unwrap();
    for line in [
        "220 mx\r\n",
        "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
    ] {
        say(&mut connection, line);
    }
    assert_eq!(
        say(&mut connection, "550 no\r\n"),
        "BDAT 12\r\nSubject: a\r\n"
    );
    connection.write_content(mail, "\r\n".into()).unwrap();
    connection.finish_content(mail).unwrap();
    assert_eq!(say(&mut connection, ""), "BDAT 2 LAST\r\n\r\n");
    say(&mut connection, "500 no\r\n");
    say(&mut connection, "250 taken\r\n");

    let outcome = connection.poll_outcome(mail).answer().unwrap();
    let [first, second] = outcome.recipients() else {
        panic!("two recipients");
    };
    assert!(
        matches!(first.status(), RecipientStatus::InDoubt(_)),
        "{}",
        first.status()
    );
    let rejected = matches!(
        second.status(),
        RecipientStatus::Rejected {
            stage: Stage::Rcpt,
            ..
        }
    );
    assert!(rejected, "{}", second.status());
    assert!(connection.is_closed());
}
