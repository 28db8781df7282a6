//! MT-PRIORITY (RFC 6710): the priority of a message.

use alloc::string::ToString;

use super::parameter::{Parameter, ParameterError, ParameterErrorKind};
use super::{Extension, Form, ParameterSpec};
use crate::parse;

pub(crate) const EXTENSION: Extension = Extension::new(&[
    // RFC 6710, section 3.
    ParameterSpec::mail("MT-PRIORITY", 15, Form::Value(check)),
])
.with_arguments(|arguments| parse(arguments).is_some());

impl Parameter {
    /// MT-PRIORITY, of MAIL: the priority of the message, from -9 to 9; 0 is normal (RFC 6710).
    ///
    /// The meaning of a level depends on the server's policy, whose name is
    /// [`Capabilities::mt_priority`](crate::Capabilities::mt_priority).
    ///
    /// # Errors
    /// If it is below -9 or above 9.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Parameter;
    ///
    /// assert_eq!(Parameter::priority(-3)?.to_string(), "MT-PRIORITY=-3");
    /// assert!(Parameter::priority(10).is_err());
    /// # Ok::<(), smtp_proto::parameter::ParameterError>(())
    /// ```
    pub fn priority(level: i8) -> Result<Self, ParameterError> {
        if !(-9..=9).contains(&level) {
            return Err(ParameterError::new(0, ParameterErrorKind::Value));
        }
        Ok(Self::from_text("MT-PRIORITY", level.to_string()))
    }
}

/// The argument of the EHLO keyword: the priority assignment policy, `MIXER` if there is none.
pub(crate) fn parse(arguments: &[u8]) -> Option<&str> {
    let policy = parse::ehlo_params(arguments).next().unwrap_or(b"MIXER");
    core::str::from_utf8(policy).ok()
}

/// The value of MT-PRIORITY: `["-"] NZDIGIT / "0"`.
fn check(value: &str) -> Result<(), ParameterError> {
    match value.strip_prefix('-').unwrap_or(value).as_bytes() {
        [b'0'] if value.len() == 1 => Ok(()),
        [b'1'..=b'9'] => Ok(()),
        _ => Err(ParameterError::new(0, ParameterErrorKind::Value)),
    }
}
