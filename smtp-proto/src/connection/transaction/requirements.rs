//! The extensions that a message requires, checked before MAIL is sent.
//!
//! | the message contains | with SMTPUTF8 | without |
//! | --- | --- | --- |
//! | a non-ASCII header field, local part or parameter | SMTPUTF8, addresses unchanged | error; or header fields recoded, if requested |
//! | non-ASCII domains only | A-labels, no SMTPUTF8 | A-labels |
//! | the same without A-labels | SMTPUTF8, addresses unchanged | error |
//! | 8-bit header fields that are not UTF-8 | error; recoded or sent by 8BITMIME, if requested | the same |
//!
//! The second row follows RFC 6531: a client should avoid SMTPUTF8 if it can (section 3.4), since
//! the next server may not support it, and any server accepts A-labels (section 3.2). Only the
//! header section of the message itself is checked, not those of its parts; section 3.6 requires no
//! more.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::rcpt::Addressee;
use crate::address::{AddressError, AddressErrorKind, ForwardPath, ReversePath};
use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind, MissingExtension};
use crate::extension::{Body, Content};
use crate::location::{Location, MailPart};
use crate::mail::{self, Mail};
use crate::stage::Stage;

/// The parameters of MAIL except SIZE, and the form of the addresses.
pub(super) struct Requirements {
    pub(super) content: Content,
    pub(super) a_labels: Option<Box<ALabels>>,
    /// Whether the content was recoded.
    pub(super) recoded: bool,
}

/// The addresses of a message that are converted to A-labels.
#[derive(Debug, Default)]
pub(super) struct ALabels {
    sender: Option<ReversePath>,
    /// In the order of the recipients.
    recipients: Vec<(usize, ForwardPath)>,
}

/// Determines the extensions that the message requires; an error if the server does not advertise
/// one.
///
/// The content may be recoded: see
/// [`MailBuilder::downgrade_with`](crate::MailBuilder::downgrade_with).
pub(super) fn of(
    mail: &mut Mail,
    recipients: &[Addressee],
    capabilities: &Capabilities,
) -> Result<Requirements, Error> {
    apply_capabilities(mail, capabilities)?;
    let (smtp_utf8, a_labels) =
        if mail.needs_utf8() || recipients.iter().any(|each| !each.path.is_ascii()) {
            match beyond_ascii(mail, recipients, capabilities) {
                Err(_) if mail.has_utf8_headers() && mail.recode()? => {
                    return recoded(mail, recipients, capabilities);
                }
                result => result?,
            }
        } else {
            (false, None)
        };
    // With SMTPUTF8, all header fields must be UTF-8.
    if let Some((fault, place)) = mail.header_not_utf8()
        && (smtp_utf8 || !mail.takes_eight_bit_headers())
    {
        return match mail.recode()? {
            true => recoded(mail, recipients, capabilities),
            false => Err(rejection(ErrorKind::Content(fault)).at(place)),
        };
    }
    let takes_binary = capabilities.binary_mime() && capabilities.chunking();
    let body = body_of(mail);
    let lacking = match body {
        Some(Body::BinaryMime) if !takes_binary => Some(MissingExtension::BinaryMime),
        Some(Body::EightBitMime) if !capabilities.eight_bit_mime() => {
            Some(MissingExtension::EightBitMime)
        }
        _ => None,
    };
    match lacking {
        None => {}
        Some(_) if mail.recode()? => return recoded(mail, recipients, capabilities),
        Some(MissingExtension::BinaryMime) => {
            return Err(unsupported(
                MissingExtension::BinaryMime,
                mail.first_binary(),
            ));
        }
        Some(need) => return Err(unsupported(need, mail.first_eight_bit())),
    }
    Ok(Requirements {
        content: Content {
            size: None,
            body,
            smtp_utf8,
        },
        a_labels,
        recoded: false,
    })
}

/// Withholds optional parameters that the server does not support; an error if it does not support
/// a required one.
fn apply_capabilities(mail: &mut Mail, capabilities: &Capabilities) -> Result<(), Error> {
    let Some(extensions) = &mut mail.envelope.extensions else {
        return Ok(());
    };
    extensions.apply_capabilities(capabilities).map_err(|kind| {
        let part = match &kind {
            ErrorKind::Unsupported(MissingExtension::Parameter {
                recipient: Some(index),
                ..
            }) => MailPart::Recipient(*index),
            _ => MailPart::Parameters,
        };
        rejection(kind).at(Location::whole(part))
    })
}

/// The requirements of the recoded message, which is 7-bit.
fn recoded(
    mail: &mut Mail,
    recipients: &[Addressee],
    capabilities: &Capabilities,
) -> Result<Requirements, Error> {
    let needs = of(mail, recipients, capabilities)?;
    Ok(Requirements {
        recoded: true,
        ..needs
    })
}

impl ALabels {
    /// The non-ASCII addresses, or the first without an ASCII form.
    fn of(mail: &Mail, recipients: &[Addressee]) -> Result<Self, (MailPart, AddressError)> {
        let mut found = Self::default();
        if !mail.sender().is_ascii() {
            let ascii = mail.sender().to_ascii();
            found.sender = Some(ascii.map_err(|error| (MailPart::Sender, error))?);
        }
        for (index, Addressee { path, .. }) in recipients.iter().enumerate() {
            if !path.is_ascii() {
                let ascii = path.to_ascii();
                let ascii = ascii.map_err(|error| (MailPart::Recipient(index), error))?;
                found.recipients.push((index, ascii));
            }
        }
        Ok(found)
    }

    /// The converted sender, if it was converted.
    pub(super) fn sender(&self) -> Option<&ReversePath> {
        self.sender.as_ref()
    }

    /// The converted recipient, if it was converted.
    pub(super) fn recipient(&self, index: usize) -> Option<&ForwardPath> {
        let found = (self.recipients).binary_search_by_key(&index, |(index, _)| *index);
        self.recipients.get(found.ok()?).map(|(_, path)| path)
    }
}

/// Determines whether a non-ASCII message requires SMTPUTF8, or A-labels in its addresses.
#[cold]
fn beyond_ascii(
    mail: &Mail,
    recipients: &[Addressee],
    capabilities: &Capabilities,
) -> Result<(bool, Option<Box<ALabels>>), Error> {
    let elsewhere = if mail.has_utf8_headers() {
        Some(mail.first_eight_bit())
    } else {
        let extensions = mail.envelope.extensions.as_ref();
        extensions.and_then(|extensions| extensions.beyond_ascii().map(Location::whole))
    };
    match (elsewhere, ALabels::of(mail, recipients)) {
        (None, Ok(a_labels)) => Ok((false, Some(Box::new(a_labels)))),
        _ if capabilities.smtp_utf8() => Ok((true, None)),
        (Some(place), _) => Err(unsupported(MissingExtension::SmtpUtf8, place)),
        (None, Err((field, error))) => {
            let place = Location::within(field, error.offset());
            Err(match error.kind() {
                AddressErrorKind::NonAsciiLocalPart => {
                    unsupported(MissingExtension::SmtpUtf8, place)
                }
                AddressErrorKind::NonAscii => unsupported(MissingExtension::ALabels, place),
                fault => rejection(ErrorKind::Address(fault)).at(place),
            })
        }
    }
}

/// The body type of the content.
fn body_of(mail: &Mail) -> Option<Body> {
    match &mail.content {
        mail::Content::Whole { binary: true, .. } => Some(Body::BinaryMime),
        mail::Content::Streamed { declared, .. } if declared.binary => Some(Body::BinaryMime),
        _ if mail.needs_eight_bit() => Some(Body::EightBitMime),
        _ => None,
    }
}

fn unsupported(need: MissingExtension, place: Location) -> Error {
    rejection(ErrorKind::Unsupported(need)).at(place)
}

fn rejection(kind: ErrorKind) -> Error {
    Error::new(Stage::Mail, kind)
}
