//! What a message asks of the server beyond its delivery, and what the server makes of that.

use alloc::vec::Vec;

use super::{Addressee, MailBuilder, MailError, MailErrorKind, MailPart, Recoder, Text};
use crate::address::ReversePath;
use crate::capabilities::Capabilities;
use crate::error::MissingExtension;
use crate::parameter::{
    DateTime, Keyword, Parameter, ParameterError, ParameterErrorKind, Parameters, returned_after,
};

/// The parameters of a message, how much they matter, and what else few messages have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extensions {
    mail: Parameters,
    /// With the recipient's index, in ascending order; only of those that have some.
    rcpt: Vec<(usize, Parameters)>,
    /// Extensions whose parameters are left out if the server does not offer them.
    optional: Vec<Keyword>,
    /// Whether a header field that does away with TLS is to be looked for, and later whether there is one.
    pub(super) tls_optional: bool,
    /// Whether header fields may be neither ASCII nor UTF-8.
    pub(super) eight_bit_headers: bool,
    /// What to do with the text if the server cannot take it.
    pub(super) recoder: Option<Recoder>,
    /// The content as the caller gave it, if it has been recoded.
    pub(super) original: Option<Text>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            mail: Parameters::mail(),
            rcpt: Vec::new(),
            optional: Vec::new(),
            tls_optional: false,
            eight_bit_headers: false,
            recoder: None,
            original: None,
        }
    }
}

impl Extensions {
    /// The parameters of MAIL.
    pub(crate) fn of_mail(&self) -> &[Parameter] {
        self.mail.as_slice()
    }

    /// The parameters of the RCPT for the recipient of this index.
    pub(crate) fn of_recipient(&self, index: usize) -> &[Parameter] {
        let found = self.rcpt.binary_search_by_key(&index, |(of, _)| *of);
        let found = found.ok().and_then(|found| self.rcpt.get(found));
        found.map_or(&[], |(_, list)| list.as_slice())
    }

    /// Whether all of them are ASCII.
    pub(crate) fn is_ascii(&self) -> bool {
        self.mail.is_ascii() && self.rcpt.iter().all(|(_, list)| list.is_ascii())
    }

    /// The first that is not, by its place in the message.
    pub(crate) fn beyond_ascii(&self) -> Option<MailPart> {
        if !self.mail.is_ascii() {
            return Some(MailPart::Parameters);
        }
        let of_recipient = self.rcpt.iter().find(|(_, list)| !list.is_ascii());
        of_recipient.map(|(index, _)| MailPart::Recipient(*index))
    }

    /// Looks whether they may stand together in one message, and in command lines that a server has to take.
    pub(super) fn check(
        &self,
        sender: &ReversePath,
        recipients: &[Addressee],
    ) -> Result<(), MailError> {
        let fault = |field, reason| {
            let error = ParameterError::new(0, reason);
            Err(MailError::new(field, MailErrorKind::Parameter(error)))
        };
        let requires_tls = self.mail.has("REQUIRETLS");
        if requires_tls && self.tls_optional {
            return fault(MailPart::Parameters, ParameterErrorKind::Conflict);
        }
        // RFC 8689, section 5: only a report had better arrive without TLS than not at all.
        if requires_tls && !sender.is_null() && self.is_optional("REQUIRETLS") {
            return fault(MailPart::Parameters, ParameterErrorKind::Indispensable);
        }
        let len = MAIL.saturating_add(sender.as_str().len());
        if len.saturating_add(self.mail.excess()) > LINE_MAX {
            return fault(MailPart::Parameters, ParameterErrorKind::TooLong);
        }
        for (index, list) in &self.rcpt {
            let path = recipients.get(*index).map(|recipient| &recipient.path);
            let len = RCPT.saturating_add(path.map_or(0, |path| path.as_str().len()));
            if len.saturating_add(list.excess()) > LINE_MAX {
                return fault(MailPart::Recipient(*index), ParameterErrorKind::TooLong);
            }
        }
        Ok(())
    }

    /// Leaves out what the server does not offer and the message can do without. Then it finds what the server cannot do.
    pub(crate) fn apply_capabilities(
        &mut self,
        capabilities: &Capabilities,
    ) -> Result<(), MissingExtension> {
        if !self.optional.is_empty() {
            let optional = &self.optional;
            let send = |parameter: &Parameter| {
                let extension = parameter.extension();
                capabilities.has(extension)
                    || !optional.iter().any(|each| each.as_str() == extension)
            };
            self.mail.withhold(send);
            for (_, list) in &mut self.rcpt {
                list.withhold(send);
            }
        }
        for parameter in self.of_mail() {
            check_offered(parameter, None, capabilities)?;
            check_bounds(parameter, capabilities)?;
        }
        for (index, list) in &self.rcpt {
            for parameter in list.as_slice() {
                check_offered(parameter, Some(*index), capabilities)?;
            }
        }
        Ok(())
    }

    /// The extensions as the caller gave them, for only the recipients of these indices, in
    /// ascending order.
    pub(super) fn restricted_to(&self, recipients: impl Iterator<Item = usize>) -> Self {
        let mut mail = self.mail.clone();
        mail.restore();
        let mut rcpt = Vec::new();
        for (index, old) in recipients.enumerate() {
            if let Ok(found) = self.rcpt.binary_search_by_key(&old, |(of, _)| *of)
                && let Some((_, list)) = self.rcpt.get(found)
            {
                let mut list = list.clone();
                list.restore();
                rcpt.push((index, list));
            }
        }
        Self {
            mail,
            rcpt,
            optional: self.optional.clone(),
            recoder: self.recoder.clone(),
            original: None,
            ..*self
        }
    }

    fn is_optional(&self, extension: &str) -> bool {
        self.optional.iter().any(|each| each.as_str() == extension)
    }
}

/// What is asked of the server beyond the delivery.
impl MailBuilder {
    /// One more parameter of MAIL; those of RCPT belong to a [`Recipient`](crate::Recipient).
    ///
    /// It is sent only to a server that offers its extension, and with a value that the server takes. To others the message is
    /// not sent, and nothing of it: not doing what was asked would be worse, unless [`optional_extension`](Self::optional_extension) says that
    /// it would not. `SIZE`, `BODY` and `SMTPUTF8` are added where they are needed, without being asked for.
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        if let Err(error) = self.extensions().mail.push(parameter) {
            self.fail(MailPart::Parameters, MailErrorKind::Parameter(error));
        }
        self
    }

    /// Leaves the parameters of this extension out, MAIL's and the recipients', if the server does not offer it; without this,
    /// the message is not sent.
    ///
    /// `"DSN"` is the usual one: to most senders a message without its report is better than none. Whether it is offered is to be
    /// seen in [`Connection::capabilities`](crate::Connection::capabilities); a relay then owes its senders a report of its
    /// own (RFC 3461, section 5.2.2). REQUIRETLS can be left out only where the sender is null (RFC 8689, section 5).
    ///
    /// ```
    /// use smtp_proto::{Mail, Notify, Parameter, Recipient, Return};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient(Recipient::new("bob@example.net").notify(Notify::SUCCESS))
    ///     .parameter(Parameter::ret(Return::Headers))
    ///     .parameter(Parameter::envelope_id("QQ314159")?)
    ///     .optional_extension("DSN")
    ///     .message("From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn optional_extension(mut self, extension: &str) -> Self {
        match extension.parse::<Keyword>() {
            Ok(extension) => self.extensions().optional.push(extension),
            Err(error) => self.fail(MailPart::Parameters, MailErrorKind::Parameter(error)),
        }
        self
    }

    /// Honours a header field `TLS-Required: No`, by which the author says that the message shall rather travel without TLS than
    /// not at all (RFC 8689, section 3).
    ///
    /// [`Mail::is_tls_optional`](crate::Mail::is_tls_optional) then tells whether it is there; of a text in pieces,
    /// [`StreamedContent::tls_optional`](crate::StreamedContent::tls_optional) says so. A connection is made before it is told of a message, so
    /// it is for whoever makes it to try TLS and go on without: [`Config::relaxed_for`](crate::Config::relaxed_for) is the policy for
    /// that. With [`Parameter::require_tls`] it is an error.
    pub fn honor_tls_required(mut self) -> Self {
        self.extensions().tls_optional = true;
        self
    }

    /// Adds what is asked for the recipient of this index, who comes after all that have been asked for.
    pub(super) fn add_rcpt_parameters(
        &mut self,
        index: usize,
        parameters: Result<Parameters, ParameterError>,
    ) {
        match parameters {
            Ok(parameters) => self.extensions().rcpt.push((index, parameters)),
            Err(error) => self.fail(MailPart::Recipient(index), MailErrorKind::Parameter(error)),
        }
    }

    pub(super) fn extensions(&mut self) -> &mut Extensions {
        self.extensions.get_or_insert_default()
    }
}

fn check_offered(
    parameter: &Parameter,
    recipient: Option<usize>,
    capabilities: &Capabilities,
) -> Result<(), MissingExtension> {
    if capabilities.has(parameter.extension()) {
        return Ok(());
    }
    Err(MissingExtension::Parameter {
        keyword: parameter.keyword().clone(),
        extension: parameter.extension().into(),
        recipient,
    })
}

/// Looks whether the value is within what the server offers, where that is a matter of numbers.
fn check_bounds(
    parameter: &Parameter,
    capabilities: &Capabilities,
) -> Result<(), MissingExtension> {
    let value = parameter.value().map_or("", |value| value.as_str());
    match parameter.keyword().as_str() {
        // RFC 2852, section 4: the least that the server names is one for messages that are to come back.
        "BY" => match (returned_after(value), capabilities.deliver_by()) {
            (Some(seconds), Some(least)) if seconds < least => {
                Err(MissingExtension::DeliverBy { seconds, least })
            }
            _ => Ok(()),
        },
        "HOLDFOR" => match (value.parse(), capabilities.future_release()) {
            (Ok(seconds), Some(offer)) if seconds > offer.max_interval() => {
                Err(MissingExtension::HoldFor {
                    seconds,
                    most: offer.max_interval(),
                })
            }
            _ => Ok(()),
        },
        "HOLDUNTIL" => {
            let latest = capabilities
                .future_release()
                .and_then(|offer| offer.max_date_time().parse::<DateTime>().ok());
            match (value.parse::<DateTime>(), latest) {
                (Ok(time), Some(latest)) if time > latest => {
                    Err(MissingExtension::HoldUntil { time, latest })
                }
                // What the server wrote is no time: it has to decide.
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether the header says `TLS-Required: No`, once and nothing else (RFC 8689, section 3).
///
/// What is said twice, or otherwise, is not taken for it: then TLS is what the policy says.
pub(super) fn says_tls_optional(text: &[u8]) -> bool {
    let mut lines = text
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .take_while(|line| !line.is_empty())
        .peekable();
    let mut found = None;
    while let Some(line) = lines.next() {
        let Some(value) = value_of(line, TLS_REQUIRED) else {
            continue;
        };
        if found.is_some() {
            return false;
        }
        let mut value = value.trim_ascii();
        while let Some(folded) =
            lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t"))
        {
            if !value.is_empty() {
                return false;
            }
            value = folded.trim_ascii();
        }
        found = Some(value);
    }
    found.is_some_and(|value| value.eq_ignore_ascii_case(b"No"))
}

/// What stands after the name and colon of a field, if the line begins a field of that name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

const TLS_REQUIRED: &[u8] = b"TLS-Required";

/// RFC 5321, section 4.5.3.1.4.
const LINE_MAX: usize = 512;
/// `MAIL FROM:<>` and CRLF, and ` BODY=8BITMIME`: SMTPUTF8 brings that too, and room for its own parameter only.
const MAIL: usize = 28;
/// `RCPT TO:<>` and CRLF.
const RCPT: usize = 12;

#[cfg(test)]
mod tests;
