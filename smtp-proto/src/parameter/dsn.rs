//! Reports of what becomes of a message: DSN (RFC 3461), with addresses beyond ASCII (RFC 6533).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::{fmt, ops::BitOr, str::FromStr};

use super::{Parameter, ParameterError, ParameterErrorKind, Value, xtext};
use crate::address::{ForwardPath, is_non_ascii_text};

/// DSN (RFC 3461).
impl Parameter {
    /// RET, of MAIL: how much of the message a report of failure has in it (RFC 3461, section 4.3).
    #[must_use]
    pub const fn ret(ret: Return) -> Self {
        Self::known("RET", Some(Value::known(ret.as_str())))
    }

    /// ENVID, of MAIL: the sender's own name for this message, which reports repeat (RFC 3461, section 4.4).
    ///
    /// # Errors
    /// If it is empty, is not printable ASCII, or is over 94 bytes when encoded. A user agent should keep to 38 (section 5.4).
    pub fn envelope_id(id: &str) -> Result<Self, ParameterError> {
        printable(id)?;
        let value = Value::xtext(id.as_bytes())?;
        at_most(ENVID_MAX, value.as_str())?;
        Ok(Self::known("ENVID", Some(value)))
    }

    /// NOTIFY, of RCPT: on which occasions to report (RFC 3461, section 4.1).
    ///
    /// # Errors
    /// If [`Notify::NEVER`] is asked for together with an occasion.
    pub fn notify(notify: Notify) -> Result<Self, ParameterError> {
        let value = notify
            .value()
            .ok_or(ParameterError::new(0, ParameterErrorKind::Conflict))?;
        Ok(Self::known("NOTIFY", Some(Value::known(value))))
    }

    /// ORCPT, of RCPT: the recipient that the sender named, which reports repeat (RFC 3461, section 4.2).
    #[must_use]
    pub fn original_recipient(original: OriginalRecipient) -> Self {
        Self::known("ORCPT", Some(original.0))
    }
}

/// How much of a message a report of its failure has in it (RFC 3461, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these two")]
pub enum Return {
    /// All of it.
    Full,
    /// The headers only.
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

/// On which occasions the sender wants a report about a recipient (RFC 3461, section 4.1).
///
/// They are joined by `|`. Without any, servers report failures, and delays as they like.
///
/// ```
/// use smtp_proto::Notify;
///
/// let notify = Notify::SUCCESS | Notify::FAILURE;
/// assert_eq!(notify.to_string(), "SUCCESS,FAILURE");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// On none; it cannot be joined with others, which is an error where the parameter is made.
    pub const NEVER: Self = Self(8);
    /// When it has been delivered, or handed on to where nobody will report.
    pub const SUCCESS: Self = Self(4);
    /// When it could not be delivered.
    pub const FAILURE: Self = Self(2);
    /// When delivery takes unusually long.
    pub const DELAY: Self = Self(1);

    /// The value of the parameter, unless it contradicts itself.
    const fn value(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "DELAY",
            2 => "FAILURE",
            3 => "FAILURE,DELAY",
            4 => "SUCCESS",
            5 => "SUCCESS,DELAY",
            6 => "SUCCESS,FAILURE",
            7 => "SUCCESS,FAILURE,DELAY",
            8 => "NEVER",
            _ => return None,
        })
    }
}

impl BitOr for Notify {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// As the parameter says it, `NEVER` or a list with commas, in any case.
impl FromStr for Notify {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let mut all = Self(0);
        let mut offset: usize = 0;
        for word in text.split(',') {
            let fault = |reason| Err(ParameterError::new(offset, reason));
            let known = [
                ("NEVER", Self::NEVER),
                ("SUCCESS", Self::SUCCESS),
                ("FAILURE", Self::FAILURE),
                ("DELAY", Self::DELAY),
            ];
            let one = match known
                .iter()
                .find(|(name, _)| word.eq_ignore_ascii_case(name))
            {
                Some(&(_, one)) => one,
                None if word.is_empty() => return fault(ParameterErrorKind::Empty),
                None => return fault(ParameterErrorKind::Value),
            };
            if all.0 & one.0 != 0 {
                return fault(ParameterErrorKind::Duplicate);
            }
            all = all | one;
            if all.value().is_none() {
                return fault(ParameterErrorKind::Conflict);
            }
            offset = offset.saturating_add(word.len()).saturating_add(1);
        }
        Ok(all)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value().unwrap_or("NEVER and others"))
    }
}

/// The recipient that the sender of a message named, and the kind of its address (RFC 3461, section 4.2).
///
/// Whoever submits a message names the recipient itself; a relay passes on what it got. An address in a text is of the kind
/// `rfc822` if it is ASCII, else of the kind `utf-8`.
///
/// ```
/// use smtp_proto::OriginalRecipient;
///
/// let original = OriginalRecipient::try_from("sales+east@example.net")?;
/// assert_eq!(original.as_str(), "rfc822;sales+2Beast@example.net");
/// # Ok::<(), smtp_proto::ParameterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient(Value);

impl OriginalRecipient {
    /// An address of a registered kind, such as `rfc822` or `x400`, in printable ASCII.
    ///
    /// # Errors
    /// If the kind is no atom, the address is empty or is not printable ASCII, or both are over 494 bytes when encoded.
    /// Offsets are those in `kind`, `;` and `address` put together.
    pub fn new(kind: &str, address: &str) -> Result<Self, ParameterError> {
        check_kind(kind)?;
        let before = kind.len().saturating_add(1);
        printable(address).map_err(|error| error.behind(before))?;
        Self::encoded(kind, |out| xtext::encode(address.as_bytes(), out))
    }

    /// An address of the kind `utf-8`, in ASCII: `utf-8-addr-xtext` of RFC 6533, section 3, for any server.
    ///
    /// # Errors
    /// If it is empty, has a control character, or is over 494 bytes when encoded.
    pub fn utf8(address: &str) -> Result<Self, ParameterError> {
        Self::wide(address, xtext::Wide::Escaped)
    }

    /// An address of the kind `utf-8`, in UTF-8: `utf-8-addr-unitext` of RFC 6533, section 3. With it, a message is sent only to
    /// a server that offers SMTPUTF8.
    ///
    /// # Errors
    /// If it is empty, has a control character, or is over 494 bytes when encoded.
    pub fn unitext(address: &str) -> Result<Self, ParameterError> {
        Self::wide(address, xtext::Wide::Plain)
    }

    /// The value of the parameter as a relay got it, encoded already: the reverse of [`as_str`](Self::as_str).
    ///
    /// # Errors
    /// If it is not the kind, `;` and the address, in xtext, or for the kind `utf-8` as RFC 6533, section 3, has it, or if it
    /// is over 494 bytes.
    pub fn from_value(value: &str) -> Result<Self, ParameterError> {
        check_original(value)?;
        Ok(Self(value.parse()?))
    }

    /// The value of the parameter: the kind, `;` and the address, encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn wide(address: &str, wide: xtext::Wide) -> Result<Self, ParameterError> {
        let before = UTF8.len().saturating_add(1);
        let shown = |c: char| matches!(c, ' '..='~') || is_non_ascii_text(c);
        check(address, shown).map_err(|error| error.behind(before))?;
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

/// An address in plain words.
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
pub(super) fn check_ret(value: &str) -> Result<(), ParameterError> {
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
pub(super) fn check_envelope_id(value: &str) -> Result<(), ParameterError> {
    at_most(ENVID_MAX, value)?;
    check_xtext(value)
}

/// The value of NOTIFY.
pub(super) fn check_notify(value: &str) -> Result<(), ParameterError> {
    value.parse::<Notify>().map(|_| ())
}

/// The value of ORCPT.
pub(super) fn check_original(value: &str) -> Result<(), ParameterError> {
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
    checked.map_err(|error| error.behind(before))
}

/// `xtext` that stands for printable ASCII.
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
    if value.is_empty() {
        return Err(ParameterError::new(0, ParameterErrorKind::Empty));
    }
    Ok(())
}

/// `addr-type = atom` (RFC 3461, section 4.2; RFC 5322, section 3.2.3), of what a value may hold.
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

/// RFC 3461, sections 4.4 and 5.4: the whole parameter has at most 100 bytes.
const ENVID_MAX: usize = 100 - "ENVID=".len();
/// RFC 3461, sections 4.2 and 5.4: the whole parameter has at most 500 bytes.
const ORCPT_MAX: usize = 500 - "ORCPT=".len();
