//! FUTURERELEASE (RFC 4865): holding a message back.

use alloc::string::ToString;

use super::parameter::{DateTime, Parameter, ParameterError, ParameterErrorKind, check_number};
use super::{Extension, Form, Limit, ParameterSpec};
use crate::parse;

// RFC 4865, section 4.
pub(crate) const EXTENSION: Extension = Extension::new(&[
    ParameterSpec::mail("HOLDFOR", 34, Form::Value(check_hold_for))
        .excludes("HOLDUNTIL")
        .limited_by(exceeds_interval),
    ParameterSpec::mail("HOLDUNTIL", 34, Form::Value(check_hold_until))
        .excludes("HOLDFOR")
        .limited_by(exceeds_date_time),
])
.with_arguments(|arguments| parse(arguments).is_some());

impl Parameter {
    /// HOLDFOR, of MAIL: how many seconds the server holds the message back (RFC 4865, section 4).
    ///
    /// A time above the server's maximum is an error before MAIL is sent:
    /// [`LimitExceeded`](crate::LimitExceeded).
    ///
    /// # Errors
    /// If it is 0 or above 999,999,999.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Parameter;
    ///
    /// assert_eq!(Parameter::hold_for(3600)?.to_string(), "HOLDFOR=3600");
    /// # Ok::<(), smtp_proto::parameter::ParameterError>(())
    /// ```
    pub fn hold_for(seconds: u32) -> Result<Self, ParameterError> {
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(ParameterError::new(0, ParameterErrorKind::Value));
        }
        Ok(Self::from_text("HOLDFOR", seconds.to_string()))
    }

    /// HOLDUNTIL, of MAIL: until when the server holds the message back (RFC 4865, section 4).
    ///
    /// A time after the server's latest is an error before MAIL is sent:
    /// [`LimitExceeded`](crate::LimitExceeded).
    #[must_use]
    pub fn hold_until(time: DateTime) -> Self {
        Self::from_text("HOLDUNTIL", time.to_string())
    }
}

/// How long a server holds a message back (RFC 4865).
///
/// # Examples
/// ```
/// use smtp_proto::{Capabilities, Reply};
///
/// let ehlo = b"250-mx.example.net\r\n250 FUTURERELEASE 86400 2026-12-31T00:00:00Z\r\n";
/// let (reply, _) = Reply::parse(ehlo)?.unwrap();
/// let capabilities = Capabilities::parse(&reply);
/// assert_eq!(capabilities.future_release().unwrap().max_interval(), 86_400);
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureRelease<'a> {
    max_interval: u64,
    max_date_time: &'a str,
}

impl<'a> FutureRelease<'a> {
    /// The longest HOLDFOR in seconds.
    pub fn max_interval(&self) -> u64 {
        self.max_interval
    }

    /// The latest HOLDUNTIL as the server wrote it: a date and time of RFC 3339.
    pub fn max_date_time(&self) -> &'a str {
        self.max_date_time
    }
}

/// The arguments of the EHLO keyword.
pub(crate) fn parse(arguments: &[u8]) -> Option<FutureRelease<'_>> {
    let mut arguments = parse::ehlo_params(arguments);
    let (_, max_interval) = parse::size_param(arguments.next()?).ok()?;
    let max_date_time = core::str::from_utf8(arguments.next()?).ok()?;
    Some(FutureRelease {
        max_interval: max_interval?,
        max_date_time,
    })
}

/// The value of HOLDFOR: `%x31-39 *8DIGIT`.
fn check_hold_for(value: &str) -> Result<(), ParameterError> {
    check_number(value)?;
    if value.starts_with('0') {
        return Err(ParameterError::new(0, ParameterErrorKind::Value));
    }
    Ok(())
}

/// The value of HOLDUNTIL.
fn check_hold_until(value: &str) -> Result<(), ParameterError> {
    value.parse::<DateTime>().map(|_| ())
}

fn exceeds_interval(value: &str, arguments: &[u8]) -> Option<Limit> {
    let seconds: u64 = value.parse().ok()?;
    let max = parse(arguments)?.max_interval;
    (seconds > max).then(|| {
        Limit::new(
            max,
            format_args!("hold-for {seconds} s is above the server's maximum of {max} s"),
        )
    })
}

/// A limit that is not a date and time is left to the server.
fn exceeds_date_time(value: &str, arguments: &[u8]) -> Option<Limit> {
    let time: DateTime = value.parse().ok()?;
    let latest: DateTime = parse(arguments)?.max_date_time.parse().ok()?;
    (time > latest).then(|| {
        Limit::new(
            latest,
            format_args!("hold-until {time} is after the server's latest, {latest}"),
        )
    })
}

/// RFC 4865, section 3.
const SECONDS_MAX: u32 = 999_999_999;
