//! The final reply of an LMTP server for each recipient (RFC 2033, section 4.2).

use std::sync::Arc;

use smtp_proto::{Config, Pipelining, Protocol, Security, Timeouts};

use super::{Case, CaseContext, Done, Text, Verdict, Way, mails};
use crate::adapter::Load;
use crate::environment::{HOST, Listener};
use crate::message::Message;
use crate::process::LONGEST;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "LMTP: a reply for each recipient",
        run: each_way,
    },
    Case {
        name: "LMTP: over a Unix socket",
        run: over_unix,
    },
];

const LEVELS: [Pipelining; 4] = [
    Pipelining::Off,
    Pipelining::Envelope,
    Pipelining::Transactions,
    Pipelining::Speculative,
];

/// Recipients that are accepted, rejected at RCPT, and rejected after the content, in every order
/// that matters.
fn messages(context: &CaseContext<'_>) -> Vec<Message> {
    const RECIPIENTS: [&[&str]; 9] = [
        &["ok", "quota", "ok", "stuck", "no", "ok"],
        &["ok"],
        &["quota", "ok"],
        &["no", "stuck", "ok"],
        &["quota"],
        &["stuck", "quota"],
        &["no", "no"],
        &["no", "ok", "no", "quota"],
        &["ok", "ok", "ok"],
    ];
    let known = RECIPIENTS.into_iter().map(|kinds| context.known(kinds));
    known
        .filter(|kinds| !kinds.is_empty())
        .map(|kinds| Message::new("ok", &kinds))
        .collect()
}

fn each_way(context: &CaseContext<'_>) -> Verdict {
    for level in LEVELS {
        for text in [Text::Data, Text::Chunk, Text::Chunks] {
            let way = Way { level, text };
            let endpoint = way.apply(context.endpoint(Listener::Relay, Security::StartTls));
            context
                .deliver(endpoint, Listener::Relay, &messages(context))
                .map_err(|fault| format!("{level:?}, {text:?}: {fault}"))?;
        }
    }
    Ok(Done::Passed)
}

fn over_unix(context: &CaseContext<'_>) -> Verdict {
    let Some(socket) = context.server.socket(context.environment) else {
        return Ok(Done::Unsupported);
    };
    let name = HOST.parse().map_err(|_| "no name of a client")?;
    let config = Config::builder(name)
        .protocol(Protocol::Lmtp)
        .security(Security::Cleartext)
        .timeouts(Timeouts::default().at_most(LONGEST));
    for level in LEVELS {
        let config = config.clone().pipelining(level).build();
        let policy = Arc::new(config.map_err(|error| format!("{error:#}"))?);
        let messages = messages(context);
        let load = Load::Batch(mails(&messages)?);
        let session = (context.adapter)
            .converse_unix(&policy, &socket, load)
            .map_err(|error| format!("{level:?}: {error:#}"))?;
        context.check(&messages, &session)?;
    }
    Ok(Done::Passed)
}
