//! Messages that are too large.

use bytes::Bytes;
use smtp_proto::{ErrorKind, Outcome, RecipientStatus, Security};
use smtp_rustls::EndpointBuilder;

use super::{Case, CaseContext, Done, Text, Verdict, Way, each_way, mails};
use crate::adapter::{Load, Session};
use crate::environment::{Listener, SMALL};
use crate::message::Message;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "too large for the advertised SIZE",
        run: beforehand,
    },
    Case {
        name: "too large, noticed by the server only",
        run: |context| {
            each_way(context, &Way::SOME, |context, way| {
                let messages = messages();
                let endpoint = way.apply(context.endpoint(Listener::Small, Security::Cleartext));
                let load = Load::Batch(mails(&messages)?);
                let session =
                    context.converse(endpoint.ignore_extension("SIZE"), Listener::Small, load);
                let session = session.map_err(|error| format!("{error:#}"))?;
                judge(context, way, &messages, &session)
            })
        },
    },
    Case {
        name: "too large, streamed",
        run: |context| {
            each_way(context, &Way::SOME, |context, way| {
                let (message, session) = streamed(context, way, |endpoint| endpoint)?;
                context.compare(&[message], &session.outcomes)?;
                match session.outcomes.iter().all(is_kept_back) {
                    true => Ok(Done::Passed),
                    false => Err(format!("{:?}", session.outcomes)),
                }
            })
        },
    },
    Case {
        name: "too large, streamed, noticed by the server only",
        run: |context| {
            each_way(context, &Way::SOME, |context, way| {
                let without = |endpoint: EndpointBuilder| endpoint.ignore_extension("SIZE");
                let (message, session) = streamed(context, way, without)?;
                judge(context, way, &[message], &session)
            })
        },
    },
];

/// Sends a message that is too large, with streamed content of unknown size.
fn streamed(
    context: &CaseContext<'_>,
    way: Way,
    change: fn(EndpointBuilder) -> EndpointBuilder,
) -> Result<(Message, Session), String> {
    let [_, message, _] = messages();
    let endpoint = way.apply(context.endpoint(Listener::Small, Security::Cleartext));
    let mail = message.streamed().map_err(|error| format!("{error:#}"))?;
    let load = Load::Streamed(mail, Bytes::clone(message.text()));
    let session = context.converse(change(endpoint), Listener::Small, load);
    Ok((message, session.map_err(|error| format!("{error:#}"))?))
}

/// Whether the client found it too large for the advertised limit.
fn is_kept_back(outcome: &Outcome) -> bool {
    let mut fates = outcome
        .recipients()
        .iter()
        .map(|delivery| delivery.status());
    fates.all(|status| match status {
        RecipientStatus::NotSent(error) => {
            matches!(error.kind(), ErrorKind::TooLarge { limit: SMALL, .. })
        }
        _ => false,
    })
}

/// The second of three messages is much too large.
fn messages() -> [Message; 3] {
    let line = b"A line of text.\r\n";
    let body = line.repeat(10 * usize::try_from(SMALL).unwrap_or(usize::MAX) / line.len());
    [
        Message::new("ok", &["ok"]),
        Message::new("ok", &["ok", "ok"]).body(&body),
        Message::new("ok", &["ok"]),
    ]
}

/// The client knows the limit, and does not send the message.
fn beforehand(context: &CaseContext<'_>) -> Verdict {
    let messages = messages();
    let endpoint = context.endpoint(Listener::Small, Security::Cleartext);
    let session = context.converse(endpoint, Listener::Small, Load::Batch(mails(&messages)?));
    let session = session.map_err(|error| format!("{error:#}"))?;
    context.compare(&messages, &session.outcomes)?;
    let [first, second, third] = &*session.outcomes else {
        return Err(format!("{} outcomes", session.outcomes.len()));
    };
    match first.is_accepted() && is_kept_back(second) && third.is_accepted() {
        true => Ok(Done::Passed),
        false => Err(format!("{:?}", session.outcomes)),
    }
}

/// The large message is rejected and not stored. The others are stored, unless the server could not
/// go on.
fn judge(context: &CaseContext<'_>, way: Way, messages: &[Message], session: &Session) -> Verdict {
    context.compare(messages, &session.outcomes)?;
    let stuck = way.text != Text::Data && context.server.loses_its_place();
    let mut behind = false;
    for (message, outcome) in messages.iter().zip(&session.outcomes) {
        let large = message.text().len() > 1000;
        for delivery in outcome.recipients() {
            let status = delivery.status();
            let right = match status {
                RecipientStatus::Rejected { reply, .. } => {
                    large && reply.code().as_u16() == context.server.code_for_too_large()
                }
                RecipientStatus::Accepted(_) => !large,
                // It may close before the client has written the whole chunk and can read the
                // rejection.
                RecipientStatus::NotSent(_) | RecipientStatus::InDoubt(_) => {
                    (large || behind) && stuck
                }
            };
            if !right {
                return Err(format!("{} bytes: {status:?}", message.text().len()));
            }
        }
        behind |= large;
    }
    match session.outcomes.len() == messages.len() || stuck {
        true => Ok(Done::Passed),
        false => Err(format!("{} outcomes", session.outcomes.len())),
    }
}
