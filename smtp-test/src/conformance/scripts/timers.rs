//! Servers that are silent, or slow.

use std::time::Duration;

use smtp_proto::{Command, Credentials, Timeouts};
use smtp_rustls::EndpointBuilder;

use super::at_once;
use crate::conformance::play::{Play, mail, mail_of};
use crate::conformance::script::{SOON, Script, both, patient, script};
use crate::{Action, Stage};

pub(super) fn scripts() -> Vec<Script> {
    let mut scripts = silence();
    scripts.extend(in_tls());
    scripts.extend(slow());
    scripts.extend(both(|| {
        script(
            "a server that stops reading",
            "RFC 5321, section 4.5.3.2.5",
            stuck,
        )
        .server(|server| server.on(Stage::Body(10_000), Action::normal().stop_reading()))
        .buffers(16 << 10)
        .client(|client| {
            limit(client, |limits| {
                limits
                    .with_data_block(SOON)
                    .with_quit(SOON)
                    .with_drain(SOON)
            })
        })
        .racy()
    }));
    scripts.extend(both(|| {
        script(
            "a reply that was there in time",
            "input that has arrived is never late",
            late_driver,
        )
        .client(|client| limit(client, |limits| limits.with_command(SOON)))
        .expect("reply: 250 2.0.0 ok")
    }));
    scripts.push(
        script(
            "a pause between messages",
            "nothing is due while idle",
            pause,
        )
        .client(|client| client.timeouts(Timeouts::default().at_most(LIMIT))),
    );
    scripts
}

/// No reply, at each step.
fn silence() -> Vec<Script> {
    let mut scripts = Vec::new();
    let why = "RFC 5321, section 4.5.3.2";
    let mut silent = |name, stage, client, outcome: &str| {
        scripts.push(
            script(name, why, at_once)
                // A reply to a later command would be taken as the one that is missing.
                .server(|server| server.without("PIPELINING").on(stage, Action::silent()))
                .client(client)
                .expect(format!("outcome: {outcome}")),
        );
    };
    silent(
        "no greeting",
        Stage::Greeting,
        |client| limit(client, |limits| limits.with_greeting(SOON)),
        "not sent: at the greeting: timed out waiting for the greeting",
    );
    silent(
        "no reply to EHLO",
        Stage::Ehlo,
        |client| limit(client, |limits| limits.with_ehlo(SOON)),
        "not sent: at EHLO: timed out waiting for the reply to EHLO",
    );
    silent(
        "no reply to MAIL",
        Stage::Mail,
        |client| limit(client, |limits| limits.with_mail(SOON)),
        "not sent: at MAIL: timed out waiting for the reply to MAIL",
    );
    silent(
        "no reply to RCPT",
        Stage::Rcpt(1),
        |client| limit(client, |limits| limits.with_rcpt(SOON)),
        "not sent: at RCPT: timed out waiting for the reply to RCPT",
    );
    silent(
        "no reply to DATA",
        Stage::Data,
        |client| limit(client, |limits| limits.with_data_init(SOON)),
        "not sent: at DATA: timed out waiting for the reply to DATA",
    );
    silent(
        "no final reply",
        Stage::EndOfData,
        |client| limit(client, |limits| limits.with_data_end(SOON)),
        "in doubt: at the end of the message: timed out waiting for the final reply",
    );
    silent(
        "no reply to QUIT",
        Stage::Quit,
        |client| limit(client, |limits| limits.with_quit(SOON)),
        "accepted: 250 2.0.0 queued",
    );
    scripts
}

/// Replies that come too slowly.
fn slow() -> Vec<Script> {
    let mut scripts = Vec::new();
    scripts.push(
        script(
            "a reply that drips",
            "a limit is for the whole reply",
            at_once,
        )
        .server(|server| server.on(Stage::Ehlo, Action::normal().drip(SOON / 3)))
        .client(|client| limit(client, |limits| limits.with_ehlo(SOON))),
    );
    scripts.push(
        script(
            "a session that lasts",
            "a limit for the whole connection",
            at_once,
        )
        .server(|server| {
            server
                .without("PIPELINING")
                .on(Stage::Mail, Action::silent())
        })
        .client(|client| {
            limit(client, |limits| {
                limits
                    .with_session(SOON)
                    .with_session_per_mail(Duration::ZERO)
            })
        }),
    );
    scripts
}

fn in_tls() -> Vec<Script> {
    let why = "RFC 5321, section 4.5.3.2";
    vec![
        script("no reply to STARTTLS", why, at_once)
            .by_starttls()
            .server(|server| server.on(Stage::StartTls, Action::silent()))
            .client(|client| limit(client, |limits| limits.with_starttls(SOON))),
        script("no reply to EHLO in TLS", why, at_once)
            .by_starttls()
            .server(|server| server.on(Stage::EhloInTls, Action::silent()))
            .client(|client| limit(client, |limits| limits.with_starttls(SOON))),
        script("no reply to AUTH", why, at_once)
            .in_tls()
            .server(|server| {
                let server = server.user("alice", "secret").mechanisms(["PLAIN"]);
                server.on(Stage::Auth, Action::silent())
            })
            .client(|client| {
                let credentials = Credentials::password("alice", "secret").expect("valid");
                limit(client, |limits| limits.with_auth(SOON)).credentials(credentials)
            }),
        script("no final reply", why, at_once)
            .in_tls()
            .server(|server| server.on(Stage::EndOfData, Action::silent()))
            .client(|client| limit(client, |limits| limits.with_data_end(SOON))),
        script("no reply to QUIT", why, at_once)
            .in_tls()
            .server(|server| server.on(Stage::Quit, Action::silent()))
            .client(|client| limit(client, |limits| limits.with_quit(SOON))),
    ]
}

/// Time limits that are reached only where this sets them, and short ones for the end.
fn limit(client: EndpointBuilder, set: impl FnOnce(Timeouts) -> Timeouts) -> EndpointBuilder {
    client.timeouts(set(patient().with_quit(SOON).with_drain(SOON)))
}

/// The driver comes back after the limit of a reply that has arrived.
fn late_driver(play: &mut Play<'_>) {
    if play.ready() {
        play.command_and_pause(Command::noop(), SOON + SOON / 5);
    }
}

/// The client is idle for longer than any limit.
fn pause(play: &mut Play<'_>) {
    play.send(mail());
    std::thread::sleep(LIMIT + SOON);
    play.send(mail());
}

fn stuck(play: &mut Play<'_>) {
    play.send(mail_of(format!(
        "From: alice@example.org\r\n\r\n{}",
        "a line\r\n".repeat(200_000)
    )));
}

/// A limit that a reply does not reach.
const LIMIT: Duration = Duration::from_secs(1);
