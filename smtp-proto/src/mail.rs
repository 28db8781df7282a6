//! A message as the caller hands it over: envelope and text.

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
use crate::location::{Location, MailPart};
use crate::outcome::RecipientStatus;
use crate::parameter::{Parameter, ParameterError};
use crate::reply::{Escaped, Reply};
use extensions::{Extensions, says_tls_optional};
use recipient::Malformed;
pub use recipient::Recipient;
use recoder::Recoder;

/// A message to be sent: the envelope's sender and recipients, and the text, headers included (RFC 5322).
///
/// The text is not changed on its way, but for line ends where that was asked for. Whatever could not be sent is
/// rejected here, before a byte goes out.
///
/// The text is a whole message: header fields, an empty line, and the body. A text without a header
/// section, or without a `From` field in it, is an error, unless the builder is told
/// [`without_header_check`](MailBuilder::without_header_check). `From` and `Date` are the fields that
/// every message has (RFC 5322, section 3.6); one without `Date` is taken all the same, since
/// submission servers add it (RFC 6409, section 8).
///
/// # Header fields from outside
/// Header fields are not composed here, and those that a caller did not mean cannot be told from
/// those that it did: a CRLF in a subject from a web form begins another field, or ends the header
/// section. Reject CR and LF in the values of fields, or let a library compose the message.
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

/// A recipient's path, and room for what the server says to it.
#[derive(Clone, Debug)]
pub(crate) struct Addressee {
    pub(crate) path: ForwardPath,
    pub(crate) answer: RcptState,
}

/// How far a recipient is.
#[derive(Clone, Debug)]
pub(crate) enum RcptState {
    /// It was not asked for in this transaction.
    None,
    /// It was asked for.
    Asked,
    /// The server takes mail for it.
    Accepted,
    /// The server does not.
    Rejected(Reply),
    /// It was one too many for this transaction, and will be in the next.
    Deferred(Reply),
    /// Its fate is known.
    Known(RecipientStatus),
}

impl RcptState {
    /// What it is at the beginning of another transaction, for those that were too many in this.
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

/// The text of a message, at hand or yet to come.
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

/// What is said beforehand of a text that is written in pieces, since its needs cannot be looked up in it.
///
/// A text that turns out to need more than was declared is not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamedContent {
    pub(crate) eight_bit: bool,
    pub(crate) utf8_headers: bool,
    pub(crate) binary: bool,
    pub(crate) size: Option<u64>,
    pub(crate) tls_optional: bool,
}

/// Makes a [`Mail`] step by step; the first wrong value is what [`build`](Self::build) reports.
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

/// Why a [`Mail`] cannot be: the field, and what is wrong with it.
///
/// Of several faults it is the first, but the recipients that are no addresses are all named.
#[derive(Clone, PartialEq, Eq)]
pub struct MailError {
    place: Location,
    fault: MailErrorKind,
    invalid: Vec<InvalidRecipient>,
}

/// A recipient of a message that is no address.
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
    /// It is not an address.
    Address(AddressError),
    /// It is not a parameter that may stand there.
    Parameter(ParameterError),
    /// It has what may not be sent, at the offset that the fault names.
    Text(ContentError),
    /// There is none.
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
    /// A message with a text that is at hand.
    ///
    /// # Errors
    /// If an address is wrong, there is no recipient, or the text has what may not be sent: see [`MailBuilder`] to relax
    /// what can be relaxed.
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

    /// Begins a mail from the null sender `<>`, to nobody, with no text.
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

    /// The sender, to whom reports of failure go.
    pub fn sender(&self) -> &ReversePath {
        &self.sender
    }

    /// The recipients.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &ForwardPath> {
        self.recipients.iter().map(|recipient| &recipient.path)
    }

    /// What is asked with MAIL, beyond what the text decides.
    pub fn parameters(&self) -> &[Parameter] {
        self.extensions.as_deref().map_or(&[], Extensions::of_mail)
    }

    /// What is asked with the RCPT of the recipient of this index.
    pub fn recipient_parameters(&self, index: usize) -> &[Parameter] {
        self.extensions
            .as_deref()
            .map_or(&[], |extensions| extensions.of_recipient(index))
    }

    /// Whether its header says that it may travel without TLS, and that was to be honoured: see
    /// [`MailBuilder::honor_tls_required`].
    pub fn is_tls_optional(&self) -> bool {
        self.extensions
            .as_ref()
            .is_some_and(|extensions| extensions.tls_optional)
    }

    /// Bytes of the text as they will travel, or as declared; `None` if nobody knows.
    pub fn size(&self) -> Option<u64> {
        match &self.text {
            Text::Whole { facts, .. } => Some(facts.message_len()),
            Text::Streamed { declared, .. } => declared.size,
        }
    }

    /// Whether the text has bytes above 127 below the headers (RFC 6152).
    pub(crate) fn needs_eight_bit(&self) -> bool {
        match &self.text {
            Text::Whole { facts, .. } => facts.body_eight_bit() || facts.header_eight_bit(),
            Text::Streamed { declared, .. } => declared.eight_bit || declared.utf8_headers,
        }
    }

    /// Bytes of the text as BDAT sends them, if all of it is at hand.
    pub(crate) fn whole_len(&self) -> Option<u64> {
        match &self.text {
            Text::Whole { facts, .. } => Some(facts.message_len()),
            Text::Streamed { .. } => None,
        }
    }

    /// Whether all of the text is at hand, so that it can be sent more than once.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.text, Text::Whole { .. })
    }

    /// Whether the headers, a parameter or an address have characters beyond ASCII (RFC 6531).
    pub(crate) fn needs_utf8(&self) -> bool {
        self.has_utf8_headers()
            || self
                .extensions
                .as_ref()
                .is_some_and(|extensions| !extensions.is_ascii())
            || !self.sender.is_ascii()
            || !self.recipients().all(ForwardPath::is_ascii)
    }

    /// Whether the headers have characters beyond ASCII (RFC 6532).
    pub(crate) fn has_utf8_headers(&self) -> bool {
        match &self.text {
            Text::Whole { facts, .. } => facts.header_eight_bit() && facts.header_is_utf8(),
            Text::Streamed { declared, .. } => declared.utf8_headers,
        }
    }

    /// The first byte of the header section that is neither ASCII nor UTF-8, if the text is at hand, and where it is.
    pub(crate) fn header_not_utf8(&self) -> Option<(ContentError, Location)> {
        match &self.text {
            Text::Whole { bytes, facts, .. } if !facts.header_is_utf8() => {
                let fault = header_not_utf8(bytes)?;
                Some((fault, Location::in_text(bytes, fault.offset())))
            }
            _ => None,
        }
    }

    /// Whether such bytes may be sent as they are.
    pub(crate) fn takes_eight_bit_headers(&self) -> bool {
        (self.extensions.as_ref()).is_some_and(|extensions| extensions.eight_bit_headers)
    }

    /// The first byte above 127 of the text; the text as a whole where that is not known.
    pub(crate) fn first_eight_bit(&self) -> Location {
        self.place_in_text(first_eight_bit)
    }

    /// The first byte that keeps the text from being sent but as bytes of any kind.
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

    /// Makes the text into one of seven bits, if there is something to do it and all of the text is at hand; returns whether
    /// it did.
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
    /// The sender: an address, or the empty string for the null sender of reports (RFC 5321, section 4.5.5).
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

    /// One more recipient: an address, or a [`Recipient`] with parameters of its own. The same one twice is two recipients.
    pub fn recipient(mut self, recipient: impl Into<Recipient>) -> Self {
        self.add(recipient.into());
        self
    }

    /// More recipients.
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

    /// The text, headers included, with CRLF line ends.
    ///
    /// Header fields that were put into it by an injected CRLF are sent like all others: see [`Mail`].
    pub fn message(mut self, text: impl Into<Bytes>) -> Self {
        self.source = Source::Whole(text.into());
        self
    }

    /// The text, headers included, as bytes of any kind in lines of any length (BINARYMIME, RFC 3030, section 3).
    ///
    /// It is sent as it is, and only to a server that offers BINARYMIME and CHUNKING.
    pub fn binary_message(mut self, text: impl Into<Bytes>) -> Self {
        self.source = Source::Binary(text.into());
        self
    }

    /// Says that the text comes in pieces, by [`Connection::write_content`](crate::Connection::write_content).
    pub fn streamed(mut self, declared: StreamedContent) -> Self {
        self.source = Source::Streamed(declared);
        self
    }

    /// What to do with line ends other than CRLF; by default, they are rejected.
    pub fn bare_line_ends(mut self, line_ends: BareLineEnds) -> Self {
        self.rules = self.rules.line_ends(line_ends);
        self
    }

    /// The longest line in bytes, its end not counted, or no limit; by default 998 (RFC 5322, section 2.1.1).
    pub fn max_line_len(mut self, bytes: Option<usize>) -> Self {
        self.rules = self.rules.max_line_len(bytes);
        self
    }

    /// Takes content that is no message: without a header section, or with one that lacks `From`, or
    /// that has lines that are no fields.
    ///
    /// For a store that takes any content by LMTP or BINARYMIME, for tests, and for relays that pass
    /// on what others wrote, as it is. Content that is [`streamed`](Self::streamed) is looked at while it
    /// is sent, and not sent to its end without a header section.
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

    /// Sends header fields that are neither ASCII nor UTF-8 as they are, to a server with 8BITMIME.
    ///
    /// By default they are an error: SMTPUTF8 stands for UTF-8 only (RFC 6532, section 3), and no
    /// extension for other charsets. Old programs write such fields all the same, and most servers
    /// pass them on; this is for those who pass on what others wrote. Fields in UTF-8 still need
    /// SMTPUTF8. Content that is [`streamed`](Self::streamed) is not looked at for that: with this, and
    /// without [`StreamedContent::utf8_headers`], all of its fields are sent as they are.
    pub fn eight_bit_headers(mut self) -> Self {
        self.extensions().eight_bit_headers = true;
        self
    }

    /// The message.
    ///
    /// # Errors
    /// The first wrong value, and all recipients that are no addresses.
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
    /// A text of ASCII only, of unknown size.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text below the headers may have bytes above 127; and so may the headers, with
    /// [`MailBuilder::eight_bit_headers`].
    #[must_use]
    pub fn eight_bit(mut self) -> Self {
        self.eight_bit = true;
        self
    }

    /// The headers may have characters beyond ASCII, as UTF-8.
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8_headers = true;
        self
    }

    /// The text may have bytes of any kind, in lines of any length: see [`MailBuilder::binary_message`].
    #[must_use]
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// The headers have a field `TLS-Required: No`: see [`MailBuilder::honor_tls_required`].
    #[must_use]
    pub fn tls_optional(mut self) -> Self {
        self.tls_optional = true;
        self
    }

    /// The size in bytes, as near as it is known: the server may reject early what is too large (RFC 1870).
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

    /// Which part is wrong.
    pub fn part(&self) -> MailPart {
        self.place.part()
    }

    /// Where it is wrong.
    pub fn location(&self) -> &Location {
        &self.place
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &MailErrorKind {
        &self.fault
    }

    /// All recipients that are no addresses, in their order; the first of them may be what [`kind`](Self::kind) is
    /// about.
    pub fn invalid_recipients(&self) -> &[InvalidRecipient] {
        &self.invalid
    }
}

impl InvalidRecipient {
    /// Its place among the recipients, counted from zero.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The text that was given for an address; its first 256 bytes, if it is longer.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it.
    pub fn error(&self) -> AddressError {
        self.error
    }
}

/// With the text in quotes, escaped, and cut if it is long.
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
                f.write_str("a message needs a recipient")
            }
            (MailPart::Text, MailErrorKind::Missing, _) => f.write_str("a message needs a text"),
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

/// Recipients that are shown of those that are no addresses, and bytes of the text of each: together less than 1 KiB.
const SHOWN_RECIPIENTS: usize = 5;
const SHOWN_TEXT: usize = 64;
