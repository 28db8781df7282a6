//! Locations in a message.

use core::fmt;

/// A location in a [`Mail`](crate::Mail): a part, and an offset into it.
///
/// # Examples
/// ```
/// use smtp_proto::{Mail, MailPart};
///
/// let message = "From: alice@example.org\r\n\r\nHello,\nBob\r\n";
/// let error = Mail::new("alice@example.org", ["bob@example.net"], message).unwrap_err();
/// let location = error.location();
/// assert_eq!(location.part(), MailPart::Content);
/// assert_eq!((location.line(), location.offset()), (Some(3), Some(33)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    field: MailPart,
    offset: Option<u64>,
    line: Option<u64>,
}

/// A part of a [`Mail`](crate::Mail).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MailPart {
    /// The sender.
    Sender,
    /// The list of recipients.
    Recipients,
    /// One recipient, counted from zero.
    Recipient(usize),
    /// The parameters.
    Parameters,
    /// The content.
    Content,
}

impl Location {
    /// The whole of a part.
    pub(crate) const fn whole(field: MailPart) -> Self {
        Self {
            field,
            offset: None,
            line: None,
        }
    }

    /// A byte of an address.
    pub(crate) fn within(field: MailPart, offset: usize) -> Self {
        Self {
            offset: u64::try_from(offset).ok(),
            ..Self::whole(field)
        }
    }

    /// A byte of content that is in memory as a whole.
    pub(crate) fn in_content(content: &[u8], offset: u64) -> Self {
        let before = usize::try_from(offset)
            .ok()
            .and_then(|offset| content.get(..offset))
            .unwrap_or(content);
        let lines = memchr::memchr_iter(b'\n', before).count();
        Self {
            field: MailPart::Content,
            offset: Some(offset),
            line: u64::try_from(lines)
                .ok()
                .map(|lines| lines.saturating_add(1)),
        }
    }

    /// The part.
    pub const fn part(&self) -> MailPart {
        self.field
    }

    /// The offset into the part in bytes; `None` for the part as a whole.
    pub const fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// The line of the content, counted from one; `None` for other parts.
    pub const fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.field.fmt(f)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match self.offset {
            Some(offset) => write!(f, ", offset {offset}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for MailPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sender => f.write_str("sender"),
            Self::Recipients => f.write_str("recipients"),
            Self::Recipient(index) => write!(f, "recipient {index}"),
            Self::Parameters => f.write_str("parameters"),
            Self::Content => f.write_str("content"),
        }
    }
}
