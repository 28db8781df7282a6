//! The dialogue without faults.

use smtp_proto::{Command, Credentials, Mail, Pipelining, Protocol};
use smtp_rustls::EndpointBuilder;

use super::{DELIVERED, at_once, one_message, ready, streaming, two_messages};
use crate::conformance::play::{Play, TEXT, mail};
use crate::conformance::script::{Script, all, both, script};
use crate::conformance::server::Fault;
use crate::{Config, Split};

pub(super) fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    scripts.extend(all(|| {
        script("greeting to QUIT", "RFC 5321, section 3.1", one_message).expect(DELIVERED)
    }));
    scripts.extend(all(|| {
        script("QUIT alone", "RFC 5321, section 4.1.1.10", ready)
    }));
    scripts.extend(all(|| {
        script("two messages", "RFC 5321, section 3.3", two_messages)
    }));
    scripts.extend(all(|| {
        script(
            "messages one after the other",
            "RFC 5321, section 3.3",
            pauses,
        )
    }));
    scripts.extend(all(|| {
        script("a streamed message", "content that is pulled", streaming)
    }));
    scripts.extend(all(|| {
        script("a command", "RFC 5321, section 3.5", command)
    }));
    scripts.extend(all(|| {
        script(
            "a hundred recipients",
            "RFC 2920, section 3.1",
            hundred_recipients,
        )
    }));
    scripts.extend(both(|| {
        script("no pipelining", "RFC 5321, section 4.3.1", one_message)
            .server(|server| server.without("PIPELINING"))
    }));
    scripts.extend(both(|| {
        script("speculative pipelining", "RFC 2920, section 3.1", at_once)
            .client(|client| client.pipelining(Pipelining::Speculative))
    }));
    scripts.extend(both(|| {
        script("chunks", "RFC 3030, section 2", one_message)
            .server(|server| server.with("CHUNKING"))
    }));
    scripts.extend(both(|| {
        script("LMTP", "RFC 2033, section 4", one_message)
            .server(Config::lmtp)
            .client(|client| client.protocol(Protocol::Lmtp))
    }));
    scripts.extend([login().by_starttls(), login().in_tls()]);
    scripts.extend(in_pieces());
    scripts
}

/// Replies whose bytes arrive in pieces.
fn in_pieces() -> Vec<Script> {
    let mut scripts = Vec::new();
    scripts.extend(all(|| {
        script(
            "replies a byte at a time",
            "a stream has no records",
            one_message,
        )
        .fault(Fault::Drip)
        .expect(DELIVERED)
    }));
    scripts.extend(both(|| {
        script(
            "replies a byte at a time, two messages",
            "a stream has no records",
            two_messages,
        )
        .fault(Fault::Drip)
    }));
    scripts.extend(both(|| {
        script(
            "replies a line at a time",
            "a stream has no records",
            one_message,
        )
        .server(|server| server.split(Split::Line))
    }));
    scripts.push(
        login()
            .by_starttls()
            .fault(Fault::Drip)
            .also("a byte at a time"),
    );
    scripts
}

fn login() -> Script {
    fn client(client: EndpointBuilder) -> EndpointBuilder {
        client.credentials(Credentials::password("alice", "secret").expect("valid credentials"))
    }
    script("a login", "RFC 4954, section 4", one_message)
        .server(|server| {
            server
                .user("alice", "secret")
                .mechanisms(["PLAIN"])
                .require_auth()
        })
        .client(client)
}

fn pauses(play: &mut Play<'_>) {
    for _ in 0..3 {
        play.send(mail());
    }
}

fn command(play: &mut Play<'_>) {
    play.command(Command::noop());
    play.command(Command::vrfy("alice").expect("a valid argument"));
}

fn hundred_recipients(play: &mut Play<'_>) {
    let recipients = (0..100).map(|number| format!("recipient{number}@example.net"));
    let mail = Mail::new("alice@example.org", recipients, TEXT).expect("a valid message");
    play.send(mail);
}
