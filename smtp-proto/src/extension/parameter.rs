//! Parameters of MAIL and RCPT (RFC 5321, section 4.1.2).
//!
//! SIZE, BODY and SMTPUTF8 follow from the message, and a caller cannot set them. All others are a
//! [`Parameter`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

mod date_time;
mod error;
mod list;
mod syntax;
pub(super) mod xtext;

use super::{CommandKind, Content, Form, Limit, LimitExceeded, ParameterSpec};

pub use super::deliver_by::DeliverBy;
pub use super::rrvs::IfUnsupported;
pub use date_time::DateTime;
pub use error::{ParameterError, ParameterErrorKind};
pub(crate) use list::Parameters;
pub use syntax::{Keyword, Value};
pub(super) use syntax::{check_number, one_of};
pub(super) use xtext::decode as decode_xtext;

/// A parameter of MAIL or RCPT, `KEYWORD` or `KEYWORD=value` (RFC 5321, section 4.1.2).
///
/// | parameter | of | extension | constructor |
/// | --- | --- | --- | --- |
/// | RET, ENVID | MAIL | DSN (RFC 3461) | [`ret`](Self::ret), [`envelope_id`](Self::envelope_id) |
/// | NOTIFY, ORCPT | RCPT | DSN | [`notify`](Self::notify), [`original_recipient`](Self::original_recipient) |
/// | REQUIRETLS | MAIL | REQUIRETLS (RFC 8689) | [`require_tls`](Self::require_tls) |
/// | BY | MAIL | DELIVERBY (RFC 2852) | [`deliver_by`](Self::deliver_by) |
/// | MT-PRIORITY | MAIL | MT-PRIORITY (RFC 6710) | [`priority`](Self::priority) |
/// | HOLDFOR, HOLDUNTIL | MAIL | FUTURERELEASE (RFC 4865) | [`hold_for`](Self::hold_for), [`hold_until`](Self::hold_until) |
/// | RRVS | RCPT | RRVS (RFC 7293) | [`valid_since`](Self::valid_since) |
/// | AUTH | MAIL | AUTH (RFC 4954) | [`submitter`](Self::submitter) |
/// | others | | | [`new`](Self::new), [`with_extension`](Self::with_extension) |
///
/// [`MailBuilder::parameter`](crate::MailBuilder::parameter) takes those of MAIL,
/// [`Recipient::parameter`](crate::Recipient::parameter) those of RCPT.
///
/// ```
/// use smtp_proto::{Mail, Parameter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mail = Mail::builder()
///     .sender("alice@example.org")
///     .recipient("bob@example.net")
///     .parameter(Parameter::priority(3)?)
///     .parameter(Parameter::new("X-ROUTE", Some("fast"))?.with_extension("X-ROUTING")?)
///     .message("From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n")
///     .build()?;
/// assert_eq!(mail.parameters()[0].to_string(), "MT-PRIORITY=3");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    keyword: Keyword,
    value: Option<Value>,
    custom: Option<Box<Custom>>,
}

/// The properties of an unknown extension, as the caller specified them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Custom {
    extension: Option<Keyword>,
    extra_line_len: usize,
}

impl Parameter {
    /// A parameter by its keyword, with a value that is encoded as its extension requires.
    ///
    /// # Errors
    /// If the keyword or the value is not valid, for a known extension by its own grammar, or the
    /// keyword is SIZE, BODY or SMTPUTF8, which follow from the message. Offsets are those in
    /// `keyword`, `=` and `value` put together.
    pub fn new(keyword: &str, value: Option<&str>) -> Result<Self, ParameterError> {
        let before = keyword.len().saturating_add(1);
        let keyword: Keyword = keyword.parse()?;
        if Content::KEYWORDS.contains(&keyword.as_str()) {
            return Err(ParameterError::new(0, ParameterErrorKind::Reserved));
        }
        let parsed = value.map(str::parse).transpose();
        let parsed = parsed.map_err(|error: ParameterError| error.shifted(before))?;
        let form = ParameterSpec::find(keyword.as_str()).map_or(Form::Any, |(_, spec)| spec.form);
        match (form, value) {
            (Form::Value(check), Some(value)) => {
                check(value).map_err(|error| error.shifted(before))?;
            }
            (Form::Value(_), None) => {
                let len = keyword.as_str().len();
                return Err(ParameterError::new(len, ParameterErrorKind::Empty));
            }
            (Form::Bare, Some(_)) => {
                return Err(ParameterError::new(before, ParameterErrorKind::Value));
            }
            (Form::Bare, None) | (Form::Any, _) => {}
        }
        Ok(Self {
            keyword,
            value: parsed,
            custom: None,
        })
    }

    /// Sets the EHLO keyword of its extension; without this it is the parameter's own keyword.
    ///
    /// # Errors
    /// If `extension` is not a keyword, or the parameter belongs to an extension that is known
    /// here.
    pub fn with_extension(mut self, extension: &str) -> Result<Self, ParameterError> {
        let extension = extension.parse()?;
        self.customize()?.extension = Some(extension);
        Ok(self)
    }

    /// Sets how many bytes its extension adds to the maximum length of a command line, 512 bytes
    /// (RFC 5321, sections 2.2.1 and 4.5.3.1.4); none without this.
    ///
    /// # Errors
    /// If the parameter belongs to an extension that is known here.
    pub fn with_extra_line_len(mut self, bytes: usize) -> Result<Self, ParameterError> {
        self.customize()?.extra_line_len = bytes;
        Ok(self)
    }

    /// The keyword.
    #[must_use]
    pub const fn keyword(&self) -> &Keyword {
        &self.keyword
    }

    /// The value, if there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// The EHLO keyword of the extension that the server must advertise for this parameter.
    ///
    /// For an unknown parameter it is the [given](Self::with_extension) one, or the parameter's own
    /// keyword.
    #[must_use]
    pub fn extension(&self) -> &str {
        let custom = self.custom.as_ref();
        match self.spec() {
            Some((extension, _)) => extension,
            None => (custom.and_then(|custom| custom.extension.as_ref()))
                .unwrap_or(&self.keyword)
                .as_str(),
        }
    }

    /// A constant that is known to be valid.
    pub(super) const fn known(keyword: &'static str, value: Option<Value>) -> Self {
        Self {
            keyword: Keyword::known(keyword),
            value,
            custom: None,
        }
    }

    /// A parameter whose value is built here, from the characters of a value.
    pub(super) fn from_text(keyword: &'static str, value: String) -> Self {
        let value = Value::try_from(value);
        debug_assert!(value.is_ok(), "{keyword} with an invalid value");
        Self::known(keyword, value.ok())
    }

    /// Checks the value against the limit that the server advertises.
    ///
    /// `arguments` are those of the EHLO keyword of its [extension](Self::extension).
    pub(crate) fn check_limit(&self, arguments: &[u8]) -> Result<(), LimitExceeded> {
        let (Some((_, spec)), Some(value)) = (self.spec(), &self.value) else {
            return Ok(());
        };
        let exceeded = |limit: Limit| LimitExceeded {
            parameter: self.clone(),
            limit,
        };
        (spec.exceeds)(value.as_str(), arguments).map_or(Ok(()), |limit| Err(exceeded(limit)))
    }

    fn spec(&self) -> Option<(&'static str, &'static ParameterSpec)> {
        ParameterSpec::find(self.keyword.as_str())
    }

    /// The command that it belongs to, if that is known.
    fn command(&self) -> Option<CommandKind> {
        self.spec().map(|(_, spec)| spec.command)
    }

    /// The keyword of the parameter that excludes it.
    fn excluded_by(&self) -> Option<&'static str> {
        self.spec().and_then(|(_, spec)| spec.excludes)
    }

    /// Bytes that its extension adds to the length of the command line.
    fn extra_line_len(&self) -> usize {
        let custom = self.custom.as_ref();
        match self.spec() {
            Some((_, spec)) => spec.extra_line_len,
            None => custom.map_or(0, |custom| custom.extra_line_len),
        }
    }

    fn customize(&mut self) -> Result<&mut Custom, ParameterError> {
        if self.spec().is_some() {
            return Err(ParameterError::new(0, ParameterErrorKind::Registered));
        }
        Ok(self.custom.get_or_insert_with(|| {
            Box::new(Custom {
                extension: None,
                extra_line_len: 0,
            })
        }))
    }

    /// Appends ` KEYWORD=value`, with the space.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(b' ');
        out.extend_from_slice(self.keyword.as_str().as_bytes());
        if let Some(value) = &self.value {
            out.push(b'=');
            out.extend_from_slice(value.as_str().as_bytes());
        }
    }

    /// Bytes of the encoded parameter, with the space.
    fn encoded_len(&self) -> usize {
        let value = self
            .value
            .as_ref()
            .map_or(0, |value| value.as_str().len().saturating_add(1));
        self.keyword
            .as_str()
            .len()
            .saturating_add(value)
            .saturating_add(1)
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.keyword),
            None => self.keyword.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
