//! The envelope of a message.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;

use super::extensions::Extensions;
use crate::address::{ForwardPath, ReversePath};
use crate::extension::parameter::Parameter;

/// The envelope of a [`Mail`](crate::Mail) (RFC 5321, section 2.3.1): its sender, its recipients,
/// and the parameters of MAIL and RCPT.
///
/// ```
/// use smtp_proto::{Mail, Parameter};
///
/// let mail = Mail::builder()
///     .sender("alice@example.org")
///     .recipients(["bob@example.net", "carol@example.net"])
///     .parameter(Parameter::envelope_id("QQ314159")?)
///     .message("From: alice@example.org\r\n\r\nHello both.\r\n")
///     .build()?;
/// let envelope = mail.envelope();
/// assert_eq!(envelope.sender().as_str(), "alice@example.org");
/// assert_eq!(envelope.recipients().len(), 2);
/// assert_eq!(envelope.parameters()[0].to_string(), "ENVID=QQ314159");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Envelope {
    pub(crate) sender: ReversePath,
    pub(crate) recipients: Vec<Addressed>,
    /// Boxed, since most messages have none.
    pub(crate) extensions: Option<Box<Extensions>>,
}

impl Envelope {
    /// From the null sender, to no recipient.
    pub(super) fn new() -> Self {
        Self {
            sender: ReversePath::null(),
            recipients: Vec::new(),
            extensions: None,
        }
    }

    /// The sender: the reverse path.
    pub fn sender(&self) -> &ReversePath {
        &self.sender
    }

    /// The recipients: the forward paths, in the order given.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &ForwardPath> + Clone {
        self.recipients.iter().map(Addressed::path)
    }

    /// The parameters of MAIL, without those that the content implies.
    pub fn parameters(&self) -> &[Parameter] {
        self.extensions.as_deref().map_or(&[], Extensions::of_mail)
    }

    /// The parameters of RCPT for the recipient of this index.
    pub fn recipient_parameters(&self, index: usize) -> &[Parameter] {
        self.extensions
            .as_deref()
            .map_or(&[], |extensions| extensions.of_recipient(index))
    }
}

/// A recipient, with room for its outcome.
///
/// The list of an envelope becomes that of a transaction, and then that of an outcome. It is
/// allocated once, since their items have the same size.
#[derive(Clone)]
pub(crate) struct Addressed {
    path: ForwardPath,
    _room: [MaybeUninit<usize>; ROOM],
}

impl Addressed {
    pub(crate) const fn new(path: ForwardPath) -> Self {
        Self {
            path,
            _room: [const { MaybeUninit::uninit() }; ROOM],
        }
    }

    pub(crate) const fn path(&self) -> &ForwardPath {
        &self.path
    }

    pub(crate) fn into_path(self) -> ForwardPath {
        self.path
    }
}

/// The size of a status in words; the transaction checks it.
const ROOM: usize = 4;

/// Two envelopes are equal if their sender, recipients and parameters are.
impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        let rcpt = |index| self.recipient_parameters(index) == other.recipient_parameters(index);
        self.sender() == other.sender()
            && self.recipients().eq(other.recipients())
            && self.parameters() == other.parameters()
            && (0..self.recipients().len()).all(rcpt)
    }
}

impl Eq for Envelope {}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Envelope");
        shown.field("sender", self.sender());
        shown.field("parameters", &self.parameters());
        for (index, path) in self.recipients().enumerate() {
            shown.field("recipient", path);
            if !self.recipient_parameters(index).is_empty() {
                shown.field("parameters", &self.recipient_parameters(index));
            }
        }
        shown.finish()
    }
}

#[cfg(test)]
mod tests;
