//! Every way to send, all at one time, over a network with a delay, small packets or packet loss.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use smtp_proto::Security;

use super::{Case, CaseContext, Done, Text, Verdict, Way, mails};
use crate::adapter::{Load, Session};
use crate::environment::Listener;
use crate::message::Message;
use crate::relay::{self, Passage};
use crate::slow_link::{self, Eager, SlowLink, Traits};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "network: 50 ms round trip",
        run: |context| over(context, Traits::SLOW),
    },
    Case {
        name: "network: 50 ms, segments of 536 bytes",
        run: |context| {
            over(
                context,
                Traits {
                    largest: 576,
                    ..Traits::SLOW
                },
            )
        },
    },
    Case {
        name: "network: 50 ms, one packet of 20 lost",
        run: |context| {
            over(
                context,
                Traits {
                    lost: Some(20),
                    ..Traits::SLOW
                },
            )
        },
    },
    Case {
        name: "network: segments of one byte",
        run: bytes,
    },
];

fn over(context: &CaseContext<'_>, traits: Traits) -> Verdict {
    if !context.has(Listener::Relay) {
        return Ok(Done::Unsupported);
    }
    let link = SlowLink::new(traits).map_err(|error| format!("{error:#}"))?;
    let all = all_ways(context, &|| {
        Ok(context.environment.address(Listener::Relay))
    })?;
    let carried = link.end().map_err(|error| format!("{error:#}"))?;
    if carried.packets < 100 || (traits.lost.is_some() && carried.lost == 0) {
        return Err(format!("packets did not go through the link: {carried:?}"));
    }
    judge(context, &all)
}

fn bytes(context: &CaseContext<'_>) -> Verdict {
    if !context.has(Listener::Relay) {
        return Ok(Done::Unsupported);
    }
    let segments = || slow_link::segments().map_err(|error| format!("{error:#}"));
    let eager = Eager::new().map_err(|error| format!("{error:#}"))?;
    let before = segments()?;
    let all = all_ways(context, &|| {
        let target = context.environment.address(Listener::Relay);
        relay::open(target, Passage::Bytes).map_err(|error| format!("{error:#}"))
    })?;
    let after = segments()?;
    drop(eager);
    let bytes: u64 = (all.iter())
        .filter_map(|(_, session)| session.outcomes.last())
        .map(|outcome| outcome.stats().bytes_sent() + outcome.stats().bytes_received())
        .sum();
    if after - before < bytes {
        return Err(format!("{bytes} bytes in {} segments", after - before));
    }
    judge(context, &all)
}

/// Sends the same kinds of messages in every way, all at one time. If need be, each connects after
/// the greeting of the one before.
fn all_ways(
    context: &CaseContext<'_>,
    address: &(dyn Fn() -> Result<SocketAddr, String> + Sync),
) -> Result<Vec<(Vec<Message>, Session)>, String> {
    thread::scope(|scope| {
        let mut clients = Vec::new();
        for way in Way::ALL {
            let security = match way.text {
                Text::Data => Security::Cleartext,
                _ => Security::StartTls,
            };
            let (greeted, greets) = mpsc::channel();
            let endpoint = way.apply(context.endpoint(Listener::Relay, security));
            let endpoint = match context.server.greets_many() {
                true => endpoint.build(),
                false => endpoint.transcript(move |_| _ = greeted.send(())).build(),
            };
            let endpoint = endpoint.map_err(|error| format!("{error:#}"))?;
            let (messages, address) = (messages(context), address()?);
            let adapter = context.adapter;
            clients.push(scope.spawn(move || {
                let session = adapter.converse(&endpoint, address, Load::Batch(mails(&messages)?));
                let session = session.map_err(|error| format!("{way:?}: {error:#}"))?;
                Ok((messages, session))
            }));
            if !context.server.greets_many() {
                // If the client ends before the greeting, its result has the reason.
                let _ = greets.recv();
            }
        }
        let joined = clients.into_iter().map(|client| client.join());
        joined
            .map(|result| result.map_err(|_| "a client panicked".to_owned())?)
            .collect()
    })
}

/// Some messages that are rejected among some that are accepted, one of them of several segments.
fn messages(context: &CaseContext<'_>) -> Vec<Message> {
    let large = b"A line of the message that is larger than others.\r\n".repeat(60);
    let senders = context.known(&["badend", "tmpmail"]);
    let mut messages = vec![
        Message::new("ok", &["ok"]),
        Message::new("ok", &["no", "ok"]),
        Message::new("ok", &["ok"]).body(&large),
        Message::new("ok", &["no"]),
        Message::new("ok", &["ok", "ok"]),
    ];
    for (index, sender) in senders.into_iter().enumerate() {
        messages.insert(2 * index + 1, Message::new(sender, &["ok"]));
    }
    messages
}

/// Asserts that every outcome is the expected one, and that the store agrees.
fn judge(context: &CaseContext<'_>, all: &[(Vec<Message>, Session)]) -> Verdict {
    let messages: Vec<_> = all
        .iter()
        .flat_map(|(messages, _)| messages.clone())
        .collect();
    let mut sessions = all.iter().map(|(_, session)| session);
    let Some(first) = sessions.next() else {
        return Err("nothing was sent".into());
    };
    let mut whole = first.clone();
    for session in sessions {
        whole.outcomes.extend(session.outcomes.iter().cloned());
        whole.quit = whole.quit.and_then(|()| session.quit.clone());
    }
    context.check(&messages, &whole)?;
    Ok(Done::Passed)
}
