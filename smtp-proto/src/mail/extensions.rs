//! The parameters of a message, and whether a server supports them.

use alloc::vec::Vec;

use super::envelope::Addressed;
use super::{Content, MailBuilder, MailError, MailErrorKind, MailPart, Recoder};
use crate::address::ReversePath;
use crate::capabilities::Capabilities;
use crate::error::{ErrorKind, MissingExtension};
use crate::extension::Parameters;
use crate::extension::dsn::Notify;
use crate::extension::parameter::{Keyword, Parameter, ParameterError, ParameterErrorKind};

/// The parameters of a message, which of them are optional, and further rare options.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extensions {
    mail: Parameters,
    /// With the recipient's index, in ascending order; only of recipients with parameters.
    rcpt: Vec<(usize, Parameters)>,
    /// Extensions whose parameters are left out if the server does not advertise them.
    optional: Vec<Keyword>,
    /// The NOTIFY of recipients that have none, until the build.
    pub(super) notify_all: Option<Notify>,
    /// Whether to look for `TLS-Required: No`; after the build, whether it was found.
    pub(super) tls_optional: bool,
    /// Whether header fields may be 8-bit and not UTF-8.
    pub(super) eight_bit_headers: bool,
    /// Converts the content if the server does not support it.
    pub(super) recoder: Option<Recoder>,
    /// The content as the caller gave it, if it has been recoded.
    pub(super) original: Option<Content>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            mail: Parameters::mail(),
            rcpt: Vec::new(),
            optional: Vec::new(),
            notify_all: None,
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

    /// Whether all parameters are ASCII.
    pub(crate) fn is_ascii(&self) -> bool {
        self.mail.is_ascii() && self.rcpt.iter().all(|(_, list)| list.is_ascii())
    }

    /// The location of the first non-ASCII parameter.
    pub(crate) fn beyond_ascii(&self) -> Option<MailPart> {
        if !self.mail.is_ascii() {
            return Some(MailPart::Parameters);
        }
        let of_recipient = self.rcpt.iter().find(|(_, list)| !list.is_ascii());
        of_recipient.map(|(index, _)| MailPart::Recipient(*index))
    }

    /// Adds a parameter to each of the first `recipients` recipients that has none of its keyword.
    pub(super) fn add_to_each(
        &mut self,
        recipients: usize,
        parameter: &Parameter,
    ) -> Result<(), MailError> {
        let mut given = core::mem::take(&mut self.rcpt).into_iter().peekable();
        for index in 0..recipients {
            let own = given.next_if(|(of, _)| *of == index);
            let mut list = own.map_or_else(Parameters::rcpt, |(_, list)| list);
            if !list.has(parameter.keyword().as_str()) {
                list.push(parameter.clone()).map_err(|error| {
                    MailError::new(MailPart::Recipient(index), MailErrorKind::Parameter(error))
                })?;
            }
            self.rcpt.push((index, list));
        }
        Ok(())
    }

    /// Checks that they do not exclude each other, and that the command lines are not too long.
    pub(super) fn check(
        &self,
        sender: &ReversePath,
        recipients: &[Addressed],
    ) -> Result<(), MailError> {
        let fault = |field, reason| {
            let error = ParameterError::new(0, reason);
            Err(MailError::new(field, MailErrorKind::Parameter(error)))
        };
        let requires_tls = self.mail.has(Parameter::REQUIRE_TLS);
        if requires_tls && self.tls_optional {
            return fault(MailPart::Parameters, ParameterErrorKind::Conflict);
        }
        // Only for a report is delivery without TLS better than none (RFC 8689, section 5).
        if requires_tls && !sender.is_null() && self.is_optional(Parameter::REQUIRE_TLS) {
            return fault(MailPart::Parameters, ParameterErrorKind::Indispensable);
        }
        let len = MAIL.saturating_add(sender.as_str().len());
        if len.saturating_add(self.mail.line_len()) > LINE_MAX {
            return fault(MailPart::Parameters, ParameterErrorKind::TooLong);
        }
        for (index, list) in &self.rcpt {
            let path = recipients.get(*index);
            let len = RCPT.saturating_add(path.map_or(0, |each| each.path().as_str().len()));
            if len.saturating_add(list.line_len()) > LINE_MAX {
                return fault(MailPart::Recipient(*index), ParameterErrorKind::TooLong);
            }
        }
        Ok(())
    }

    /// Leaves out optional parameters whose extension is not advertised, and checks the others.
    pub(crate) fn apply_capabilities(
        &mut self,
        capabilities: &Capabilities,
    ) -> Result<(), ErrorKind> {
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
            check(parameter, None, capabilities)?;
        }
        for (index, list) in &self.rcpt {
            for parameter in list.as_slice() {
                check(parameter, Some(*index), capabilities)?;
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

/// Parameters and extensions.
impl MailBuilder {
    /// Adds a parameter of MAIL; those of RCPT belong to a [`Recipient`](crate::Recipient).
    ///
    /// It is sent only to a server that advertises its extension and allows its value. To others
    /// the message is not sent; silently dropping the request would be worse. Mark the extension
    /// [optional](Self::optional_extension) to allow that. `SIZE`, `BODY` and `SMTPUTF8` are added
    /// as the message requires them.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Mail, Parameter};
    ///
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .parameter(Parameter::require_tls())
    ///     .message("From: alice@example.org\r\n\r\nHello\r\n")
    ///     .build()?;
    /// assert_eq!(mail.parameters()[0].to_string(), "REQUIRETLS");
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        if let Err(error) = self.extensions().mail.push(parameter) {
            self.fail(MailPart::Parameters, MailErrorKind::Parameter(error));
        }
        self
    }

    /// Requests reports about all recipients on these occasions (NOTIFY; RFC 3461, section 4.1),
    /// except those with a [`notify`](crate::Recipient::notify) of their own.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::MailBuilder;
    /// use smtp_proto::dsn::Notify;
    ///
    /// let message = "From: alice@example.org\r\nTo: bob@example.net\r\n\r\nHello Bob.\r\n";
    /// let mail = MailBuilder::from_message(message)
    ///     .notify_all(Notify::SUCCESS | Notify::FAILURE)
    ///     .build()?;
    /// assert_eq!(mail.recipient_parameters(0)[0].to_string(), "NOTIFY=SUCCESS,FAILURE");
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn notify_all(mut self, notify: impl Into<Notify>) -> Self {
        self.extensions().notify_all = Some(notify.into());
        self
    }

    /// Marks this extension optional: its parameters of MAIL and RCPT are left out if the server
    /// does not advertise it. Without this, the message is not sent.
    ///
    /// `"DSN"` is the usual one: most senders prefer a message without a report to none.
    /// [`Connection::capabilities`](crate::Connection::capabilities) says whether it is advertised;
    /// a relay must then send a report itself (RFC 3461, section 5.2.2). REQUIRETLS is optional
    /// for the null sender only (RFC 8689, section 5).
    ///
    /// ```
    /// use smtp_proto::dsn::{Notify, Return};
    /// use smtp_proto::{Mail, Parameter, Recipient};
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

    /// Honors the header field `TLS-Required: No`, by which the author prefers delivery without TLS
    /// to none (RFC 8689, section 3).
    ///
    /// [`Mail::is_tls_optional`](crate::Mail::is_tls_optional) then says whether the message
    /// contains it; for streamed content
    /// [`StreamedContent::tls_optional`](crate::StreamedContent::tls_optional) declares it. A
    /// connection is configured before it gets a message:
    /// [`Config::relaxed_for`](crate::Config::relaxed_for) returns the configuration that tries TLS
    /// and continues without. Together with [`Parameter::require_tls`] it is an error.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Mail;
    ///
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .honor_tls_required()
    ///     .message("From: alice@example.org\r\nTLS-Required: No\r\n\r\nHello\r\n")
    ///     .build()?;
    /// assert!(mail.is_tls_optional());
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn honor_tls_required(mut self) -> Self {
        self.extensions().tls_optional = true;
        self
    }

    /// Adds the parameters of the recipient of this index, which is larger than those before.
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
        self.envelope.extensions.get_or_insert_default()
    }
}

/// Checks that the extension is advertised, and the value within the server's limit.
fn check(
    parameter: &Parameter,
    recipient: Option<usize>,
    capabilities: &Capabilities,
) -> Result<(), ErrorKind> {
    let extension = parameter.extension();
    if !capabilities.has(extension) {
        return Err(ErrorKind::Unsupported(MissingExtension::Parameter {
            keyword: parameter.keyword().clone(),
            extension: extension.into(),
            recipient,
        }));
    }
    let arguments = capabilities.keyword(extension).unwrap_or_default();
    parameter
        .check_limit(arguments)
        .map_err(ErrorKind::LimitExceeded)
}

/// Whether the header section contains `TLS-Required: No` exactly once (RFC 8689, section 3).
///
/// A repeated field, or one with another value, is ignored: then the configuration decides.
pub(super) fn says_tls_optional(content: &[u8]) -> bool {
    let mut lines = content
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

/// The value of a field of this name, if the line begins one.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

const TLS_REQUIRED: &[u8] = b"TLS-Required";

/// RFC 5321, section 4.5.3.1.4.
const LINE_MAX: usize = 512;
/// `MAIL FROM:<>` and CRLF, and ` BODY=8BITMIME`, for which SMTPUTF8 does not extend the line.
const MAIL: usize = 28;
/// `RCPT TO:<>` and CRLF.
const RCPT: usize = 12;

#[cfg(test)]
mod tests;
