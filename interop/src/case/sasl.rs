//! Logging in by each mechanism, with the right secret and with a wrong one.

use std::sync::Arc;

use smtp_proto::sasl::{
    CramMd5, CredentialsError, Login, Mechanism, OAuthBearer, Plain, Scram, XOAuth2,
};
use smtp_proto::{AuthenticationError, Credentials, ErrorKind, Security};

use super::{Bench, Case, Done, Verdict, mails};
use crate::adapter::Load;
use crate::letter::{Letter, PASSWORD, USER};
use crate::site::{Door, HOST};
use crate::token;

macro_rules! cases {
    ($($name:literal: $make:expr, $secrets:ident,)*) => {
        pub(super) const CASES: &[Case] = &[$(
            Case {
                name: $name,
                run: |bench| {
                    let make: Make = |secret| Ok(Arc::new($make(&user(), secret)?));
                    logs_in(bench, make, &$secrets())
                },
            },
        )*];
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

/// With the right secret it goes, with a wrong one it does not.
fn logs_in(bench: &Bench<'_>, make: Make, [right, wrong]: &Secrets) -> Verdict {
    let mut done = Done::Unsupported;
    for (door, security) in [
        (Door::Submission, Security::StartTls),
        (Door::Implicit, Security::Implicit),
    ] {
        let try_with = |secret| {
            let letters = [Letter::new("ok", &["ok"])];
            let mechanism = make(secret).map_err(|error| error.to_string())?;
            let endpoint = bench
                .endpoint(door, security)
                .credentials(Credentials::mechanisms(vec![mechanism]));
            let result = bench.converse(endpoint, door, Load::Batch(mails(&letters)?));
            Ok::<_, String>((letters, result))
        };
        let (letters, result) = try_with(right)?;
        match result {
            Ok(session) => bench.check(&letters, &session)?,
            Err(error) => match error.kind() {
                ErrorKind::Authentication(AuthenticationError::NoCommonMechanism { .. }) => {
                    continue;
                }
                _ => return Err(error.to_string()),
            },
        }
        match try_with(wrong)?.1 {
            Ok(_) => return Err(format!("{door:?}: a wrong secret did")),
            Err(error) => {
                let code = error.reply().map(|reply| reply.code().as_u16());
                let rejected = matches!(
                    error.kind(),
                    ErrorKind::Authentication(AuthenticationError::Rejected { .. })
                );
                if !rejected || code != Some(535) {
                    return Err(format!("{door:?}: {error}"));
                }
            }
        }
        bench.compare_nothing()?;
        done = Done::Passed;
    }
    Ok(done)
}
