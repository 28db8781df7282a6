use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::{fmt, str::FromStr};

use super::{
    AddressError, AddressErrorKind, Mailbox, grammar,
    mailbox::{check_ascii_local_part, check_quotable, plain_words, push_local_part},
    textual,
};

/// The reverse path of a message: a mailbox, or the null sender (RFC 5321, section 4.1.2).
///
/// Parsing accepts `a@example.org` and `<a@example.org>`. The empty string and `<>` are the null
/// path.
///
/// # Examples
/// ```
/// use smtp_proto::ReversePath;
///
/// let sender: ReversePath = "alice@example.org".parse()?;
/// assert_eq!(sender.to_string(), "<alice@example.org>");
/// assert_eq!("<>".parse::<ReversePath>()?, ReversePath::null());
/// # Ok::<(), smtp_proto::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReversePath(Option<Mailbox>);

impl ReversePath {
    /// `<>`, the sender of messages that must not be answered, such as delivery status
    /// notifications.
    #[must_use]
    pub const fn null() -> Self {
        Self(None)
    }

    /// Whether the path is `<>`.
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

    /// Whether the path is ASCII, so that SMTPUTF8 is not required.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// Converts the domain to ASCII; see [`Mailbox::to_ascii`].
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

/// The forward path of a recipient (RFC 5321, sections 4.1.1.3 and 4.1.2).
///
/// Parsing accepts a mailbox and `Postmaster` in any case, each with or without angle brackets.
/// Only [`local`](Self::local) creates a recipient without a domain, as used by LMTP servers and
/// local systems.
///
/// # Examples
/// ```
/// use smtp_proto::ForwardPath;
///
/// let bob: ForwardPath = "<bob@example.net>".parse()?;
/// assert_eq!(bob.domain(), Some("example.net"));
/// assert_eq!("postmaster".parse::<ForwardPath>()?, ForwardPath::postmaster());
/// # Ok::<(), smtp_proto::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardPath(Recipient);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Recipient {
    Mailbox(Mailbox),
    Postmaster,
    /// A local part as sent.
    Local(Box<str>),
}

impl ForwardPath {
    /// `<Postmaster>`, the one recipient without a domain that every server must accept.
    #[must_use]
    pub const fn postmaster() -> Self {
        Self(Recipient::Postmaster)
    }

    /// Creates a recipient without a domain from an unquoted user name, which is quoted if
    /// necessary.
    ///
    /// # Errors
    /// If the name is empty, too long, or contains a control character.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::ForwardPath;
    ///
    /// let recipient = ForwardPath::local("bob")?;
    /// assert_eq!((recipient.as_str(), recipient.domain()), ("bob", None));
    /// # Ok::<(), smtp_proto::AddressError>(())
    /// ```
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

    /// The local part without quotes and backslashes.
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

    /// Whether the path is ASCII, so that SMTPUTF8 is not required.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }

    /// Converts the domain to ASCII; see [`Mailbox::to_ascii`].
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

/// Prints angle brackets, so that the null path is visible.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.as_str())
    }
}

/// Prints angle brackets, as for [`ReversePath`].
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

/// The text between angle brackets, if there are any, and the number of bytes before it.
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
