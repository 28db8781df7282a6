//! Servers that reject.

use smtp_proto::Credentials;

use super::{DELIVERED, at_once, one_message, two_messages};
use crate::conformance::script::{Script, all, both, script, tls};
use crate::{Action, Defect, Stage};

pub(super) fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    scripts.extend(all(|| {
        script("a rejected recipient", "RFC 5321, section 3.3", one_message)
            .server(|server| server.reject("carol@example.net", "550 5.1.1 no such user"))
            .expect(
                "outcome: <bob@example.net>: accepted: 250 2.0.0 queued; \
                 <carol@example.net>: rejected at RCPT: 550 5.1.1 no such user",
            )
    }));
    for (name, stage, reply, at) in [
        (
            "a rejected sender",
            Stage::Mail,
            "550 5.7.1 not you",
            "MAIL",
        ),
        (
            "rejected recipients",
            Stage::AnyRcpt,
            "450 4.2.1 busy",
            "RCPT",
        ),
        ("rejected DATA", Stage::Data, "451 4.3.0 later", "DATA"),
        (
            "rejected content",
            Stage::EndOfData,
            "554 5.6.0 no",
            "the end of the message",
        ),
    ] {
        scripts.extend(both(|| {
            script(name, "RFC 5321, section 4.2.1", two_messages)
                .server(|server| server.on(stage, Action::reply(reply)))
                .expect(format!("outcome: rejected at {at}: {reply}"))
        }));
    }
    scripts.extend(no_service());
    scripts.extend(tls_rejections());
    scripts
}

/// Servers that end the connection.
fn no_service() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, stage, reply, at) in [
        (
            "no service in the greeting",
            Stage::Greeting,
            "554 no service",
            "the greeting",
        ),
        (
            "421 in the greeting",
            Stage::Greeting,
            "421 4.3.2 busy",
            "the greeting",
        ),
        ("421 to EHLO", Stage::Ehlo, "421 4.3.2 busy", "EHLO"),
    ] {
        scripts.push(
            script(name, "RFC 5321, section 3.8", one_message)
                .server(|server| server.on(stage, Action::reply(reply)))
                .expect(format!(
                    "not ready: at {at}: rejected; the server said: {reply}"
                )),
        );
    }
    for (name, stage) in [
        ("421 to MAIL", Stage::Mail),
        ("421 to RCPT", Stage::Rcpt(2)),
        ("421 to the content", Stage::EndOfData),
    ] {
        scripts.extend(both(|| {
            script(name, "RFC 5321, section 3.8", two_messages)
                .server(|server| {
                    server.on(stage, Action::reply("421 4.3.2 going down").then_close())
                })
                .expect("outcome: not sent: the connection failed before this message was done")
        }));
    }
    scripts.push(
        script("EHLO is unknown", "RFC 5321, section 3.2", one_message)
            .server(|server| server.on(Stage::Ehlo, Action::reply("502 5.5.1 what")))
            .expect(DELIVERED),
    );
    scripts
}

fn tls_rejections() -> Vec<Script> {
    let mut scripts = vec![
        script("STARTTLS rejected", "RFC 3207, section 4", at_once)
            .by_starttls()
            .server(|server| server.on(Stage::StartTls, Action::reply("454 4.7.0 not now"))),
        script("STARTTLS not advertised", "RFC 3207, section 5", at_once)
            .by_starttls()
            .server(|server| server.without("STARTTLS")),
        script(
            "bytes after the reply to STARTTLS",
            "RFC 3207, section 4",
            at_once,
        )
        .by_starttls()
        .server(|server| server.on(Stage::StartTls, Action::normal().append("250 injected\r\n"))),
    ];
    let login = || {
        script("a rejected login", "RFC 4954, section 4", at_once)
            .server(|server| server.user("alice", "secret").mechanisms(["PLAIN"]))
            .client(|client| {
                client.credentials(Credentials::password("alice", "wrong").expect("valid"))
            })
    };
    scripts.extend([login().by_starttls(), login().in_tls()]);
    let stranger = || script("an invalid certificate", "RFC 5280, section 6", at_once);
    let expired = tls().clone().defect(Defect::Expired);
    scripts.push(
        stranger()
            .by_starttls()
            .server(|server| server.tls(expired.clone())),
    );
    scripts.push(stranger().in_tls().server(|server| server.tls(expired)));
    scripts
}
