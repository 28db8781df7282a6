//! Spans and events of the crate `tracing`, with the entries of transcripts. Empty without the
//! feature `tracing`.

use crate::config::Config;
use crate::event::MailId;
use crate::outcome::Outcome;
use crate::transcript::TranscriptEntry;

/// The span of a connection, or of a message within it.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(feature = "tracing")]
impl Trace {
    /// The span of a connection, within the current span.
    pub(crate) fn connection(config: &Config) -> Self {
        let host = config.host.as_deref();
        let span = tracing::debug_span!(target: TARGET, "smtp.connection", host);
        Self { span }
    }

    /// The span of a message on this connection.
    pub(crate) fn mail(&self, id: MailId) -> Self {
        let span = tracing::debug_span!(target: TARGET, parent: &self.span, "smtp.mail", id = id.0);
        Self { span }
    }

    /// Whether a subscriber is interested.
    pub(crate) fn is_observed(&self) -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
    }

    /// Records an entry of the transcript: at DEBUG if it is decisive, otherwise at TRACE.
    pub(crate) fn show(&self, entry: &TranscriptEntry<'_>) {
        use crate::reply::Severity::{Permanent, Transient};

        let decides = match entry {
            TranscriptEntry::Reply(reply) => {
                matches!(reply.code().severity(), Transient | Permanent)
            }
            TranscriptEntry::Tls(_) | TranscriptEntry::Failed(_) | TranscriptEntry::Ended => true,
            TranscriptEntry::Command(_)
            | TranscriptEntry::Challenge(_)
            | TranscriptEntry::Body { .. } => false,
        };
        if decides {
            tracing::debug!(target: TARGET, parent: &self.span, "{entry}");
        } else {
            tracing::trace!(target: TARGET, parent: &self.span, "{entry}");
        }
    }

    /// Records the outcome of the message.
    pub(crate) fn outcome(&self, outcome: &Outcome) {
        use crate::outcome::RecipientStatus;

        let count = |is: fn(&RecipientStatus) -> bool| {
            let fates = outcome.recipients().iter();
            fates.filter(|delivery| is(delivery.status())).count()
        };
        tracing::debug!(
            target: TARGET,
            parent: &self.span,
            accepted = count(|fate| matches!(fate, RecipientStatus::Accepted(_))),
            rejected = count(|fate| matches!(fate, RecipientStatus::Rejected { .. })),
            not_sent = count(|fate| matches!(fate, RecipientStatus::NotSent(_))),
            in_doubt = count(|fate| matches!(fate, RecipientStatus::InDoubt(_))),
            "outcome"
        );
    }
}

#[cfg(not(feature = "tracing"))]
#[expect(
    clippy::unused_self,
    reason = "the same as with the feature, and compiled to nothing"
)]
impl Trace {
    pub(crate) const fn connection(_config: &Config) -> Self {
        Self {}
    }

    pub(crate) const fn mail(&self, _id: MailId) -> Self {
        Self {}
    }

    pub(crate) const fn is_observed(&self) -> bool {
        false
    }

    pub(crate) const fn show(&self, _entry: &TranscriptEntry<'_>) {}

    pub(crate) const fn outcome(&self, _outcome: &Outcome) {}
}

#[cfg(all(test, not(feature = "tracing")))]
#[test]
fn without_the_feature_it_takes_no_memory() {
    assert_eq!(size_of::<Trace>(), 0);
}

/// The target of all spans and events.
#[cfg(feature = "tracing")]
const TARGET: &str = "smtp_proto";
