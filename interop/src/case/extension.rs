//! Extensions that a message requires, and parameters that must not be sent without them.

use smtp_proto::dsn::{Notify, OriginalRecipient, Return};
use smtp_proto::parameter::DeliverBy;
use smtp_proto::{
    ErrorKind, Mail, MailError, Parameter, Pipelining, Recipient, RecipientStatus, Security,
};

use super::{Case, CaseContext, Done, Text, Verdict, Way};
use crate::adapter::{Load, Session};
use crate::environment::Listener;
use crate::message::Message;
use crate::server::Stored;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "PIPELINING not advertised: one command at a time",
        run: one_at_a_time,
    },
    Case {
        name: "REQUIRETLS, in TLS and in cleartext",
        run: require_tls,
    },
    Case {
        name: "DELIVERBY, in time and too soon",
        run: deliver_by,
    },
    Case {
        name: "DSN, as it arrives",
        run: dsn,
    },
];

/// Whatever level is configured.
fn one_at_a_time(context: &CaseContext<'_>) -> Verdict {
    let listener = Listener::Bare;
    for text in [Text::Data, Text::Chunk] {
        let way = Way {
            level: Pipelining::Speculative,
            text,
        };
        let messages = [
            Message::new("ok", &["ok", "no"]),
            Message::new("ok", &["no"]),
            Message::new("ok", &["ok"]),
        ];
        let endpoint = way.apply(context.endpoint(listener, Security::Cleartext));
        let session = context.deliver(endpoint, listener, &messages)?;
        if session.capabilities.pipelining() || session.capabilities.chunking() {
            return Err("it is advertised".into());
        }
        // Three replies to MAIL, four to RCPT, two to DATA, and two final ones.
        let last = session.outcomes.last();
        let waits = last.map_or(0, |outcome| outcome.stats().round_trips());
        if waits < 11 {
            return Err(format!("it waited {waits} times only"));
        }
    }
    Ok(Done::Passed)
}

fn require_tls(context: &CaseContext<'_>) -> Verdict {
    let parameters = || vec![Parameter::require_tls()];
    // Not advertised in cleartext, and required by the message.
    let session = send(context, Security::Cleartext, parameters())?;
    is_kept_back(context, &session)?;
    let session = send(context, Security::StartTls, parameters())?;
    if !session.capabilities.require_tls() {
        return is_kept_back(context, &session).map(|()| Done::Unsupported);
    }
    let [mail] = &*stored(context, &session, 1)? else {
        return Err("not stored once".into());
    };
    let told = arrived(mail);
    match told.iter().any(|word| word == "REQUIRETLS") {
        true => Ok(Done::Passed),
        false => Err(format!("{told:?}")),
    }
}

fn deliver_by(context: &CaseContext<'_>) -> Verdict {
    let within = |seconds| {
        let by = DeliverBy::or_return(seconds).map_err(|error| format!("{error:#}"))?;
        Ok::<_, String>(vec![Parameter::deliver_by(by)])
    };
    let session = send(context, Security::StartTls, within(3600)?)?;
    let Some(least) = session.capabilities.deliver_by() else {
        return is_kept_back(context, &session).map(|()| Done::Unsupported);
    };
    if stored(context, &session, 1)?.len() != 1 {
        return Err("not stored once".into());
    }
    let too_soon = i32::try_from(least / 2).map_err(|error| format!("{error:#}"))?;
    let session = send(context, Security::StartTls, within(too_soon.max(1))?)?;
    let mut fates = session
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.recipients());
    if least > 1 && fates.any(|delivery| matches!(delivery.status(), RecipientStatus::Accepted(_)))
    {
        return Err(format!("accepted for {too_soon} seconds, at least {least}"));
    }
    context.compare_nothing()?;
    Ok(Done::Passed)
}

/// Requested parameters arrive, and the server's reports agree.
fn dsn(context: &CaseContext<'_>) -> Verdict {
    if !context.server.writes_parameters() {
        return Ok(Done::Unsupported);
    }
    let message = Message::new("ok", &["ok"]);
    let mail = || {
        let original = OriginalRecipient::new("rfc822", "first+1@elsewhere.test")?;
        let recipients = message.recipients().iter();
        let recipients = recipients.map(|recipient| {
            Recipient::new(recipient.as_str())
                .notify(Notify::SUCCESS | Notify::FAILURE)
                .original_recipient(original.clone())
        });
        let mail = Mail::builder()
            .sender(message.sender())
            .recipients(recipients)
            .parameter(Parameter::ret(Return::Headers))
            .parameter(Parameter::envelope_id("id=1")?)
            .message(message.text().clone());
        Ok::<_, Box<dyn std::error::Error>>(mail.build()?)
    };
    let mail = mail().map_err(|error| format!("{error:#}"))?;
    let endpoint = context.endpoint(Listener::Relay, Security::StartTls);
    let session = context.converse(endpoint, Listener::Relay, Load::Batch(vec![mail]));
    let session = session.map_err(|error| format!("{error:#}"))?;
    if !session.capabilities.dsn() {
        return is_kept_back(context, &session).map(|()| Done::Unsupported);
    }
    let [mail] = &*stored(context, &session, 1)? else {
        return Err("not stored once".into());
    };
    let told = arrived(mail);
    let wanted = [
        "RET=HDRS",
        "ENVID=id=1",
        "NOTIFY=SUCCESS,FAILURE",
        "ORCPT=rfc822;first+1@elsewhere.test",
    ];
    match wanted
        .iter()
        .all(|each| told.iter().any(|word| word == each))
    {
        true => Ok(Done::Passed),
        false => Err(format!("{told:?}")),
    }
}

/// One message with these parameters of MAIL.
fn send(
    context: &CaseContext<'_>,
    security: Security,
    parameters: Vec<Parameter>,
) -> Result<Session, String> {
    let mail =
        with(&Message::new("ok", &["ok"]), parameters).map_err(|error| format!("{error:#}"))?;
    let endpoint = context.endpoint(Listener::Relay, security);
    let session = context.converse(endpoint, Listener::Relay, Load::Batch(vec![mail]));
    session.map_err(|error| format!("{error:#}"))
}

fn with(message: &Message, parameters: Vec<Parameter>) -> Result<Mail, MailError> {
    let mail = Mail::builder()
        .sender(message.sender())
        .recipients(message.recipients())
        .message(message.text().clone());
    parameters
        .into_iter()
        .fold(mail, |mail, parameter| mail.parameter(parameter))
        .build()
}

/// An extension that is not advertised is an error before MAIL.
fn is_kept_back(context: &CaseContext<'_>, session: &Session) -> Result<(), String> {
    let mut fates = session
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.recipients());
    let kept_back = fates.all(|delivery| match delivery.status() {
        RecipientStatus::NotSent(error) => matches!(
            error.kind(),
            ErrorKind::Unsupported(_) | ErrorKind::LimitExceeded(_)
        ),
        _ => false,
    });
    match kept_back {
        true => context.compare_nothing(),
        false => Err(format!("{:?}", session.outcomes)),
    }
}

/// `count` messages, if all were accepted.
fn stored(
    context: &CaseContext<'_>,
    session: &Session,
    count: usize,
) -> Result<Vec<Stored>, String> {
    if session.outcomes.iter().all(|outcome| outcome.is_accepted()) {
        context.collect(count)
    } else {
        Err(format!("{:?}", session.outcomes))
    }
}

/// The parameters that the server wrote at the top, decoded from xtext.
fn arrived(mail: &Stored) -> Vec<String> {
    let head = String::from_utf8_lossy(&mail.text[..mail.text.len().min(1000)]);
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("X-Parameters: "));
    let words = line.unwrap_or_default().split(' ');
    words.map(str::to_owned).collect()
}
