//! Each mechanism, with the right secret and with a wrong one.

use std::sync::Arc;

use smtp_proto::sasl::{
    CramMd5, CredentialsError, Login, Mechanism, OAuthBearer, Plain, Scram, XOAuth2,
};
use smtp_proto::{AuthenticationError, Credentials, ErrorKind, Security};
use smtp_rustls::EndpointBuilder;

use super::{Case, CaseContext, Done, Verdict, mails};
use crate::adapter::Load;
use crate::environment::{HOST, Listener};
use crate::message::{Message, PASSWORD, USER};
use crate::token;

macro_rules! cases {
    ($($name:literal: $make:expr, $secrets:ident,)*) => {
        pub(super) const CASES: &[Case] = &[$(
            Case {
                name: $name,
                run: |context| {
                    let make: Make = |secret| Ok(Arc::new($make(&user(), secret)?));
                    logs_in(context, make, &$secrets())
                },
            },
        )*
            Case {
                name: "SCRAM with a channel binding that the server lacks",
                run: unknown_binding,
            },
        ];
    };
}

cases! {
    "PLAIN": Plain::new, passwords,
    "LOGIN": Login::new, passwords,
    "CRAM-MD5": CramMd5::new, passwords,
    "SCRAM-SHA-1": Scram::sha1, passwords,
    "SCRAM-SHA-256": Scram::sha256, passwords,
    "XOAUTH2": XOAuth2::new, tokens,
    "OAUTHBEARER": OAuthBearer::new, tokens,
}

type Make = fn(&str) -> Result<Arc<dyn Mechanism>, CredentialsError>;

/// The right one, and a wrong one.
type Secrets = [String; 2];

fn user() -> String {
    format!("{USER}@{HOST}")
}

fn passwords() -> Secrets {
    [PASSWORD, "wrong"].map(String::from)
}

fn tokens() -> Secrets {
    [token::token(USER), token::forged(USER)]
}

/// The right secret logs in, a wrong one does not.
fn logs_in(context: &CaseContext<'_>, make: Make, [right, wrong]: &Secrets) -> Verdict {
    let with = |secret: &str| {
        let mechanism = make(secret).map_err(|error| format!("{error:#}"))?;
        let credentials = Credentials::from_mechanisms(vec![mechanism]);
        Ok::<_, String>(move |endpoint: EndpointBuilder| endpoint.credentials(credentials.clone()))
    };
    everywhere(context, with(right)?, with(wrong)?, is_rejected)
}

/// The server's only binding is one that TLS 1.3 does not have (RFC 9266): the bound mechanism is
/// rejected, and no weaker one is used in its place. An unbound one works if it is chosen.
fn unknown_binding(context: &CaseContext<'_>) -> Verdict {
    if !context.server.binds_by_unique() {
        return Ok(Done::Unsupported);
    }
    let credentials =
        Credentials::password(&user(), PASSWORD).map_err(|error| format!("{error:#}"))?;
    let bound = |endpoint: EndpointBuilder| endpoint.credentials(credentials.clone());
    let names = ["SCRAM-SHA-256"];
    let unbound = |endpoint: EndpointBuilder| endpoint.credentials(credentials.restrict_to(names));
    everywhere(context, unbound, bound, |error| {
        matches!(error, AuthenticationError::BindingRejected { .. })
    })
}

fn is_rejected(error: &AuthenticationError) -> bool {
    matches!(error, AuthenticationError::Rejected { .. })
}

/// At each listener, the right secret logs in and a wrong one does not.
fn everywhere(
    context: &CaseContext<'_>,
    right: impl Fn(EndpointBuilder) -> EndpointBuilder,
    wrong: impl Fn(EndpointBuilder) -> EndpointBuilder,
    is_expected: fn(&AuthenticationError) -> bool,
) -> Verdict {
    let mut done = Done::Unsupported;
    for (listener, security) in [
        (Listener::Submission, Security::StartTls),
        (Listener::Implicit, Security::Implicit),
    ] {
        if !context.has(listener) {
            continue;
        }
        let messages = [Message::new("ok", &["ok"])];
        let endpoint = right(context.endpoint(listener, security));
        match context.converse(endpoint, listener, Load::Batch(mails(&messages)?)) {
            Ok(session) => context.check(&messages, &session)?,
            Err(error) => match error.kind() {
                ErrorKind::Authentication(AuthenticationError::NoCommonMechanism { .. }) => {
                    continue;
                }
                _ => return Err(format!("{error:#}")),
            },
        }
        let messages = [Message::new("ok", &["ok"])];
        let endpoint = wrong(context.endpoint(listener, security));
        match context.converse(endpoint, listener, Load::Batch(mails(&messages)?)) {
            Ok(_) => return Err(format!("{listener:?}: a wrong secret did")),
            Err(error) => {
                let code = error.reply().map(|reply| reply.code().as_u16());
                let rejected = match error.kind() {
                    ErrorKind::Authentication(error) => is_expected(error),
                    _ => false,
                };
                if !rejected || code != Some(context.server.code_for_wrong_password()) {
                    return Err(format!("{listener:?}: {error:#}"));
                }
            }
        }
        context.compare_nothing()?;
        done = Done::Passed;
    }
    Ok(done)
}
