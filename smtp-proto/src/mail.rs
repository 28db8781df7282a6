//! Messages to be sent: envelope and content (RFC 5321, section 2.3.1).

mod extensions;
mod recipient;
mod recoder;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::address::{AddressError, ForwardPath, ReversePath};
use crate::content::{
    BareLineEnds, ContentError, HeaderHigh, HeaderRules, LineRules, ScanSummary, first_eight_bit,
    header_not_utf8, scan, section_fault,
};
use crate::error::{Error, Stage, of_fault};
use crate::extension::parameter::{Parameter, ParameterError};
use crate::location::{Location, MailPart};
use crate::outcome::RecipientStatus;
use crate::reply::{Escaped, Reply};
use extensions::{Extensions, says_tls_optional};
use recipient::Malformed;
pub use recipient::Recipient;
use recoder::Recoder;

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
    pub(crate) sender: ReversePath,
    pub(crate) recipients: Vec<Addressee>,
    /// Boxed, since most messages have none.
    pub(crate) extensions: Option<Box<Extensions>>,
    pub(crate) text: Text,
}

/// A recipient's path and its state.
#[derive(Clone, Debug)]
pub(crate) struct Addressee {
    pub(crate) path: ForwardPath,
    pub(crate) answer: RcptState,
}

/// The state of a recipient.
#[derive(Clone, Debug)]
pub(crate) enum RcptState {
    /// RCPT was not sent in this transaction.
    None,
    /// RCPT was sent.
    Asked,
    /// RCPT was accepted.
    Accepted,
    /// RCPT was rejected.
    Rejected(Reply),
    /// One too many for this transaction; it is deferred to the next.
    Deferred(Reply),
    /// Its status is final.
    Known(RecipientStatus),
}

impl RcptState {
    /// The state for the next transaction: deferred recipients start over, the others keep their
    /// result.
    pub(crate) fn into_next(self) -> Self {
        match self {
            Self::Deferred(_) => Self::None,
            Self::Rejected(reply) => Self::Known(RecipientStatus::Rejected {
                stage: Stage::Rcpt,
                reply,
            }),
            other => other,
        }
    }

    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::None)
    }
}

/// The content of a message: in memory or streamed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
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

impl Text {
    fn says_tls_optional(&self) -> bool {
        match self {
            Self::Whole { bytes, .. } => says_tls_optional(bytes),
            Self::Streamed { declared, .. } => declared.tls_optional,
        }
    }
}

/// Properties of streamed content, declared in advance since the content cannot be scanned.
///
/// Content that turns out to need more than was declared is not sent.
///
/// ```
/// use smtp_proto::{Mail, StreamedContent};
///
/// let mail = Mail::builder()
///     .sender("alice@example.org")
///     .recipient("bob@example.net")
///     .streamed(StreamedContent::new().eight_bit().size(20_000))
///     .build()?;
/// assert_eq!(mail.size(), Some(20_000));
/// // Submit it, then write the content by `Connection::write_content`.
/// # Ok::<(), smtp_proto::MailError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamedContent {
    pub(crate) eight_bit: bool,
    pub(crate) utf8_headers: bool,
    pub(crate) binary: bool,
    pub(crate) size: Option<u64>,
    pub(crate) tls_optional: bool,
}

/// Builds a [`Mail`] step by step; [`build`](Self::build) reports the first invalid value.
///
/// ```
/// use smtp_proto::content::BareLineEnds;
/// use smtp_proto::dsn::Notify;
/// use smtp_proto::{Mail, Recipient};
///
/// let mail = Mail::builder()
///     .sender("alice@example.org")
///     .recipient(Recipient::new("bob@example.net").notify(Notify::NEVER))
///     .recipients(["carol@example.net", "dave@example.net"])
///     .message("From: alice@example.org\n\nHello all.\n")
///     .bare_line_ends(BareLineEnds::Convert)
///     .build()?;
/// assert_eq!(mail.recipients().len(), 3);
/// # Ok::<(), smtp_proto::MailError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MailBuilder {
    sender: ReversePath,
    recipients: Vec<Addressee>,
    extensions: Option<Box<Extensions>>,
    rules: LineRules,
    source: Source,
    /// Whether the content may be without a header section.
    headerless: bool,
    error: Option<MailError>,
    invalid: Vec<InvalidRecipient>,
}

/// Why a [`Mail`] cannot be built: the invalid part, and what is wrong with it.
///
/// It reports the first error, but all invalid recipients. `{:#}` adds a hint.
#[derive(Clone, PartialEq, Eq)]
pub struct MailError {
    place: Location,
    fault: MailErrorKind,
    invalid: Vec<InvalidRecipient>,
}

/// A recipient that is not a valid address.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidRecipient {
    index: usize,
    text: Box<str>,
    error: AddressError,
}

/// What is wrong with a part of a [`Mail`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailErrorKind {
    /// Not a valid address.
    Address(AddressError),
    /// Not a valid parameter.
    Parameter(ParameterError),
    /// Invalid content, at the offset of the error.
    Text(ContentError),
    /// The part is missing.
    Missing,
}

#[derive(Clone, Debug)]
enum Source {
    None,
    Whole(Bytes),
    Binary(Bytes),
    Streamed(StreamedContent),
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
        text: impl Into<Bytes>,
    ) -> Result<Self, MailError>
    where
        S: TryInto<ReversePath, Error: Into<AddressError>>,
    {
        Self::builder()
            .sender(sender)
            .recipients(recipients)
            .message(text)
            .build()
    }

    /// Starts a message from the null sender `<>`, without recipients and content.
    pub fn builder() -> MailBuilder {
        MailBuilder {
            sender: ReversePath::null(),
            recipients: Vec::new(),
            extensions: None,
            rules: LineRules::default(),
            source: Source::None,
            headerless: false,
            error: None,
            invalid: Vec::new(),
        }
    }

    /// The sender: the reverse path, for reports of failed delivery.
    pub fn sender(&self) -> &ReversePath {
        &self.sender
    }

    /// The recipients.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &ForwardPath> {
        self.recipients.iter().map(|recipient| &recipient.path)
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

    /// Whether its header section allows delivery without TLS, and this is honored: see
    /// [`MailBuilder::honor_tls_required`].
    pub fn is_tls_optional(&self) -> bool {
        self.extensions
            .as_ref()
            .is_some_and(|extensions| extensions.tls_optional)
    }

    /// The size of the content in bytes, without dot-stuffing, or as declared; `None` if unknown.
    pub fn size(&self) -> Option<u64> {
        match &self.text {
            Text::Whole { facts, .. } => Some(facts.message_len()),
            Text::Streamed { declared, .. } => declared.size,
        }
    }

    /// Whether the content has 8-bit bytes (RFC 6152).
    pub(crate) fn needs_eight_bit(&self) -> bool {
        match &self.text {
            Text::Whole { facts, .. } => facts.body_eight_bit() || facts.header_eight_bit(),
            Text::Streamed { declared, .. } => declared.eight_bit || declared.utf8_headers,
        }
    }

    /// Bytes of the content as BDAT sends them, unless it is streamed.
    pub(crate) fn whole_len(&self) -> Option<u64> {
        match &self.text {
            Text::Whole { facts, .. } => Some(facts.message_len()),
            Text::Streamed { .. } => None,
        }
    }

    /// Whether the content is in memory, so that it can be sent more than once.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.text, Text::Whole { .. })
    }

    /// Whether the header section, a parameter or an address is non-ASCII (RFC 6531).
    pub(crate) fn needs_utf8(&self) -> bool {
        self.has_utf8_headers()
            || self
                .extensions
                .as_ref()
                .is_some_and(|extensions| !extensions.is_ascii())
            || !self.sender.is_ascii()
            || !self.recipients().all(ForwardPath::is_ascii)
    }

    /// Whether the header section is non-ASCII (RFC 6532).
    pub(crate) fn has_utf8_headers(&self) -> bool {
        match &self.text {
            Text::Whole { facts, .. } => facts.header_eight_bit() && facts.header_is_utf8(),
            Text::Streamed { declared, .. } => declared.utf8_headers,
        }
    }

    /// The first byte of the header section that is not UTF-8, unless the content is streamed.
    pub(crate) fn header_not_utf8(&self) -> Option<(ContentError, Location)> {
        match &self.text {
            Text::Whole { bytes, facts, .. } if !facts.header_is_utf8() => {
                let fault = header_not_utf8(bytes)?;
                Some((fault, Location::in_text(bytes, fault.offset())))
            }
            _ => None,
        }
    }

    /// Whether such bytes may be sent.
    pub(crate) fn takes_eight_bit_headers(&self) -> bool {
        (self.extensions.as_ref()).is_some_and(|extensions| extensions.eight_bit_headers)
    }

    /// The first 8-bit byte of the content; the content as a whole if unknown.
    pub(crate) fn first_eight_bit(&self) -> Location {
        self.place_in_text(first_eight_bit)
    }

    /// The first byte that only BINARYMIME can carry.
    pub(crate) fn not_text(&self) -> Location {
        let rules = LineRules::new().eight_bit(true);
        self.place_in_text(|bytes| Some(scan(bytes, &rules).err()?.offset()))
    }

    fn place_in_text(&self, find: impl FnOnce(&[u8]) -> Option<u64>) -> Location {
        let whole = Location::whole(MailPart::Text);
        match &self.text {
            Text::Whole { bytes, .. } => {
                find(bytes).map_or(whole, |at| Location::in_text(bytes, at))
            }
            Text::Streamed { .. } => whole,
        }
    }

    /// Downgrades the content to 7-bit, if there is a function for it and the content is in memory;
    /// returns whether it did.
    pub(crate) fn recode(&mut self) -> Result<bool, Error> {
        let extensions = self.extensions.as_ref();
        let Some(recoder) = extensions.and_then(|extensions| extensions.recoder.as_ref()) else {
            return Ok(false);
        };
        let Some(text) = recoder.recode(&self.text)? else {
            return Ok(false);
        };
        let original = core::mem::replace(&mut self.text, text);
        if let Some(extensions) = &mut self.extensions {
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
        let extensions = self.extensions.as_deref();
        let original = extensions.and_then(|extensions| extensions.original.as_ref());
        let indices = recipients.clone().map(|(index, _)| index);
        Self {
            sender: self.sender.clone(),
            text: original.unwrap_or(&self.text).clone(),
            extensions: extensions.map(|all| Box::new(all.restricted_to(indices))),
            recipients: recipients
                .map(|(_, path)| Addressee {
                    path: path.clone(),
                    answer: RcptState::None,
                })
                .collect(),
        }
    }
}

/// Two messages are equal if their envelopes, their parameters and the bytes of their content are.
impl PartialEq for Mail {
    fn eq(&self, other: &Self) -> bool {
        self.sender == other.sender
            && self.recipients().eq(other.recipients())
            && self.extensions == other.extensions
            && self.text == other.text
    }
}

/// Shows the envelope and the size, never the content.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("sender", &self.sender)
            .field("recipients", &self.recipients().collect::<Vec<_>>())
            .field("parameters", &self.parameters())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl MailBuilder {
    /// The sender: an address, or the empty string for the null sender of delivery reports (RFC 5321,
    /// section 4.5.5).
    pub fn sender<S>(mut self, sender: S) -> Self
    where
        S: TryInto<ReversePath, Error: Into<AddressError>>,
    {
        match sender.try_into() {
            Ok(sender) => self.sender = sender,
            Err(error) => self.fail(MailPart::Sender, MailErrorKind::Address(error.into())),
        }
        self
    }

    /// Adds a recipient: an address, or a [`Recipient`] with parameters. Duplicates are kept.
    pub fn recipient(mut self, recipient: impl Into<Recipient>) -> Self {
        self.add(recipient.into());
        self
    }

    /// Adds recipients.
    pub fn recipients(
        mut self,
        recipients: impl IntoIterator<Item = impl Into<Recipient>>,
    ) -> Self {
        let recipients = recipients.into_iter();
        self.recipients.reserve_exact(recipients.size_hint().0);
        for recipient in recipients {
            self.add(recipient.into());
        }
        self
    }

    /// The content: a complete RFC 5322 message, header section and body, with CRLF line ends.
    ///
    /// Injected header fields are sent like all others: see [`Mail`].
    pub fn message(mut self, text: impl Into<Bytes>) -> Self {
        self.source = Source::Whole(text.into());
        self
    }

    /// The content: a complete message with arbitrary bytes in lines of any length (BINARYMIME,
    /// RFC 3030, section 3).
    ///
    /// It is sent unchanged, and only to a server that advertises BINARYMIME and CHUNKING.
    pub fn binary_message(mut self, text: impl Into<Bytes>) -> Self {
        self.source = Source::Binary(text.into());
        self
    }

    /// Streams the content, by [`Connection::write_content`](crate::Connection::write_content).
    pub fn streamed(mut self, declared: StreamedContent) -> Self {
        self.source = Source::Streamed(declared);
        self
    }

    /// How line ends other than CRLF are handled; rejected by default.
    pub fn bare_line_ends(mut self, line_ends: BareLineEnds) -> Self {
        self.rules = self.rules.line_ends(line_ends);
        self
    }

    /// The longest line in bytes without its CRLF, or no limit; 998 by default (RFC 5322, section
    /// 2.1.1).
    pub fn max_line_len(mut self, bytes: Option<usize>) -> Self {
        self.rules = self.rules.max_line_len(bytes);
        self
    }

    /// Accepts content that is not a message: without a header section, or with one that lacks `From`
    /// or has lines that are not fields.
    ///
    /// For a store that accepts any content by LMTP or BINARYMIME, for tests, and for relays that pass
    /// on messages unchanged. [`Streamed`](Self::streamed) content is checked while it is sent, and
    /// without a header section its end is never sent.
    ///
    /// ```
    /// use smtp_proto::Mail;
    ///
    /// let mail = || Mail::builder().recipient("bob@example.net").message("Hello");
    /// assert!(mail().build().is_err());
    /// assert!(mail().without_header_check().build().is_ok());
    /// ```
    pub fn without_header_check(mut self) -> Self {
        self.headerless = true;
        self
    }

    /// Sends header fields that are not UTF-8 unchanged, to a server with 8BITMIME.
    ///
    /// By default they are an error: SMTPUTF8 covers UTF-8 only (RFC 6532, section 3), and no
    /// extension covers other charsets. Old programs write such fields nevertheless, and most servers
    /// relay them; this option is for relays. Fields in UTF-8 still need SMTPUTF8.
    /// [`Streamed`](Self::streamed) content is not scanned: with this option, and without
    /// [`StreamedContent::utf8_headers`], all of its fields are sent unchanged.
    pub fn eight_bit_headers(mut self) -> Self {
        self.extensions().eight_bit_headers = true;
        self
    }

    /// Builds the message.
    ///
    /// # Errors
    /// The first invalid value, and all invalid recipients.
    pub fn build(mut self) -> Result<Mail, MailError> {
        if let Some(error) = self.error {
            return Err(MailError {
                invalid: self.invalid,
                ..error
            });
        }
        if self.recipients.is_empty() {
            return Err(MailError::new(MailPart::Recipients, MailErrorKind::Missing));
        }
        let (eight_bit_headers, recoded) = (self.extensions.as_ref())
            .map_or((false, false), |extensions| {
                (extensions.eight_bit_headers, extensions.recoder.is_some())
            });
        let text = match self.source {
            Source::None => return Err(MailError::new(MailPart::Text, MailErrorKind::Missing)),
            Source::Whole(bytes) => {
                let rules = self.rules.eight_bit(true);
                let facts =
                    scan(&bytes, &rules).map_err(|fault| MailError::in_text(&bytes, fault))?;
                Text::Whole {
                    bytes,
                    facts,
                    binary: false,
                }
            }
            Source::Binary(bytes) => Text::Whole {
                facts: ScanSummary::binary(&bytes),
                bytes,
                binary: true,
            },
            Source::Streamed(declared) => Text::Streamed {
                declared,
                header: HeaderRules {
                    required: !self.headerless,
                    high: match declared {
                        StreamedContent {
                            utf8_headers: true, ..
                        } => HeaderHigh::Utf8,
                        StreamedContent {
                            eight_bit: false,
                            binary: false,
                            ..
                        } => HeaderHigh::Any,
                        _ if eight_bit_headers => HeaderHigh::Any,
                        _ => HeaderHigh::None,
                    },
                },
                rules: self
                    .rules
                    .eight_bit(declared.eight_bit || declared.utf8_headers),
            },
        };
        if let Text::Whole { bytes, .. } = &text
            && !self.headerless
            && let Some(fault) = section_fault(bytes)
        {
            return Err(MailError::in_text(bytes, fault));
        }
        if let Text::Whole { bytes, facts, .. } = &text
            && !(facts.header_is_utf8() || eight_bit_headers || recoded)
            && let Some(fault) = header_not_utf8(bytes)
        {
            return Err(MailError::in_text(bytes, fault));
        }
        if let Some(extensions) = &mut self.extensions {
            extensions.tls_optional = extensions.tls_optional && text.says_tls_optional();
            extensions.check(&self.sender, &self.recipients)?;
        }
        Ok(Mail {
            sender: self.sender,
            recipients: self.recipients,
            extensions: self.extensions,
            text,
        })
    }

    fn add(&mut self, recipient: Recipient) {
        let Recipient { path, parameters } = recipient;
        let index = self.recipients.len().saturating_add(self.invalid.len());
        match path {
            Ok(path) => self.recipients.push(Addressee {
                path,
                answer: RcptState::None,
            }),
            Err(Malformed { text, error }) => {
                self.fail(MailPart::Recipient(index), MailErrorKind::Address(error));
                self.invalid.push(InvalidRecipient { index, text, error });
            }
        }
        if let Some(parameters) = parameters {
            self.add_rcpt_parameters(index, *parameters);
        }
    }

    fn fail(&mut self, field: MailPart, fault: MailErrorKind) {
        if self.error.is_none() {
            self.error = Some(MailError::new(field, fault));
        }
    }
}

impl StreamedContent {
    /// ASCII content of unknown size.
    pub fn new() -> Self {
        Self::default()
    }

    /// The body may have 8-bit bytes; with [`MailBuilder::eight_bit_headers`], so may the header
    /// section.
    #[must_use]
    pub fn eight_bit(mut self) -> Self {
        self.eight_bit = true;
        self
    }

    /// The header section may have non-ASCII characters in UTF-8.
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8_headers = true;
        self
    }

    /// The content may have arbitrary bytes in lines of any length: see
    /// [`MailBuilder::binary_message`].
    #[must_use]
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// The header section has a field `TLS-Required: No`: see
    /// [`MailBuilder::honor_tls_required`].
    #[must_use]
    pub fn tls_optional(mut self) -> Self {
        self.tls_optional = true;
        self
    }

    /// The size in bytes, exact or estimated: the server may reject a large message early (RFC 1870).
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }
}

impl MailError {
    fn new(field: MailPart, fault: MailErrorKind) -> Self {
        let place = match &fault {
            MailErrorKind::Address(error) => Location::within(field, error.offset()),
            MailErrorKind::Parameter(_) | MailErrorKind::Text(_) | MailErrorKind::Missing => {
                Location::whole(field)
            }
        };
        Self {
            place,
            fault,
            invalid: Vec::new(),
        }
    }

    fn in_text(text: &[u8], fault: ContentError) -> Self {
        Self {
            place: Location::in_text(text, fault.offset()),
            fault: MailErrorKind::Text(fault),
            invalid: Vec::new(),
        }
    }

    /// The invalid part.
    pub fn part(&self) -> MailPart {
        self.place.part()
    }

    /// The location of the error.
    pub fn location(&self) -> &Location {
        &self.place
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &MailErrorKind {
        &self.fault
    }

    /// All recipients that are not valid addresses, in order; [`kind`](Self::kind) may refer to the
    /// first of them.
    pub fn invalid_recipients(&self) -> &[InvalidRecipient] {
        &self.invalid
    }
}

impl InvalidRecipient {
    /// Its index among the recipients.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The address as given; its first 256 bytes, if it is longer.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it.
    pub fn error(&self) -> AddressError {
        self.error
    }
}

/// The address is quoted, escaped, and cut if it is long.
impl fmt::Display for InvalidRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, text, error } = self;
        let text = Escaped::new(text.as_bytes(), SHOWN_TEXT);
        write!(f, "recipient {index} \"{text}\": {error}")
    }
}

impl core::error::Error for InvalidRecipient {}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.part();
        let names_recipient = matches!(
            (field, &self.fault),
            (MailPart::Recipient(_), MailErrorKind::Address(_))
        );
        if names_recipient && !self.invalid.is_empty() {
            return self.fmt_recipients(f);
        }
        self.fmt_fault(f)?;
        if !self.invalid.is_empty() {
            f.write_str("; ")?;
            self.fmt_recipients(f)?;
        }
        Ok(())
    }
}

impl MailError {
    fn fmt_recipients(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for recipient in self.invalid.iter().take(SHOWN_RECIPIENTS) {
            write!(f, "{separator}{recipient}")?;
            separator = "; ";
        }
        match self.invalid.len().checked_sub(SHOWN_RECIPIENTS) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "; and {more} more"),
        }
    }

    fn fmt_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.part();
        match (field, &self.fault, self.place.line()) {
            (MailPart::Recipients, MailErrorKind::Missing, _) => {
                f.write_str("the message has no recipient")
            }
            (MailPart::Text, MailErrorKind::Missing, _) => {
                f.write_str("the message has no content")
            }
            (_, fault, Some(line)) => {
                write!(f, "{field}, line {line}: ")?;
                fmt::Display::fmt(fault, f)
            }
            (_, fault, None) => {
                write!(f, "{field}: ")?;
                fmt::Display::fmt(fault, f)
            }
        }
    }
}

debug_as_display!(MailError);
debug_as_display!(InvalidRecipient);

impl core::error::Error for MailError {}

impl fmt::Display for MailErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Parameter(error) => error.fmt(f),
            Self::Text(fault) => {
                fault.fmt(f)?;
                match of_fault(*fault) {
                    Some(hint) if f.alternate() => write!(f, " ({hint})"),
                    _ => Ok(()),
                }
            }
            Self::Missing => f.write_str("missing"),
        }
    }
}

/// Invalid recipients that are printed, and bytes of each: together less than 1 KiB.
const SHOWN_RECIPIENTS: usize = 5;
const SHOWN_TEXT: usize = 64;
