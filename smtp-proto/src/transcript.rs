//! The transcript of a connection: its commands, replies and events, without secrets.

use alloc::sync::Arc;
use core::fmt;

pub use crate::command::RedactedCommand;
use crate::error::Error;
use crate::reply::Reply;
use crate::tls::TlsInfo;

/// One line of a transcript, for the observer set by [`ConfigBuilder::transcript`].
///
/// Its `Display` is one line. It holds no secret: the initial response, challenges and responses of
/// AUTH are left out.
///
/// [`ConfigBuilder::transcript`]: crate::ConfigBuilder::transcript
///
/// # Examples
/// ```
/// use smtp_proto::TranscriptEntry;
///
/// assert_eq!(TranscriptEntry::Challenge(24).to_string(), "S: 334 <24 bytes>");
/// let progress = TranscriptEntry::Body { sent: 512, total: Some(2048) };
/// assert_eq!(progress.to_string(), "C: (512 of 2048 bytes)");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TranscriptEntry<'a> {
    /// A command was queued.
    Command(RedactedCommand<'a>),
    /// A reply arrived.
    Reply(&'a Reply),
    /// A challenge of AUTH arrived (RFC 4954, section 4), with this many bytes.
    ///
    /// Its text is left out: with that of SCRAM or CRAM-MD5, passwords can be guessed offline.
    Challenge(usize),
    /// A part of a message's content was queued.
    Body {
        /// Bytes of this content so far, as encoded.
        sent: u64,
        /// Its total in bytes, if known.
        total: Option<u64>,
    },
    /// TLS began.
    Tls(&'a TlsInfo),
    /// The connection failed.
    Failed(&'a Error),
    /// The connection was closed on request.
    Ended,
}

impl fmt::Display for TranscriptEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(line) => write!(f, "C: {line}"),
            Self::Reply(reply) => write!(f, "S: {reply}"),
            Self::Challenge(len) => write!(f, "S: 334 <{len} bytes>"),
            Self::Body {
                sent,
                total: Some(total),
            } => write!(f, "C: ({sent} of {total} bytes)"),
            Self::Body { sent, total: None } => write!(f, "C: ({sent} bytes)"),
            Self::Tls(facts) => write!(f, "-- TLS: {facts}"),
            Self::Failed(error) => write!(f, "-- failed: {error:#}"),
            Self::Ended => f.write_str("-- ended"),
        }
    }
}

/// The observer, if any.
#[derive(Clone, Default)]
pub(crate) struct Transcript(Option<Arc<Observer>>);

type Observer = dyn Fn(&TranscriptEntry<'_>) + Send + Sync;

impl Transcript {
    pub(crate) fn new(observer: impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) const fn is_observed(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn show(&self, entry: &TranscriptEntry<'_>) {
        if let Some(observer) = &self.0 {
            observer(entry);
        }
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Transcript(observed)"
        } else {
            "Transcript(none)"
        })
    }
}
