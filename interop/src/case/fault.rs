//! Recipients of every kind, and servers that close.

use smtp_proto::{RecipientStatus, Security};

use super::{Case, Done, Way, each_way, mails};
use crate::adapter::Load;
use crate::environment::Listener;
use crate::message::Message;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "ten recipients, some rejected",
        run: |context| {
            let recipients = [
                "ok", "no", "ok", "grey", "full", "ok", "over", "no", "ok", "ok",
            ];
            each_way(context, &Way::ALL, |context, way| {
                let recipients = context.known(&recipients);
                let messages = [Message::new("ok", &recipients), Message::new("ok", &["ok"])];
                let endpoint = way.apply(context.endpoint(Listener::Relay, Security::StartTls));
                context.deliver(endpoint, Listener::Relay, &messages)?;
                Ok(Done::Passed)
            })
        },
    },
    Case {
        name: "421 to a recipient in a batch",
        run: |context| {
            if !context.server.rejects("closing") {
                return Ok(Done::Unsupported);
            }
            each_way(context, &Way::ALL, |context, way| {
                let messages = [
                    Message::new("ok", &["ok"]),
                    Message::new("ok", &["ok", "closing", "ok"]),
                    Message::new("ok", &["ok"]),
                    Message::new("ok", &["ok"]),
                ];
                let endpoint = way.apply(context.endpoint(Listener::Relay, Security::Cleartext));
                let load = Load::Batch(mails(&messages)?);
                let session = context.converse(endpoint, Listener::Relay, load);
                let session = session.map_err(|error| format!("{error:#}"))?;
                context.compare(&messages, &session.outcomes)?;
                let first = session.outcomes.first();
                let second = session
                    .outcomes
                    .get(1)
                    .and_then(|outcome| outcome.recipients().get(1));
                let rejected = second.is_some_and(|delivery| match delivery.status() {
                    RecipientStatus::Rejected { reply, .. } => reply.code().as_u16() == 421,
                    _ => false,
                });
                match first.is_some_and(|outcome| outcome.is_accepted()) && rejected {
                    true => Ok(Done::Passed),
                    false => Err(format!("{:?}", session.outcomes)),
                }
            })
        },
    },
];
