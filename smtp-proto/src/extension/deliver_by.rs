//! DELIVERBY (RFC 2852): a deadline for the delivery.

use alloc::format;

use super::parameter::{Parameter, ParameterError, ParameterErrorKind, check_number, one_of};
use super::{Extension, Form, Limit, ParameterSpec};
use crate::parse;

pub(crate) const EXTENSION: Extension = Extension::new(&[
    // RFC 2852, section 3.
    ParameterSpec::mail("BY", 17, Form::Value(check)).limited_by(exceeds),
])
.with_arguments(|arguments| parse(arguments).is_some());

impl Parameter {
    /// BY, of MAIL: the deadline for the delivery, and what to do after it (RFC 2852, section 4).
    ///
    /// The time begins when the server receives the message. A time below the server's minimum is
    /// an error before MAIL is sent: [`LimitExceeded`](crate::LimitExceeded).
    #[must_use]
    pub fn deliver_by(by: DeliverBy) -> Self {
        let mode = match by.mode {
            Mode::Notify => 'N',
            Mode::Return => 'R',
        };
        let trace = if by.trace { "T" } else { "" };
        Self::from_text("BY", format!("{};{mode}{trace}", by.seconds))
    }
}

/// A deadline for the delivery, and what to do after it (RFC 2852, section 4).
///
/// ```
/// use smtp_proto::Parameter;
/// use smtp_proto::parameter::DeliverBy;
///
/// let by = DeliverBy::or_return(120)?.traced();
/// assert_eq!(Parameter::deliver_by(by).to_string(), "BY=120;RT");
/// # Ok::<(), smtp_proto::parameter::ParameterError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: Mode,
    trace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Notify,
    Return,
}

impl DeliverBy {
    /// Within this number of seconds; after that the sender is notified, and the message still
    /// delivered. A time in the past is allowed.
    ///
    /// # Errors
    /// If it is below -999,999,999 or above 999,999,999.
    pub fn or_notify(seconds: i32) -> Result<Self, ParameterError> {
        Self::new(seconds, Mode::Notify)
    }

    /// Within this number of seconds; after that the message is returned to the sender.
    ///
    /// # Errors
    /// If it is below 1 or above 999,999,999.
    pub fn or_return(seconds: i32) -> Result<Self, ParameterError> {
        Self::new(seconds, Mode::Return)
    }

    /// Requests a trace: relays report when the message leaves DELIVERBY-capable servers.
    #[must_use]
    pub const fn traced(self) -> Self {
        Self {
            trace: true,
            ..self
        }
    }

    fn new(seconds: i32, mode: Mode) -> Result<Self, ParameterError> {
        let min = match mode {
            Mode::Notify => SECONDS_MAX.saturating_neg(),
            Mode::Return => 1,
        };
        if !(min..=SECONDS_MAX).contains(&seconds) {
            return Err(ParameterError::new(0, ParameterErrorKind::Value));
        }
        Ok(Self {
            seconds,
            mode,
            trace: false,
        })
    }
}

/// The arguments of the EHLO keyword: the minimum in seconds, 0 if there is none.
pub(crate) fn parse(arguments: &[u8]) -> Option<u64> {
    let Some(min) = parse::ehlo_params(arguments).next() else {
        return Some(0);
    };
    parse::size_param(min).ok()?.1
}

/// The value of BY.
///
/// ```abnf
/// by-value = by-time ";" by-mode [by-trace]
/// by-time  = ["-" / "+"] 1*9DIGIT
/// by-mode  = "N" / "R"
/// by-trace = "T"
/// ```
fn check(value: &str) -> Result<(), ParameterError> {
    let (time, mode) = value.split_once(';').unwrap_or((value, ""));
    let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
    let sign = time.len().saturating_sub(digits.len());
    let seconds = check_number(digits).map_err(|error| error.shifted(sign))?;
    let past = time.starts_with('-') || seconds == 0;
    let modes: &[&str] = if past {
        &["N", "NT"]
    } else {
        &["N", "NT", "R", "RT"]
    };
    let before = time.len().saturating_add(1).min(value.len());
    one_of(mode, modes).map_err(|error| error.shifted(before))
}

/// The server's minimum holds for messages to be returned only (RFC 2852, section 4).
fn exceeds(value: &str, arguments: &[u8]) -> Option<Limit> {
    let (time, mode) = value.split_once(';')?;
    let seconds: u64 = time.strip_prefix('+').unwrap_or(time).parse().ok()?;
    let min = parse(arguments)?;
    (mode.starts_with(['R', 'r']) && seconds < min).then(|| {
        Limit::new(
            min,
            format_args!("deliver-by {seconds} s is below the server's minimum of {min} s"),
        )
    })
}

/// RFC 2852, section 4.
const SECONDS_MAX: i32 = 999_999_999;
