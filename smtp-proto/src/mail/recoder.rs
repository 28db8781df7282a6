//! Downgrading 8-bit content to 7-bit on request.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::{Content, MailBuilder};
use crate::content::{ContentError, Encoder, LineRules, Room, ScanSummary, scan};
use crate::error::{Error, ErrorKind, TransportError};
use crate::location::Location;
use crate::stage::Stage;

/// The caller's function that downgrades content.
#[derive(Clone)]
pub(super) struct Recoder(Arc<Recode>);

type Recode = dyn Fn(&Bytes) -> Result<Bytes, TransportError> + Send + Sync;

impl MailBuilder {
    /// Downgrades the content for a server that cannot take it: without 8BITMIME where it has 8-bit
    /// bytes, without SMTPUTF8 where its header section is non-ASCII, without BINARYMIME or
    /// CHUNKING where it is [`binary_message`](Self::binary_message).
    ///
    /// For all other servers the content is sent unchanged. `recoder` is called at most once, when
    /// the server is known, with the content as it would be sent, without dot-stuffing; its result
    /// must be ASCII in lines of at most 998 bytes with CRLF line ends. The crate `smtp-recode` has
    /// one for MIME, `seven_bit`. [`Streamed`](Self::streamed) content is never downgraded.
    ///
    /// ```
    /// use core::convert::Infallible;
    ///
    /// use bytes::Bytes;
    /// use smtp_proto::Mail;
    ///
    /// /// A stand-in for one that handles MIME.
    /// fn without_umlauts(message: &Bytes) -> Result<Bytes, Infallible> {
    ///     Ok(String::from_utf8_lossy(message).replace('\u{fc}', "ue").into())
    /// }
    ///
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .message("From: alice@example.org\r\nSubject: hello\r\n\r\nGr\u{fc}sse\r\n")
    ///     .downgrade_with(without_umlauts)
    ///     .build()?;
    /// # Ok::<(), smtp_proto::MailError>(())
    /// ```
    pub fn downgrade_with<E>(
        mut self,
        recoder: impl Fn(&Bytes) -> Result<Bytes, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: core::error::Error + Send + Sync + 'static,
    {
        self.extensions().recoder = Some(Recoder::new(recoder));
        self
    }
}

impl Recoder {
    pub(super) fn new<E>(
        recode: impl Fn(&Bytes) -> Result<Bytes, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: core::error::Error + Send + Sync + 'static,
    {
        Self(Arc::new(move |content| {
            recode(content).map_err(TransportError::new)
        }))
    }

    /// The downgraded content; `None` if the content is streamed.
    pub(super) fn recode(&self, content: &Content) -> Result<Option<Content>, Error> {
        let failure = |kind| Error::new(Stage::Mail, kind);
        let bytes = match content {
            Content::Streamed { .. } => return Ok(None),
            Content::Whole { bytes, facts, .. } if facts.is_converted() => {
                mended(bytes, facts).map_err(|fault| failure(ErrorKind::Content(fault)))?
            }
            Content::Whole { bytes, .. } => bytes.clone(),
        };
        let bytes = self.0(&bytes).map_err(|error| failure(ErrorKind::Recode(error)))?;
        // The result is not trusted more than other input of the caller.
        let facts = scan(&bytes, &LineRules::new()).map_err(|fault| {
            failure(ErrorKind::Content(fault)).at(Location::in_content(&bytes, fault.offset()))
        })?;
        Ok(Some(Content::Whole {
            bytes,
            facts,
            binary: false,
        }))
    }
}

/// Two are equal if they are clones of one.
impl PartialEq for Recoder {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Recoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recoder")
    }
}

/// The content with converted line ends.
fn mended(content: &Bytes, facts: &ScanSummary) -> Result<Bytes, ContentError> {
    let mut mended = Vec::new();
    let mut encoder = Encoder::chunked_verified(facts);
    let mut left = content.clone();
    while !left.is_empty() {
        encoder.encode(&mut left, Room::new(usize::MAX, usize::MAX), &mut |part| {
            mended.extend_from_slice(&part);
        })?;
    }
    mended.extend_from_slice(encoder.finish()?);
    Ok(mended.into())
}
