//! What a message needs from the server, and whether the server has it: found out before a byte goes out.
//!
//! | what is in the message | with SMTPUTF8 | without |
//! | --- | --- | --- |
//! | bytes above 127 in the headers, in a local part, in a parameter | SMTPUTF8, addresses as they are | rejected; headers recoded, on request |
//! | of all that, only domains beyond ASCII | A-labels, no SMTPUTF8 | A-labels |
//! | the same, and there are no A-labels to be had | SMTPUTF8, addresses as they are | rejected |
//! | bytes above 127 in the headers that are not UTF-8 | rejected, or recoded on request; on request, 8BITMIME | the same |
//!
//! The second line follows RFC 6531: who can do without SMTPUTF8 should (section 3.4), since a server further on may not have
//! it, and a domain may be told as A-labels to any server (section 3.2). Of headers only those of the message itself are looked
//! at, not those of parts within it; section 3.6 asks for no more.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::address::{AddressError, AddressErrorKind, ForwardPath, ReversePath};
use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind, MissingExtension, Stage};
use crate::location::{Location, MailPart};
use crate::mail::{Mail, Text};
use crate::parameter::{Body, Content};

/// What MAIL says of a message that the server can take, but for its size, and how its addresses are written.
pub(super) struct Requirements {
    pub(super) content: Content,
    pub(super) a_labels: Option<Box<ALabels>>,
    /// Whether the text is another than it was.
    pub(super) recoded: bool,
}

/// The addresses of a message that are told to the server in another form than the caller gave them.
#[derive(Debug, Default)]
pub(super) struct ALabels {
    sender: Option<ReversePath>,
    /// In the order of the recipients.
    recipients: Vec<(usize, ForwardPath)>,
}

/// Finds out what the message needs, and rejects it if the server does not offer that.
///
/// Its text may become another here: see [`MailBuilder::downgrade_with`](crate::MailBuilder::downgrade_with).
pub(super) fn of(mail: &mut Mail, capabilities: &Capabilities) -> Result<Requirements, Error> {
    if let Some(extensions) = &mut mail.extensions {
        extensions
            .apply_capabilities(capabilities)
            .map_err(|need| {
                let place = Location::whole(match need {
                    MissingExtension::Parameter {
                        recipient: Some(index),
                        ..
                    } => MailPart::Recipient(index),
                    _ => MailPart::Parameters,
                });
                unsupported(need, place)
            })?;
    }
    let (smtp_utf8, a_labels) = if mail.needs_utf8() {
        match beyond_ascii(mail, capabilities) {
            Err(_) if mail.has_utf8_headers() && mail.recode()? => {
                return recoded(mail, capabilities);
            }
            result => result?,
        }
    } else {
        (false, None)
    };
    // SMTPUTF8 says that the header fields are UTF-8, whatever it is needed for.
    if let Some((fault, place)) = mail.header_not_utf8()
        && (smtp_utf8 || !mail.takes_eight_bit_headers())
    {
        return match mail.recode()? {
            true => recoded(mail, capabilities),
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
        Some(_) if mail.recode()? => return recoded(mail, capabilities),
        Some(MissingExtension::BinaryMime) => {
            return Err(unsupported(MissingExtension::BinaryMime, mail.not_text()));
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

/// What the message needs with its text recoded, of which nothing is above 127 any more.
fn recoded(mail: &mut Mail, capabilities: &Capabilities) -> Result<Requirements, Error> {
    let needs = of(mail, capabilities)?;
    Ok(Requirements {
        recoded: true,
        ..needs
    })
}

impl ALabels {
    /// The addresses that are not ASCII, or the first that cannot be told in ASCII.
    fn of(mail: &Mail) -> Result<Self, (MailPart, AddressError)> {
        let mut found = Self::default();
        if !mail.sender.is_ascii() {
            let ascii = mail.sender.to_ascii();
            found.sender = Some(ascii.map_err(|error| (MailPart::Sender, error))?);
        }
        for (index, path) in mail.recipients().enumerate() {
            if !path.is_ascii() {
                let ascii = path.to_ascii();
                let ascii = ascii.map_err(|error| (MailPart::Recipient(index), error))?;
                found.recipients.push((index, ascii));
            }
        }
        Ok(found)
    }

    /// The sender, if it has another form.
    pub(super) fn sender(&self) -> Option<&ReversePath> {
        self.sender.as_ref()
    }

    /// A recipient, if it has another form.
    pub(super) fn recipient(&self, index: usize) -> Option<&ForwardPath> {
        let found = (self.recipients).binary_search_by_key(&index, |(index, _)| *index);
        self.recipients.get(found.ok()?).map(|(_, path)| path)
    }
}

/// Whether a message with something beyond ASCII needs SMTPUTF8, or else the other form of its addresses.
#[cold]
fn beyond_ascii(
    mail: &Mail,
    capabilities: &Capabilities,
) -> Result<(bool, Option<Box<ALabels>>), Error> {
    let elsewhere = if mail.has_utf8_headers() {
        Some(mail.first_eight_bit())
    } else {
        let extensions = mail.extensions.as_ref();
        extensions.and_then(|extensions| extensions.beyond_ascii().map(Location::whole))
    };
    match (elsewhere, ALabels::of(mail)) {
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

/// The body type that the text needs.
fn body_of(mail: &Mail) -> Option<Body> {
    match &mail.text {
        Text::Whole { binary: true, .. } => Some(Body::BinaryMime),
        Text::Streamed { declared, .. } if declared.binary => Some(Body::BinaryMime),
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
