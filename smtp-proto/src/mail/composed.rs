//! Messages composed by the crate `mail-builder`.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address;
use mail_builder::headers::message_id::generate_message_id_header;

use super::message::envelope_field;
use super::{FieldError, FieldErrorKind, Mail, MailBuilder, MailError};
use crate::address::Mailbox;
use crate::location::{Location, MailPart};

/// The composed message, with the envelope that its header section states: see
/// [`MailBuilder::from_message`]. `Bcc` fields are not sent.
///
/// `Date` and `MIME-Version` are added if they are missing, as `mail-builder` does. So is
/// `Message-ID`, with the domain of the author, since that of the host is seldom known.
///
/// # Errors
/// As for [`Mail::from_message`]. A display name in the place of an address is an error too.
///
/// # Examples
/// ```
/// use mail_builder::MessageBuilder;
/// use smtp_proto::Mail;
///
/// let message = MessageBuilder::new()
///     .from(("Alice", "alice@example.org"))
///     .to(vec![("Bob", "bob@example.net"), ("Carol", "carol@example.net")])
///     .bcc("dave@example.com")
///     .subject("Hello")
///     .text_body("Hello all.\r\n");
/// let mail = Mail::try_from(message)?;
/// assert_eq!(mail.sender().as_str(), "alice@example.org");
/// assert_eq!(mail.recipients().len(), 3);
/// # Ok::<(), smtp_proto::MailError>(())
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "mail-builder")))]
impl TryFrom<MessageBuilder<'_>> for Mail {
    type Error = MailError;

    fn try_from(message: MessageBuilder<'_>) -> Result<Self, MailError> {
        MailBuilder::from(message).build()
    }
}

/// Starts with a composed message and the envelope that it states, so that more can be set. The
/// error of a message that states none is that of [`build`](MailBuilder::build).
///
/// # Examples
/// ```
/// use mail_builder::MessageBuilder;
/// use smtp_proto::dsn::Notify;
/// use smtp_proto::{MailBuilder, Recipient};
///
/// let message = MessageBuilder::new().from("alice@example.org").text_body("Hello.\r\n");
/// let mail = MailBuilder::from(message)
///     .sender("bounces@example.org")
///     .recipient(Recipient::new("bob@example.net").notify(Notify::FAILURE))
///     .build()?;
/// assert_eq!(mail.sender().as_str(), "bounces@example.org");
/// # Ok::<(), smtp_proto::MailError>(())
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "mail-builder")))]
impl From<MessageBuilder<'_>> for MailBuilder {
    fn from(mut message: MessageBuilder<'_>) -> Self {
        if let Err(error) = check_addresses(&message) {
            let content = Location::whole(MailPart::Content);
            return Self::failed(MailError::of_field(content, error));
        }
        let has_id = |name: &str| name.eq_ignore_ascii_case("Message-ID");
        if !message.headers.iter().any(|(name, _)| has_id(name))
            && let Some(id) = message_id(&message)
        {
            message = message.message_id(id);
        }
        let mut bytes = Vec::new();
        message.serialize(&mut bytes);
        Self::from_message(bytes)
    }
}

/// Checks each address by itself: they are written as given, and a comma in one would begin another.
fn check_addresses(message: &MessageBuilder<'_>) -> Result<(), FieldError> {
    for (name, value) in &message.headers {
        let (Some(field), HeaderType::Address(list)) = (envelope_field(name.as_bytes()), value)
        else {
            continue;
        };
        for email in emails(list) {
            if let Err(error) = email.parse::<Mailbox>() {
                let error = FieldError::new(field, FieldErrorKind::Address(error));
                return Err(error.with_address(email));
            }
        }
    }
    Ok(())
}

/// The addresses of a field, those in groups included.
fn emails<'a>(list: &'a Address<'_>) -> impl Iterator<Item = &'a str> {
    let mut rest = vec![list];
    core::iter::from_fn(move || {
        loop {
            match rest.pop()? {
                Address::Address(address) => return Some(&*address.email),
                Address::Group(group) => rest.extend(group.addresses.iter().rev()),
                Address::List(list) => rest.extend(list.iter().rev()),
            }
        }
    })
}

/// A message identifier with the domain of the author, unless the domain is a literal or non-ASCII.
fn message_id(message: &MessageBuilder<'_>) -> Option<String> {
    let author = message
        .headers
        .iter()
        .find_map(|(name, value)| match value {
            HeaderType::Address(list) if name.eq_ignore_ascii_case("From") => emails(list).next(),
            _ => None,
        })?;
    let (_, domain) = author.rsplit_once('@')?;
    if !domain.is_ascii() || domain.starts_with('[') {
        return None;
    }
    let mut id = Vec::new();
    generate_message_id_header(&mut id, domain);
    let id = String::from_utf8(id).ok()?;
    Some(id.trim_matches(['<', '>']).into())
}

#[cfg(test)]
mod tests;
