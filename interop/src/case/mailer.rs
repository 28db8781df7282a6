//! Mailers: several callers, and servers with strict limits.

use std::fs;
use std::thread;
use std::time::Instant;

use smtp_blocking::pool::PoolError;
use smtp_proto::{AuthenticationError, Credentials, ErrorKind, Outcome, Protocol, Security};
use smtp_rustls::{Endpoint, EndpointBuilder};

use super::{Case, CaseContext, Done, Verdict, mails};
use crate::environment::{CONNECTIONS, HOST, Listener};
use crate::mailer::{Driving, Mailer, Sent};
use crate::message::{Message, PASSWORD, USER};
use crate::process::{LONGEST, POLL};
use crate::server;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "mailer: connections closed while idle",
        run: |context| each_driving(context, closed_while_idle),
    },
    Case {
        name: "mailer: more connections than allowed",
        run: |context| each_driving(context, too_many_connections),
    },
    Case {
        name: "mailer: too many messages on a connection",
        run: |context| each_driving(context, too_many_messages),
    },
    Case {
        name: "mailer: server stopped and started again",
        run: restarted,
    },
    Case {
        name: "mailer: check, and a wrong password",
        run: checked,
    },
    Case {
        name: "mailer: over a Unix socket",
        run: |context| each_driving(context, over_unix),
    },
];

/// Callers at one time.
const CALLERS: usize = 6;

fn each_driving(
    context: &CaseContext<'_>,
    run: fn(&CaseContext<'_>, Driving) -> Verdict,
) -> Verdict {
    let mut done = Done::Passed;
    for driving in Driving::ALL {
        done = run(context, driving).map_err(|fault| format!("{driving:?}: {fault}"))?;
    }
    Ok(done)
}

/// The callers pause until the server has closed their connections. The next messages do not notice.
fn closed_while_idle(context: &CaseContext<'_>, driving: Driving) -> Verdict {
    if !context.has(Listener::Strict) || !context.server.closes_idle() {
        return Ok(Done::Unsupported);
    }
    let port = context.environment.port(Listener::Strict);
    settle(context)?;
    let endpoint = context.endpoint(Listener::Strict, Security::Cleartext);
    let mailer = mailer(context, endpoint, most(CONNECTIONS)?, driving)?;
    send_all(context, &mailer, CALLERS)?;
    wait_until_closed(port)?;
    settle(context)?;
    send_all(context, &mailer, CALLERS)?;
    const SENT: u64 = 2 * CALLERS as u64;
    let stats = mailer.stats();
    match (stats.sent, stats.connected) {
        (SENT, 2..) if stats.failed + stats.retried + stats.unserved == 0 => {}
        _ => return Err(format!("{stats:?}")),
    }
    end(context, &mailer)
}

/// The mailer opens more connections than the server allows. From then on it uses fewer.
fn too_many_connections(context: &CaseContext<'_>, driving: Driving) -> Verdict {
    if !context.has(Listener::Strict) || !context.server.limits_connections() {
        return Ok(Done::Unsupported);
    }
    settle(context)?;
    let endpoint = context.endpoint(Listener::Strict, Security::Cleartext);
    let mailer = mailer(context, endpoint, most(CONNECTIONS)? + 1, driving)?;
    let until = Instant::now() + LONGEST;
    // The callers may be so slow that one connection suffices.
    while mailer.stats().connect_failed == 0 {
        if Instant::now() > until {
            return Err(format!("no connection too many: {:?}", mailer.stats()));
        }
        send_all(context, &mailer, CALLERS)?;
    }
    send_all(context, &mailer, CALLERS)?;
    let stats = mailer.stats();
    let is_reduced = stats.open + stats.connecting < CONNECTIONS;
    if context.server.rejects_connections() && !is_reduced {
        return Err(format!("not fewer connections: {stats:?}"));
    }
    end(context, &mailer)
}

/// The server rejects a message at MAIL and closes. The next connection carries it.
fn too_many_messages(context: &CaseContext<'_>, driving: Driving) -> Verdict {
    if !context.has(Listener::Brief) {
        return Ok(Done::Unsupported);
    }
    let endpoint = context.endpoint(Listener::Brief, Security::Cleartext);
    let mailer = mailer(context, endpoint, 1, driving)?;
    send_all(context, &mailer, CALLERS)?;
    let stats = mailer.stats();
    if stats.retried == 0 || stats.connected < 2 {
        return Err(format!("no message too many: {stats:?}"));
    }
    end(context, &mailer)
}

/// While the server is stopped, messages fail at once. The same messages are sent when it runs again.
fn restarted(context: &CaseContext<'_>) -> Verdict {
    if !context.has(Listener::Relay) {
        return Ok(Done::Unsupported);
    }
    let port = context.environment.port(Listener::Relay);
    let endpoint = context.endpoint(Listener::Relay, Security::Cleartext);
    let connections = if context.server.greets_many() { 3 } else { 1 };
    let mailer = mailer(context, endpoint, connections, Driving::Callers)?;
    send_all(context, &mailer, CALLERS)?;

    let processes = context.running.borrow().processes();
    let stopped = processes.and_then(|processes| processes.shut_down());
    stopped.map_err(|error| format!("{error:#}"))?;
    wait_until_closed(port)?;
    let lost = messages(CALLERS);
    let sent = mailer.send(mails(&lost)?);
    let mut running = context.running.borrow_mut();
    let restarted = running.restart();
    restarted.map_err(|error| format!("{error:#}"))?;
    for result in &sent {
        match result.as_ref().map_err(|error| error.kind()) {
            Err(PoolError::Connect(error))
                if matches!(error.kind(), ErrorKind::Transport(_)) && error.is_transient() => {}
            _ => return Err(format!("while it is stopped: {result:?}")),
        }
    }
    context.compare_nothing()?;

    let again: Result<Vec<_>, _> = sent
        .into_iter()
        .map(|result| match result {
            Err(error) => Ok(error.into_mail()),
            Ok(outcome) => Err(format!("{outcome:?}")),
        })
        .collect();
    let sent = mailer.send(again?);
    all_accepted(&sent)?;
    compare(context, &lost, sent)?;
    end(context, &mailer)
}

/// Where users log in: the right password and a wrong one.
fn checked(context: &CaseContext<'_>) -> Verdict {
    let user = format!("{USER}@{HOST}");
    let mut done = Done::Unsupported;
    for (listener, security) in [
        (Listener::Submission, Security::StartTls),
        (Listener::Implicit, Security::Implicit),
    ] {
        if !context.has(listener) {
            continue;
        }
        done = Done::Passed;
        let open = |password: &str| {
            let credentials = Credentials::password(&user, password);
            let mut credentials = credentials.map_err(|error| format!("{error:#}"))?;
            if context.server.binds_by_unique() {
                credentials = credentials.restrict_to(["SCRAM-SHA-256"]);
            }
            let endpoint = context.endpoint(listener, security);
            let endpoint = endpoint.credentials(credentials);
            mailer(context, endpoint, 1, Driving::Callers)
        };
        let known = open(PASSWORD)?;
        let check = known.check().map_err(|error| format!("{error:#}"))?;
        if check.tls().is_none() || check.mechanism().is_none() {
            return Err(format!("{listener:?}: {check}"));
        }
        send_all(context, &known, 2)?;
        let stats = known.stats();
        if (stats.connected, stats.reused) != (1, 2) {
            return Err(format!("{listener:?}: {stats:?}"));
        }
        end(context, &known)?;

        match open("wrong")?.check() {
            Err(error) if is_wrong_password(context, &error) => {}
            result => return Err(format!("{listener:?}: {result:?}")),
        }
        // A mailer of their own, which has not failed before and does not pause.
        let unknown = open("wrong")?;
        let sent = unknown.send(mails(&messages(CALLERS))?);
        for result in &sent {
            match result.as_ref().map_err(|error| error.kind()) {
                Err(error) if is_wrong_password(context, error) => {}
                _ => return Err(format!("{listener:?}: {result:?}")),
            }
        }
        end(context, &unknown)?;
    }
    Ok(done)
}

fn is_wrong_password(context: &CaseContext<'_>, error: &PoolError) -> bool {
    let PoolError::Connect(error) = error else {
        return false;
    };
    let code = error.reply().map(|reply| reply.code().as_u16());
    matches!(
        error.kind(),
        ErrorKind::Authentication(AuthenticationError::Rejected { .. })
    ) && code == Some(context.server.code_for_wrong_password())
}

fn over_unix(context: &CaseContext<'_>, driving: Driving) -> Verdict {
    let Some(socket) = context.server.socket(context.environment) else {
        return Ok(Done::Unsupported);
    };
    let endpoint = Endpoint::unix(socket).protocol(Protocol::Lmtp);
    let mailer = mailer(context, endpoint, 3, driving)?;
    let check = mailer.check().map_err(|error| format!("{error:#}"))?;
    if !check.capabilities().pipelining() {
        return Err(format!("{check}"));
    }
    for _ in 0..2 {
        send_all(context, &mailer, CALLERS)?;
    }
    end(context, &mailer)
}

fn mailer(
    context: &CaseContext<'_>,
    endpoint: EndpointBuilder,
    connections: u32,
    driving: Driving,
) -> Result<Mailer, String> {
    if let Ok(mut lines) = context.transcript.lock() {
        lines.clear();
    }
    let endpoint = endpoint.build().map_err(|error| format!("{error:#}"))?;
    Mailer::new(context.adapter, endpoint, connections, driving)
        .map_err(|error| format!("{error:#}"))
}

fn most(connections: usize) -> Result<u32, String> {
    u32::try_from(connections).map_err(|error| error.to_string())
}

fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|_| Message::new("ok", &["ok"])).collect()
}

/// Waits until no process of the server is busy with a session that has ended.
fn settle(context: &CaseContext<'_>) -> Result<(), String> {
    server::settle(context.server, context.environment).map_err(|error| format!("{error:#}"))
}

/// Sends a message by each of several callers at one time. Asserts that all are accepted and stored.
fn send_all(context: &CaseContext<'_>, mailer: &Mailer, callers: usize) -> Result<(), String> {
    let messages = messages(callers);
    let sent = mailer.send(mails(&messages)?);
    all_accepted(&sent)?;
    compare(context, &messages, sent)
}

fn all_accepted(sent: &[Sent]) -> Result<(), String> {
    let is_accepted = |result: &Sent| result.as_ref().is_ok_and(Outcome::is_accepted);
    match sent.iter().all(is_accepted) {
        true => Ok(()),
        false => Err(format!("{sent:?}")),
    }
}

/// Asserts that the server stored what the results report, and nothing else.
fn compare(context: &CaseContext<'_>, messages: &[Message], sent: Vec<Sent>) -> Result<(), String> {
    let mut known = Vec::new();
    let mut outcomes = Vec::new();
    // A message without an outcome is not stored.
    for (message, result) in messages.iter().zip(sent) {
        if let Ok(outcome) = result {
            known.push(message.clone());
            outcomes.push(outcome);
        }
    }
    context.compare(&known, &outcomes)
}

/// Closes a mailer. Asserts that nothing else was stored meanwhile.
fn end(context: &CaseContext<'_>, mailer: &Mailer) -> Verdict {
    if !mailer.close() {
        return Err(format!("it does not close: {:?}", mailer.stats()));
    }
    context.compare_nothing()?;
    Ok(Done::Passed)
}

/// Waits until the server has closed its end of every connection to this port.
fn wait_until_closed(port: u16) -> Result<(), String> {
    let until = Instant::now() + LONGEST;
    while is_established(port)? {
        if Instant::now() > until {
            return Err(format!("port {port}: a connection stays open"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether a client has a connection to this port that the server has not closed (proc(5),
/// `/proc/net/tcp`).
fn is_established(port: u16) -> Result<bool, String> {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/thread-self/net/tcp");
    let table = table.map_err(|error| format!("{error:#}"))?;
    let remote = format!(":{port:04X}");
    Ok(table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        fields
            .next()
            .is_some_and(|address| address.ends_with(&remote))
            && fields.next() == Some(ESTABLISHED)
    }))
}
