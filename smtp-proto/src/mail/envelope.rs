//! The envelope of a message.

use core::fmt;

use super::Mail;
use crate::address::{ForwardPath, ReversePath};
use crate::extension::parameter::Parameter;

/// The envelope of a [`Mail`] (RFC 5321, section 2.3.1): its sender, its recipients, and the
/// parameters of MAIL and RCPT.
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
#[derive(Clone, Copy)]
pub struct Envelope<'a>(&'a Mail);

impl<'a> Envelope<'a> {
    pub(super) const fn new(mail: &'a Mail) -> Self {
        Self(mail)
    }

    /// The sender: the reverse path.
    pub fn sender(&self) -> &'a ReversePath {
        self.0.sender()
    }

    /// The recipients: the forward paths, in the order given.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &'a ForwardPath> + Clone + use<'a> {
        self.0.recipients()
    }

    /// The parameters of MAIL, without those that the content implies.
    pub fn parameters(&self) -> &'a [Parameter] {
        self.0.parameters()
    }

    /// The parameters of RCPT for the recipient of this index.
    pub fn recipient_parameters(&self, index: usize) -> &'a [Parameter] {
        self.0.recipient_parameters(index)
    }
}

/// Two envelopes are equal if their sender, recipients and parameters are.
impl PartialEq for Envelope<'_> {
    fn eq(&self, other: &Self) -> bool {
        let rcpt = |index| self.recipient_parameters(index) == other.recipient_parameters(index);
        self.sender() == other.sender()
            && self.recipients().eq(other.recipients())
            && self.parameters() == other.parameters()
            && (0..self.recipients().len()).all(rcpt)
    }
}

impl Eq for Envelope<'_> {}

impl fmt::Debug for Envelope<'_> {
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
