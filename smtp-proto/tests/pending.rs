//! Pending replies, and memory after a failure: limits that matter to a driver that cannot read
//! while it writes.

use std::sync::Arc;

use crate::common::Answered as _;
use crate::common::harness::{Harness, ehlo};
use bytes::Bytes;
use smtp_proto::{Config, ConfigBuilder, Mail, Pipelining, Protocol, Security, Window};

const HEADER: &str = "From: <a@x.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\n";

fn config(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
    set(config).build().unwrap()
}

fn count(sent: &str, verb: &str) -> usize {
    sent.lines().filter(|line| line.starts_with(verb)).count()
}

#[test]
fn v25_no_more_chunks_are_pending_than_the_window_has_replies() {
    // Four lines of 512 bytes.
    let window = Window::FULL_DUPLEX.with_bytes(2048);
    let config = config(|config| {
        let config = config.pipelining(Pipelining::Envelope);
        config.window(window).chunk_size(10)
    });
    let mut harness = Harness::new(config);
    let text = format!("{HEADER}{}", "a line\r\n".repeat(40));
    let mail = Mail::new("a@x.test", ["b@x.test"], text.clone()).unwrap();
    let id = harness.connection.submit(mail);
    harness.listen();
    harness.ask("220 mx.test\r\n");
    let mut sent = harness.ask(ehlo("PIPELINING,CHUNKING"));
    assert_eq!(sent.matches("BDAT ").count(), 0);
    sent = harness.ask("250 ok\r\n250 ok\r\n");
    let chunks = text.len().div_ceil(10);
    let mut out = sent.matches("BDAT ").count();
    assert_eq!(out, 4);
    let mut answered = 0;
    while out < chunks {
        sent = harness.ask("250 ok\r\n");
        answered += 1;
        out += sent.matches("BDAT ").count();
        assert!(out - answered <= 4, "{} are pending", out - answered);
        assert!(out - answered > 0, "nothing is sent");
        assert!(
            out == chunks || out - answered >= 2,
            "the window is not used"
        );
    }
    harness.say("250 ok\r\n".repeat(out - answered));
    let outcome = harness.connection.poll_outcome(id).answer().unwrap();
    assert!(outcome.is_accepted(), "{outcome:?}");
}

#[test]
fn v25_each_lmtp_reply_frees_its_part_of_the_window() {
    const RECIPIENTS: usize = 8;
    const WINDOW: usize = 10;
    let config = config(|config| {
        let config = config.protocol(Protocol::Lmtp);
        let config = config.pipelining(Pipelining::Transactions);
        config.window(Window::FULL_DUPLEX.with_replies(WINDOW))
    });
    let mut harness = Harness::new(config);
    let ids: Vec<_> = (0..2)
        .map(|number| {
            let to = (0..RECIPIENTS).map(|index| format!("r{index}@x.test"));
            let mail = Mail::new(
                format!("m{number}@x.test"),
                to,
                format!("{HEADER}hello\r\n"),
            );
            harness.connection.submit(mail.unwrap())
        })
        .collect();
    harness.listen();
    harness.ask("220 mx.test\r\n");
    let sent = harness.ask(ehlo("PIPELINING"));
    assert_eq!(count(&sent, "RCPT"), RECIPIENTS);
    let envelope = sent.lines().count();
    let more = harness.ask("250 ok\r\n".repeat(envelope.min(RECIPIENTS + 1)));
    assert_eq!(count(&sent, "DATA") + count(&more, "DATA"), 1);
    let sent = harness.ask("354 go\r\n");
    let (_, after) = sent
        .split_once("\r\n.\r\n")
        .expect("the end of the content");
    let mut pending = RECIPIENTS + after.lines().count();
    assert!(pending <= WINDOW, "{pending} are pending");
    let mut commands = after.to_owned();
    for left in (0..RECIPIENTS).rev() {
        let sent = harness.ask("250 taken\r\n");
        pending = pending - 1 + sent.lines().count();
        commands += &sent;
        assert!(pending <= WINDOW, "{left} left: {pending} are pending");
        // When half of the window is free, it is used.
        let more = count(&commands, "RCPT") == RECIPIENTS;
        assert!(
            more || pending >= WINDOW / 2,
            "{left} left: {pending} are pending"
        );
    }
    let outcome = harness.connection.poll_outcome(ids[0]).answer().unwrap();
    assert!(outcome.is_accepted(), "{outcome:?}");
    assert_eq!(outcome.recipients().len(), RECIPIENTS);
}

#[test]
fn v30_a_failed_connection_holds_no_output() {
    struct Owner(#[expect(dead_code, reason = "counted")] Arc<()>, Vec<u8>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.1
        }
    }

    type Failure = fn(&mut Harness);
    let failures: [Failure; 4] = [
        |harness| harness.connection.handle_eof(harness.now),
        |harness| harness.say("250 unexpected\r\n"),
        |harness| {
            let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            harness
                .connection
                .handle_read_error(harness.now, error.into());
        },
        |harness| {
            harness.wait(std::time::Duration::from_secs(24 * 3600));
            harness.tick();
        },
    ];
    for fail in failures {
        let mut harness = Harness::new(config(|config| config));
        let owned = Arc::new(());
        let text = format!("{HEADER}{}", "a line\r\n".repeat(4000)).into_bytes();
        let text = Bytes::from_owner(Owner(Arc::clone(&owned), text));
        let id = harness
            .connection
            .submit(Mail::new("a@x.test", ["b@x.test"], text).unwrap());
        harness.listen();
        harness.ask("220 mx.test\r\n");
        harness.ask(ehlo("PIPELINING"));
        harness.say("250 ok\r\n250 ok\r\n354 go\r\n");
        let offered = harness
            .connection
            .poll_transmit(harness.now)
            .expect("the content");
        assert!(offered.len() > 1000);
        harness.connection.handle_sent(harness.now, 100);
        assert!(Arc::strong_count(&owned) > 1);
        fail(&mut harness);
        let outcome = harness.connection.poll_outcome(id).answer().unwrap();
        assert!(!outcome.is_accepted());
        assert!(harness.connection.poll_transmit(harness.now).is_none());
        drop(outcome);
        assert_eq!(
            Arc::strong_count(&owned),
            1,
            "the connection still holds it"
        );
    }
}
