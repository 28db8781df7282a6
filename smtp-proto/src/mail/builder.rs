//! The builder of a message.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::envelope::Addressed;
use super::message::Stated;
use super::recipient::Malformed;
use super::{
    Content, Envelope, InvalidRecipient, Mail, MailError, MailErrorKind, Recipient, StreamedContent,
};
use crate::address::{AddressError, ReversePath};
use crate::content::{
    BareLineEnds, HeaderHigh, HeaderRules, LineRules, ScanSummary, header_not_utf8, scan,
    section_fault,
};
use crate::extension::parameter::Parameter;
use crate::location::MailPart;

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
    pub(super) envelope: Envelope,
    rules: LineRules,
    source: Source,
    /// Whether the content may lack a header section.
    headerless: bool,
    error: Option<MailError>,
    /// The error if there is no recipient, unless it is the usual one.
    no_recipient: Option<Box<MailError>>,
    invalid: Vec<InvalidRecipient>,
}

#[derive(Clone, Debug)]
enum Source {
    None,
    Whole(Bytes),
    Binary(Bytes),
    Streamed(StreamedContent),
}

impl MailBuilder {
    pub(super) fn new() -> Self {
        Self {
            envelope: Envelope::new(),
            rules: LineRules::default(),
            source: Source::None,
            headerless: false,
            error: None,
            no_recipient: None,
            invalid: Vec::new(),
        }
    }

    /// Starts with the sender, the recipients and the content of a complete RFC 5322 message, so
    /// that more can be set.
    ///
    /// [`sender`](Self::sender) then replaces the sender, for example by an address for reports,
    /// and [`recipient`](Self::recipient) adds one.
    ///
    /// | part | taken from |
    /// | --- | --- |
    /// | sender | `Sender`; without this field, the one mailbox of `From` |
    /// | recipients | all `To`, `Cc` and `Bcc` fields, groups included; each mailbox once |
    /// | content | the message without its `Bcc` and `Resent-Bcc` fields, otherwise unchanged |
    ///
    /// If there are `Resent-` fields, those of the topmost block take the place of these (RFC 5322,
    /// section 3.6.6): it begins with the first of them, and ends before another field, or before a
    /// second `Resent-From`, `-Sender`, `-Date` or `-Message-ID`.
    ///
    /// # Errors
    /// [`build`](Self::build) reports a malformed address, with the field and the line; a second
    /// `From` or `Sender`; `From` with several mailboxes and no `Sender` (RFC 5322, section 3.6.2);
    /// a message without recipients. Nothing is guessed: a list that is not valid by RFC 5322,
    /// section 3.4, is an error as a whole.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::dsn::Return;
    /// use smtp_proto::{MailBuilder, Parameter};
    ///
    /// let message = "From: alice@example.org\r\nTo: bob@example.net\r\n\r\nHello Bob.\r\n";
    /// let mail = MailBuilder::from_message(message)
    ///     .sender("bounces@example.org")
    ///     .parameter(Parameter::ret(Return::Headers))
    ///     .build()?;
    /// assert_eq!(mail.sender().as_str(), "bounces@example.org");
    /// assert_eq!(mail.recipients().len(), 1);
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn from_message(message: impl Into<Bytes>) -> Self {
        let stated = match Stated::by(message.into()) {
            Ok(stated) => stated,
            Err(error) => return Self::failed(error),
        };
        let mut builder = Self::new();
        builder.envelope.sender = stated.sender;
        builder.envelope.recipients = stated.recipients;
        builder.no_recipient = stated.no_recipient.map(Box::new);
        builder.source = Source::Whole(stated.content);
        builder
    }

    /// Starts with an error, which `build` will report.
    pub(super) fn failed(error: MailError) -> Self {
        Self {
            error: Some(error),
            ..Self::new()
        }
    }

    /// Sets the sender: an address, or the empty string for the null sender of delivery reports
    /// (RFC 5321, section 4.5.5).
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::Mail;
    /// let report = Mail::builder()
    ///     .sender("")
    ///     .recipient("alice@example.org")
    ///     .message("From: postmaster@example.net\r\n\r\nDelivery failed.\r\n")
    ///     .build()?;
    /// assert!(report.sender().is_null());
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn sender<S>(mut self, sender: S) -> Self
    where
        S: TryInto<ReversePath, Error: Into<AddressError>>,
    {
        match sender.try_into() {
            Ok(sender) => self.envelope.sender = sender,
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
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::Mail;
    /// let list = ["bob@example.net", "carol@example.net"];
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipients(list)
    ///     .message("From: alice@example.org\r\n\r\nHello\r\n")
    ///     .build()?;
    /// assert!(mail.recipients().map(|path| path.as_str()).eq(list));
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn recipients(
        mut self,
        recipients: impl IntoIterator<Item = impl Into<Recipient>>,
    ) -> Self {
        let recipients = recipients.into_iter();
        let more = recipients.size_hint().0;
        let all = &mut self.envelope.recipients;
        match all.is_empty() {
            true => all.reserve_exact(more),
            // One at a time may come from a loop.
            false => all.reserve(more),
        }
        for recipient in recipients {
            self.add(recipient.into());
        }
        self
    }

    /// Sets the content: a complete RFC 5322 message, header section and body, with CRLF line ends.
    ///
    /// Injected header fields are sent like any others: see [`Mail`].
    pub fn message(mut self, message: impl Into<Bytes>) -> Self {
        self.source = Source::Whole(message.into());
        self
    }

    /// Sets the content: a complete message with arbitrary bytes in lines of any length
    /// (BINARYMIME, RFC 3030, section 3).
    ///
    /// It is sent unchanged, and only to a server that advertises BINARYMIME and CHUNKING.
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::Mail;
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .binary_message(&b"From: alice@example.org\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n"[..])
    ///     .build()?;
    /// assert_eq!(mail.size(), Some(64));
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn binary_message(mut self, message: impl Into<Bytes>) -> Self {
        self.source = Source::Binary(message.into());
        self
    }

    /// Declares streamed content, which
    /// [`Connection::write_content`](crate::Connection::write_content) submits in pieces.
    pub fn streamed(mut self, declared: StreamedContent) -> Self {
        self.source = Source::Streamed(declared);
        self
    }

    /// Sets how line ends other than CRLF are handled. The default is to reject them.
    pub fn bare_line_ends(mut self, line_ends: BareLineEnds) -> Self {
        self.rules = self.rules.line_ends(line_ends);
        self
    }

    /// Sets the maximum line length in bytes without CRLF, or removes the limit. The default is 998
    /// (RFC 5322, section 2.1.1).
    ///
    /// # Examples
    /// ```
    /// # use smtp_proto::Mail;
    /// let long = format!("From: alice@example.org\r\n\r\n{}\r\n", "x".repeat(2000));
    /// let mail = || Mail::builder().recipient("bob@example.net").message(long.clone());
    /// assert!(mail().build().is_err());
    /// assert!(mail().max_line_len(Some(2000)).build().is_ok());
    /// ```
    pub fn max_line_len(mut self, bytes: Option<usize>) -> Self {
        self.rules = self.rules.max_line_len(bytes);
        self
    }

    /// Accepts content that is not a message: without a header section, or with one that lacks
    /// `From` or has lines that are not fields.
    ///
    /// For a store that accepts any content by LMTP or BINARYMIME, for tests, and for relays that
    /// pass on messages unchanged. [`Streamed`](Self::streamed) content is checked while it is
    /// sent, and without a header section its end is never sent.
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
    /// extension covers other charsets. Old programs write such fields nevertheless, and most
    /// servers relay them; this option is for relays. Fields in UTF-8 still need SMTPUTF8.
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
        if let Some(error) = self.error.take() {
            let invalid = core::mem::take(&mut self.invalid);
            return Err(MailError { invalid, ..error });
        }
        if self.envelope.recipients.is_empty() {
            let missing = || MailError::new(MailPart::Recipients, MailErrorKind::Missing);
            return Err(self.no_recipient.map_or_else(missing, |error| *error));
        }
        let content = self.content()?;
        let mut envelope = self.envelope;
        if let Some(extensions) = &mut envelope.extensions {
            extensions.tls_optional = extensions.tls_optional && content.says_tls_optional();
            if let Some(notify) = extensions.notify_all.take() {
                let notify = Parameter::notify(notify);
                extensions.add_to_each(envelope.recipients.len(), &notify)?;
            }
            extensions.check(&envelope.sender, &envelope.recipients)?;
        }
        Ok(Mail { envelope, content })
    }

    /// Takes and checks the content.
    fn content(&mut self) -> Result<Content, MailError> {
        let (eight_bit_headers, recoded) = (self.envelope.extensions.as_ref())
            .map_or((false, false), |extensions| {
                (extensions.eight_bit_headers, extensions.recoder.is_some())
            });
        let content = match core::mem::replace(&mut self.source, Source::None) {
            Source::None => return Err(MailError::new(MailPart::Content, MailErrorKind::Missing)),
            Source::Whole(bytes) => {
                let rules = self.rules.eight_bit(true);
                let facts =
                    scan(&bytes, &rules).map_err(|fault| MailError::in_content(&bytes, fault))?;
                Content::Whole {
                    bytes,
                    facts,
                    binary: false,
                }
            }
            Source::Binary(bytes) => Content::Whole {
                facts: ScanSummary::binary(&bytes),
                bytes,
                binary: true,
            },
            Source::Streamed(declared) => Content::Streamed {
                declared,
                header: self.header_rules(declared, eight_bit_headers),
                rules: self
                    .rules
                    .eight_bit(declared.eight_bit || declared.utf8_headers),
            },
        };
        if let Content::Whole { bytes, .. } = &content
            && !self.headerless
            && let Some(fault) = section_fault(bytes)
        {
            return Err(MailError::in_content(bytes, fault));
        }
        if let Content::Whole { bytes, facts, .. } = &content
            && !(facts.header_is_utf8() || eight_bit_headers || recoded)
            && let Some(fault) = header_not_utf8(bytes)
        {
            return Err(MailError::in_content(bytes, fault));
        }
        Ok(content)
    }

    /// The rules for the header section of streamed content.
    fn header_rules(&self, declared: StreamedContent, eight_bit_headers: bool) -> HeaderRules {
        let high = if declared.utf8_headers {
            HeaderHigh::Utf8
        } else if eight_bit_headers || !(declared.eight_bit || declared.binary) {
            HeaderHigh::Any
        } else {
            HeaderHigh::None
        };
        HeaderRules {
            required: !self.headerless,
            high,
        }
    }

    fn add(&mut self, recipient: Recipient) {
        let Recipient { path, parameters } = recipient;
        let index = self
            .envelope
            .recipients
            .len()
            .saturating_add(self.invalid.len());
        match path {
            Ok(path) => self.envelope.recipients.push(Addressed::new(path)),
            Err(Malformed { text, error }) => {
                self.fail(MailPart::Recipient(index), MailErrorKind::Address(error));
                self.invalid.push(InvalidRecipient { index, text, error });
            }
        }
        if let Some(parameters) = parameters {
            self.add_rcpt_parameters(index, *parameters);
        }
    }

    pub(super) fn fail(&mut self, field: MailPart, fault: MailErrorKind) {
        if self.error.is_none() {
            self.error = Some(MailError::new(field, fault));
        }
    }
}
