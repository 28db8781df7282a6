//! The outcome of a message, recipient by recipient.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::address::ForwardPath;
use crate::error::{Error, of_rejection};
use crate::mail::Mail;
use crate::reply::Reply;
use crate::stage::Stage;
use crate::tls::TlsInfo;

/// The outcome of a message: the status of each recipient, in the order given.
///
/// Printed, it is a line for each recipient, with a line feed between two.
///
/// ```
/// # fn report(outcome: smtp_proto::Outcome, queue: &mut Vec<smtp_proto::Mail>) {
/// println!("{outcome}");
/// if let Some(mail) = outcome.retry() {
///     queue.push(mail);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a message may have been rejected, for some recipients or for all"]
pub struct Outcome {
    deliveries: Vec<RecipientOutcome>,
    error: Option<Error>,
    traffic: ConnectionStats,
    tls: Option<TlsInfo>,
    /// The message without its recipients, if it can be sent again to one of them. Boxed, so that
    /// an outcome without is small to move.
    mail: Option<Box<Mail>>,
}

/// The outcome of a message for one recipient.
///
/// # Examples
/// ```
/// use smtp_proto::{Outcome, RecipientOutcome, RecipientStatus};
///
/// fn rejected(outcome: &Outcome) -> Vec<String> {
///     let is_rejected =
///         |each: &&RecipientOutcome| matches!(each.status(), RecipientStatus::Rejected { .. });
///     let rejected = outcome.recipients().iter().filter(is_rejected);
///     rejected.map(|each| each.recipient().to_string()).collect()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientOutcome {
    pub(crate) recipient: ForwardPath,
    pub(crate) fate: RecipientStatus,
}

/// The status of one recipient: exactly one of four.
///
/// ```
/// use smtp_proto::RecipientStatus;
///
/// fn action(status: &RecipientStatus) -> &'static str {
///     match status {
///         RecipientStatus::Accepted(_) => "done",
///         RecipientStatus::InDoubt(_) => "ask: a retry may deliver a duplicate",
///         RecipientStatus::Rejected { .. } | RecipientStatus::NotSent(_) => {
///             if status.is_transient() { "retry later" } else { "report a failure" }
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no fifth status, and a caller must consider all four"
)]
pub enum RecipientStatus {
    /// The server took responsibility for the message; this is its final reply.
    Accepted(Reply),
    /// The server rejected the message for this recipient; nothing was delivered.
    #[non_exhaustive]
    Rejected {
        /// The command that was rejected.
        stage: Stage,
        /// The reply: 4yz for a retry later, 5yz for none.
        reply: Reply,
    },
    /// The message was not sent, and sending it again is safe; the error says why.
    NotSent(Error),
    /// Unknown: all of the message was transmitted, and no final reply arrived.
    ///
    /// Sending it again may deliver a duplicate; not sending it may lose the message.
    InDoubt(Error),
}

/// Statistics of a connection, counted from its start.
///
/// # Examples
/// ```
/// use smtp_proto::ConnectionStats;
///
/// fn report(stats: &ConnectionStats) -> String {
///     format!("{} bytes in {} round trips", stats.bytes_sent(), stats.round_trips())
/// }
/// assert_eq!(report(&ConnectionStats::default()), "0 bytes in 0 round trips");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) round_trips: u64,
}

impl Outcome {
    pub(crate) fn new(
        deliveries: Vec<RecipientOutcome>,
        error: Option<Error>,
        traffic: ConnectionStats,
        tls: Option<TlsInfo>,
    ) -> Self {
        Self {
            deliveries,
            error,
            traffic,
            tls,
            mail: None,
        }
    }

    /// Whether there is a recipient to [retry](Self::retry), for which the message must be kept.
    pub(crate) fn has_retries(&self) -> bool {
        self.retries().next().is_some()
    }

    /// Keeps the message for [`retry`](Self::retry).
    pub(crate) fn with_mail(self, mail: Mail) -> Self {
        Self {
            mail: Some(Box::new(mail)),
            ..self
        }
    }

    /// Each recipient with its status, in the order given.
    pub fn recipients(&self) -> &[RecipientOutcome] {
        &self.deliveries
    }

    /// Whether the server accepted the message for every recipient.
    pub fn is_accepted(&self) -> bool {
        self.deliveries
            .iter()
            .all(|delivery| matches!(delivery.fate, RecipientStatus::Accepted(_)))
    }

    /// Whether any recipient is in doubt.
    pub fn is_in_doubt(&self) -> bool {
        self.deliveries
            .iter()
            .any(|delivery| matches!(delivery.fate, RecipientStatus::InDoubt(_)))
    }

    /// The error that ended the message early, if any: a failure of the connection, or a missing
    /// extension.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Statistics of the connection, from its start to this outcome.
    pub fn stats(&self) -> ConnectionStats {
        self.traffic
    }

    /// The TLS connection that carried the message, if any.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// The same message for those recipients for whom sending it again is safe and makes sense.
    ///
    /// These are the recipients whose status [is safe to retry](RecipientStatus::is_safe_to_retry)
    /// and [transient](RecipientStatus::is_transient): never one in doubt, none that was accepted,
    /// and none that was rejected for good. The message has its sender, content and parameters as
    /// they were given, also those that this server did not accept; the content is shared, not
    /// copied. When to send it is up to the caller (RFC 5321, section 4.5.4.1).
    ///
    /// `None` if there is no such recipient, or if the content was
    /// [streamed](crate::MailBuilder::streamed).
    ///
    /// ```
    /// # fn spool(outcome: &smtp_proto::Outcome) -> Option<smtp_proto::Mail> {
    /// let mail = outcome.retry()?;
    /// println!("{} of {} to retry", mail.recipients().len(), outcome.recipients().len());
    /// # Some(mail)
    /// # }
    /// ```
    pub fn retry(&self) -> Option<Mail> {
        let mail = self.mail.as_ref()?;
        Some(mail.restricted_to(self.retries()))
    }

    /// The recipients to retry, with their indices.
    fn retries(&self) -> impl Iterator<Item = (usize, &ForwardPath)> + Clone {
        let all = self.deliveries.iter().enumerate();
        all.filter(|(_, each)| each.fate.is_safe_to_retry() && each.fate.is_transient())
            .map(|(index, each)| (index, &each.recipient))
    }

    /// Treats anything short of full acceptance as an error.
    ///
    /// # Errors
    /// The outcome as an error, if any recipient was not accepted.
    pub fn all_accepted(self) -> Result<Delivered, NotAllAccepted> {
        if self.is_accepted() {
            Ok(Delivered(self))
        } else {
            Err(NotAllAccepted(self))
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for recipient in &self.deliveries {
            f.write_str(separator)?;
            fmt::Display::fmt(recipient, f)?;
            separator = "\n";
        }
        Ok(())
    }
}

impl RecipientOutcome {
    /// The recipient.
    pub fn recipient(&self) -> &ForwardPath {
        &self.recipient
    }

    /// The status of this recipient.
    pub fn status(&self) -> &RecipientStatus {
        &self.fate
    }
}

impl fmt::Display for RecipientOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.recipient)?;
        fmt::Display::fmt(&self.fate, f)
    }
}

impl RecipientStatus {
    /// Whether retrying cannot deliver a duplicate.
    pub fn is_safe_to_retry(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::NotSent(_))
    }

    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Accepted(_) => false,
            Self::Rejected { reply, .. } => reply.is_transient(),
            Self::NotSent(error) | Self::InDoubt(error) => error.is_transient(),
        }
    }

    /// The likely remedy, if the cause is a common mistake.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Accepted(_) => None,
            Self::Rejected { stage, reply } => of_rejection(*stage, reply),
            Self::NotSent(error) | Self::InDoubt(error) => error.hint(),
        }
    }

    /// The reply that led to this status, if any.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Accepted(reply) | Self::Rejected { reply, .. } => Some(reply),
            Self::NotSent(error) | Self::InDoubt(error) => error.reply(),
        }
    }
}

impl fmt::Display for RecipientStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(reply) => write!(f, "accepted: {reply:.400}"),
            Self::Rejected { stage, reply } => {
                write!(f, "rejected {stage}: {reply:.400}")?;
                match self.hint() {
                    Some(hint) if f.alternate() => write!(f, " ({hint})"),
                    _ => Ok(()),
                }
            }
            Self::NotSent(error) => {
                f.write_str("not sent: ")?;
                fmt::Display::fmt(error, f)
            }
            Self::InDoubt(error) => {
                f.write_str("in doubt: ")?;
                fmt::Display::fmt(error, f)
            }
        }
    }
}

impl ConnectionStats {
    /// Bytes of SMTP sent, before encryption.
    pub fn bytes_sent(&self) -> u64 {
        self.sent
    }

    /// Bytes of SMTP received, after decryption.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    /// Round trips: how often the client waited for the server, including the TLS handshake but not
    /// the TCP handshake.
    pub fn round_trips(&self) -> u64 {
        self.round_trips
    }
}

/// An [`Outcome`] in which the server accepted the message for every recipient. It prints as its
/// outcome does.
#[derive(Clone, Debug)]
pub struct Delivered(Outcome);

impl Delivered {
    /// The outcome.
    pub fn into_outcome(self) -> Outcome {
        self.0
    }
}

impl core::ops::Deref for Delivered {
    type Target = Outcome;

    fn deref(&self) -> &Outcome {
        &self.0
    }
}

impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An [`Outcome`] in which the server did not accept the message for every recipient, as an error.
///
/// Printed, it counts these recipients and shows the status of the first; the error of a message
/// that was not sent or is in doubt is its `source`, and in the text by `{:#}`.
///
/// # Examples
/// ```
/// use smtp_proto::{NotAllAccepted, Outcome};
///
/// fn send_all(outcome: Outcome) -> Result<(), NotAllAccepted> {
///     let delivered = outcome.all_accepted()?;
///     println!("{} recipients", delivered.recipients().len());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct NotAllAccepted(Outcome);

impl NotAllAccepted {
    /// The outcome.
    pub fn into_outcome(self) -> Outcome {
        self.0
    }

    /// The outcome.
    pub fn outcome(&self) -> &Outcome {
        &self.0
    }
}

impl fmt::Display for NotAllAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut others = self
            .0
            .deliveries
            .iter()
            .filter(|delivery| !matches!(delivery.fate, RecipientStatus::Accepted(_)));
        let count = others.clone().count();
        write!(
            f,
            "{count} of {} recipients not accepted",
            self.0.deliveries.len()
        )?;
        let Some(RecipientOutcome { recipient, fate }) = others.next() else {
            return Ok(());
        };
        match fate {
            RecipientStatus::NotSent(_) if !f.alternate() => write!(f, "; {recipient}: not sent"),
            RecipientStatus::InDoubt(_) if !f.alternate() => write!(f, "; {recipient}: in doubt"),
            _ => {
                write!(f, "; {recipient}: ")?;
                fmt::Display::fmt(fate, f)
            }
        }
    }
}

debug_as_display!(NotAllAccepted);

impl core::error::Error for NotAllAccepted {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        let mut fates = self.0.deliveries.iter().map(|each| &each.fate);
        match fates.find(|fate| !matches!(fate, RecipientStatus::Accepted(_)))? {
            RecipientStatus::NotSent(error) | RecipientStatus::InDoubt(error) => Some(error),
            _ => None,
        }
    }
}
