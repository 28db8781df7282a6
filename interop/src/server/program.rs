//! Servers that are libraries: a program of this project around each reads its replies from a JSON
//! file.

use std::fmt::Write;
use std::io;

use smtp_proto::Protocol;

use crate::certificates::Flaw;
use crate::environment::{
    CONNECTIONS, Environment, FEW, HOST, IDLE_SECONDS, LARGE, Listener, SMALL,
};
use crate::message::{DELIVERIES, Fault, LOGINS, PASSWORD, RECIPIENTS, SENDERS, USER};
use crate::token;

/// The settings for these listeners. Creates the store.
pub(super) fn settings(
    environment: &Environment,
    protocol: Protocol,
    listeners: &[Listener],
) -> io::Result<String> {
    for each in ["store/tmp", "store/new"] {
        std::fs::create_dir_all(environment.path(each))?;
    }
    let mut text = String::from("{\n");
    let mut member = |name: &str, value: String| {
        let _ = writeln!(text, "  \"{name}\": {value},");
    };
    member("lmtp", (protocol == Protocol::Lmtp).to_string());
    member("host", quoted(HOST));
    member("user", quoted(&format!("{USER}@{HOST}")));
    member("password", quoted(PASSWORD));
    member("tokenKey", quoted(&token::key()));
    member("few", FEW.to_string());
    member("connections", CONNECTIONS.to_string());
    member("idle", IDLE_SECONDS.to_string());
    member(
        "listeners",
        list(listeners, |listener| self::listener(environment, *listener)),
    );
    let faults: Vec<_> = [&SENDERS[..], &RECIPIENTS, &DELIVERIES].concat();
    member("faults", list(&faults, fault));
    member(
        "logins",
        list(&LOGINS, |(user, code, text)| {
            format!("{{\"user\": {user:?}, \"code\": {code}, \"text\": {text:?}}}")
        }),
    );
    let store = environment.path("store");
    let _ = write!(
        text,
        "  \"store\": {}\n}}\n",
        quoted(&store.to_string_lossy())
    );
    Ok(text)
}

fn listener(environment: &Environment, listener: Listener) -> String {
    let flaw = match listener {
        Listener::WrongName => Flaw::WrongName,
        Listener::Expired => Flaw::Expired,
        Listener::SelfSigned => Flaw::SelfSigned,
        _ => Flaw::None,
    };
    let size = if listener == Listener::Small {
        SMALL
    } else {
        LARGE
    };
    format!(
        "{{\"name\": \"{listener:?}\", \"port\": {}, \"size\": {size}, \"key\": {}, \"chain\": {}}}",
        environment.port(listener),
        quoted(&environment.certificates.key(flaw).to_string_lossy()),
        quoted(&environment.certificates.chain(flaw).to_string_lossy()),
    )
}

fn fault(fault: &Fault) -> String {
    format!(
        "{{\"kind\": {:?}, \"step\": \"{:?}\", \"code\": {}, \"text\": {:?}}}",
        fault.kind, fault.step, fault.code, fault.text
    )
}

fn list<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(write).collect();
    format!("[{}]", items.join(", "))
}

/// Names and paths of this program, in which Rust and JSON escape nothing or the same.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}
