//! Streamed content.

/// Properties of streamed content, declared in advance, since the content cannot be scanned.
///
/// Content that requires more than was declared is not sent.
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

impl StreamedContent {
    /// ASCII content of unknown size.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares that the body may contain 8-bit bytes; with
    /// [`MailBuilder::eight_bit_headers`](crate::MailBuilder::eight_bit_headers), so may the header
    /// section.
    #[must_use]
    pub fn eight_bit(mut self) -> Self {
        self.eight_bit = true;
        self
    }

    /// Declares that the header section may contain non-ASCII characters in UTF-8.
    #[must_use]
    pub fn utf8_headers(mut self) -> Self {
        self.utf8_headers = true;
        self
    }

    /// Declares that the content may contain arbitrary bytes in lines of any length: see
    /// [`MailBuilder::binary_message`](crate::MailBuilder::binary_message).
    #[must_use]
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// Declares that the header section contains `TLS-Required: No`: see
    /// [`MailBuilder::honor_tls_required`](crate::MailBuilder::honor_tls_required).
    #[must_use]
    pub fn tls_optional(mut self) -> Self {
        self.tls_optional = true;
        self
    }

    /// Declares the size in bytes, exact or estimated: the server may reject a large message early
    /// (RFC 1870).
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }
}
