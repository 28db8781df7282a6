//! Retries: greylisted recipients, too many recipients, and the rest of a batch whose server was
//! stopped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use smtp_proto::{RecipientStatus, Security, SpeculationLimits, Stage, TranscriptEntry};

use super::{Case, CaseContext, Done, Verdict, Way, each_way, mails};
use crate::adapter::{Load, Session};
use crate::environment::{FEW, Listener};
use crate::message::Message;
use crate::server;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "greylisting, then a retry",
        run: |context| each_way(context, &Way::SOME, greylisted),
    },
    Case {
        name: "too many recipients at a time",
        run: |context| each_way(context, &Way::SOME, too_many),
    },
    Case {
        name: "many more recipients than at a time",
        run: |context| many_more(context),
    },
    Case {
        name: "server stopped during a batch",
        run: |context| each_way(context, &Way::SOME, stopped),
    },
];

fn greylisted(context: &CaseContext<'_>, way: Way) -> Verdict {
    if !context.server.greylists() {
        return Ok(Done::Unsupported);
    }
    let send = |messages: &[Message]| {
        let endpoint = way.apply(context.endpoint(Listener::Relay, Security::Cleartext));
        let session = context.converse(endpoint, Listener::Relay, Load::Batch(mails(messages)?));
        let session = session.map_err(|error| format!("{error:#}"))?;
        context.compare(messages, &session.outcomes)?;
        Ok::<_, String>(session)
    };
    let messages = [
        Message::new("ok", &["later"]),
        Message::new("ok", &["ok", "later", "no", "later"]),
        Message::new("ok", &["ok"]),
    ];
    let session = send(&messages)?;
    let waiting = transient(&messages, &session);
    let count = |messages: &[Message]| messages.iter().map(|each| each.recipients().len()).sum();
    let count: usize = count(&waiting);
    if count != 3 {
        return Err(format!("{count} recipients wait: {:?}", session.outcomes));
    }
    let session = send(&waiting)?;
    let mut outcomes = session.outcomes.iter();
    match outcomes.all(|outcome| outcome.is_accepted()) && session.outcomes.len() == waiting.len() {
        true => Ok(Done::Passed),
        false => Err(format!("the second time: {:?}", session.outcomes)),
    }
}

/// Messages to the recipients with a transient rejection at RCPT.
fn transient(messages: &[Message], session: &Session) -> Vec<Message> {
    let all = messages.iter().zip(&session.outcomes);
    let waiting = all.filter_map(|(message, outcome)| {
        let recipients = message.recipients().iter().zip(outcome.recipients());
        let waiting = recipients.filter(|(_, delivery)| match delivery.status() {
            status @ RecipientStatus::Rejected { stage, .. } => {
                *stage == Stage::Rcpt && status.is_transient()
            }
            _ => false,
        });
        let waiting: Vec<_> = waiting.map(|(recipient, _)| recipient.clone()).collect();
        (!waiting.is_empty()).then(|| message.clone().to(waiting))
    });
    waiting.collect()
}

/// The client itself sends the rest in further transactions (RFC 5321, section 4.5.3.1.10).
fn too_many(context: &CaseContext<'_>, way: Way) -> Verdict {
    let many = ["ok"; 2 * FEW + FEW / 2];
    let messages = [
        Message::new("ok", &["ok"]),
        Message::new("ok", &many),
        Message::new("ok", &["no", "ok"]),
        Message::new("ok", &many[..=FEW]),
    ];
    let endpoint = way.apply(context.endpoint(Listener::Few, Security::Cleartext));
    context.deliver(endpoint, Listener::Few, &messages)?;
    Ok(Done::Passed)
}

/// The client learns the limit from the replies: it asks for few recipients twice, and the server
/// has no reason to count errors.
fn many_more(context: &CaseContext<'_>) -> Verdict {
    const COUNT: usize = 60 * FEW;
    let messages = [Message::new("ok", &["ok"; COUNT])];
    let endpoint = context.endpoint(Listener::Few, Security::Cleartext);
    let session = context.converse(endpoint, Listener::Few, Load::Batch(mails(&messages)?));
    let session = session.map_err(|error| format!("{error:#}"))?;
    let Ok(transcript) = context.transcript.lock() else {
        return Err("the transcript is lost".into());
    };
    let asked = transcript
        .iter()
        .filter(|line| line.contains("RCPT TO"))
        .count();
    drop(transcript);
    context.check(&messages, &session)?;
    // In the first flight, 128 and twice what was accepted, it does not know; ten rejections in a
    // row show it.
    match asked <= COUNT + 128 + 2 * FEW + 10 {
        true => Ok(Done::Passed),
        false => Err(format!("{asked} RCPT commands for {COUNT} recipients")),
    }
}

/// After some replies, the client waits until the server has been stopped.
fn stopped(context: &CaseContext<'_>, way: Way) -> Verdict {
    // One command at a time with DATA, and the last reply is a final one: some servers notice the
    // stop only then.
    const REPLIES: usize = 61;
    let messages: Vec<_> = (0..200).map(|_| Message::new("ok", &["ok"])).collect();
    let (reached, reaches) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let replies = AtomicUsize::new(0);
    let endpoint = way.apply(context.endpoint(Listener::Relay, Security::Cleartext));
    // Not so far ahead that the whole batch is sent before the stop.
    let endpoint = endpoint.speculation(
        SpeculationLimits::default()
            .with_message_bytes(1000)
            .with_bytes_in_flight(10_000),
    );
    let endpoint = endpoint.transcript(move |entry| {
        let is_reply = matches!(entry, TranscriptEntry::Reply(_));
        if is_reply && replies.fetch_add(1, Ordering::Relaxed) == REPLIES {
            let _ = reached.send(());
            let _ = goes_on.lock().map(|goes_on| goes_on.recv());
        }
    });
    let load = Load::Batch(mails(&messages)?);
    let (server, environment) = (context.server, context.environment);
    let processes = context.running.borrow().processes();
    let processes = processes.map_err(|error| format!("{error:#}"))?;
    let session = thread::scope(|scope| {
        let stop = scope.spawn(move || {
            reaches.recv().map_err(|error| format!("{error:#}"))?;
            // So that no message is between queue and store, which not every server resumes.
            let stopped = server::settle(server, environment).and_then(|()| processes.shut_down());
            let _ = go_on.send(());
            stopped.map_err(|error| format!("{error:#}"))
        });
        let session = context.converse(endpoint, Listener::Relay, load);
        let stopped = stop.join().map_err(|_| "it could not be stopped")?;
        stopped.and_then(|()| session.map_err(|error| format!("{error:#}")))
    });
    let mut running = context.running.borrow_mut();
    let restarted = running.restart();
    restarted.map_err(|error| format!("{error:#}"))?;
    let session = session?;
    context.compare(&messages, &session.outcomes)?;
    let told = &session.outcomes;
    let accepted = told.iter().filter(|outcome| outcome.is_accepted()).count();
    let error = told.last().and_then(|outcome| outcome.error());
    match error {
        Some(_) if accepted > 0 => Ok(Done::Passed),
        _ => Err(format!("{accepted} accepted, and {:?}", told.last())),
    }
}
