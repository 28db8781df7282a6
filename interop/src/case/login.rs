//! Logging in by a certificate, and uncommon rejections of AUTH.

use smtp_proto::sasl::Plain;
use smtp_proto::{AuthenticationError, Credentials, Error, ErrorKind, Security};
use std::sync::Arc;

use super::{Case, CaseContext, Done, Verdict, Way, mails};
use crate::adapter::Load;
use crate::environment::{HOST, Listener};
use crate::message::{LOGINS, Message, PASSWORD, USER};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "EXTERNAL, with a certificate and without",
        run: external,
    },
    Case {
        name: "AUTH replies 432, 454, 525 and 534",
        run: answers,
    },
    Case {
        name: "100 messages where a login is required",
        run: hundred,
    },
];

const DOORS: [(Listener, Security); 2] = [
    (Listener::Submission, Security::StartTls),
    (Listener::Implicit, Security::Implicit),
];

fn external(context: &CaseContext<'_>) -> Verdict {
    if !context.server.knows_certificates() {
        return Ok(Done::Unsupported);
    }
    for (listener, security) in DOORS {
        let messages = [Message::new("ok", &["ok"])];
        let endpoint = || {
            let endpoint = context.endpoint(listener, security);
            endpoint.credentials(Credentials::external())
        };
        let known = endpoint().tls(context.environment.certificates.client().clone());
        context.deliver(known, listener, &messages)?;
        match context.converse(endpoint(), listener, Load::Batch(mails(&messages)?)) {
            Ok(_) => return Err(format!("{listener:?}: an unknown user was accepted")),
            Err(error) => match error.kind() {
                ErrorKind::Authentication(
                    AuthenticationError::NoCommonMechanism { .. }
                    | AuthenticationError::Rejected { .. },
                ) => {}
                _ => return Err(format!("{listener:?}: {error:#}")),
            },
        }
        context.compare_nothing()?;
    }
    Ok(Done::Passed)
}

/// Each error has the reply, a hint, and whether a retry makes sense.
fn answers(context: &CaseContext<'_>) -> Verdict {
    if !context.server.answers_logins() {
        return Ok(Done::Unsupported);
    }
    for (listener, security) in DOORS {
        for (user, code, _) in LOGINS {
            let mechanism = Plain::new(&format!("{user}@{HOST}"), PASSWORD);
            let mechanism = mechanism.map_err(|error| format!("{error:#}"))?;
            let credentials = Credentials::from_mechanisms(vec![Arc::new(mechanism)]);
            let endpoint = context
                .endpoint(listener, security)
                .credentials(credentials);
            let messages = [Message::new("ok", &["ok"])];
            match context.converse(endpoint, listener, Load::Batch(mails(&messages)?)) {
                Ok(_) => return Err(format!("{user} did")),
                Err(error) if is_told(&error, code) => {}
                Err(error) => return Err(format!("{listener:?}, {user}: {error:#}")),
            }
        }
        context.compare_nothing()?;
    }
    Ok(Done::Passed)
}

fn is_told(error: &Error, code: u16) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authentication(AuthenticationError::Rejected { .. })
    ) && error.reply().map(|reply| reply.code().as_u16()) == Some(code)
        && error.is_transient() == (code < 500)
        && error.hint().is_some()
}

/// Every way, with content of every shape.
fn hundred(context: &CaseContext<'_>) -> Verdict {
    if context.server.listeners().contains(&Listener::Relay) {
        return Ok(Done::Unsupported);
    }
    let credentials = Credentials::password(&format!("{USER}@{HOST}"), PASSWORD);
    let credentials = credentials.map_err(|error| format!("{error:#}"))?;
    let credentials = credentials.restrict_to(["SCRAM-SHA-256", "PLAIN"]);
    let long = [b"x".repeat(998), b"\r\n".to_vec()].concat();
    let bodies: [&[u8]; 5] = [b"", b".\r\n..\r\n.x\r\n", &long, b"\xe9\xff\r\n", b"no end"];
    let mut done = Done::Unsupported;
    for way in Way::ALL {
        let endpoint = || {
            let endpoint = context.endpoint(Listener::Submission, Security::StartTls);
            way.apply(endpoint.credentials(credentials.clone()))
        };
        let session = context.deliver(endpoint(), Listener::Submission, &[])?;
        if way.is_advertised(&session) {
            // New messages, because a store may accept a Message-ID only once.
            let messages: Vec<_> = (bodies.iter().cycle().take(100))
                .map(|body| Message::new("ok", &["ok"]).body(body))
                .collect();
            context.deliver(endpoint(), Listener::Submission, &messages)?;
            done = Done::Passed;
        }
    }
    Ok(done)
}
