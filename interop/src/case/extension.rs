//! What a server has to understand for a mail to be sent as it is wished, and what it must not be asked for.

use smtp_proto::{
    DeliverBy, ErrorKind, Fate, Mail, MailError, Notify, OriginalRecipient, Parameter, Pipelining,
    Recipient, Return, Security,
};

use super::{Bench, Case, Done, Text, Verdict, Way};
use crate::adapter::{Load, Session};
use crate::letter::Letter;
use crate::server::Stored;
use crate::site::{Door, HOST};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "PIPELINING not offered: one command at a time",
        run: one_at_a_time,
    },
    Case {
        name: "REQUIRETLS, in TLS and in clear",
        run: require_tls,
    },
    Case {
        name: "DELIVERBY, in time and too soon",
        run: deliver_by,
    },
    Case {
        name: "DSN, which comes out in the report",
        run: dsn,
    },
];

/// Whatever level the user asks for.
fn one_at_a_time(bench: &Bench<'_>) -> Verdict {
    let door = Door::Bare;
    for text in [Text::Data, Text::Chunk] {
        let way = Way {
            level: Pipelining::Speculative,
            text,
        };
        let letters = [
            Letter::new("ok", &["ok", "no"]),
            Letter::new("ok", &["no"]),
            Letter::new("ok", &["ok"]),
        ];
        let endpoint = way.apply(bench.endpoint(door, Security::Cleartext));
        let session = bench.deliver(endpoint, door, &letters)?;
        if session.capabilities.pipelining() || session.capabilities.chunking() {
            return Err("it is offered".into());
        }
        // Three of MAIL, four of RCPT, two of DATA, and two ends.
        let last = session.outcomes.last();
        let waits = last.map_or(0, |outcome| outcome.traffic().round_trips());
        if waits < 11 {
            return Err(format!("it waited {waits} times only"));
        }
    }
    Ok(Done::Passed)
}

fn require_tls(bench: &Bench<'_>) -> Verdict {
    let parameters = || vec![Parameter::require_tls()];
    // Nobody offers it there, and nothing goes without.
    let session = send(bench, Security::Cleartext, parameters())?;
    is_kept_back(bench, &session)?;
    let session = send(bench, Security::StartTls, parameters())?;
    if !session.capabilities.requiretls() {
        return is_kept_back(bench, &session).map(|()| Done::Unsupported);
    }
    let [mail] = &*stored(bench, &session, 1)? else {
        return Err("not stored once".into());
    };
    match head(mail).contains("X-Parameters: REQUIRETLS\r\n") {
        true => Ok(Done::Passed),
        false => Err(head(mail)),
    }
}

fn deliver_by(bench: &Bench<'_>) -> Verdict {
    let within = |seconds| {
        let by = DeliverBy::or_return(seconds).map_err(|error| error.to_string())?;
        Ok::<_, String>(vec![Parameter::deliver_by(by)])
    };
    let session = send(bench, Security::StartTls, within(3600)?)?;
    let Some(least) = session.capabilities.deliver_by() else {
        return is_kept_back(bench, &session).map(|()| Done::Unsupported);
    };
    if stored(bench, &session, 1)?.len() != 1 {
        return Err("not stored once".into());
    }
    let too_soon = i32::try_from(least / 2).map_err(|error| error.to_string())?;
    let session = send(bench, Security::StartTls, within(too_soon.max(1))?)?;
    let mut fates = session
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.deliveries());
    if least > 1 && fates.any(|delivery| matches!(delivery.fate(), Fate::Accepted(_))) {
        return Err(format!("accepted for {too_soon} seconds, at least {least}"));
    }
    bench.compare_nothing()?;
    Ok(Done::Passed)
}

/// The report of success goes to the sender, who has a mailbox for once.
fn dsn(bench: &Bench<'_>) -> Verdict {
    let letter = Letter::new("ok", &["ok"]);
    let [recipient] = letter.recipients() else {
        return Err("not one recipient".into());
    };
    let id = format!("QQ-{}", letter.mark().trim_end().replace(": ", "-"));
    let sender = letter.sender().replace("client.test", HOST);
    let named = format!("first-{recipient}");
    let mail = || {
        let original = OriginalRecipient::new("rfc822", &named)?;
        let recipient = Recipient::new(recipient.as_str())
            .parameter(Parameter::notify(Notify::SUCCESS)?)
            .parameter(Parameter::original_recipient(original));
        let mail = Mail::builder()
            .sender(sender.as_str())
            .recipient(recipient)
            .parameter(Parameter::ret(Return::Headers))
            .parameter(Parameter::envelope_id(&id)?)
            .text(letter.text().clone());
        Ok::<_, Box<dyn std::error::Error>>(mail.build()?)
    };
    let mail = mail().map_err(|error| error.to_string())?;
    let endpoint = bench.endpoint(Door::Relay, Security::StartTls);
    let session = bench.converse(endpoint, Door::Relay, Load::Batch(vec![mail]));
    let session = session.map_err(|error| error.to_string())?;
    if !session.capabilities.dsn() {
        return is_kept_back(bench, &session).map(|()| Done::Unsupported);
    }
    if bench.server.notes_parameters() {
        let [mail] = &*stored(bench, &session, 1)? else {
            return Err("not stored once".into());
        };
        let wanted = [format!("ENVID={id}"), format!("ORCPT=rfc822;{named}")];
        let told = |word: &String| head(mail).contains(word);
        return match wanted.iter().all(told) {
            true => Ok(Done::Passed),
            false => Err(head(mail)),
        };
    }
    let stored = stored(bench, &session, 2)?;
    let Some(report) = stored.iter().find(|mail| mail.recipient == sender) else {
        return Err(format!("no report among {}", stored.len()));
    };
    let text = String::from_utf8_lossy(&report.text);
    let wanted = [
        format!("Original-Envelope-Id: {id}\r\n"),
        format!("Original-Recipient: rfc822;{named}\r\n"),
    ];
    let squeezed = text.replace("rfc822; ", "rfc822;");
    for line in wanted {
        if !squeezed
            .to_ascii_lowercase()
            .contains(&line.to_ascii_lowercase())
        {
            return Err(format!("no {} in {text}", line.trim_end()));
        }
    }
    Ok(Done::Passed)
}

/// One mail with these parameters of MAIL.
fn send(
    bench: &Bench<'_>,
    security: Security,
    parameters: Vec<Parameter>,
) -> Result<Session, String> {
    let mail = with(&Letter::new("ok", &["ok"]), parameters).map_err(|error| error.to_string())?;
    let endpoint = bench.endpoint(Door::Relay, security);
    let session = bench.converse(endpoint, Door::Relay, Load::Batch(vec![mail]));
    session.map_err(|error| error.to_string())
}

fn with(letter: &Letter, parameters: Vec<Parameter>) -> Result<Mail, MailError> {
    let mail = Mail::builder()
        .sender(letter.sender())
        .recipients(letter.recipients())
        .text(letter.text().clone());
    parameters
        .into_iter()
        .fold(mail, |mail, parameter| mail.parameter(parameter))
        .build()
}

/// What was not offered is an error beforehand.
fn is_kept_back(bench: &Bench<'_>, session: &Session) -> Result<(), String> {
    let mut fates = session
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.deliveries());
    let kept_back = fates.all(|delivery| match delivery.fate() {
        Fate::NotSent(error) => matches!(error.kind(), ErrorKind::Unsupported(_)),
        _ => false,
    });
    match kept_back {
        true => bench.compare_nothing(),
        false => Err(format!("{:?}", session.outcomes)),
    }
}

/// So many mails, if all was accepted.
fn stored(bench: &Bench<'_>, session: &Session, count: usize) -> Result<Vec<Stored>, String> {
    if session.outcomes.iter().all(|outcome| outcome.is_accepted()) {
        bench.collect(count)
    } else {
        Err(format!("{:?}", session.outcomes))
    }
}

/// What the server wrote at the top, and the first lines of the mail.
fn head(mail: &Stored) -> String {
    String::from_utf8_lossy(&mail.text[..mail.text.len().min(600)]).into_owned()
}
