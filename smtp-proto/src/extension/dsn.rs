//! Delivery status notifications: DSN (RFC 3461), with non-ASCII addresses (RFC 6533).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::{fmt, ops::BitOr, str::FromStr};

use super::parameter::{Parameter, ParameterError, ParameterErrorKind, Value, xtext};
use super::{Extension, Form, ParameterSpec};
use crate::address::{ForwardPath, is_non_ascii_text};

// RFC 3461, section 5.4.
pub(crate) const EXTENSION: Extension = Extension::new(&[
    ParameterSpec::mail("ENVID", 101, Form::Value(check_envelope_id)),
    ParameterSpec::rcpt("NOTIFY", 29, Form::Value(check_notify)),
    ParameterSpec::rcpt("ORCPT", 501, Form::Value(check_original)),
    ParameterSpec::mail("RET", 9, Form::Value(check_ret)),
]);

impl Parameter {
    /// RET, of MAIL: how much of the message a report of failure contains (RFC 3461, section 4.3).
    #[must_use]
    pub const fn ret(ret: Return) -> Self {
        Self::known("RET", Some(Value::known(ret.as_str())))
    }

    /// ENVID, of MAIL: the sender's identifier of this message, which reports repeat (RFC 3461,
    /// section 4.4).
    ///
    /// # Errors
    /// If it is empty, is not printable ASCII, or is longer than 94 bytes when encoded. A user
    /// agent should use at most 38 (section 5.4).
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Parameter;
    ///
    /// assert_eq!(Parameter::envelope_id("QQ+31")?.to_string(), "ENVID=QQ+2B31");
    /// # Ok::<(), smtp_proto::parameter::ParameterError>(())
    /// ```
    pub fn envelope_id(id: &str) -> Result<Self, ParameterError> {
        printable(id)?;
        let value = Value::xtext(id.as_bytes())?;
        at_most(ENVID_MAX, value.as_str())?;
        Ok(Self::known("ENVID", Some(value)))
    }

    /// NOTIFY, of RCPT: the occasions for reports (RFC 3461, section 4.1).
    #[must_use]
    pub fn notify(notify: impl Into<Notify>) -> Self {
        Self::known("NOTIFY", Some(Value::known(notify.into().as_str())))
    }

    /// ORCPT, of RCPT: the recipient as the sender specified it, which reports repeat (RFC 3461,
    /// section 4.2).
    #[must_use]
    pub fn original_recipient(original: OriginalRecipient) -> Self {
        Self::known("ORCPT", Some(original.0))
    }
}

/// How much of a message a report of failure contains (RFC 3461, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these two")]
pub enum Return {
    /// The whole message.
    Full,
    /// The header section only.
    Headers,
}

impl Return {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

/// The occasions on which the sender wants a report about a recipient (RFC 3461, section 4.1).
///
/// [`SUCCESS`](Self::SUCCESS), [`FAILURE`](Self::FAILURE) and [`DELAY`](Self::DELAY) are joined by
/// `|`; [`NEVER`](Self::NEVER) stands alone. Without NOTIFY, servers report failures, and delays if
/// they choose to.
///
/// ```
/// use smtp_proto::dsn::Notify;
///
/// let notify = Notify::from(Notify::SUCCESS | Notify::FAILURE);
/// assert_eq!(notify.to_string(), "SUCCESS,FAILURE");
/// assert_eq!(format!("{notify:?}"), "Notify(SUCCESS,FAILURE)");
/// ```
///
/// ```compile_fail
/// use smtp_proto::dsn::Notify;
///
/// let _ = Notify::NEVER | Notify::FAILURE;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify(u8);

/// One or more of success, failure and delay: see [`Notify`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Occasions(u8);

impl Notify {
    /// No report.
    pub const NEVER: Self = Self(8);
    /// The message was delivered, or relayed to a server that will not report.
    pub const SUCCESS: Occasions = Occasions(4);
    /// The message could not be delivered.
    pub const FAILURE: Occasions = Occasions(2);
    /// Delivery takes unusually long.
    pub const DELAY: Occasions = Occasions(1);

    /// The value of the parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            1 => "DELAY",
            2 => "FAILURE",
            3 => "FAILURE,DELAY",
            4 => "SUCCESS",
            5 => "SUCCESS,DELAY",
            6 => "SUCCESS,FAILURE",
            7 => "SUCCESS,FAILURE,DELAY",
            _ => "NEVER",
        }
    }
}

impl From<Occasions> for Notify {
    fn from(occasions: Occasions) -> Self {
        Self(occasions.0)
    }
}

impl BitOr for Occasions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `NEVER`, or a list with commas, in any case.
impl FromStr for Notify {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let mut all = 0;
        let mut offset: usize = 0;
        for word in text.split(',') {
            let fault = |reason| Err(ParameterError::new(offset, reason));
            let known = [
                ("NEVER", Self::NEVER.0),
                ("SUCCESS", Self::SUCCESS.0),
                ("FAILURE", Self::FAILURE.0),
                ("DELAY", Self::DELAY.0),
            ];
            let one = match known
                .iter()
                .find(|(name, _)| word.eq_ignore_ascii_case(name))
            {
                Some(&(_, one)) => one,
                None if word.is_empty() => return fault(ParameterErrorKind::Empty),
                None => return fault(ParameterErrorKind::Value),
            };
            if all & one != 0 {
                return fault(ParameterErrorKind::Duplicate);
            }
            all |= one;
            if all > Self::NEVER.0 {
                return fault(ParameterErrorKind::Conflict);
            }
            offset = offset.saturating_add(word.len()).saturating_add(1);
        }
        Ok(Self(all))
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notify({self})")
    }
}

impl fmt::Debug for Occasions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Occasions({})", Notify::from(*self))
    }
}

/// The recipient as the sender specified it, with the type of the address (RFC 3461, section 4.2).
///
/// A submission client specifies the recipient itself; a relay passes on the value that it
/// received. A string is an address of the type `rfc822` if it is ASCII, else of the type `utf-8`.
///
/// ```
/// use smtp_proto::dsn::OriginalRecipient;
///
/// let original = OriginalRecipient::try_from("sales+east@example.net")?;
/// assert_eq!(original.as_str(), "rfc822;sales+2Beast@example.net");
/// # Ok::<(), smtp_proto::parameter::ParameterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient(Value);

impl OriginalRecipient {
    /// An address of a registered type, such as `rfc822` or `x400`, in printable ASCII.
    ///
    /// # Errors
    /// If the type is not an atom, the address is empty or is not printable ASCII, or both are
    /// longer than 494 bytes when encoded. Offsets are those in `kind`, `;` and `address` put
    /// together.
    pub fn new(kind: &str, address: &str) -> Result<Self, ParameterError> {
        check_kind(kind)?;
        let before = kind.len().saturating_add(1);
        printable(address).map_err(|error| error.shifted(before))?;
        Self::encoded(kind, |out| xtext::encode(address.as_bytes(), out))
    }

    /// An address of the type `utf-8`, in ASCII: `utf-8-addr-xtext` (RFC 6533, section 3), for any
    /// server.
    ///
    /// # Errors
    /// If it is empty, contains a control character, or is longer than 494 bytes when encoded.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::dsn::OriginalRecipient;
    ///
    /// let original = OriginalRecipient::utf8("j\u{fc}rgen@example.net")?;
    /// assert_eq!(original.as_str(), "utf-8;j\\x{FC}rgen@example.net");
    /// # Ok::<(), smtp_proto::parameter::ParameterError>(())
    /// ```
    pub fn utf8(address: &str) -> Result<Self, ParameterError> {
        Self::wide(address, xtext::Wide::Escaped)
    }

    /// An address of the type `utf-8`, in UTF-8: `utf-8-addr-unitext` (RFC 6533, section 3). The
    /// message is then sent only to a server that advertises SMTPUTF8.
    ///
    /// # Errors
    /// If it is empty, contains a control character, or is longer than 494 bytes when encoded.
    pub fn unitext(address: &str) -> Result<Self, ParameterError> {
        Self::wide(address, xtext::Wide::Plain)
    }

    /// The encoded value of the parameter as a relay received it: the inverse of
    /// [`as_str`](Self::as_str).
    ///
    /// # Errors
    /// If it is not the type, `;` and the address, in `xtext` or for the type `utf-8` as in RFC
    /// 6533, section 3, or if it is longer than 494 bytes.
    pub fn from_value(value: &str) -> Result<Self, ParameterError> {
        check_original(value)?;
        Ok(Self(value.parse()?))
    }

    /// The value of the parameter: the type, `;` and the address, encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn wide(address: &str, wide: xtext::Wide) -> Result<Self, ParameterError> {
        let before = UTF8.len().saturating_add(1);
        let shown = |c: char| matches!(c, ' '..='~') || is_non_ascii_text(c);
        check(address, shown).map_err(|error| error.shifted(before))?;
        Self::encoded(UTF8, |out| xtext::encode_address(address, wide, out))
    }

    fn encoded(kind: &str, address: impl FnOnce(&mut String)) -> Result<Self, ParameterError> {
        let mut text = kind.to_owned();
        text.push(';');
        address(&mut text);
        at_most(ORCPT_MAX, &text)?;
        Ok(Self(Value::try_from(text)?))
    }
}

/// An address that is not encoded.
impl FromStr for OriginalRecipient {
    type Err = ParameterError;

    fn from_str(address: &str) -> Result<Self, ParameterError> {
        if address.is_ascii() {
            Self::new(RFC822, address)
        } else {
            Self::utf8(address)
        }
    }
}

/// As [`from_str`](Self::from_str).
impl TryFrom<&str> for OriginalRecipient {
    type Error = ParameterError;

    fn try_from(address: &str) -> Result<Self, ParameterError> {
        address.parse()
    }
}

impl TryFrom<&ForwardPath> for OriginalRecipient {
    type Error = ParameterError;

    fn try_from(path: &ForwardPath) -> Result<Self, ParameterError> {
        path.as_str().try_into()
    }
}

/// The value of RET.
fn check_ret(value: &str) -> Result<(), ParameterError> {
    let known = [Return::Full, Return::Headers];
    if known
        .iter()
        .any(|ret| value.eq_ignore_ascii_case(ret.as_str()))
    {
        Ok(())
    } else {
        Err(ParameterError::new(0, ParameterErrorKind::Value))
    }
}

/// The value of ENVID.
fn check_envelope_id(value: &str) -> Result<(), ParameterError> {
    at_most(ENVID_MAX, value)?;
    check_xtext(value)
}

/// The value of NOTIFY.
fn check_notify(value: &str) -> Result<(), ParameterError> {
    value.parse::<Notify>().map(|_| ())
}

/// The value of ORCPT.
fn check_original(value: &str) -> Result<(), ParameterError> {
    at_most(ORCPT_MAX, value)?;
    let (kind, address) = value.split_once(';').unwrap_or((value, ""));
    check_kind(kind)?;
    let checked = if address.is_empty() {
        Err(ParameterError::new(0, ParameterErrorKind::Empty))
    } else if kind.eq_ignore_ascii_case(UTF8) {
        xtext::decode_address(address).try_for_each(|c| c.map(|_| ()))
    } else {
        check_xtext(address)
    };
    let before = kind.len().saturating_add(1).min(value.len());
    checked.map_err(|error| error.shifted(before))
}

/// `xtext` of printable ASCII. A value is not empty.
fn check_xtext(value: &str) -> Result<(), ParameterError> {
    let mut offset: usize = 0;
    for byte in xtext::decode(value) {
        let byte = byte?;
        if !matches!(byte, b' '..=b'~') {
            return Err(ParameterError::new(offset, ParameterErrorKind::Character));
        }
        let escaped = value.as_bytes().get(offset) == Some(&b'+');
        offset = offset.saturating_add(if escaped { 3 } else { 1 });
    }
    Ok(())
}

/// `addr-type = atom` (RFC 3461, section 4.2; RFC 5322, section 3.2.3), of the characters of a
/// value.
fn check_kind(kind: &str) -> Result<(), ParameterError> {
    check(kind, |c| {
        c.is_ascii_alphanumeric() || "!#$%&'*-/?^_`{|}~.".contains(c)
    })
}

fn printable(text: &str) -> Result<(), ParameterError> {
    check(text, |c| matches!(c, ' '..='~'))
}

fn check(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), ParameterError> {
    if text.is_empty() {
        return Err(ParameterError::new(0, ParameterErrorKind::Empty));
    }
    match text.char_indices().find(|&(_, c)| !allowed(c)) {
        Some((offset, _)) => Err(ParameterError::new(offset, ParameterErrorKind::Character)),
        None => Ok(()),
    }
}

fn at_most(max: usize, value: &str) -> Result<(), ParameterError> {
    if value.len() > max {
        return Err(ParameterError::new(max, ParameterErrorKind::TooLong));
    }
    Ok(())
}

const RFC822: &str = "rfc822";
const UTF8: &str = "utf-8";

/// The whole parameter has at most 100 bytes (RFC 3461, sections 4.4 and 5.4).
const ENVID_MAX: usize = 100 - "ENVID=".len();
/// The whole parameter has at most 500 bytes (RFC 3461, sections 4.2 and 5.4).
const ORCPT_MAX: usize = 500 - "ORCPT=".len();
