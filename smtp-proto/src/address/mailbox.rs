use alloc::{borrow::Cow, boxed::Box, string::String};
use core::{fmt, str::FromStr};

use super::{AddressError, AddressErrorKind, grammar, idna, textual};

/// A mailbox, `local-part@domain` (RFC 5321, section 4.1.2).
///
/// The domain may be an address literal such as `[192.0.2.1]`. Non-ASCII characters follow RFC
/// 6531; [`is_ascii`](Self::is_ascii) tells whether SMTPUTF8 is required.
///
/// The local part is quoted only if necessary: `"a"@example.org` and `a@example.org` are the same
/// mailbox. Otherwise equality is of bytes; both parts are case-sensitive.
///
/// ```
/// # use smtp_proto::{AddressError, Mailbox};
/// let mailbox: Mailbox = r#""john\ doe"@example.org"#.parse()?;
/// assert_eq!(mailbox.local_part(), "john doe");
/// assert_eq!(mailbox.as_str(), r#""john doe"@example.org"#);
/// # Ok::<(), AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// As sent, without angle brackets.
    text: Box<str>,
    /// The offset of the `@` between the two parts.
    at: usize,
}

impl Mailbox {
    /// Joins an unquoted local part, which is quoted if necessary, and a domain or address literal.
    ///
    /// # Errors
    /// If a part is invalid. Offsets count in `local_part`, `@` and `domain` joined together.
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::{AddressError, Mailbox};
    /// let mailbox = Mailbox::new("Alice B.", "example.org")?;
    /// assert_eq!(mailbox.as_str(), r#""Alice B."@example.org"#);
    /// assert_eq!(Mailbox::new("alice", "example_org").unwrap_err().offset(), 13);
    /// # Ok::<(), AddressError>(())
    /// ```
    pub fn new(local_part: &str, domain: &str) -> Result<Self, AddressError> {
        check_quotable(local_part)?;
        let mut text = String::with_capacity(
            local_part
                .len()
                .saturating_add(domain.len())
                .saturating_add(3),
        );
        push_local_part(&mut text, local_part.chars());
        let at = text.len();
        let host = local_part.len().saturating_add(1);
        grammar::domain_or_literal(domain).map_err(|error| error.behind(host))?;
        text.push('@');
        text.push_str(domain);
        if text.len() > grammar::MAILBOX_MAX {
            return Err(AddressError::new(host, AddressErrorKind::LongMailbox));
        }
        Ok(Self {
            text: text.into_boxed_str(),
            at,
        })
    }

    /// The local part without quotes and backslashes.
    #[must_use]
    pub fn local_part(&self) -> Cow<'_, str> {
        plain_words(self.text.get(..self.at).unwrap_or_default())
    }

    /// The domain, or the address literal in its brackets.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text
            .get(self.at..)
            .and_then(|rest| rest.strip_prefix('@'))
            .unwrap_or_default()
    }

    /// The mailbox as sent, without angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether both parts are ASCII, so that SMTPUTF8 is not required.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// Converts the domain to ASCII; see [`Domain::to_ascii`](super::Domain::to_ascii).
    ///
    /// # Errors
    /// [`NonAsciiLocalPart`](AddressErrorKind::NonAsciiLocalPart) if the local part is not ASCII,
    /// since it has no ASCII form (RFC 6531, section 3.2). Otherwise as for a domain. Offsets count
    /// in [`as_str`](Self::as_str).
    pub fn to_ascii(&self) -> Result<Self, AddressError> {
        let local_part = self.text.get(..self.at).unwrap_or_default();
        check_ascii_local_part(local_part)?;
        let host = self.at.saturating_add(1);
        let domain = idna::to_ascii(self.domain()).map_err(|error| error.behind(host))?;
        let mut text = String::with_capacity(host.saturating_add(domain.len()));
        text.push_str(local_part);
        text.push('@');
        text.push_str(&domain);
        if text.len() > grammar::MAILBOX_MAX {
            return Err(AddressError::new(host, AddressErrorKind::LongMailbox));
        }
        Ok(Self {
            text: text.into_boxed_str(),
            at: self.at,
        })
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let at = grammar::mailbox(text)?;
        let (written, domain) = text.split_at_checked(at).unwrap_or_default();
        if !written.starts_with('"') {
            return Ok(Self {
                text: text.into(),
                at,
            });
        }
        let mut canonical = String::with_capacity(text.len());
        push_local_part(&mut canonical, unquoted(written));
        let at = canonical.len();
        canonical.push_str(domain);
        Ok(Self {
            text: canonical.into_boxed_str(),
            at,
        })
    }
}

textual!(Mailbox);

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Mailbox {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Rejects a local part that is not ASCII.
pub(super) fn check_ascii_local_part(local_part: &str) -> Result<(), AddressError> {
    match local_part.bytes().position(|byte| !byte.is_ascii()) {
        None => Ok(()),
        Some(at) => Err(AddressError::new(at, AddressErrorKind::NonAsciiLocalPart)),
    }
}

/// Rejects characters that not even a quoted local part can contain.
pub(super) fn check_quotable(local_part: &str) -> Result<(), AddressError> {
    match local_part
        .char_indices()
        .find(|&(_, c)| !grammar::is_quotable(c))
    {
        Some((offset, c)) => Err(AddressError::at(offset, c)),
        None => Ok(()),
    }
}

/// Appends an unquoted local part, and quotes it only if necessary.
pub(super) fn push_local_part(out: &mut String, words: impl Iterator<Item = char> + Clone) {
    if grammar::is_dot_string(words.clone()) {
        return out.extend(words);
    }
    out.push('"');
    for c in words {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// The value of a local part as sent.
pub(super) fn plain_words(written: &str) -> Cow<'_, str> {
    match written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        None => Cow::Borrowed(written),
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        Some(_) => Cow::Owned(unquoted(written).collect()),
    }
}

/// The characters of a valid quoted string, without its quotes and backslashes.
fn unquoted(written: &str) -> impl Iterator<Item = char> + Clone + '_ {
    let inner = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default();
    let mut escaped = false;
    inner.chars().filter(move |&c| {
        escaped = c == '\\' && !escaped;
        !escaped
    })
}
