//! Delivery reports (RFC 3461): a requested report arrives.

use smtp_proto::dsn::{Notify, OriginalRecipient, Return};
use smtp_proto::parameter::ParameterError;
use smtp_proto::{ErrorKind, Mail, MailError, Parameter, Recipient, RecipientStatus, Security};

use super::{Case, CaseContext, Done, Verdict, Way, check_stored, each_way};
use crate::adapter::Load;
use crate::environment::Listener;
use crate::message::Message;
use crate::server::Stored;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "delivery reports",
        run: |context| each_way(context, &Way::SOME, reports),
    },
    Case {
        name: "delivery reports, DSN not advertised",
        run: |context| each_way(context, &Way::SOME, not_advertised),
    },
];

/// A message, and the requested report.
struct Wish {
    message: Message,
    notify: Notify,
    ret: Return,
}

impl Wish {
    fn new(recipient: &str, notify: impl Into<Notify>, ret: Return) -> Self {
        Self {
            message: Message::new("ok", &[recipient]).inside(),
            notify: notify.into(),
            ret,
        }
    }

    /// An envelope id with characters that xtext encodes.
    fn envelope_id(&self) -> String {
        format!("id+{}=x", self.message.number())
    }

    fn original(&self) -> String {
        format!("first+{}@elsewhere.test", self.message.number())
    }

    fn mail(&self, optional: bool) -> Result<Mail, String> {
        let ask = || {
            let original = OriginalRecipient::new("rfc822", &self.original())?;
            Ok::<_, ParameterError>((original, Parameter::envelope_id(&self.envelope_id())?))
        };
        let (original, envelope_id) = ask().map_err(|error| format!("{error:#}"))?;
        let recipients = self.message.recipients().iter();
        let recipients = recipients.map(|recipient| {
            let recipient = Recipient::new(recipient.as_str());
            recipient
                .notify(self.notify)
                .original_recipient(original.clone())
        });
        let mut mail = Mail::builder()
            .sender(self.message.sender())
            .recipients(recipients)
            .parameter(Parameter::ret(self.ret))
            .parameter(envelope_id)
            .message(self.message.text().clone());
        if optional {
            mail = mail.optional_extension("DSN");
        }
        mail.build().map_err(|error: MailError| error.to_string())
    }

    /// Whether a report is the requested one.
    fn check(&self, action: &str, reports: &[Stored], in_xtext: bool) -> Result<(), String> {
        let written = |text: String| match in_xtext {
            true => text.replace('+', "+2B").replace('=', "+3D"),
            false => text,
        };
        let mut mine = reports.iter();
        let mine = mine.find(|report| report.recipient == self.message.sender());
        let Some(report) = mine else {
            return Err(format!("no report of {action}"));
        };
        let text = String::from_utf8_lossy(&report.text);
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            let value = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
            value.map_or("", |(_, value)| value)
        };
        let original = format!("rfc822;{}", written(self.original()));
        let whole = text.contains("The end.\r\n");
        let right = report.sender.is_empty()
            && field("Original-Envelope-Id") == written(self.envelope_id())
            && field("Original-Recipient").eq_ignore_ascii_case(&original)
            && field("Action").starts_with(action)
            && text.contains(self.message.mark().trim_end())
            && whole == (self.ret == Return::Full && action == "failed");
        match right {
            true => Ok(()),
            false => Err(format!("asked for {action}: {text}")),
        }
    }
}

fn reports(context: &CaseContext<'_>, way: Way) -> Verdict {
    if !context.server.reports() {
        return Ok(Done::Unsupported);
    }
    let wishes = [
        Wish::new("ok", Notify::SUCCESS, Return::Full),
        Wish::new("ok", Notify::FAILURE, Return::Full),
        Wish::new("bounce", Notify::FAILURE, Return::Full),
        Wish::new("bounce", Notify::FAILURE, Return::Headers),
        Wish::new("bounce", Notify::NEVER, Return::Headers),
    ];
    let mails: Result<_, _> = wishes.iter().map(|wish| wish.mail(false)).collect();
    let endpoint = way.apply(context.endpoint(Listener::Relay, Security::StartTls));
    let session = context.converse(endpoint, Listener::Relay, Load::Batch(mails?));
    let session = session.map_err(|error| format!("{error:#}"))?;
    let accepted = session.outcomes.iter().all(|outcome| outcome.is_accepted());
    if !accepted || session.outcomes.len() != wishes.len() {
        return Err(format!("{:?}", session.outcomes));
    }
    let (mails, reports): (Vec<_>, Vec<_>) =
        (context.collect(usize::MAX)?.into_iter()).partition(|mail| !mail.sender.is_empty());
    let [delivered, silent, whole, headers, never] = &wishes;
    for wish in [delivered, silent] {
        let recipient = wish.message.recipients().first();
        let mine: Vec<_> = (mails.iter())
            .filter(|mail| Some(&mail.recipient) == recipient)
            .collect();
        match &*mine {
            [mail] => check_stored(&wish.message, mail)?,
            _ => return Err(format!("stored {} times", mine.len())),
        }
    }
    let in_xtext = context.server.reports_xtext();
    delivered.check("delivered", &reports, in_xtext)?;
    whole.check("failed", &reports, in_xtext)?;
    headers.check("failed", &reports, in_xtext)?;
    let more = [silent, never].map(|wish| wish.message.sender());
    let more = (reports.iter()).find(|report| more.contains(&report.recipient.as_str()));
    match more {
        None if (mails.len(), reports.len()) == (2, 3) => Ok(Done::Passed),
        _ => Err(format!(
            "{} messages and {} reports, one of them not asked for: {more:?}",
            mails.len(),
            reports.len()
        )),
    }
}

/// The message is sent only if the report is optional.
fn not_advertised(context: &CaseContext<'_>, way: Way) -> Verdict {
    let wishes = [
        Wish::new("ok", Notify::SUCCESS, Return::Full),
        Wish::new("ok", Notify::SUCCESS, Return::Full),
    ];
    let [strict, content] = &wishes;
    let mails = vec![strict.mail(false)?, content.mail(true)?];
    let endpoint = way.apply(context.endpoint(Listener::Bare, Security::Cleartext));
    let session = context.converse(endpoint, Listener::Bare, Load::Batch(mails));
    let session = session.map_err(|error| format!("{error:#}"))?;
    context.compare(
        &wishes.each_ref().map(|wish| wish.message.clone()),
        &session.outcomes,
    )?;
    let [strict, content] = &*session.outcomes else {
        return Err(format!("{} outcomes", session.outcomes.len()));
    };
    let kept_back = strict
        .recipients()
        .iter()
        .all(|delivery| match delivery.status() {
            RecipientStatus::NotSent(error) => matches!(error.kind(), ErrorKind::Unsupported(_)),
            _ => false,
        });
    match kept_back && content.is_accepted() {
        true => Ok(Done::Passed),
        false => Err(format!("{:?}", session.outcomes)),
    }
}
