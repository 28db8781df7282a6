//! Content and replies that no buffer holds.

use smtp_proto::Mail;

use super::DELIVERED;
use crate::conformance::play::{Play, TEXT, mail_of, streamed};
use crate::conformance::script::{Script, all, both, script};
use crate::{Action, Config, Stage};

pub(super) fn scripts() -> Vec<Script> {
    let why = "a write may be short, and the rest is due";
    let mut scripts = Vec::new();
    scripts.extend(all(|| {
        script("a large message", why, large).expect(DELIVERED)
    }));
    scripts.extend(all(|| {
        script("a large message against a small window", why, large).buffers(SMALL)
    }));
    scripts.extend(both(|| {
        script(
            "a large streamed message against a small window",
            why,
            large_stream,
        )
        .buffers(SMALL)
    }));
    scripts.extend(both(|| {
        script("large chunks against a small window", why, large)
            .server(|server| server.with("CHUNKING"))
            .buffers(SMALL)
    }));
    scripts.extend(both(|| {
        script(
            "long replies against a small window",
            "a server reads on only when its replies are read",
            many_recipients,
        )
        .server(talkative)
        .buffers(SMALL)
        .narrow()
        .expect(DELIVERED)
    }));
    scripts
}

fn large(play: &mut Play<'_>) {
    play.send(mail_of(text(1 << 20)));
}

fn large_stream(play: &mut Play<'_>) {
    let text = text(700_000);
    play.stream(streamed(), text.as_bytes().chunks(50_000));
}

/// More commands, and more replies, than the buffers between client and server hold.
fn many_recipients(play: &mut Play<'_>) {
    let recipients = (0..RECIPIENTS).map(|number| format!("recipient-{number:050}@example.net"));
    let mail = Mail::new("alice@example.org", recipients, TEXT).expect("a valid message");
    play.send(mail);
}

fn talkative(server: Config) -> Config {
    let line = format!("250-2.1.5 {}\n", "welcome ".repeat(60));
    let reply = format!("{}250 2.1.5 welcome", line.repeat(4));
    let action = Action::reply(reply);
    server.on(Stage::AnyRcpt, action).discard_transcripts()
}

fn text(bytes: usize) -> String {
    let mut text = String::from("From: alice@example.org\r\nSubject: long\r\n\r\n");
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        text.push_str(&format!(
            ".line {number} of the content, which begins with a dot\r\n"
        ));
    }
    text
}

/// The size of each buffer. With less, TCP waits for its timers.
const SMALL: usize = 64 << 10;

const RECIPIENTS: usize = 2000;
