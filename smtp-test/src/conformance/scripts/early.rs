//! Replies that nothing was asked for.

use std::task::Poll;

use smtp_proto::{Command, Connection, ContentStatus};

use super::{at_once, two_messages};
use crate::conformance::play::{Play, mail, mail_of, streamed};
use crate::conformance::script::{Script, all, both, script};
use crate::{Action, Stage};

pub(super) fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, stage) in [
        ("a second greeting", Stage::Greeting),
        ("a second reply to EHLO", Stage::Ehlo),
    ] {
        scripts.push(script(name, WHY, at_once).server(|server| server.on(stage, unasked())));
    }
    scripts.extend(both(|| {
        script("a second reply to the first RCPT", WHY, at_once)
            .server(|server| server.on(Stage::Rcpt(1), unasked()))
    }));
    scripts.extend(all(|| {
        script("a second final reply", WHY, two_messages)
            .server(|server| server.on(Stage::EndOfData, unasked()))
    }));
    scripts.push(script("a reply while idle", WHY, idle_reply));
    scripts.push(script("421 while idle", "RFC 5321, section 3.8", idle_421));
    scripts.push(script("a part of a reply while idle", WHY, idle_part));
    scripts.push(script("a reply before a command", WHY, idle_command));
    scripts.push(script(
        "a reply between two pieces of content",
        WHY,
        between_pieces,
    ));
    scripts.extend(within_content());
    scripts
}

/// A reply after a part of the content, which ends it.
fn within_content() -> Vec<Script> {
    let mut scripts = Vec::new();
    let early = "the server replied before the whole message was sent; the server said: ";
    let closed = "the server closed the connection; the server said: ";
    for (name, reply, reason, said) in [
        (
            "552 within the content",
            "552-5.3.4 too big\n552 5.3.4 by far",
            early,
            "552 5.3.4 too big / by far",
        ),
        (
            "250 within the content",
            "250 2.0.0 taken",
            early,
            "250 2.0.0 taken",
        ),
        (
            "421 within the content",
            "421 4.3.2 going down",
            early,
            "421 4.3.2 going down",
        ),
        (
            "221 within the content",
            "221 2.0.0 bye",
            closed,
            "221 2.0.0 bye",
        ),
    ] {
        let outcome = format!("{reason}{said}");
        let make = || {
            script(name, "RFC 5321, section 4.2.5", long)
                .server(|server| server.on(Stage::Body(20_000), Action::reply(reply)))
                .buffers(16 << 10)
                .racy()
                .expect(format!(
                    "outcome: not sent: while sending the message: {outcome}"
                ))
        };
        scripts.extend(both(make));
        scripts.push(
            make()
                .server(|server| server.with("CHUNKING"))
                .also("in chunks"),
        );
    }
    scripts
}

fn unasked() -> Action {
    Action::normal().append("250 2.0.0 unasked\r\n")
}

fn idle_reply(play: &mut Play<'_>) {
    idle(play, b"250 2.0.0 unasked\r\n");
    play.send(mail());
}

fn idle_421(play: &mut Play<'_>) {
    idle(play, b"421 4.3.2 idle for too long\r\n");
    play.send(mail());
}

/// The rest of the reply arrives while the client waits for it.
fn idle_part(play: &mut Play<'_>) {
    idle(play, b"421-4.3.2 idle\r\n421 ");
    let id = play.submit(mail());
    play.ask(|smtp| match smtp.stats().bytes_received() {
        RECEIVED_WITH_PART.. => Poll::Ready(()),
        _ => Poll::Pending,
    });
    play.inject(b"4.3.2 for too long\r\n");
    play.outcome(id);
}

fn idle_command(play: &mut Play<'_>) {
    idle(play, b"250 2.0.0 unasked\r\n");
    play.command(Command::noop());
}

fn idle(play: &mut Play<'_>, reply: &[u8]) {
    if play.ready() {
        play.inject(reply);
    }
}

fn between_pieces(play: &mut Play<'_>) {
    let id = play.submit(streamed());
    let wanted = |smtp: &mut Connection| smtp.poll_content(id);
    for number in 0..4 {
        if !matches!(play.ask(wanted), Ok(ContentStatus::Wanted)) {
            play.line("no more content");
            break;
        }
        if number == 2 {
            play.inject(b"552 5.3.4 too big\r\n");
        }
        let piece = "From: alice@example.org\r\n\r\n".into();
        let _ = play.client.connection().write_content(id, piece);
    }
    let _ = play.client.connection().finish_content(id);
    play.outcome(id);
}

fn long(play: &mut Play<'_>) {
    let mut text = String::from("From: alice@example.org\r\n\r\n");
    text.push_str(&"a line of the content\r\n".repeat(50_000));
    play.send(mail_of(text));
}

const WHY: &str = "a reply that comes early would be taken as that to the next command";

const RECEIVED_WITH_PART: u64 = 100;
