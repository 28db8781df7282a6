//! Non-ASCII addresses (RFC 6531).

use smtp_proto::{ErrorKind, MissingExtension, RecipientStatus, Security};

use super::{Case, CaseContext, Done, Verdict, Way, each_way, mails};
use crate::adapter::Load;
use crate::environment::Listener;
use crate::message::Message;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "non-ASCII addresses",
        run: |context| {
            each_way(context, &Way::ALL, |context, way| {
                go(context, way, Listener::Relay)
            })
        },
    },
    Case {
        name: "non-ASCII addresses, SMTPUTF8 not advertised",
        run: |context| {
            each_way(context, &Way::SOME, |context, way| {
                go(context, way, Listener::Bare)
            })
        },
    },
];

/// The second of three messages has such addresses. It is sent only if SMTPUTF8 is advertised.
fn go(context: &CaseContext<'_>, way: Way, listener: Listener) -> Verdict {
    let messages = [
        Message::new("ok", &["ok"]),
        Message::new("ok", &["ok", "no", "ok"]).international(),
        Message::new("ok", &["ok"]),
    ];
    let endpoint = way.apply(context.endpoint(listener, Security::Cleartext));
    let session = context.converse(endpoint, listener, Load::Batch(mails(&messages)?));
    let session = session.map_err(|error| format!("{error:#}"))?;
    if session.capabilities.smtp_utf8() {
        context.check(&messages, &session)?;
        return Ok(Done::Passed);
    }
    context.compare(&messages, &session.outcomes)?;
    let [first, second, third] = &*session.outcomes else {
        return Err(format!("{} outcomes", session.outcomes.len()));
    };
    let mut fates = second.recipients().iter().map(|delivery| delivery.status());
    let kept_back = fates.all(|status| match status {
        RecipientStatus::NotSent(error) => {
            matches!(
                error.kind(),
                ErrorKind::Unsupported(MissingExtension::SmtpUtf8)
            )
        }
        _ => false,
    });
    match first.is_accepted() && kept_back && third.is_accepted() {
        true if listener == Listener::Bare => Ok(Done::Passed),
        true => Ok(Done::Unsupported),
        false => Err(format!("{:?}", session.outcomes)),
    }
}
