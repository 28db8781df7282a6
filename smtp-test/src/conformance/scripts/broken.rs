//! Connections that break.

use super::{DELIVERED, at_once, one_message, two_messages};
use crate::conformance::play::{Play, mail};
use crate::conformance::script::{Faults, SOON, Script, both, patient, script};
use crate::conformance::server::Fault;
use crate::{Action, Stage};

pub(super) fn scripts() -> Vec<Script> {
    let mut scripts = cuts();
    scripts.extend(resets());
    scripts.extend(ends());
    scripts.extend(ends_of_tls());
    scripts.extend(both(|| {
        script(
            "writing fails",
            "the server may still say why",
            failing_write,
        )
        .lingering()
        .client(|client| client.timeouts(patient().with_drain(SOON)))
    }));
    scripts.extend(both(|| {
        script("EOF while idle", "RFC 5321, section 3.8", idle_end).lingering()
    }));
    scripts
}

/// The end of input after every byte of the server.
fn cuts() -> Vec<Script> {
    let why = "RFC 5321, section 4.2.5: in doubt only without the final reply";
    let each = |step| Faults::EachWritten(Fault::CutAfterWritten, step);
    let cut = |name| script(name, why, one_message);
    vec![
        cut("a cut at every byte").faults(each(1)),
        cut("a cut at every 31st byte")
            .by_starttls()
            .faults(each(31))
            .racy(),
        cut("a cut at every 31st byte")
            .in_tls()
            .faults(each(31))
            .racy(),
        script("a cut at every byte of two messages", why, two_messages).faults(each(2)),
        cut("a cut at every byte without pipelining")
            .server(|server| server.without("PIPELINING"))
            .faults(each(2)),
        cut("a cut at every byte of chunks")
            .server(|server| server.with("CHUNKING"))
            .faults(each(2)),
        script("a cut after every byte of the client", why, at_once)
            .faults(Faults::EachRead(Fault::CutAfterRead, 1)),
        script(
            "a cut after every byte of the client without pipelining",
            why,
            at_once,
        )
        .server(|server| server.without("PIPELINING"))
        .faults(Faults::EachRead(Fault::CutAfterRead, 2)),
    ]
}

/// Resets. What was sent before arrives.
fn resets() -> Vec<Script> {
    let why = "a failed read is an error of the transport";
    let each = |step| Faults::EachWritten(Fault::ResetAfterWritten, step);
    vec![
        script("a reset at every byte", why, at_once)
            .faults(each(5))
            .racy(),
        script("a reset at every 211th byte", why, at_once)
            .by_starttls()
            .faults(each(211))
            .racy(),
        script("a reset at every 211th byte", why, at_once)
            .in_tls()
            .faults(each(211))
            .racy(),
    ]
}

/// The end of the connection in place of each reply.
fn ends() -> Vec<Script> {
    let mut scripts = Vec::new();
    let closed = |at| format!("outcome: {at}: the server closed the connection");
    for (name, stage, at) in [
        (
            "EOF in place of the greeting",
            Stage::Greeting,
            "not sent: at the greeting",
        ),
        (
            "EOF in place of the reply to EHLO",
            Stage::Ehlo,
            "not sent: at EHLO",
        ),
    ] {
        scripts.push(
            script(name, "RFC 5321, section 3.8", at_once)
                .server(|server| server.on(stage, Action::close()))
                .expect(closed(at)),
        );
    }
    for (name, stage, at) in [
        (
            "EOF in place of the reply to MAIL",
            Stage::Mail,
            "not sent: at MAIL",
        ),
        (
            "EOF in place of the reply to DATA",
            Stage::Data,
            "not sent: at DATA",
        ),
        (
            "EOF in place of the final reply",
            Stage::EndOfData,
            "in doubt: at the end of the message",
        ),
    ] {
        scripts.extend(both(|| {
            script(name, "RFC 5321, section 3.8", one_message)
                .server(|server| server.on(stage, Action::close()))
                .expect(closed(at))
        }));
    }
    scripts.extend(both(|| {
        script(
            "EOF in place of the reply to QUIT",
            "RFC 5321, section 4.1.1.10",
            one_message,
        )
        .server(|server| server.on(Stage::Quit, Action::close()))
        .expect(DELIVERED)
    }));
    scripts
}

/// The end of the connection in TLS.
fn ends_of_tls() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, stage) in [
        ("no close_notify before the final reply", Stage::EndOfData),
        ("no close_notify before the reply to QUIT", Stage::Quit),
    ] {
        scripts.push(
            script(name, "RFC 8446, section 6.1", one_message)
                .in_tls()
                .server(|server| server.on(stage, Action::cut())),
        );
    }
    scripts.push(
        script(
            "EOF in place of the reply to STARTTLS",
            "RFC 3207, section 4",
            at_once,
        )
        .by_starttls()
        .server(|server| server.on(Stage::StartTls, Action::close())),
    );
    scripts
}

/// The client's own side is shut down before a message, so that every write fails.
fn failing_write(play: &mut Play<'_>) {
    if play.ready() {
        play.break_writes();
        play.send(mail());
    }
}

fn idle_end(play: &mut Play<'_>) {
    if play.ready() {
        play.hang_up();
        play.send(mail());
    }
}
