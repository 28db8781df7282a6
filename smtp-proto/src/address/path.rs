use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::{fmt, str::FromStr};

use super::{
    AddressError, AddressErrorKind, Mailbox, grammar,
    mailbox::{check_ascii_local_part, check_quotable, plain_words, push_local_part},
    textual,
};

/// The reverse path of a message: a mailbox, or the null sender (RFC 5321, section 4.1.2).
///
/// Parsing takes `a@example.org` and `<a@example.org>`; the empty text and `<>` are the null path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReversePath(Option<Mailbox>);

impl ReversePath {
    /// `<>`, the sender of messages that must not be answered, such as reports of failed delivery.
    #[must_use]
    pub const fn null() -> Self {
        Self(None)
    }

    /// Whether it is `<>`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The mailbox, unless the path is null.
    #[must_use]
    pub const fn mailbox(&self) -> Option<&Mailbox> {
        self.0.as_ref()
    }

    /// The mailbox without angle brackets; empty for the null path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Mailbox::as_str)
    }

    /// Whether it is ASCII, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// The path in ASCII: see [`Mailbox::to_ascii`].
    ///
    /// # Errors
    /// As for a mailbox.
    pub fn to_ascii(&self) -> Result<Self, AddressError> {
        let mailbox = self.0.as_ref().map(Mailbox::to_ascii).transpose()?;
        Ok(Self(mailbox))
    }

    /// Appends `<mailbox>` or `<>`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode_path(self.as_str(), out);
    }
}

impl FromStr for ReversePath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (inner, before) = without_brackets(text)?;
        if inner.is_empty() {
            return Ok(Self::null());
        }
        match inner.parse::<Mailbox>() {
            Ok(mailbox) => Ok(mailbox.into()),
            Err(error) => Err(error.behind(before)),
        }
    }
}

impl From<Mailbox> for ReversePath {
    fn from(mailbox: Mailbox) -> Self {
        Self(Some(mailbox))
    }
}

impl From<&Mailbox> for ReversePath {
    fn from(mailbox: &Mailbox) -> Self {
        Self(Some(mailbox.clone()))
    }
}

/// Whom a message is for (RFC 5321, sections 4.1.1.3 and 4.1.2).
///
/// Parsing takes a mailbox and `Postmaster` in any case, each with or without angle brackets. A
/// recipient without a domain, as LMTP servers and local systems know them, is made by
/// [`local`](Self::local) only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardPath(Recipient);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Recipient {
    Mailbox(Mailbox),
    Postmaster,
    /// A local part as it goes on the wire.
    Local(Box<str>),
}

impl ForwardPath {
    /// `<Postmaster>`, the one recipient without a domain that every server has to accept.
    #[must_use]
    pub const fn postmaster() -> Self {
        Self(Recipient::Postmaster)
    }

    /// A recipient without a domain, in plain words, quoted as needed.
    ///
    /// # Errors
    /// If it is empty, too long, or holds a control character.
    pub fn local(user: &str) -> Result<Self, AddressError> {
        if user.is_empty() {
            return Err(AddressError::new(0, AddressErrorKind::Empty));
        }
        check_quotable(user)?;
        if user.eq_ignore_ascii_case(POSTMASTER) {
            return Ok(Self::postmaster());
        }
        let mut text = String::with_capacity(user.len().saturating_add(2));
        push_local_part(&mut text, user.chars());
        if text.len() > grammar::MAILBOX_MAX {
            return Err(AddressError::new(user.len(), AddressErrorKind::LongMailbox));
        }
        Ok(Self(Recipient::Local(text.into_boxed_str())))
    }

    /// The mailbox, unless the recipient has no domain.
    #[must_use]
    pub const fn mailbox(&self) -> Option<&Mailbox> {
        match &self.0 {
            Recipient::Mailbox(mailbox) => Some(mailbox),
            _ => None,
        }
    }

    /// The local part in plain words: without quotes and backslashes.
    #[must_use]
    pub fn local_part(&self) -> Cow<'_, str> {
        match &self.0 {
            Recipient::Mailbox(mailbox) => mailbox.local_part(),
            Recipient::Postmaster => Cow::Borrowed(POSTMASTER),
            Recipient::Local(text) => plain_words(text),
        }
    }

    /// The domain or address literal, if there is one.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.mailbox().map(Mailbox::domain)
    }

    /// The path without angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Recipient::Mailbox(mailbox) => mailbox.as_str(),
            Recipient::Postmaster => POSTMASTER,
            Recipient::Local(text) => text,
        }
    }

    /// Whether it is ASCII, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// The path in ASCII: see [`Mailbox::to_ascii`].
    ///
    /// # Errors
    /// As for a mailbox.
    pub fn to_ascii(&self) -> Result<Self, AddressError> {
        match &self.0 {
            Recipient::Mailbox(mailbox) => mailbox.to_ascii().map(Into::into),
            Recipient::Postmaster => Ok(Self::postmaster()),
            Recipient::Local(text) => check_ascii_local_part(text).map(|()| self.clone()),
        }
    }

    /// Appends `<recipient>`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode_path(self.as_str(), out);
    }
}

impl FromStr for ForwardPath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (inner, before) = without_brackets(text)?;
        if inner.eq_ignore_ascii_case(POSTMASTER) {
            return Ok(Self::postmaster());
        }
        match inner.parse::<Mailbox>() {
            Ok(mailbox) => Ok(mailbox.into()),
            Err(error) => Err(error.behind(before)),
        }
    }
}

impl From<Mailbox> for ForwardPath {
    fn from(mailbox: Mailbox) -> Self {
        Self(Recipient::Mailbox(mailbox))
    }
}

impl From<&Mailbox> for ForwardPath {
    fn from(mailbox: &Mailbox) -> Self {
        mailbox.clone().into()
    }
}

textual!(ReversePath, ForwardPath);

/// With angle brackets, so that the null path can be seen.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.as_str())
    }
}

/// With angle brackets, like [`ReversePath`].
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.as_str())
    }
}

fn encode_path(inner: &str, out: &mut Vec<u8>) {
    out.push(b'<');
    out.extend_from_slice(inner.as_bytes());
    out.push(b'>');
}

/// What stands between angle brackets, if there are any, and how many bytes stand before it.
fn without_brackets(text: &str) -> Result<(&str, usize), AddressError> {
    match text.strip_prefix('<') {
        None => Ok((text, 0)),
        Some(rest) => match rest.strip_suffix('>') {
            Some(inner) => Ok((inner, 1)),
            None => Err(AddressError::new(text.len(), AddressErrorKind::Bracket)),
        },
    }
}

/// The spelling of RFC 5321, section 4.1.1.3.
const POSTMASTER: &str = "Postmaster";
