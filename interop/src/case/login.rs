//! Logging in by a certificate, and replies to AUTH that are neither yes nor no.

use smtp_proto::sasl::Plain;
use smtp_proto::{AuthenticationError, Credentials, Error, ErrorKind, Security};
use std::sync::Arc;

use super::{Bench, Case, Done, Verdict, mails};
use crate::adapter::Load;
use crate::letter::{LOGINS, Letter, PASSWORD};
use crate::site::{Door, HOST};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "EXTERNAL, with a certificate and without",
        run: external,
    },
    Case {
        name: "AUTH answered 432, 454, 525 and 534",
        run: answers,
    },
];

const DOORS: [(Door, Security); 2] = [
    (Door::Submission, Security::StartTls),
    (Door::Implicit, Security::Implicit),
];

fn external(bench: &Bench<'_>) -> Verdict {
    if !bench.server.knows_certificates() {
        return Ok(Done::Unsupported);
    }
    for (door, security) in DOORS {
        let letters = [Letter::new("ok", &["ok"])];
        let endpoint = || {
            let endpoint = bench.endpoint(door, security);
            endpoint.credentials(Credentials::external())
        };
        let known = endpoint().tls(bench.site.certificates.client().clone());
        bench.deliver(known, door, &letters)?;
        match bench.converse(endpoint(), door, Load::Batch(mails(&letters)?)) {
            Ok(_) => return Err(format!("{door:?}: nobody's name did")),
            Err(error) => match error.kind() {
                ErrorKind::Authentication(AuthenticationError::NoCommonMechanism { .. }) => {}
                _ => return Err(format!("{door:?}: {error}")),
            },
        }
        bench.compare_nothing()?;
    }
    Ok(Done::Passed)
}

/// Each is told as it came, with what may be done about it, and whether to try again later.
fn answers(bench: &Bench<'_>) -> Verdict {
    if !bench.server.answers_logins() {
        return Ok(Done::Unsupported);
    }
    for (door, security) in DOORS {
        for (user, code, _) in LOGINS {
            let mechanism = Plain::new(&format!("{user}@{HOST}"), PASSWORD);
            let mechanism = mechanism.map_err(|error| error.to_string())?;
            let credentials = Credentials::mechanisms(vec![Arc::new(mechanism)]);
            let endpoint = bench.endpoint(door, security).credentials(credentials);
            let letters = [Letter::new("ok", &["ok"])];
            match bench.converse(endpoint, door, Load::Batch(mails(&letters)?)) {
                Ok(_) => return Err(format!("{user} did")),
                Err(error) if is_told(&error, code) => {}
                Err(error) => return Err(format!("{door:?}, {user}: {error}")),
            }
        }
        bench.compare_nothing()?;
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
