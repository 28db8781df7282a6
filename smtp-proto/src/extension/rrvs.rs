//! RRVS (RFC 7293): the time since which a mailbox must have had the same owner.

use alloc::format;

use super::parameter::{DateTime, Parameter, ParameterError, one_of};
use super::{Extension, Form, ParameterSpec};

pub(crate) const EXTENSION: Extension = Extension::new(&[
    // RFC 7293, section 3.
    ParameterSpec::rcpt("RRVS", 33, Form::Value(check)),
]);

impl Parameter {
    /// RRVS, of RCPT: deliver only if the mailbox has had the same owner since then (RFC 7293,
    /// section 3).
    ///
    /// `if_unsupported` says what a relay does if the next server does not support RRVS; without
    /// it, the relay decides.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Parameter;
    /// use smtp_proto::parameter::IfUnsupported;
    ///
    /// let since = "2026-01-31T12:00:00Z".parse()?;
    /// let parameter = Parameter::valid_since(since, Some(IfUnsupported::Reject));
    /// assert_eq!(parameter.to_string(), "RRVS=2026-01-31T12:00:00Z;R");
    /// # Ok::<(), smtp_proto::parameter::ParameterError>(())
    /// ```
    #[must_use]
    pub fn valid_since(time: DateTime, if_unsupported: Option<IfUnsupported>) -> Self {
        let then = match if_unsupported {
            None => "",
            Some(IfUnsupported::Continue) => ";C",
            Some(IfUnsupported::Reject) => ";R",
        };
        Self::from_text("RRVS", format!("{time}{then}"))
    }
}

/// What a relay does with a message if the next server does not support RRVS (RFC 7293, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these two")]
pub enum IfUnsupported {
    /// Relay it without RRVS.
    Continue,
    /// Return it to the sender.
    Reject,
}

/// The value of RRVS: `date-time [";" ("C" / "R")]`.
fn check(value: &str) -> Result<(), ParameterError> {
    let (time, then) = match value.split_once(';') {
        Some((time, then)) => (time, Some(then)),
        None => (value, None),
    };
    time.parse::<DateTime>()?;
    then.map_or(Ok(()), |then| one_of(then, &["C", "R"]))
        .map_err(|error| error.shifted(time.len().saturating_add(1)))
}
