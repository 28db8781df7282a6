use alloc::{borrow::Cow, boxed::Box, string::String};
use core::{fmt, str::FromStr};

use super::{AddressError, AddressErrorKind, grammar, idna, textual};

/// A mailbox, `local-part@domain` (RFC 5321, section 4.1.2).
///
/// The domain may be an address literal such as `[192.0.2.1]`. Characters outside ASCII are taken as
/// RFC 6531 has it; [`is_ascii`](Self::is_ascii) tells whether SMTPUTF8 is needed.
///
/// The local part is quoted only where it must be: `"a"@example.org` and `a@example.org` are the same
/// mailbox. Otherwise equality is of bytes; neither part is folded to one case.
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
    /// As it goes on the wire, without angle brackets.
    text: Box<str>,
    /// Where the `@` between the two parts is.
    at: usize,
}

impl Mailbox {
    /// Joins a local part in plain words, which is quoted as needed, and a domain or address literal.
    ///
    /// # Errors
    /// Offsets are those in `local_part`, `@` and `domain` put together.
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

    /// The local part in plain words: without quotes and backslashes.
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

    /// The mailbox as it goes on the wire, without angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether both parts are ASCII, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The mailbox in ASCII, its domain as [`Domain::to_ascii`](super::Domain::to_ascii) gives it.
    ///
    /// # Errors
    /// [`NonAsciiLocalPart`](AddressErrorKind::NonAsciiLocalPart) if the local part is not ASCII: it has no other form
    /// (RFC 6531, section 3.2). Otherwise as for a domain. Offsets are those in [`as_str`](Self::as_str).
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

/// Rejects what not even a quoted local part can hold.
pub(super) fn check_quotable(local_part: &str) -> Result<(), AddressError> {
    match local_part
        .char_indices()
        .find(|&(_, c)| !grammar::is_quotable(c))
    {
        Some((offset, c)) => Err(AddressError::at(offset, c)),
        None => Ok(()),
    }
}

/// Appends a local part given in plain words, between quotes only if it has to be.
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

/// What a written local part means.
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
