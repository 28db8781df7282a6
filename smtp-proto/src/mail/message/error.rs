//! Errors of header fields that state an envelope.

use alloc::boxed::Box;
use core::fmt;

use crate::address::AddressError;
use crate::reply::Escaped;

/// The reason why the envelope cannot be taken from the header section of a message, and the field.
///
/// # Examples
/// ```
/// use smtp_proto::{FieldErrorKind, Mail, MailErrorKind};
///
/// let message = "From: alice@example.org\r\nTo: bob@example.net, carol\r\n\r\nHello\r\n";
/// let error = Mail::from_message(message).unwrap_err();
/// let MailErrorKind::Field(field) = error.kind() else { unreachable!() };
/// assert_eq!((field.field(), field.address()), ("To", Some("carol")));
/// assert!(matches!(field.kind(), FieldErrorKind::Address(_)));
/// assert_eq!(error.location().line(), Some(2));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct FieldError {
    field: &'static str,
    kind: FieldErrorKind,
    address: Option<Box<str>>,
}

/// The kind of a [`FieldError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldErrorKind {
    /// An address that is not a mailbox.
    Address(AddressError),
    /// A value that is not a list of addresses (RFC 5322, section 3.4).
    Syntax,
    /// A field that may occur only once, and occurs again (RFC 5322, section 3.6).
    Repeated,
    /// Several mailboxes where one is the sender: in `From` without a `Sender` field, or in
    /// `Sender` (RFC 5322, section 3.6.2).
    SeveralMailboxes,
    /// No mailbox where one is the sender.
    NoMailbox,
    /// No address in any field for recipients.
    NoRecipient,
    /// A group without members, and no recipient in any field.
    EmptyGroup,
}

impl FieldError {
    pub(crate) const fn new(field: &'static str, kind: FieldErrorKind) -> Self {
        Self {
            field,
            kind,
            address: None,
        }
    }

    /// Adds the address, cut if it is long.
    pub(crate) fn with_address(self, address: &str) -> Self {
        let end = (0..=ADDRESS_MAX)
            .rev()
            .find(|&end| address.is_char_boundary(end));
        let front = address.get(..end.unwrap_or_default()).unwrap_or(address);
        Self {
            address: Some(front.into()),
            ..self
        }
    }

    /// The name of the field, such as `To` or `Resent-Bcc`.
    pub fn field(&self) -> &str {
        self.field
    }

    /// The kind of error.
    pub fn kind(&self) -> FieldErrorKind {
        self.kind
    }

    /// The malformed address, without comments if it could be split; its first 256 bytes, if it is
    /// longer. `None` if the error is not of one address.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The likely remedy.
    fn hint(&self) -> &'static str {
        match self.kind {
            FieldErrorKind::Address(_) | FieldErrorKind::Syntax => {
                "commas separate addresses; a display name with special characters needs quotes: \
                 \"Doe, Bob\" <bob@example.net>"
            }
            FieldErrorKind::Repeated => "leave only one of them, and separate addresses by commas",
            FieldErrorKind::SeveralMailboxes if self.field.ends_with("Sender") => {
                "name only the mailbox that sends the message"
            }
            FieldErrorKind::SeveralMailboxes => {
                "add a Sender field with the one mailbox that sends the message"
            }
            FieldErrorKind::NoMailbox => "a message names its sender in From or Sender",
            FieldErrorKind::NoRecipient => {
                "add a To, Cc or Bcc field, or call `MailBuilder::recipient`"
            }
            FieldErrorKind::EmptyGroup => {
                "add a Bcc field, which is not sent, or call `MailBuilder::recipient`"
            }
        }
    }
}

/// The address is quoted, escaped, and cut if it is long.
impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == FieldErrorKind::NoRecipient {
            let prefix = self.field.strip_suffix("To").unwrap_or_default();
            write!(f, "no address in {prefix}To, {prefix}Cc or {prefix}Bcc")?;
        } else {
            f.write_str(self.field)?;
            if let Some(address) = self.address() {
                write!(f, " \"{}\"", Escaped::new(address.as_bytes(), SHOWN))?;
            }
            write!(f, ": {}", self.kind)?;
        }
        if f.alternate() {
            write!(f, " ({})", self.hint())?;
        }
        Ok(())
    }
}

debug_as_display!(FieldError);

impl core::error::Error for FieldError {}

impl fmt::Display for FieldErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address(error) => return error.fmt(f),
            Self::Syntax => "malformed list of addresses",
            Self::Repeated => "the field occurs more than once",
            Self::SeveralMailboxes => "more than one mailbox",
            Self::NoMailbox => "no mailbox",
            Self::NoRecipient => "no address in a field for recipients",
            Self::EmptyGroup => "a group without members, and no recipient in another field",
        })
    }
}

/// Bytes of an address that are kept.
const ADDRESS_MAX: usize = 256;

/// Bytes of an address that are shown.
const SHOWN: usize = 64;
