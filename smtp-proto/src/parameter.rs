//! What may stand after the path in MAIL and RCPT (RFC 5321, section 4.1.2).
//!
//! The parameters that follow from the message itself, SIZE, BODY and SMTPUTF8, are [`Content`]: the
//! transaction works them out, and a user cannot give others. All the rest are [`Parameter`]s, which
//! a user puts together in [`Parameters`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

mod date_time;
mod dsn;
mod error;
mod implied;
mod list;
mod syntax;
mod wishes;
mod xtext;

pub use date_time::DateTime;
pub use dsn::{Notify, OriginalRecipient, Return};
pub use error::{ParameterError, ParameterErrorKind};
pub(crate) use implied::{Body, Content, encode_decimal};
pub use list::Parameters;
pub use syntax::{Keyword, Value};
pub(crate) use wishes::returned_after;
pub use wishes::{DeliverBy, IfUnsupported};

/// A parameter of MAIL or RCPT, `KEYWORD` or `KEYWORD=value` (RFC 5321, section 4.1.2).
///
/// | parameter | of | extension | made by |
/// | --- | --- | --- | --- |
/// | RET, ENVID | MAIL | DSN (RFC 3461) | [`ret`](Self::ret), [`envelope_id`](Self::envelope_id) |
/// | NOTIFY, ORCPT | RCPT | DSN | [`notify`](Self::notify), [`original_recipient`](Self::original_recipient) |
/// | REQUIRETLS | MAIL | REQUIRETLS (RFC 8689) | [`require_tls`](Self::require_tls) |
/// | BY | MAIL | DELIVERBY (RFC 2852) | [`deliver_by`](Self::deliver_by) |
/// | MT-PRIORITY | MAIL | MT-PRIORITY (RFC 6710) | [`priority`](Self::priority) |
/// | HOLDFOR, HOLDUNTIL | MAIL | FUTURERELEASE (RFC 4865) | [`hold_for`](Self::hold_for), [`hold_until`](Self::hold_until) |
/// | RRVS | RCPT | RRVS (RFC 7293) | [`valid_since`](Self::valid_since) |
/// | AUTH | MAIL | AUTH (RFC 4954) | [`submitter`](Self::submitter) |
/// | others | | | [`new`](Self::new), [`of_extension`](Self::of_extension) |
///
/// [`MailBuilder::parameter`](crate::MailBuilder::parameter) takes those of MAIL,
/// [`Recipient::parameter`](crate::Recipient::parameter) those of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    keyword: Keyword,
    value: Option<Value>,
    custom: Option<Box<Custom>>,
}

/// What the caller said of an extension that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Custom {
    extension: Keyword,
    room: usize,
}

impl Parameter {
    /// A parameter by its keyword, with a value that is already encoded as its extension demands.
    ///
    /// # Errors
    /// If a part does not keep to the grammar, its own of a known extension or that of any, or the keyword is SIZE, BODY or
    /// SMTPUTF8, which the message decides. Offsets are those in `keyword`, `=` and `value` put together.
    pub fn new(keyword: &str, value: Option<&str>) -> Result<Self, ParameterError> {
        let before = keyword.len().saturating_add(1);
        let keyword: Keyword = keyword.parse()?;
        if Content::KEYWORDS.contains(&keyword.as_str()) {
            return Err(ParameterError::new(0, ParameterErrorKind::Owned));
        }
        let parsed = value.map(str::parse).transpose();
        let parsed = parsed.map_err(|error: ParameterError| error.behind(before))?;
        let form = known(&keyword).map_or(Form::Any, |known| known.form);
        match (form, value) {
            (Form::Value(check), Some(value)) => {
                check(value).map_err(|error| error.behind(before))?;
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

    /// Says of which extension it is: by its EHLO keyword, and by how many bytes that extension lets a command line be longer.
    ///
    /// Without this, a parameter that is not known here needs an extension of its own name, and has to fit in the 512 bytes
    /// of any line (RFC 5321, sections 2.2.1 and 4.5.3.1.4).
    ///
    /// # Errors
    /// If `extension` is no keyword, or the parameter is one of an extension that is known here.
    pub fn of_extension(mut self, extension: &str, room: usize) -> Result<Self, ParameterError> {
        let extension = extension.parse()?;
        if known(&self.keyword).is_some() {
            return Err(ParameterError::new(0, ParameterErrorKind::Registered));
        }
        self.custom = Some(Box::new(Custom { extension, room }));
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

    /// The EHLO keyword of the extension that the server has to offer for this parameter.
    ///
    /// For a parameter not known here it is the one that the caller said, or the parameter's own keyword.
    #[must_use]
    pub fn extension(&self) -> &str {
        match (known(&self.keyword), &self.custom) {
            (Some(known), _) => known.extension,
            (None, Some(custom)) => custom.extension.as_str(),
            (None, None) => self.keyword.as_str(),
        }
    }

    /// One that is known to keep to the grammar of its extension.
    const fn known(keyword: &'static str, value: Option<Value>) -> Self {
        Self {
            keyword: Keyword::known(keyword),
            value,
            custom: None,
        }
    }

    /// The command that it belongs to, if that is known.
    fn place(&self) -> Option<CommandKind> {
        known(&self.keyword).map(|known| known.place)
    }

    /// Bytes by which it lets its command line be longer.
    fn room(&self) -> usize {
        let custom = self.custom.as_ref().map_or(0, |custom| custom.room);
        known(&self.keyword).map_or(custom, |known| known.room)
    }

    /// Appends ` KEYWORD=value`, with the space in front.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(b' ');
        out.extend_from_slice(self.keyword.as_str().as_bytes());
        if let Some(value) = &self.value {
            out.push(b'=');
            out.extend_from_slice(value.as_str().as_bytes());
        }
    }

    /// Bytes in an encoded line.
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

/// The command that a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommandKind {
    Mail,
    Rcpt,
}

/// A parameter that is registered with IANA.
struct Known {
    keyword: &'static str,
    place: CommandKind,
    extension: &'static str,
    /// Bytes by which the extension lets the command line be longer for it, the space in front counted.
    room: usize,
    form: Form,
}

/// What a parameter says.
#[derive(Clone, Copy)]
enum Form {
    /// Its keyword only.
    Bare,
    /// A value that keeps to a grammar.
    Value(fn(&str) -> Result<(), ParameterError>),
    /// What is not looked at here.
    Any,
}

fn known(keyword: &Keyword) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.keyword == keyword.as_str())
}

const fn of_mail(keyword: &'static str, extension: &'static str, room: usize, form: Form) -> Known {
    Known {
        keyword,
        place: CommandKind::Mail,
        extension,
        room,
        form,
    }
}

const fn of_rcpt(keyword: &'static str, extension: &'static str, room: usize, form: Form) -> Known {
    Known {
        place: CommandKind::Rcpt,
        ..of_mail(keyword, extension, room, form)
    }
}

/// All of them, besides those in [`Content`]. The room is what RFC 2852, 3461 (section 5.4), 4865, 4954, 6710, 7293 and 8689
/// give; those whose values are not looked at here have to fit in any line.
const KNOWN: &[Known] = &[
    of_mail("AUTH", "AUTH", 500, Form::Value(wishes::check_submitter)),
    of_mail("BY", "DELIVERBY", 17, Form::Value(wishes::check_by)),
    of_rcpt("CONNEG", "CONNEG", 0, Form::Any),
    of_mail("CONPERM", "CONPERM", 0, Form::Any),
    of_mail("ENVID", "DSN", 101, Form::Value(dsn::check_envelope_id)),
    of_mail(
        "HOLDFOR",
        "FUTURERELEASE",
        34,
        Form::Value(wishes::check_hold_for),
    ),
    of_mail(
        "HOLDUNTIL",
        "FUTURERELEASE",
        34,
        Form::Value(wishes::check_hold_until),
    ),
    of_mail(
        "MT-PRIORITY",
        "MT-PRIORITY",
        15,
        Form::Value(wishes::check_priority),
    ),
    of_mail("MTRK", "MTRK", 0, Form::Any),
    of_rcpt("NOTIFY", "DSN", 29, Form::Value(dsn::check_notify)),
    of_rcpt("ORCPT", "DSN", 501, Form::Value(dsn::check_original)),
    of_mail("REQUIRETLS", "REQUIRETLS", 11, Form::Bare),
    of_mail("RET", "DSN", 9, Form::Value(dsn::check_ret)),
    of_rcpt("RRVS", "RRVS", 33, Form::Value(wishes::check_valid_since)),
    of_mail("SOLICIT", "NO-SOLICITING", 0, Form::Any),
    of_mail("SUBMITTER", "SUBMITTER", 0, Form::Any),
];

#[cfg(test)]
mod tests;
