//! Why a message was not accepted for all of its recipients.

use std::fmt;

use lettre::address::Envelope;
use smtp_pool::{PoolError, SendError};
use smtp_proto::{
    Error as SmtpError, ErrorKind as SmtpErrorKind, Mail, MailError, NotAllAccepted, Outcome,
    RecipientStatus, Reply, Stage,
};
use smtp_rustls::{EndpointError, UrlError};

/// Why a message was not accepted for all of its recipients, or why a transport cannot be built.
///
/// `{}` is one line; `{:#}` and `Debug` have the causes and the likely remedy. The methods that
/// lettre's error has are here under the same names.
///
/// ```
/// use smtp_lettre::{Error, ErrorKind};
///
/// fn report(error: &Error) {
///     for recipient in error.not_accepted() {
///         println!("not accepted for {recipient}");
///     }
///     match error.kind() {
///         ErrorKind::NotAllAccepted(partly) => println!("{}", partly.outcome()),
///         _ => println!("nothing was sent: {error:#}"),
///     }
/// }
/// # let _ = report;
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    not_accepted: Vec<String>,
}

/// The kinds of [`Error`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The transport cannot be built.
    Endpoint(EndpointError),
    /// The URL of the transport is invalid.
    Url(UrlError),
    /// The message or its envelope is invalid. Nothing was sent.
    Mail(MailError),
    /// The message got no connection. Nothing was sent.
    Send(SendError),
    /// The server did not accept the message for every recipient. The outcome says for which, and
    /// why.
    NotAllAccepted(NotAllAccepted),
    /// The server cannot be used: the result of a test of the connection.
    Check(PoolError),
}

impl Error {
    fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            not_accepted: Vec::new(),
        }))
    }

    fn concerning<'a>(self, recipients: impl Iterator<Item = &'a str>) -> Self {
        let Inner { kind, .. } = *self.0;
        Self(Box::new(Inner {
            kind,
            not_accepted: recipients.map(str::to_owned).collect(),
        }))
    }

    pub(crate) fn of_mail(error: MailError, envelope: &Envelope) -> Self {
        let recipients = envelope.to().iter().map(AsRef::as_ref);
        Self::new(ErrorKind::Mail(error)).concerning(recipients)
    }

    pub(crate) fn of_check(error: PoolError) -> Self {
        Self::new(ErrorKind::Check(error))
    }

    /// The kind of error, with all that is known.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The recipients for whom the server did not accept the message, or not for certain. An error
    /// of building a transport, or of testing it, has none.
    ///
    /// It has accepted the message for the others.
    pub fn not_accepted(&self) -> impl Iterator<Item = &str> {
        self.0.not_accepted.iter().map(String::as_str)
    }

    /// The outcome for each recipient, if the message got a connection.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self.kind() {
            ErrorKind::NotAllAccepted(error) => Some(error.outcome()),
            _ => None,
        }
    }

    /// The same message for those recipients for whom sending it again is safe and makes sense, as
    /// in [`Outcome::retry`]. `send_mail` of the transport sends it. `None` if there is none.
    ///
    /// ```
    /// # use smtp_lettre::Error;
    /// fn keep(error: &Error, queue: &mut Vec<smtp_lettre::Mail>) {
    ///     queue.extend(error.retry());
    /// }
    /// # let _ = keep;
    /// ```
    pub fn retry(&self) -> Option<Mail> {
        match self.kind() {
            ErrorKind::Send(error) if error.is_transient() => Some(error.clone().into_mail()),
            ErrorKind::NotAllAccepted(error) => error.outcome().retry(),
            _ => None,
        }
    }

    /// Whether the whole message can be sent again, to all of its recipients, without a duplicate
    /// to any, and may be accepted then.
    ///
    /// False if the server has accepted it for some: [`retry`](Self::retry) has the message for the
    /// rest.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Send(error) => error.is_transient(),
            ErrorKind::Check(error) => error.is_transient(),
            ErrorKind::NotAllAccepted(error) => {
                let all = error.outcome().recipients();
                all.iter().all(|each| each.status().is_safe_to_retry())
                    && all.iter().any(|each| each.status().is_transient())
            }
            ErrorKind::Endpoint(_) | ErrorKind::Url(_) | ErrorKind::Mail(_) => false,
        }
    }

    /// Whether the server rejected the connection, or the message for a recipient, for good: by a
    /// 5yz reply, or because it lacks what the message needs. Never together with
    /// [`is_transient`](Self::is_transient).
    pub fn is_permanent(&self) -> bool {
        match self.kind() {
            ErrorKind::NotAllAccepted(_) if self.is_transient() => false,
            ErrorKind::NotAllAccepted(_) => self
                .failures()
                .any(|status| status.is_safe_to_retry() && !status.is_transient()),
            _ => self.connecting().is_some_and(|error| !error.is_transient()),
        }
    }

    /// Whether the server may have accepted the message for a recipient and not said so. Sending it
    /// again may deliver a duplicate.
    pub fn is_in_doubt(&self) -> bool {
        self.outcome().is_some_and(Outcome::is_in_doubt)
    }

    /// Whether a time limit was exceeded, also that of waiting for a connection.
    pub fn is_timeout(&self) -> bool {
        matches!(self.pool_error(), Some(PoolError::Deadline(_)))
            || self
                .smtp_error()
                .is_some_and(|error| matches!(root(error).kind(), SmtpErrorKind::Timeout(_)))
    }

    /// Whether TLS failed, or the server does not have it.
    pub fn is_tls(&self) -> bool {
        self.smtp_error().map(root).is_some_and(|error| {
            matches!(error.kind(), SmtpErrorKind::TlsUnavailable)
                || matches!(error.stage(), Stage::StartTls | Stage::TlsHandshake)
        })
    }

    /// Whether the server broke the protocol.
    pub fn is_response(&self) -> bool {
        self.smtp_error()
            .is_some_and(|error| matches!(root(error).kind(), SmtpErrorKind::Protocol(_)))
    }

    /// Whether the fault is on this side: in the message, its envelope, or the configuration.
    pub fn is_client(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Endpoint(_) | ErrorKind::Url(_) | ErrorKind::Mail(_)
        )
    }

    /// Whether the transport was shut down.
    pub fn is_transport_shutdown(&self) -> bool {
        matches!(self.pool_error(), Some(PoolError::Closed))
    }

    /// The reply that led to this error, if any; that about the first recipient, if there are
    /// several.
    pub fn reply(&self) -> Option<&Reply> {
        let mut statuses = self.failures();
        statuses
            .find_map(RecipientStatus::reply)
            .or_else(|| self.connecting().and_then(SmtpError::reply))
    }

    /// The likely remedy, if the cause is a common mistake.
    pub fn hint(&self) -> Option<&'static str> {
        match self.pool_error() {
            Some(error) => error.hint(),
            None => self.failures().find_map(RecipientStatus::hint),
        }
    }

    /// The statuses of the recipients that were not accepted.
    fn failures(&self) -> impl Iterator<Item = &RecipientStatus> {
        let all = self.outcome().map_or(&[][..], Outcome::recipients);
        all.iter()
            .map(|each| each.status())
            .filter(|status| !matches!(status, RecipientStatus::Accepted(_)))
    }

    fn pool_error(&self) -> Option<&PoolError> {
        match self.kind() {
            ErrorKind::Send(error) => Some(error.kind()),
            ErrorKind::Check(error) => Some(error),
            _ => None,
        }
    }

    /// The failure of connecting or of the login.
    fn connecting(&self) -> Option<&SmtpError> {
        match self.pool_error()? {
            PoolError::Connect(error) => Some(error),
            _ => None,
        }
    }

    /// The failure of the connection, or that of the message before anything was sent.
    fn smtp_error(&self) -> Option<&SmtpError> {
        self.connecting().or_else(|| {
            self.failures().find_map(|status| match status {
                RecipientStatus::NotSent(error) | RecipientStatus::InDoubt(error) => Some(error),
                _ => None,
            })
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::Endpoint(error) => error.fmt(f),
            ErrorKind::Url(error) => error.fmt(f),
            ErrorKind::Mail(error) => error.fmt(f),
            ErrorKind::Send(error) => error.fmt(f),
            ErrorKind::NotAllAccepted(error) => error.fmt(f),
            ErrorKind::Check(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

/// The source is that of the error inside, whose text this error has.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::Endpoint(error) => error.source(),
            ErrorKind::Url(error) => error.source(),
            ErrorKind::Mail(error) => error.source(),
            ErrorKind::Send(error) => error.source(),
            ErrorKind::NotAllAccepted(error) => error.source(),
            ErrorKind::Check(error) => error.source(),
        }
    }
}

impl From<EndpointError> for Error {
    fn from(error: EndpointError) -> Self {
        Self::new(ErrorKind::Endpoint(error))
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::new(ErrorKind::Url(error))
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let mail = error.clone().into_mail();
        Self::new(ErrorKind::Send(error)).concerning(mail.recipients().map(|each| each.as_str()))
    }
}

impl From<NotAllAccepted> for Error {
    fn from(error: NotAllAccepted) -> Self {
        let outcome = error.outcome().clone();
        let missing = outcome
            .recipients()
            .iter()
            .filter(|each| !matches!(each.status(), RecipientStatus::Accepted(_)));
        Self::new(ErrorKind::NotAllAccepted(error))
            .concerning(missing.map(|each| each.recipient().as_str()))
    }
}

/// The failure of another message on the connection, if that ended this one.
fn root(error: &SmtpError) -> &SmtpError {
    match error.kind() {
        SmtpErrorKind::Earlier(cause) => root(cause),
        _ => error,
    }
}
