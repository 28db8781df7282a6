//! The AUTH parameter of MAIL (RFC 4954, section 5): who submitted the message.

use alloc::string::String;

use super::parameter::{Parameter, ParameterError, ParameterErrorKind, Value, decode_xtext};
use super::{Extension, Form, ParameterSpec};
use crate::address::{Mailbox, ReversePath};

pub(crate) const EXTENSION: Extension = Extension::new(&[
    // RFC 4954, section 3.
    ParameterSpec::mail("AUTH", 500, Form::Value(check)),
]);

impl Parameter {
    /// AUTH, of MAIL: who submitted the message, or `<>` if that is not known (RFC 4954, section
    /// 5).
    ///
    /// The server must advertise AUTH and trust this client; the client need not
    /// authenticate.
    ///
    /// # Errors
    /// If the mailbox is not ASCII, for which RFC 4954 has no form, or is longer than 1024 bytes
    /// when encoded.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Parameter;
    ///
    /// let parameter = Parameter::submitter(&"alice@example.org".parse()?)?;
    /// assert_eq!(parameter.to_string(), "AUTH=alice@example.org");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submitter(submitter: &ReversePath) -> Result<Self, ParameterError> {
        let text = submitter.as_str();
        if let Some((offset, _)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            return Err(ParameterError::new(offset, ParameterErrorKind::Character));
        }
        let value = match submitter.mailbox() {
            None => Value::known(UNKNOWN),
            Some(mailbox) => Value::xtext(mailbox.as_str().as_bytes())?,
        };
        Ok(Self::known("AUTH", Some(value)))
    }
}

/// The value of AUTH: `<>`, or the `xtext` of a mailbox in ASCII.
fn check(value: &str) -> Result<(), ParameterError> {
    if value == UNKNOWN {
        return Ok(());
    }
    let mut text = String::with_capacity(value.len());
    for byte in decode_xtext(value) {
        text.push(char::from(byte?));
    }
    match text.parse::<Mailbox>() {
        Ok(mailbox) if mailbox.is_ascii() => Ok(()),
        _ => Err(ParameterError::new(0, ParameterErrorKind::Value)),
    }
}

const UNKNOWN: &str = "<>";
