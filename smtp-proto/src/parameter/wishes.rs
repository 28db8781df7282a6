//! What a sender may wish of a delivery: when, how urgently, how safely, in whose name.

use alloc::format;
use alloc::string::{String, ToString};

use super::{DateTime, Parameter, ParameterError, ParameterErrorKind, Value, xtext};
use crate::address::{Mailbox, ReversePath};

/// DELIVERBY, MT-PRIORITY, FUTURERELEASE, REQUIRETLS, RRVS and AUTH.
impl Parameter {
    /// BY, of MAIL: by when to deliver, and what to do if that fails (RFC 2852, section 4).
    ///
    /// The time runs from when the server takes the message. One shorter than the server's least is rejected before MAIL.
    #[must_use]
    pub fn deliver_by(by: DeliverBy) -> Self {
        let mode = match by.mode {
            Mode::Notify => 'N',
            Mode::Return => 'R',
        };
        let trace = if by.trace { "T" } else { "" };
        Self::from_text("BY", format!("{};{mode}{trace}", by.seconds))
    }

    /// MT-PRIORITY, of MAIL: how urgent the message is, from -9 to 9; 0 is usual (RFC 6710).
    ///
    /// What a level means is for the server's policy to say:
    /// [`Capabilities::mt_priority`](crate::Capabilities::mt_priority) is its name.
    ///
    /// # Errors
    /// If it is outside those.
    pub fn priority(level: i8) -> Result<Self, ParameterError> {
        if !(-9..=9).contains(&level) {
            return Err(ParameterError::new(0, ParameterErrorKind::Value));
        }
        Ok(Self::from_text("MT-PRIORITY", level.to_string()))
    }

    /// HOLDFOR, of MAIL: for how many seconds the server is to hold the message back (RFC 4865, section 4).
    ///
    /// More than the server offers is rejected before MAIL.
    ///
    /// # Errors
    /// If it is 0 or over 999,999,999.
    pub fn hold_for(seconds: u32) -> Result<Self, ParameterError> {
        if !(1..=SECONDS_MAX.unsigned_abs()).contains(&seconds) {
            return Err(ParameterError::new(0, ParameterErrorKind::Value));
        }
        Ok(Self::from_text("HOLDFOR", seconds.to_string()))
    }

    /// HOLDUNTIL, of MAIL: until when the server is to hold the message back (RFC 4865, section 4).
    ///
    /// Later than the server offers is rejected before MAIL.
    #[must_use]
    pub fn hold_until(time: DateTime) -> Self {
        Self::from_text("HOLDUNTIL", time.to_string())
    }

    /// REQUIRETLS, of MAIL: TLS on all of the way, to servers whose certificates are sound (RFC 8689).
    ///
    /// It is sent inside TLS only, and counts as offered only if it is offered there, by a server that was checked. Reports of
    /// failure then have the headers in them only, whatever RET says (section 5). That the server's name is the right one for
    /// the recipient's domain, by DNSSEC or MTA-STS, is for whoever looked it up to know (section 2).
    #[must_use]
    pub const fn require_tls() -> Self {
        Self::known("REQUIRETLS", None)
    }

    /// RRVS, of RCPT: deliver only if the mailbox has had the same owner since then (RFC 7293, section 3).
    ///
    /// `unless_known` says what a server on the way is to do with the message if the next does not know this; without it, that
    /// server decides.
    #[must_use]
    pub fn valid_since(time: DateTime, unless_known: Option<IfUnsupported>) -> Self {
        let then = match unless_known {
            None => "",
            Some(IfUnsupported::Continue) => ";C",
            Some(IfUnsupported::Reject) => ";R",
        };
        Self::from_text("RRVS", format!("{time}{then}"))
    }

    /// AUTH, of MAIL: who submitted the message in the first place, or `<>` if that is not known (RFC 4954, section 5).
    ///
    /// It needs a server that offers AUTH, and one that believes this client; it takes no login.
    ///
    /// # Errors
    /// If the mailbox is not ASCII, which RFC 4954 has no form for, or is over 1024 bytes when encoded.
    pub fn submitter(submitter: &ReversePath) -> Result<Self, ParameterError> {
        let text = submitter.as_str();
        if let Some((offset, _)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            return Err(ParameterError::new(offset, ParameterErrorKind::Character));
        }
        let value = match submitter.mailbox() {
            None => Value::known(NOBODY),
            Some(mailbox) => Value::xtext(mailbox.as_str().as_bytes())?,
        };
        Ok(Self::known("AUTH", Some(value)))
    }

    /// A parameter whose value was put together here, of what a value may hold.
    fn from_text(keyword: &'static str, value: String) -> Self {
        let value = Value::try_from(value);
        debug_assert!(value.is_ok(), "{keyword} with what no value may hold");
        Self::known(keyword, value.ok())
    }
}

/// By when to deliver a message, and what to do if that fails (RFC 2852, section 4).
///
/// ```
/// use smtp_proto::{DeliverBy, Parameter};
///
/// let by = DeliverBy::or_return(120)?.traced();
/// assert_eq!(Parameter::deliver_by(by).to_string(), "BY=120;RT");
/// # Ok::<(), smtp_proto::ParameterError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: Mode,
    trace: bool,
}

impl DeliverBy {
    /// Within so many seconds; if that fails, the sender is told and the message delivered still. Not even a time that is over
    /// already is an error.
    ///
    /// # Errors
    /// If it is more than 999,999,999 either way.
    pub fn or_notify(seconds: i32) -> Result<Self, ParameterError> {
        Self::new(seconds, Mode::Notify)
    }

    /// Within so many seconds; if that fails, the message goes back to the sender.
    ///
    /// # Errors
    /// If it is less than 1 or more than 999,999,999.
    pub fn or_return(seconds: i32) -> Result<Self, ParameterError> {
        Self::new(seconds, Mode::Return)
    }

    /// Has servers on the way tell the sender where the message left the part of the world that knows of this.
    #[must_use]
    pub const fn traced(self) -> Self {
        Self {
            trace: true,
            ..self
        }
    }

    fn new(seconds: i32, mode: Mode) -> Result<Self, ParameterError> {
        let least = match mode {
            Mode::Notify => SECONDS_MAX.saturating_neg(),
            Mode::Return => 1,
        };
        if !(least..=SECONDS_MAX).contains(&seconds) {
            return Err(ParameterError::new(0, ParameterErrorKind::Value));
        }
        Ok(Self {
            seconds,
            mode,
            trace: false,
        })
    }
}

/// What a server is to do with a message if the next one does not know RRVS (RFC 7293, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these two")]
pub enum IfUnsupported {
    /// Send it on without.
    Continue,
    /// Return it.
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Notify,
    Return,
}

/// The value of BY.
///
/// ```abnf
/// by-value = by-time ";" by-mode [by-trace]
/// by-time  = ["-" / "+"] 1*9DIGIT
/// by-mode  = "N" / "R"
/// by-trace = "T"
/// ```
pub(super) fn check_by(value: &str) -> Result<(), ParameterError> {
    let (time, mode) = value.split_once(';').unwrap_or((value, ""));
    let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
    let sign = time.len().saturating_sub(digits.len());
    let seconds = check_number(digits).map_err(|error| error.behind(sign))?;
    let past = time.starts_with('-') || seconds == 0;
    let modes: &[&str] = if past {
        &["N", "NT"]
    } else {
        &["N", "NT", "R", "RT"]
    };
    let before = time.len().saturating_add(1).min(value.len());
    one_of(mode, modes).map_err(|error| error.behind(before))
}

/// What is asked for by a sound value of BY: a time after which the message is to come back.
pub(crate) fn returned_after(by: &str) -> Option<u64> {
    let (time, mode) = by.split_once(';')?;
    let returned = mode.starts_with(['R', 'r']);
    let seconds = time.strip_prefix('+').unwrap_or(time).parse().ok()?;
    returned.then_some(seconds)
}

/// The value of MT-PRIORITY: `["-"] NZDIGIT / "0"`.
pub(super) fn check_priority(value: &str) -> Result<(), ParameterError> {
    match value.strip_prefix('-').unwrap_or(value).as_bytes() {
        [b'0'] if value.len() == 1 => Ok(()),
        [b'1'..=b'9'] => Ok(()),
        _ => Err(ParameterError::new(0, ParameterErrorKind::Value)),
    }
}

/// The value of HOLDFOR: `%x31-39 *8DIGIT`.
pub(super) fn check_hold_for(value: &str) -> Result<(), ParameterError> {
    check_number(value)?;
    if value.starts_with('0') {
        return Err(ParameterError::new(0, ParameterErrorKind::Value));
    }
    Ok(())
}

/// The value of HOLDUNTIL.
pub(super) fn check_hold_until(value: &str) -> Result<(), ParameterError> {
    value.parse::<DateTime>().map(|_| ())
}

/// The value of RRVS: `date-time [";" ("C" / "R")]`.
pub(super) fn check_valid_since(value: &str) -> Result<(), ParameterError> {
    let (time, then) = match value.split_once(';') {
        Some((time, then)) => (time, Some(then)),
        None => (value, None),
    };
    time.parse::<DateTime>()?;
    then.map_or(Ok(()), |then| one_of(then, &["C", "R"]))
        .map_err(|error| error.behind(time.len().saturating_add(1)))
}

/// The value of AUTH: `<>`, or the `xtext` of a mailbox in ASCII.
pub(super) fn check_submitter(value: &str) -> Result<(), ParameterError> {
    if value == NOBODY {
        return Ok(());
    }
    let mut text = String::with_capacity(value.len());
    for byte in xtext::decode(value) {
        text.push(char::from(byte?));
    }
    match text.parse::<Mailbox>() {
        Ok(mailbox) if mailbox.is_ascii() => Ok(()),
        _ => Err(ParameterError::new(0, ParameterErrorKind::Value)),
    }
}

/// `1*9DIGIT`
fn check_number(digits: &str) -> Result<u32, ParameterError> {
    if digits.is_empty() {
        return Err(ParameterError::new(0, ParameterErrorKind::Empty));
    }
    if digits.len() > SECONDS_DIGITS {
        return Err(ParameterError::new(
            SECONDS_DIGITS,
            ParameterErrorKind::TooLong,
        ));
    }
    match digits.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(offset) => Err(ParameterError::new(offset, ParameterErrorKind::Character)),
        None => (digits.parse()).map_err(|_| ParameterError::new(0, ParameterErrorKind::Value)),
    }
}

fn one_of(value: &str, allowed: &[&str]) -> Result<(), ParameterError> {
    if allowed.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    let reason = if value.is_empty() {
        ParameterErrorKind::Empty
    } else {
        ParameterErrorKind::Value
    };
    Err(ParameterError::new(0, reason))
}

const NOBODY: &str = "<>";
/// RFC 2852, section 4, and RFC 4865, section 3.
const SECONDS_MAX: i32 = 999_999_999;
const SECONDS_DIGITS: usize = 9;
