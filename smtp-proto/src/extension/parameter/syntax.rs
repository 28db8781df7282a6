use alloc::{borrow::Cow, borrow::ToOwned, string::String};
use core::{fmt, str::FromStr};

use super::{ParameterError, ParameterErrorKind, xtext};
use crate::address::is_non_ascii_text;

/// The keyword of a parameter (`esmtp-keyword`), in upper case.
///
/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`, here of at most 64 bytes.
///
/// # Examples
/// ```
/// use smtp_proto::parameter::Keyword;
///
/// assert_eq!("mt-priority".parse::<Keyword>()?.as_str(), "MT-PRIORITY");
/// # Ok::<(), smtp_proto::parameter::ParameterError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword(Cow<'static, str>);

impl Keyword {
    /// A constant that is known to be valid.
    pub(in crate::extension) const fn known(keyword: &'static str) -> Self {
        Self(Cow::Borrowed(keyword))
    }

    /// The keyword in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Keyword {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        check(text, KEYWORD_MAX, |offset, c| {
            c.is_ascii_alphanumeric() || (c == '-' && offset > 0)
        })?;
        Ok(Self(Cow::Owned(text.to_ascii_uppercase())))
    }
}

/// The value of a parameter (`esmtp-value`), as it is sent.
///
/// `esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)` (RFC 5321, section 4.1.2; RFC 6531,
/// section 3.3), here of at most 1024 bytes.
///
/// # Examples
/// ```
/// use smtp_proto::parameter::Value;
///
/// assert_eq!(Value::xtext(b"a+b c")?.as_str(), "a+2Bb+20c");
/// assert!("a b".parse::<Value>().is_err());
/// # Ok::<(), smtp_proto::parameter::ParameterError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Cow<'static, str>);

impl Value {
    /// A constant that is known to be valid.
    pub(in crate::extension) const fn known(value: &'static str) -> Self {
        Self(Cow::Borrowed(value))
    }

    /// Encodes any bytes as `xtext` (RFC 3461, section 4), the form of ENVID, ORCPT and AUTH.
    ///
    /// # Errors
    /// If there are none, or the encoded value is longer than 1024 bytes.
    pub fn xtext(bytes: &[u8]) -> Result<Self, ParameterError> {
        let mut text = String::with_capacity(bytes.len().min(VALUE_MAX));
        let enough = VALUE_MAX.saturating_add(1);
        xtext::encode(bytes.get(..enough).unwrap_or(bytes), &mut text);
        Self::try_from(text)
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is ASCII, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

impl FromStr for Value {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Value {
    type Error = ParameterError;

    fn try_from(text: String) -> Result<Self, ParameterError> {
        check(&text, VALUE_MAX, |_, c| {
            matches!(c, '!'..='<' | '>'..='~') || is_non_ascii_text(c)
        })?;
        Ok(Self(Cow::Owned(text)))
    }
}

macro_rules! textual {
    ($($name:ident),+) => {$(
        impl TryFrom<&str> for $name {
            type Error = ParameterError;

            fn try_from(text: &str) -> Result<Self, ParameterError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }
    )+};
}
textual!(Keyword, Value);

/// Checks length and characters; `allowed` gets the offset of each character.
fn check(
    text: &str,
    max: usize,
    allowed: impl Fn(usize, char) -> bool,
) -> Result<(), ParameterError> {
    if text.is_empty() {
        return Err(ParameterError::new(0, ParameterErrorKind::Empty));
    }
    if text.len() > max {
        return Err(ParameterError::new(max, ParameterErrorKind::TooLong));
    }
    match text.char_indices().find(|&(offset, c)| !allowed(offset, c)) {
        Some((offset, _)) => Err(ParameterError::new(offset, ParameterErrorKind::Character)),
        None => Ok(()),
    }
}

/// `1*9DIGIT`
pub(in crate::extension) fn check_number(digits: &str) -> Result<u32, ParameterError> {
    if digits.is_empty() {
        return Err(ParameterError::new(0, ParameterErrorKind::Empty));
    }
    if digits.len() > NUMBER_DIGITS {
        return Err(ParameterError::new(
            NUMBER_DIGITS,
            ParameterErrorKind::TooLong,
        ));
    }
    match digits.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(offset) => Err(ParameterError::new(offset, ParameterErrorKind::Character)),
        None => (digits.parse()).map_err(|_| ParameterError::new(0, ParameterErrorKind::Value)),
    }
}

/// Checks that the value is one of these words, in any case.
pub(in crate::extension) fn one_of(value: &str, allowed: &[&str]) -> Result<(), ParameterError> {
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

/// More than any registered keyword needs.
const KEYWORD_MAX: usize = 64;
/// Twice what the longest registered value, ORCPT (RFC 3461, section 4.2), may need.
const VALUE_MAX: usize = 1024;
/// RFC 2852, section 4, and RFC 4865, section 3.
const NUMBER_DIGITS: usize = 9;
