//! Messages to be sent: envelope and content (RFC 5321, section 2.3.1).

mod builder;
#[cfg(feature = "mail-builder")]
mod composed;
mod envelope;
mod error;
mod extensions;
mod message;
mod recipient;
mod recoder;
mod streamed;

use alloc::boxed::Box;
use core::fmt;

use bytes::Bytes;

use crate::address::{AddressError, ForwardPath, ReversePath};
use crate::content::{
    ContentError, HeaderRules, LineRules, ScanSummary, first_eight_bit, header_not_utf8, scan,
};
use crate::error::Error;
use crate::extension::parameter::Parameter;
use crate::location::{Location, MailPart};
pub use builder::MailBuilder;
pub(crate) use envelope::Addressed;
pub use envelope::Envelope;
pub use error::{InvalidRecipient, MailError, MailErrorKind};
use extensions::says_tls_optional;
pub use message::{FieldError, FieldErrorKind};
pub use recipient::Recipient;
use recoder::Recoder;
pub use streamed::StreamedContent;

/// A message to be sent: its envelope, and its content, a complete RFC 5322 message.
///
/// The content is sent unchanged, except for line ends if their conversion was requested. Invalid
/// messages are rejected here, before anything is sent.
///
/// The content is a header section, an empty line, and the body. Content without a header section,
/// or without a `From` field in it, is an error, unless
/// [`without_header_check`](MailBuilder::without_header_check) is set. Every message has the fields
/// `From` and `Date` (RFC 5322, section 3.6); one without `Date` is accepted, since submission
/// servers add it (RFC 6409, section 8).
///
/// # Header injection
/// This crate does not compose header fields and cannot detect an injected one: a CRLF in a subject
/// from a web form begins another field, or ends the header section. Reject CR and LF in the values
/// of fields, or let a library compose the message.
///
/// ```
/// use smtp_proto::Mail;
///
/// # fn main() -> Result<(), smtp_proto::MailError> {
/// let mail = Mail::new(
///     "alice@example.org",
///     ["bob@example.net", "carol@example.net"],
///     "From: alice@example.org\r\nSubject: hello\r\n\r\nHello both.\r\n",
/// )?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mail {
    pub(crate) envelope: Envelope,
    pub(crate) content: Content,
}

/// The content of a message: in memory or streamed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Whole {
        bytes: Bytes,
        facts: ScanSummary,
        binary: bool,
    },
    Streamed {
        declared: StreamedContent,
        rules: LineRules,
        header: HeaderRules,
    },
}

impl Content {
    fn says_tls_optional(&self) -> bool {
        match self {
            Self::Whole { bytes, .. } => says_tls_optional(bytes),
            Self::Streamed { declared, .. } => declared.tls_optional,
        }
    }
}

impl Mail {
    /// A message with these bytes as its content.
    ///
    /// # Errors
    /// If an address is invalid, there is no recipient, or the content is invalid. The
    /// [`MailBuilder`] can relax some of the rules for content.
    pub fn new<S>(
        sender: S,
        recipients: impl IntoIterator<Item = impl Into<Recipient>>,
        message: impl Into<Bytes>,
    ) -> Result<Self, MailError>
    where
        S: TryInto<ReversePath, Error: Into<AddressError>>,
    {
        Self::builder()
            .sender(sender)
            .recipients(recipients)
            .message(message)
            .build()
    }

    /// A message with the envelope that its header section states.
    ///
    /// The recipients are the mailboxes of all `To`, `Cc` and `Bcc` fields, in the order of the
    /// fields, each once. The sender is the mailbox of `Sender`, or that of `From`. The content is the
    /// message without its `Bcc` fields, which the recipients must not see; no other byte is
    /// changed. See [`MailBuilder::from_message`].
    ///
    /// # Errors
    /// If a field is malformed, a recipient or the sender is missing, or the content is invalid.
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::Mail;
    /// let mail = Mail::from_message(
    ///     "From: Alice <alice@example.org>\r\n\
    ///      To: Team: bob@example.net, carol@example.net;\r\n\
    ///      Bcc: dave@example.com\r\n\
    ///      \r\n\
    ///      Hello all.\r\n",
    /// )?;
    /// let recipients: Vec<_> = mail.recipients().map(|path| path.as_str()).collect();
    /// assert_eq!(recipients, ["bob@example.net", "carol@example.net", "dave@example.com"]);
    /// assert_eq!(mail.sender().as_str(), "alice@example.org");
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn from_message(message: impl Into<Bytes>) -> Result<Self, MailError> {
        MailBuilder::from_message(message).build()
    }

    /// Starts a message from the null sender `<>`, without recipients and content.
    pub fn builder() -> MailBuilder {
        MailBuilder::new()
    }

    /// The envelope: sender, recipients and their parameters.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The sender: the reverse path, for reports of failed delivery.
    pub fn sender(&self) -> &ReversePath {
        self.envelope.sender()
    }

    /// The recipients.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &ForwardPath> + Clone {
        self.envelope.recipients()
    }

    /// The parameters of MAIL, without those that the content implies.
    pub fn parameters(&self) -> &[Parameter] {
        self.envelope.parameters()
    }

    /// The parameters of RCPT for the recipient of this index.
    pub fn recipient_parameters(&self, index: usize) -> &[Parameter] {
        self.envelope.recipient_parameters(index)
    }

    /// Whether its header section allows delivery without TLS, and this is honored: see
    /// [`MailBuilder::honor_tls_required`].
    pub fn is_tls_optional(&self) -> bool {
        self.envelope
            .extensions
            .as_ref()
            .is_some_and(|extensions| extensions.tls_optional)
    }

    /// The size of the content in bytes, without dot-stuffing, or as declared; `None` if unknown.
    pub fn size(&self) -> Option<u64> {
        match &self.content {
            Content::Whole { facts, .. } => Some(facts.message_len()),
            Content::Streamed { declared, .. } => declared.size,
        }
    }

    /// Whether the content has 8-bit bytes (RFC 6152).
    pub(crate) fn needs_eight_bit(&self) -> bool {
        match &self.content {
            Content::Whole { facts, .. } => facts.body_eight_bit() || facts.header_eight_bit(),
            Content::Streamed { declared, .. } => declared.eight_bit || declared.utf8_headers,
        }
    }

    /// Bytes of the content as BDAT sends them, unless it is streamed.
    pub(crate) fn whole_len(&self) -> Option<u64> {
        match &self.content {
            Content::Whole { facts, .. } => Some(facts.message_len()),
            Content::Streamed { .. } => None,
        }
    }

    /// Whether the content is in memory, so that it can be sent more than once.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.content, Content::Whole { .. })
    }

    /// Whether the header section, a parameter or the sender is non-ASCII (RFC 6531).
    pub(crate) fn needs_utf8(&self) -> bool {
        self.has_utf8_headers()
            || self
                .envelope
                .extensions
                .as_ref()
                .is_some_and(|extensions| !extensions.is_ascii())
            || !self.sender().is_ascii()
    }

    /// Whether the header section is non-ASCII (RFC 6532).
    pub(crate) fn has_utf8_headers(&self) -> bool {
        match &self.content {
            Content::Whole { facts, .. } => facts.header_eight_bit() && facts.header_is_utf8(),
            Content::Streamed { declared, .. } => declared.utf8_headers,
        }
    }

    /// The first byte of the header section that is not UTF-8, unless the content is streamed.
    pub(crate) fn header_not_utf8(&self) -> Option<(ContentError, Location)> {
        match &self.content {
            Content::Whole { bytes, facts, .. } if !facts.header_is_utf8() => {
                let fault = header_not_utf8(bytes)?;
                Some((fault, Location::in_content(bytes, fault.offset())))
            }
            _ => None,
        }
    }

    /// Whether such bytes may be sent.
    pub(crate) fn takes_eight_bit_headers(&self) -> bool {
        (self.envelope.extensions.as_ref()).is_some_and(|extensions| extensions.eight_bit_headers)
    }

    /// The first 8-bit byte of the content; the content as a whole if unknown.
    pub(crate) fn first_eight_bit(&self) -> Location {
        self.location_in_content(first_eight_bit)
    }

    /// The first byte that only BINARYMIME can carry.
    pub(crate) fn first_binary(&self) -> Location {
        let rules = LineRules::new().eight_bit(true);
        self.location_in_content(|bytes| Some(scan(bytes, &rules).err()?.offset()))
    }

    fn location_in_content(&self, find: impl FnOnce(&[u8]) -> Option<u64>) -> Location {
        let whole = Location::whole(MailPart::Content);
        match &self.content {
            Content::Whole { bytes, .. } => {
                find(bytes).map_or(whole, |at| Location::in_content(bytes, at))
            }
            Content::Streamed { .. } => whole,
        }
    }

    /// Downgrades the content to 7-bit, if there is a function for it and the content is in memory;
    /// returns whether it did.
    pub(crate) fn recode(&mut self) -> Result<bool, Error> {
        let extensions = self.envelope.extensions.as_ref();
        let Some(recoder) = extensions.and_then(|extensions| extensions.recoder.as_ref()) else {
            return Ok(false);
        };
        let Some(content) = recoder.recode(&self.content)? else {
            return Ok(false);
        };
        let original = core::mem::replace(&mut self.content, content);
        if let Some(extensions) = &mut self.envelope.extensions {
            extensions.original.get_or_insert(original);
        }
        Ok(true)
    }

    /// The message as the caller gave it, for only these of its recipients, each with its former
    /// index, in ascending order. The content is shared.
    pub(crate) fn restricted_to<'a>(
        &self,
        recipients: impl Iterator<Item = (usize, &'a ForwardPath)> + Clone,
    ) -> Self {
        let extensions = self.envelope.extensions.as_deref();
        let original = extensions.and_then(|extensions| extensions.original.as_ref());
        let indices = recipients.clone().map(|(index, _)| index);
        Self {
            envelope: Envelope {
                sender: self.sender().clone(),
                extensions: extensions.map(|all| Box::new(all.restricted_to(indices))),
                recipients: recipients
                    .map(|(_, path)| Addressed::new(path.clone()))
                    .collect(),
            },
            content: original.unwrap_or(&self.content).clone(),
        }
    }
}

/// Two messages are equal if their envelopes, their parameters and the bytes of their content are.
impl PartialEq for Mail {
    fn eq(&self, other: &Self) -> bool {
        self.sender() == other.sender()
            && self.recipients().eq(other.recipients())
            && self.envelope.extensions == other.envelope.extensions
            && self.content == other.content
    }
}

/// Shows the envelope and the size, never the content.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("envelope", &self.envelope)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
