//! The envelope of a message from its header section.

mod address_list;
mod error;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use self::address_list::{AddressList, ListError, address_list};
pub use self::error::{FieldError, FieldErrorKind};
use super::MailError;
use super::envelope::Addressed;
use crate::address::{ForwardPath, Mailbox, ReversePath};
use crate::content::{Field, fields, section_fault};
use crate::location::{Location, MailPart};

/// What the header section of a message states.
pub(super) struct Stated {
    pub(super) sender: ReversePath,
    pub(super) recipients: Vec<Addressed>,
    /// The error if no recipient is added.
    pub(super) no_recipient: Option<MailError>,
    /// The message without its Bcc and Resent-Bcc fields.
    pub(super) content: Bytes,
}

impl Stated {
    pub(super) fn by(message: Bytes) -> Result<Self, MailError> {
        if let Some(fault) = section_fault(&message) {
            return Err(MailError::in_content(&message, fault));
        }
        let block = Block::of(&message)?;
        let sender = block.sender(&message)?;
        let (recipients, no_recipient) = block.recipients(&message)?;
        Ok(Self {
            sender,
            recipients,
            no_recipient,
            content: without_bcc(message),
        })
    }
}

/// The fields that decide the envelope: those of the author, or of the most recent resending
/// (RFC 5322, section 3.6.6).
#[derive(Default)]
struct Block<'a> {
    resent: bool,
    from: Option<Field<'a>>,
    sender: Option<Field<'a>>,
    recipients: Vec<(Name, Field<'a>)>,
    /// The names of resent fields so far.
    seen: Vec<Name>,
}

impl<'a> Block<'a> {
    fn of(message: &'a [u8]) -> Result<Self, MailError> {
        let (mut original, mut resent) = (Self::default(), None::<Self>);
        let mut ended = false;
        for field in fields(message) {
            let (name, is_resent) = Name::of(field.name);
            if !is_resent {
                ended = resent.is_some();
                original.add(message, name, field)?;
                continue;
            }
            let block = resent.get_or_insert_with(|| Self {
                resent: true,
                ..Self::default()
            });
            // Blocks may follow each other directly. These fields are in each of them only once.
            ended |= name.begins_block() && block.seen.contains(&name);
            if !ended {
                block.add(message, name, field)?;
            }
        }
        Ok(resent.unwrap_or(original))
    }

    fn add(&mut self, message: &[u8], name: Name, field: Field<'a>) -> Result<(), MailError> {
        let repeated = match name {
            Name::From => self.from.is_some(),
            Name::Sender => self.sender.is_some(),
            // The author's may occur in parts, against RFC 5322, section 3.6; of resent ones the
            // second may be of an earlier block.
            Name::To | Name::Cc | Name::Bcc => self.resent && self.seen.contains(&name),
            Name::Date | Name::Identifier | Name::Other => false,
        };
        if repeated {
            let error = FieldError::new(name.as_str(self.resent), FieldErrorKind::Repeated);
            return Err(error_at(message, field.range.start, error));
        }
        if self.resent && name != Name::Other {
            self.seen.push(name);
        }
        match name {
            Name::From => self.from = Some(field),
            Name::Sender => self.sender = Some(field),
            Name::To | Name::Cc | Name::Bcc => self.recipients.push((name, field)),
            Name::Date | Name::Identifier | Name::Other => {}
        }
        Ok(())
    }

    fn sender(&self, message: &[u8]) -> Result<ReversePath, MailError> {
        let (name, field) = match (&self.sender, &self.from) {
            (Some(field), _) => (Name::Sender, field),
            (None, Some(field)) => (Name::From, field),
            // Only of resent fields, since every message has a From field.
            (None, None) => {
                let error = FieldError::new(Name::From.as_str(true), FieldErrorKind::NoMailbox);
                return Err(error_in_whole(error));
            }
        };
        let list = self.parse(message, name, field)?;
        let kind = match <[Mailbox; 1]>::try_from(list.mailboxes) {
            Ok([mailbox]) => return Ok(mailbox.into()),
            Err(none) if none.is_empty() => FieldErrorKind::NoMailbox,
            Err(_) => FieldErrorKind::SeveralMailboxes,
        };
        let error = FieldError::new(name.as_str(self.resent), kind);
        Err(error_at(message, field.range.start, error))
    }

    /// The recipients in the order of the fields, each once, and the error if there is none.
    fn recipients(&self, message: &[u8]) -> Result<(Vec<Addressed>, Option<MailError>), MailError> {
        let (mut recipients, mut known) = (Vec::new(), BTreeSet::new());
        let mut empty_group = None;
        for (name, field) in &self.recipients {
            let list = self.parse(message, *name, field)?;
            if let Some(at) = list.empty_group {
                let at = field.value_offset().saturating_add(at);
                empty_group.get_or_insert((*name, at));
            }
            for mailbox in list.mailboxes {
                if known.insert(identity(&mailbox)) {
                    recipients.push(Addressed::new(ForwardPath::from(mailbox)));
                }
            }
        }
        let none = match empty_group {
            _ if !recipients.is_empty() => None,
            Some((name, at)) => {
                let error = FieldError::new(name.as_str(self.resent), FieldErrorKind::EmptyGroup);
                Some(error_at(message, at, error))
            }
            None => {
                let name = Name::To.as_str(self.resent);
                let error = FieldError::new(name, FieldErrorKind::NoRecipient);
                Some(error_in_whole(error))
            }
        };
        Ok((recipients, none))
    }

    fn parse(
        &self,
        message: &[u8],
        name: Name,
        field: &Field<'_>,
    ) -> Result<AddressList, MailError> {
        address_list(field.value).map_err(|ListError { offset, kind, text }| {
            let error = FieldError::new(name.as_str(self.resent), kind).with_address(&text);
            error_at(message, field.value_offset().saturating_add(offset), error)
        })
    }
}

/// The name of a field that decides the envelope, in its usual letter case.
#[cfg(feature = "mail-builder")]
pub(super) fn envelope_field(name: &[u8]) -> Option<&'static str> {
    match Name::of(name) {
        (Name::Date | Name::Identifier | Name::Other, _) => None,
        (name, resent) => Some(name.as_str(resent)),
    }
}

/// The name of a field, without `Resent-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    From,
    Sender,
    To,
    Cc,
    Bcc,
    Date,
    Identifier,
    Other,
}

impl Name {
    /// The name, and whether it begins with `Resent-`.
    fn of(name: &[u8]) -> (Self, bool) {
        let (prefix, rest) = name.split_at_checked(RESENT.len()).unwrap_or_default();
        let is_resent = prefix.eq_ignore_ascii_case(RESENT);
        let name = if is_resent { rest } else { name };
        let found = NAMES
            .iter()
            .find(|(_, text, _)| name.eq_ignore_ascii_case(text.as_bytes()));
        (found.map_or(Self::Other, |(found, ..)| *found), is_resent)
    }

    fn as_str(self, resent: bool) -> &'static str {
        let found = NAMES.iter().find(|(name, ..)| *name == self);
        found.map_or(
            "",
            |(_, plain, with_prefix)| if resent { with_prefix } else { plain },
        )
    }

    /// Whether a second resent field of this name is of an earlier block.
    const fn begins_block(self) -> bool {
        matches!(
            self,
            Self::From | Self::Sender | Self::Date | Self::Identifier
        )
    }
}

const RESENT: &[u8] = b"Resent-";

const NAMES: [(Name, &str, &str); 7] = [
    (Name::From, "From", "Resent-From"),
    (Name::Sender, "Sender", "Resent-Sender"),
    (Name::To, "To", "Resent-To"),
    (Name::Cc, "Cc", "Resent-Cc"),
    (Name::Bcc, "Bcc", "Resent-Bcc"),
    (Name::Date, "Date", "Resent-Date"),
    (Name::Identifier, "Message-ID", "Resent-Message-ID"),
];

/// The message without its Bcc and Resent-Bcc fields; the same memory if there are none.
fn without_bcc(message: Bytes) -> Bytes {
    let bcc = fields(&message).filter(|field| Name::of(field.name).0 == Name::Bcc);
    let bcc: Vec<Range<usize>> = bcc.map(|field| field.range).collect();
    if bcc.is_empty() {
        return message;
    }
    let mut content = Vec::with_capacity(message.len());
    let mut start = 0;
    let ends = bcc.iter().map(|field| field.start).chain([message.len()]);
    for (end, next) in ends.zip(bcc.iter().map(|field| field.end).chain([message.len()])) {
        let kept = message.get(start..end).unwrap_or_default();
        // A bare CR and a bare LF, each a line end, must not become one.
        if kept.first() == Some(&b'\n') && content.last() == Some(&b'\r') {
            content.pop();
            content.push(b'\n');
        }
        content.extend_from_slice(kept);
        start = next;
    }
    content.into()
}

/// What tells one mailbox from another: the letter case of a domain does not (RFC 5321, section
/// 2.4).
fn identity(mailbox: &Mailbox) -> (String, String) {
    let local_part = mailbox.local_part().into_owned();
    (local_part, mailbox.domain().to_ascii_lowercase())
}

fn error_at(message: &[u8], offset: usize, error: FieldError) -> MailError {
    let offset = u64::try_from(offset).unwrap_or(u64::MAX);
    MailError::of_field(Location::in_content(message, offset), error)
}

fn error_in_whole(error: FieldError) -> MailError {
    MailError::of_field(Location::whole(MailPart::Content), error)
}

#[cfg(test)]
mod tests;
