//! Everything that is said on a connection, for people to read.

use alloc::sync::Arc;
use core::fmt;

use crate::command::RedactedCommand;
use crate::error::Error;
use crate::reply::Reply;
use crate::tls::TlsInfo;

/// One thing that was said or happened, as an observer set by [`ConfigBuilder::transcript`] sees it.
///
/// Its `Display` is one line. What could be secret, the payload of AUTH, the challenges to it and the answers within it,
/// is not in it.
///
/// [`ConfigBuilder::transcript`]: crate::ConfigBuilder::transcript
#[derive(Debug)]
#[non_exhaustive]
pub enum TranscriptEntry<'a> {
    /// A command was queued to be sent.
    Command(RedactedCommand<'a>),
    /// A reply came.
    Reply(&'a Reply),
    /// A challenge of the authentication came (RFC 4954, section 4), with a text of so many bytes.
    ///
    /// The text is no secret by itself, but with that of SCRAM and CRAM-MD5 passwords can be tried at leisure.
    Challenge(usize),
    /// Some of a message's text was queued to be sent.
    Body {
        /// Bytes of this message's text so far, as they travel.
        sent: u64,
        /// Bytes of it in all, where that is known.
        total: Option<u64>,
    },
    /// TLS began.
    Tls(&'a TlsInfo),
    /// The connection failed.
    Failed(&'a Error),
    /// The connection ended as asked.
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

/// Who observes, if anybody does.
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
