//! Errors, by the side at fault.

mod connecting;
mod display;
mod hint;
mod peer;
mod requirement;
mod transport;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::address::AddressErrorKind;
use crate::content::ContentError;
use crate::extension::LimitExceeded;
use crate::location::Location;
use crate::reply::Reply;
use crate::reply_reader::ReplyError;
use crate::sasl::{CredentialsError, ExchangeError};
use crate::stage::{Stage, Timeout};
pub(crate) use hint::{of_fault, of_rejection};
pub use peer::Peer;
pub use requirement::MissingExtension;
pub use transport::TransportError;

/// The reason why a connection, a message or a command failed, and the stage of the failure.
///
/// Cheap to clone: after a failure, every question to the connection returns the same error.
///
/// | printed by | text |
/// | --- | --- |
/// | `{}` | server, stage, kind and reply on one line; the cause is left to [`source`](core::error::Error::source) |
/// | `{:#}` | also the causes, the location in the message, a partial reply, earlier attempts, and the hint |
/// | `{:?}` | as `{:#}`, for a `main` that returns the error |
/// | `{:#?}` | also the fields |
///
/// None of them contains a secret, and text from the peer is escaped.
///
/// ```
/// use smtp_proto::{AuthenticationError, Error, ErrorKind};
///
/// /// The advice to a user.
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Authentication(AuthenticationError::Rejected { .. }) => "check the password",
///         ErrorKind::TlsUnavailable => "check the port and the TLS mode",
///         ErrorKind::TooLarge { .. } => "send a smaller message",
///         _ if error.is_transient() => "try again later",
///         _ => error.hint().unwrap_or("ask the administrator"),
///     }
/// }
///
/// let error = Error::connect(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
/// assert_eq!(advice(&error), "try again later");
/// assert_eq!(error.to_string(), "connecting: the transport failed");
/// assert_eq!(
///     format!("{error:#}"),
///     "connecting: connection refused (no server listens on this port: submission is on 587 \
///      (STARTTLS) or 465 (implicit TLS))"
/// );
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    stage: Stage,
    reply: Option<Reply>,
    fragment: Option<Box<[u8]>>,
    place: Option<Location>,
    peer: Option<Arc<Peer>>,
    attempts: Box<[Error]>,
    /// Whether commands were sent before the replies to earlier ones had arrived.
    pipelined: bool,
}

/// The kinds of [`Error`]: which side is at fault, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The server rejected the command; [`Error::reply`] is its reply.
    Rejected,
    /// TLS is required, and the server did not provide it.
    TlsUnavailable,
    /// Authentication was not possible, or failed.
    Authentication(AuthenticationError),
    /// The server does not advertise an extension that this message requires.
    Unsupported(MissingExtension),
    /// The value of a parameter exceeds the limit that the server advertises.
    LimitExceeded(LimitExceeded),
    /// An address cannot be sent to a server without SMTPUTF8 (RFC 6531).
    Address(AddressErrorKind),
    /// The message exceeds the server's size limit (RFC 1870).
    TooLarge {
        /// The size of the message in bytes; of streamed content, the bytes written so far.
        size: u64,
        /// The server's limit in bytes.
        limit: u64,
    },
    /// The message has more recipients than the server accepts in one transaction, and its content
    /// cannot be sent again for the rest.
    TooManyRecipients,
    /// The server accepts no more messages on this connection (RFC 9422).
    TooManyMails,
    /// A time limit was exceeded, at this [`Error::stage`].
    Timeout(Timeout),
    /// The proxy opened no tunnel to the server.
    ///
    /// [`TransportError::get_ref`] returns the proxy's reply, as the layer that speaks to the proxy
    /// describes it, or the error of the transport.
    Proxy(TransportError),
    /// The transport failed.
    Transport(TransportError),
    /// The peer closed the connection.
    ConnectionLost,
    /// The content of a message is invalid.
    Content(ContentError),
    /// The source of streamed content failed.
    Source(TransportError),
    /// The content could not be downgraded for this server: see
    /// [`MailBuilder::downgrade_with`](crate::MailBuilder::downgrade_with).
    Recode(TransportError),
    /// The caller abandoned the message.
    Abandoned,
    /// The connection failed before this message was done, because of another message or command.
    Earlier(Error),
    /// The connection was closed on request.
    Closed,
    /// The caller misused the API.
    Misuse(ApiMisuse),
}

/// The protocol errors of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The input is not a valid reply.
    Reply(ReplyError),
    /// A reply arrived while no command was pending.
    UnexpectedReply,
    /// The reply code is of the wrong class for this command.
    WrongClass,
    /// Cleartext arrived where TLS had to begin, such as after the reply to STARTTLS: it may have
    /// been injected.
    InjectedBeforeTls,
    /// A reply arrived while the content was still being sent.
    EarlyReply,
    /// The server accepted a message after it had rejected its sender, all recipients or a chunk.
    AcceptedAfterRejection,
    /// The server exceeded the input limit of the session.
    TooMuchInput,
}

/// The reasons why authentication failed.
///
/// # Examples
/// ```
/// use smtp_proto::{AuthenticationError, Error, ErrorKind};
///
/// /// Whether asking the user for the password again makes sense.
/// fn asks_again(error: &Error) -> bool {
///     matches!(
///         error.kind(),
///         ErrorKind::Authentication(AuthenticationError::Rejected { .. })
///     )
/// }
/// # assert!(!asks_again(&Error::connect_timeout()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The server does not advertise AUTH.
    NotAdvertised,
    /// The server does not advertise AUTH in cleartext, but advertises STARTTLS, and may advertise
    /// AUTH in TLS.
    NotAdvertisedInCleartext,
    /// The server advertises no mechanism that the credentials support.
    NoCommonMechanism {
        /// The mechanisms that the server advertises.
        offered: Vec<String>,
        /// The mechanisms that the credentials support.
        ours: Vec<String>,
    },
    /// The server rejected the login; [`Error::reply`] is its reply.
    Rejected {
        /// The mechanism's own error message, such as the JSON of OAuth (RFC 7628, section 3.2.2).
        detail: Option<Vec<u8>>,
    },
    /// The server rejected a login with channel binding, apparently not for the password;
    /// [`Error::reply`] is its reply.
    BindingRejected {
        /// As in `Rejected`.
        detail: Option<Vec<u8>>,
    },
    /// The server rejected the token of a token provider; [`Error::reply`] is its reply.
    ///
    /// The token may have expired: one more attempt with a new token may succeed. See
    /// [`Config::with_refreshed_token`](crate::Config::with_refreshed_token).
    Expired {
        /// As in `Rejected`.
        detail: Option<Vec<u8>>,
    },
    /// The source of the token failed: see
    /// [`Connection::fail_token`](crate::Connection::fail_token).
    TokenSource(TransportError),
    /// The token that was provided cannot be sent.
    InvalidToken(CredentialsError),
    /// The exchange failed before the server rejected it.
    Exchange(ExchangeError),
}

/// A call that is wrong in the current state.
///
/// # Examples
/// ```
/// use smtp_proto::{ApiMisuse, Mail};
/// # use std::sync::Arc;
/// # use smtp_proto::{Config, Connection, Security, Seed};
/// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// # let mut connection = Connection::new(Arc::new(config), Seed::random());
///
/// let message = "From: alice@example.org\r\n\r\nHello\r\n";
/// let id = connection.submit(Mail::new("alice@example.org", ["bob@example.net"], message)?);
/// assert_eq!(connection.finish_content(id), Err(ApiMisuse::NotStreaming));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// Unknown id, or the result of that message or command has been taken.
    UnknownId,
    /// The content of this message is not streamed, or is finished.
    NotStreaming,
    /// The content of the message is not finished, so there can be no outcome.
    ContentUnfinished,
    /// Nothing is pending, so waiting would never end.
    NothingUnderWay,
    /// TLS must begin first, and the driver has no TLS.
    UpgradePending,
    /// There is no TLS upgrade to begin: TLS is not requested, or is done.
    NoUpgrade,
    /// A [token](crate::Credentials::fetched_token) is wanted for AUTH, and the caller does not
    /// fetch it: it has neither called [`Connection::poll_token`](crate::Connection::poll_token)
    /// nor taken [`Event::TokenWanted`](crate::Event::TokenWanted).
    TokenWanted,
    /// A token was provided, and none is wanted: the credentials have one, or one was provided.
    NoTokenWanted,
    /// More bytes were acknowledged than were transmitted.
    SentTooMuch,
}

impl Error {
    pub(crate) fn new(stage: Stage, kind: ErrorKind) -> Self {
        Self(Arc::new(Inner {
            kind,
            stage,
            reply: None,
            fragment: None,
            place: None,
            peer: None,
            attempts: Box::default(),
            pipelined: false,
        }))
    }

    pub(crate) fn protocol(stage: Stage, error: ProtocolError) -> Self {
        Self::new(stage, ErrorKind::Protocol(error))
    }

    pub(crate) fn rejected(stage: Stage, reply: Reply) -> Self {
        Self::new(stage, ErrorKind::Rejected).with_reply(reply)
    }

    pub(crate) fn misuse(stage: Stage, misuse: ApiMisuse) -> Self {
        Self::new(stage, ErrorKind::Misuse(misuse))
    }

    /// Adds the server of the connection, unless the error names one already.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<Arc<Peer>>) -> Self {
        if self.0.peer.is_none() {
            Arc::make_mut(&mut self.0).peer = Some(peer.into());
        }
        self
    }

    /// Adds the failures of earlier attempts, in order; this error is that of the last attempt.
    #[must_use]
    pub fn with_attempts(mut self, earlier: Vec<Self>) -> Self {
        if !earlier.is_empty() {
            Arc::make_mut(&mut self.0).attempts = earlier.into_boxed_slice();
        }
        self
    }

    /// Records that the connection sent ahead of the replies.
    #[must_use]
    pub(crate) fn pipelined(mut self) -> Self {
        Arc::make_mut(&mut self.0).pipelined = true;
        self
    }

    /// The same error with this kind.
    #[must_use]
    pub(crate) fn because(mut self, kind: ErrorKind) -> Self {
        Arc::make_mut(&mut self.0).kind = kind;
        self
    }

    #[must_use]
    pub(crate) fn with_reply(mut self, reply: Reply) -> Self {
        Arc::make_mut(&mut self.0).reply = Some(reply);
        self
    }

    #[must_use]
    pub(crate) fn at(mut self, place: Location) -> Self {
        Arc::make_mut(&mut self.0).place = Some(place);
        self
    }

    #[must_use]
    pub(crate) fn with_fragment(mut self, fragment: &[u8]) -> Self {
        if !fragment.is_empty() {
            Arc::make_mut(&mut self.0).fragment = Some(fragment.into());
        }
        self
    }

    /// The error of a message whose turn had not come when the connection failed with this error.
    ///
    /// The result of one message or command is not that of another. A failure to connect or to
    /// authenticate, and a lost transport, concern all of them.
    pub(crate) fn of_another(&self) -> Self {
        let same = self.0.stage.is_before_ready()
            || matches!(
                self.0.kind,
                ErrorKind::Timeout(_)
                    | ErrorKind::Transport(_)
                    | ErrorKind::ConnectionLost
                    | ErrorKind::Closed
                    | ErrorKind::Misuse(_)
                    | ErrorKind::Earlier(_)
            );
        if same {
            self.clone()
        } else {
            // Name the server only once.
            let mut cause = self.clone();
            let peer = Arc::make_mut(&mut cause.0).peer.take();
            let mut error = Self::new(self.stage(), ErrorKind::Earlier(cause));
            Arc::make_mut(&mut error.0).peer = peer;
            error
        }
    }

    /// Whether both sides are still in order after this error, so that QUIT can be sent.
    pub(crate) fn leaves_order(&self) -> bool {
        let ends = |reply: &Reply| {
            let code = reply.code();
            code == 421
                || !(code.completes()
                    || code == 235 && self.0.stage == Stage::Auth
                    || code.is_rejection())
        };
        matches!(
            self.0.kind,
            ErrorKind::Rejected
                | ErrorKind::TlsUnavailable
                | ErrorKind::Authentication(_)
                | ErrorKind::Unsupported(_)
                | ErrorKind::LimitExceeded(_)
                | ErrorKind::Timeout(Timeout::Token)
        ) && !self.0.reply.as_ref().is_some_and(ends)
    }

    /// Whether the connection was lost while nothing was pending.
    pub(crate) fn is_idle_close(&self) -> bool {
        self.0.stage == Stage::Idle
            && matches!(
                self.0.kind,
                ErrorKind::ConnectionLost | ErrorKind::Transport(_)
            )
    }

    /// The kind of failure.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The stage of the session at which it happened.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The server's reply, if any.
    pub fn reply(&self) -> Option<&Reply> {
        self.0.reply.as_ref()
    }

    /// The incomplete reply that had arrived when it happened.
    pub fn partial_reply(&self) -> Option<&[u8]> {
        self.0.fragment.as_deref()
    }

    /// The first location in the message that caused the error, if the message did.
    pub fn location(&self) -> Option<&Location> {
        self.0.place.as_ref()
    }

    /// The server as the caller named it: `host:port`, or the path of a Unix socket.
    pub fn endpoint(&self) -> Option<&str> {
        self.0.peer.as_deref().map(Peer::endpoint)
    }

    /// The address of the server, or of the proxy through which it is reached, if known.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.peer.as_deref().and_then(Peer::address)
    }

    /// The failures of earlier attempts to connect, in order: at other addresses of the host, or at
    /// the same one with another configuration.
    pub fn attempts(&self) -> &[Self] {
        &self.0.attempts
    }

    /// Whether a retry may succeed: after a 4yz reply, a timeout, a lost connection.
    ///
    /// Whether a message was delivered is a matter of its
    /// [`RecipientStatus`](crate::RecipientStatus).
    pub fn is_transient(&self) -> bool {
        match &self.0.kind {
            ErrorKind::Proxy(error)
            | ErrorKind::Transport(error)
            | ErrorKind::Authentication(AuthenticationError::TokenSource(error)) => error.transient,
            ErrorKind::Timeout(_)
            | ErrorKind::ConnectionLost
            | ErrorKind::Earlier(_)
            | ErrorKind::Closed
            | ErrorKind::TooManyRecipients
            | ErrorKind::TooManyMails => true,
            ErrorKind::Rejected
            | ErrorKind::TlsUnavailable
            | ErrorKind::Authentication(
                AuthenticationError::Rejected { .. }
                | AuthenticationError::BindingRejected { .. }
                | AuthenticationError::Expired { .. },
            )
            | ErrorKind::Protocol(ProtocolError::EarlyReply) => {
                self.0.reply.as_ref().is_some_and(Reply::is_transient)
            }
            _ => false,
        }
    }
}

/// Two errors are equal if their kind, stage and reply are equal. The server and the attempt do not
/// count.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        one.kind == other.kind && one.stage == other.stage && one.reply == other.reply
    }
}

impl Eq for Error {}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Transport(error)
            | ErrorKind::Source(error)
            | ErrorKind::Recode(error)
            | ErrorKind::Authentication(AuthenticationError::TokenSource(error)) => {
                Some(&*error.error)
            }
            // The text of the proxy's reply is in that of the error.
            ErrorKind::Proxy(error) => error.source(),
            ErrorKind::Earlier(error) => Some(error),
            _ => None,
        }
    }
}

debug_as_display!(ApiMisuse);

impl core::error::Error for ApiMisuse {}

#[cfg(test)]
mod tests;
