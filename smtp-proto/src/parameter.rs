//! What may stand behind the path in MAIL and RCPT (RFC 5321, section 4.1.2).
//!
//! The parameters that follow from the message itself, SIZE, BODY and SMTPUTF8, are [`Content`]: the
//! transaction works them out, and a user cannot give others. All the rest are [`Parameter`]s, which
//! a user puts together in [`Parameters`].

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::{fmt, str::FromStr};

use crate::address::is_non_ascii_text;

mod content;

pub(crate) use content::{Body, Content, encode_decimal};

/// A parameter of MAIL or RCPT, `KEYWORD` or `KEYWORD=value` (RFC 5321, section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    keyword: Keyword,
    value: Option<Value>,
}

impl Parameter {
    /// A parameter by its keyword, with a value that is already encoded as its extension demands.
    ///
    /// # Errors
    /// If a part does not keep to the grammar, or the keyword is SIZE, BODY or SMTPUTF8, which the
    /// message decides. Offsets are those in `keyword`, `=` and `value` put together.
    pub fn new(keyword: &str, value: Option<&str>) -> Result<Self, ParameterError> {
        let before = keyword.len().saturating_add(1);
        let keyword: Keyword = keyword.parse()?;
        if Content::KEYWORDS.contains(&keyword.as_str()) {
            return Err(ParameterError::new(0, ParameterFault::Owned));
        }
        let value = value
            .map(str::parse)
            .transpose()
            .map_err(|error: ParameterError| error.behind(before))?;
        Ok(Self { keyword, value })
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
    /// For a parameter not known here it is the parameter's own keyword.
    #[must_use]
    pub fn extension(&self) -> &str {
        known(&self.keyword).map_or_else(|| self.keyword.as_str(), |known| known.extension)
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

    /// Octets in an encoded line.
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

/// The parameters of one MAIL or RCPT: no keyword twice, and none that belongs to the other command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    place: Place,
    list: Vec<Parameter>,
}

impl Parameters {
    /// None yet, for MAIL.
    #[must_use]
    pub const fn mail() -> Self {
        Self {
            place: Place::Mail,
            list: Vec::new(),
        }
    }

    /// None yet, for RCPT.
    #[must_use]
    pub const fn rcpt() -> Self {
        Self {
            place: Place::Rcpt,
            list: Vec::new(),
        }
    }

    /// Adds one.
    ///
    /// # Errors
    /// If its keyword is there already or belongs to the other command, or if all of them together
    /// would be over 2048 octets.
    pub fn push(&mut self, parameter: Parameter) -> Result<(), ParameterError> {
        if known(&parameter.keyword).is_some_and(|known| known.place != self.place) {
            return Err(ParameterError::new(0, ParameterFault::Misplaced));
        }
        if self
            .list
            .iter()
            .any(|other| other.keyword == parameter.keyword)
        {
            return Err(ParameterError::new(0, ParameterFault::Duplicate));
        }
        let len: usize = self.list.iter().map(Parameter::encoded_len).sum();
        if len.saturating_add(parameter.encoded_len()) > PARAMETERS_MAX {
            return Err(ParameterError::new(0, ParameterFault::TooLong));
        }
        self.list.push(parameter);
        Ok(())
    }

    /// All of them, in the order they were added.
    #[must_use]
    pub fn as_slice(&self) -> &[Parameter] {
        &self.list
    }

    /// Whether all values are ASCII, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.list
            .iter()
            .filter_map(Parameter::value)
            .all(Value::is_ascii)
    }
}

/// The keyword of a parameter (`esmtp-keyword`), in upper case.
///
/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`, here of at most 64 octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword(Cow<'static, str>);

impl Keyword {
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

/// The value of a parameter (`esmtp-value`), as it goes on the wire.
///
/// `esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)` (RFC 5321, section 4.1.2; RFC 6531,
/// section 3.3), here of at most 1024 octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Box<str>);

impl Value {
    /// Encodes any octets as `xtext` (RFC 3461, section 4), as ENVID, ORCPT and AUTH want it.
    ///
    /// # Errors
    /// If there are none, or the encoded value is over 1024 octets.
    pub fn xtext(octets: &[u8]) -> Result<Self, ParameterError> {
        let mut text = String::with_capacity(octets.len());
        for &octet in octets.iter().take(VALUE_MAX.saturating_add(1)) {
            match octet {
                b'+' | b'=' | ..=b' ' | 0x7f.. => {
                    let (high, low) = (octet >> 4, octet & 0xf);
                    text.push('+');
                    text.extend([high, low].map(|nibble| {
                        match char::from_digit(nibble.into(), 16) {
                            Some(digit) => digit.to_ascii_uppercase(),
                            None => '0',
                        }
                    }));
                }
                _ => text.push(char::from(octet)),
            }
        }
        text.parse()
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
        check(text, VALUE_MAX, |_, c| {
            matches!(c, '!'..='<' | '>'..='~') || is_non_ascii_text(c)
        })?;
        Ok(Self(text.into()))
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

/// Why a text is not a parameter, or why a parameter cannot be added.
///
/// It never repeats the text, so it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterError {
    offset: usize,
    reason: ParameterFault,
}

impl ParameterError {
    const fn new(offset: usize, reason: ParameterFault) -> Self {
        Self { offset, reason }
    }

    const fn behind(self, octets: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(octets),
            ..self
        }
    }

    /// Where the fault lies, in octets; 0 if it is the parameter as a whole.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn reason(&self) -> ParameterFault {
        self.reason
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            ParameterFault::Empty => "parameter with nothing where a keyword or value is needed",
            ParameterFault::Character => "parameter with a character that is not allowed",
            ParameterFault::TooLong => "parameter too long",
            ParameterFault::Owned => "parameter that the message decides",
            ParameterFault::Duplicate => "parameter that is there already",
            ParameterFault::Misplaced => "parameter that belongs to the other command",
        })?;
        match self.reason {
            ParameterFault::Empty | ParameterFault::Character | ParameterFault::TooLong => {
                write!(f, " at offset {}", self.offset)
            }
            _ => Ok(()),
        }
    }
}

impl core::error::Error for ParameterError {}

/// What can be wrong with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParameterFault {
    /// An empty keyword or value.
    Empty,
    /// A control character, a space, `=` in a value, or what else the grammar has not.
    Character,
    /// A keyword over 64 octets, a value over 1024, or all parameters together over 2048.
    TooLong,
    /// SIZE, BODY or SMTPUTF8.
    Owned,
    /// A keyword twice.
    Duplicate,
    /// A parameter of RCPT on MAIL or the reverse.
    Misplaced,
}

/// The command that a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Mail,
    Rcpt,
}

struct Known {
    keyword: &'static str,
    place: Place,
    extension: &'static str,
}

fn known(keyword: &Keyword) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.keyword == keyword.as_str())
}

/// The parameters registered with IANA, besides those in [`Content`].
const KNOWN: &[Known] = &[
    Known {
        keyword: "AUTH",
        place: Place::Mail,
        extension: "AUTH",
    },
    Known {
        keyword: "BY",
        place: Place::Mail,
        extension: "DELIVERBY",
    },
    Known {
        keyword: "CONNEG",
        place: Place::Rcpt,
        extension: "CONNEG",
    },
    Known {
        keyword: "CONPERM",
        place: Place::Mail,
        extension: "CONPERM",
    },
    Known {
        keyword: "ENVID",
        place: Place::Mail,
        extension: "DSN",
    },
    Known {
        keyword: "HOLDFOR",
        place: Place::Mail,
        extension: "FUTURERELEASE",
    },
    Known {
        keyword: "HOLDUNTIL",
        place: Place::Mail,
        extension: "FUTURERELEASE",
    },
    Known {
        keyword: "MT-PRIORITY",
        place: Place::Mail,
        extension: "MT-PRIORITY",
    },
    Known {
        keyword: "MTRK",
        place: Place::Mail,
        extension: "MTRK",
    },
    Known {
        keyword: "NOTIFY",
        place: Place::Rcpt,
        extension: "DSN",
    },
    Known {
        keyword: "ORCPT",
        place: Place::Rcpt,
        extension: "DSN",
    },
    Known {
        keyword: "REQUIRETLS",
        place: Place::Mail,
        extension: "REQUIRETLS",
    },
    Known {
        keyword: "RET",
        place: Place::Mail,
        extension: "DSN",
    },
    Known {
        keyword: "RRVS",
        place: Place::Rcpt,
        extension: "RRVS",
    },
    Known {
        keyword: "SOLICIT",
        place: Place::Mail,
        extension: "NO-SOLICITING",
    },
    Known {
        keyword: "SUBMITTER",
        place: Place::Mail,
        extension: "SUBMITTER",
    },
];

/// Checks length and characters; `allowed` is asked with the offset of each character.
fn check(
    text: &str,
    max: usize,
    allowed: impl Fn(usize, char) -> bool,
) -> Result<(), ParameterError> {
    if text.is_empty() {
        return Err(ParameterError::new(0, ParameterFault::Empty));
    }
    if text.len() > max {
        return Err(ParameterError::new(max, ParameterFault::TooLong));
    }
    match text.char_indices().find(|&(offset, c)| !allowed(offset, c)) {
        Some((offset, _)) => Err(ParameterError::new(offset, ParameterFault::Character)),
        None => Ok(()),
    }
}

/// More than any registered keyword needs.
const KEYWORD_MAX: usize = 64;
/// Twice what the longest registered value, ORCPT (RFC 3461, section 4.2), may need.
const VALUE_MAX: usize = 1024;
/// Keeps a MAIL or RCPT line well inside the 4096 octets that may be unanswered at one time.
const PARAMETERS_MAX: usize = 2048;

#[cfg(test)]
mod tests;
