//! Many messages on one connection, at each level of pipelining, by DATA and by BDAT.

use smtp_proto::{Pipelining, Security};

use super::{Case, CaseContext, Done, Text, Verdict, Way};
use crate::environment::Listener;
use crate::message::Message;

/// A case for each way.
macro_rules! ways {
    ($($name:literal: $level:ident $text:ident,)*) => {
        pub(super) const CASES: &[Case] = &[$(
            Case {
                name: concat!("100 messages: ", $name),
                run: |context| hundred(context, way!($level $text)),
            },
            Case {
                name: concat!("rejections: ", $name),
                run: |context| rejections(context, way!($level $text)),
            },
        )*];
    };
}

macro_rules! way {
    ($level:ident $text:ident) => {
        Way {
            level: Pipelining::$level,
            text: Text::$text,
        }
    };
}

ways! {
    "one by one, DATA": Off Data,
    "one by one, BDAT": Off Chunk,
    "one by one, many BDAT": Off Chunks,
    "envelopes, DATA": Envelope Data,
    "envelopes, BDAT": Envelope Chunk,
    "envelopes, many BDAT": Envelope Chunks,
    "transactions, DATA": Transactions Data,
    "transactions, BDAT": Transactions Chunk,
    "transactions, many BDAT": Transactions Chunks,
    "speculative, DATA": Speculative Data,
    "speculative, BDAT": Speculative Chunk,
    "speculative, many BDAT": Speculative Chunks,
}

fn hundred(context: &CaseContext<'_>, way: Way) -> Verdict {
    let messages: Vec<_> = (0..100).map(|_| Message::new("ok", &["ok"])).collect();
    deliver(context, way, &messages)
}

/// Every kind of rejection, before and after messages that are accepted, and after each other.
fn rejections(context: &CaseContext<'_>, way: Way) -> Verdict {
    const SENDERS: [&str; 7] = [
        "ok", "badmail", "tmpmail", "baddata", "tmpdata", "badend", "tmpend",
    ];
    const RECIPIENTS: [&[&str]; 6] = [
        &["ok", "ok"],
        &["no", "ok"],
        &["ok", "grey"],
        &["no"],
        &["no", "over"],
        &["ok", "full", "ok"],
    ];
    let mut messages = Vec::new();
    let senders = context.known(&SENDERS);
    let recipients = RECIPIENTS.map(|kinds| context.known(kinds));
    for sender in &senders {
        for recipients in &recipients {
            messages.push(Message::new(sender, recipients));
            messages.push(Message::new("ok", &["ok"]));
        }
    }
    // One rejection right after the other.
    for (sender, recipients) in senders.iter().zip(recipients.iter().cycle()) {
        messages.push(Message::new(sender, recipients));
    }
    messages.push(Message::new("ok", &["ok"]));
    if way.text != Text::Data && !context.server.rejects_before_chunks() {
        messages = messages.into_iter().map(Message::unasked).collect();
    }
    deliver(context, way, &messages)
}

fn deliver(context: &CaseContext<'_>, way: Way, messages: &[Message]) -> Verdict {
    let endpoint = || way.apply(context.endpoint(Listener::Relay, Security::Cleartext));
    let session = context.deliver(endpoint(), Listener::Relay, &[])?;
    if !way.is_advertised(&session) {
        return Ok(Done::Unsupported);
    }
    context.deliver(endpoint(), Listener::Relay, messages)?;
    Ok(Done::Passed)
}
