//! Security policies, certificates and capabilities.

use std::time::Duration;

use smtp_proto::{Credentials, Error, ErrorKind, Security, Stage, Timeouts};
use smtp_rustls::EndpointBuilder;

use super::{Case, CaseContext, Done, Verdict, mails};
use crate::adapter::{Load, Session};
use crate::environment::{HOST, Listener};
use crate::message::{Message, PASSWORD, USER};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "security: STARTTLS required",
        run: |context| in_tls(context, Listener::Relay, Security::StartTls),
    },
    Case {
        name: "security: TLS from the first byte",
        run: |context| in_tls(context, Listener::Implicit, Security::Implicit),
    },
    Case {
        name: "security: opportunistic, TLS available",
        run: |context| in_tls(context, Listener::Relay, Security::Opportunistic),
    },
    Case {
        name: "security: opportunistic, TLS unavailable",
        run: |context| in_cleartext(context, Listener::Bare, Security::Opportunistic),
    },
    Case {
        name: "security: opportunistic, STARTTLS 454",
        run: |context| in_cleartext(context, Listener::Broken, Security::Opportunistic),
    },
    Case {
        name: "security: none",
        run: |context| in_cleartext(context, Listener::Relay, Security::Cleartext),
    },
    Case {
        name: "STARTTLS required, not advertised",
        run: |context| {
            fails(context, Listener::Bare, Security::StartTls, |error| {
                matches!(error.kind(), ErrorKind::TlsUnavailable)
            })
        },
    },
    Case {
        name: "STARTTLS required, reply 454",
        run: |context| {
            fails(context, Listener::Broken, Security::StartTls, |error| {
                let code = error.reply().map(|reply| reply.code().as_u16());
                matches!(error.kind(), ErrorKind::TlsUnavailable) && code == Some(454)
            })
        },
    },
    Case {
        name: "implicit TLS to a cleartext port",
        run: |context| {
            fails(context, Listener::Relay, Security::Implicit, |error| {
                matches!(error.kind(), ErrorKind::Transport(_))
                    && error.stage() == Stage::TlsHandshake
            })
        },
    },
    Case {
        name: "cleartext to an implicit TLS port",
        run: silent,
    },
    Case {
        name: "certificate for another name",
        run: |context| distrusts(context, Listener::WrongName),
    },
    Case {
        name: "expired certificate",
        run: |context| distrusts(context, Listener::Expired),
    },
    Case {
        name: "certificate from an unknown authority",
        run: |context| distrusts(context, Listener::SelfSigned),
    },
    Case {
        name: "TLS 1.0 and 1.1 only",
        run: |context| {
            rejects(context, Listener::Old)?;
            in_cleartext(context, Listener::Old, Security::Opportunistic)
        },
    },
    Case {
        name: "TLS session resumed",
        run: resumed,
    },
    Case {
        name: "capabilities before and after TLS",
        run: capabilities,
    },
];

fn deliver(
    context: &CaseContext<'_>,
    listener: Listener,
    security: Security,
) -> Result<Session, String> {
    let messages = [
        Message::new("ok", &["ok"]),
        Message::new("ok", &["no", "ok"]),
    ];
    let mut endpoint = unknown(context, listener, security)?;
    if listener == Listener::Implicit {
        let user = format!("{USER}@{HOST}");
        let credentials = Credentials::password(&user, PASSWORD);
        endpoint = endpoint.credentials(credentials.map_err(|error| format!("{error:#}"))?);
    }
    context.deliver(endpoint, listener, &messages)
}

/// An endpoint without a TLS session to resume: a resumed one shows no certificate, and may be from
/// another listener.
fn unknown(
    context: &CaseContext<'_>,
    listener: Listener,
    security: Security,
) -> Result<EndpointBuilder, String> {
    let tls = context.environment.certificates.fresh_trust();
    let tls = tls.map_err(|error| format!("{error:#}"))?;
    Ok(context.endpoint(listener, security).tls(tls))
}

fn in_tls(context: &CaseContext<'_>, listener: Listener, security: Security) -> Verdict {
    let session = deliver(context, listener, security)?;
    match session.tls.as_ref().and_then(|facts| facts.version()) {
        Some(_) => Ok(Done::Passed),
        None => Err("no TLS".into()),
    }
}

fn in_cleartext(context: &CaseContext<'_>, listener: Listener, security: Security) -> Verdict {
    match deliver(context, listener, security)?.tls {
        None => Ok(Done::Passed),
        Some(facts) => Err(format!("in TLS: {facts}")),
    }
}

/// The connection fails, and no message is sent.
fn fails(
    context: &CaseContext<'_>,
    listener: Listener,
    security: Security,
    is_right: fn(&Error) -> bool,
) -> Verdict {
    let load = Load::Batch(mails(&[Message::new("ok", &["ok"])])?);
    match context.converse(unknown(context, listener, security)?, listener, load) {
        Ok(_) => Err("it was sent".into()),
        Err(error) if !is_right(&error) => Err(format!("{error:#}")),
        Err(_) => context.compare_nothing().map(|()| Done::Passed),
    }
}

/// Neither side sends first.
fn silent(context: &CaseContext<'_>) -> Verdict {
    let listener = Listener::Implicit;
    let endpoint = context.endpoint(listener, Security::StartTls);
    let endpoint = endpoint.timeouts(Timeouts::default().at_most(Duration::from_secs(1)));
    match context.converse(endpoint, listener, Load::Batch(Vec::new())) {
        Ok(_) => Err("it is ready".into()),
        Err(error) if matches!(error.kind(), ErrorKind::Timeout(_)) => Ok(Done::Passed),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// With an invalid certificate nothing is sent, except under opportunistic TLS, where it is
/// encrypted.
fn distrusts(context: &CaseContext<'_>, listener: Listener) -> Verdict {
    rejects(context, listener)?;
    match deliver(context, listener, Security::Opportunistic)?.tls {
        Some(facts) if !facts.is_peer_verified() => Ok(Done::Passed),
        Some(facts) => Err(format!("verified: {facts}")),
        None => Err("no TLS".into()),
    }
}

/// With an invalid certificate or TLS version nothing is sent where TLS is required.
fn rejects(context: &CaseContext<'_>, listener: Listener) -> Verdict {
    fails(context, listener, Security::StartTls, |error| {
        matches!(error.kind(), ErrorKind::Transport(_)) && error.stage() == Stage::TlsHandshake
    })
}

/// The second connection resumes the session of the first.
fn resumed(context: &CaseContext<'_>) -> Verdict {
    if !context.server.resumes_tls() {
        return Ok(Done::Unsupported);
    }
    for (listener, security) in [
        (Listener::Relay, Security::StartTls),
        (Listener::Implicit, Security::Implicit),
    ] {
        // Not the sessions of other cases.
        let tls = context.environment.certificates.fresh_trust();
        let tls = tls.map_err(|error| format!("{error:#}"))?;
        let deliver = || {
            let endpoint = context.endpoint(listener, security).tls(tls.clone());
            let session = context.deliver(endpoint, listener, &[Message::new("ok", &["ok"])])?;
            Ok::<_, String>(session.tls.is_some_and(|facts| facts.is_resumed()))
        };
        match (deliver()?, deliver()?) {
            (false, true) => {}
            (first, _) => {
                return Err(format!(
                    "{listener:?}: the first is {first}, not the second"
                ));
            }
        }
    }
    Ok(Done::Passed)
}

fn capabilities(context: &CaseContext<'_>) -> Verdict {
    let listener = Listener::Submission;
    let nothing = || Load::Batch(Vec::new());
    let see = |security| {
        let session = context.converse(context.endpoint(listener, security), listener, nothing());
        session.map_err(|error| format!("{error:#}"))
    };
    let before = see(Security::Cleartext)?.capabilities;
    let after = see(Security::StartTls)?.capabilities;
    let in_cleartext = context.server.mechanisms_in_clear();
    if !before.start_tls() || !before.auth().eq(in_cleartext.iter().copied()) {
        return Err(format!("before TLS: {before:?}"));
    }
    let auth: Vec<_> = after.auth().collect();
    let missing = |name: &&&str| !auth.contains(*name);
    if let Some(name) = context.server.mechanisms().iter().find(missing) {
        return Err(format!("after TLS no {name}: {after:?}"));
    }
    if after.start_tls() {
        return Err(format!("after TLS: {after:?}"));
    }
    Ok(Done::Passed)
}
