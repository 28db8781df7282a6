//! What can go wrong, by whose fault it is.

mod hint;
mod peer;
mod requirement;
mod stage;
mod transport;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::net::SocketAddr;

use crate::address::AddressErrorKind;
use crate::content::ContentError;
use crate::location::Location;
use crate::reply::{Escaped, Reply};
use crate::reply_reader::ReplyError;
use crate::sasl::ExchangeError;
pub(crate) use hint::{of_fault, of_rejection};
pub use peer::Peer;
pub use requirement::MissingExtension;
pub use stage::{Stage, Wait};
pub use transport::TransportError;

/// Why a connection, a message or a command failed, and at which stage.
///
/// Cheap to clone: after a failure, a connection answers every question with the same error.
///
/// | printed by | text |
/// | --- | --- |
/// | `{}` | server, stage, kind and reply on one line; the cause is left to [`source`](core::error::Error::source) |
/// | `{:#}` | also the causes, the location in the message, a partial reply, earlier attempts, and the hint |
/// | `{:?}` | as `{:#}`, for a `main` that returns the error |
/// | `{:#?}` | also the fields |
///
/// None of them holds a secret, and what the peer sent is escaped.
///
/// ```
/// use smtp_proto::{AuthenticationError, Error, ErrorKind};
///
/// /// What a user is told.
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
/// assert_eq!(format!("{error:#}"), "connecting: connection refused");
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
    /// Whether commands went out before the replies to those before them had come.
    pipelined: bool,
}

/// The kinds of [`Error`], by whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The server said no; [`Error::reply`] is what it said.
    Rejected,
    /// The security policy asks for TLS, and the server would not have it.
    TlsUnavailable,
    /// Authentication was not possible or not successful.
    Authentication(AuthenticationError),
    /// The server does not offer an extension that this message needs.
    Unsupported(MissingExtension),
    /// An address cannot be told to a server without SMTPUTF8 (RFC 6531).
    Address(AddressErrorKind),
    /// The message is larger than the server takes (RFC 1870).
    TooLarge {
        /// Bytes of the message; if its text comes in pieces, of as much as had come.
        size: u64,
        /// Bytes that the server takes.
        limit: u64,
    },
    /// The message has more recipients than the server takes at a time, and its text cannot be sent again for the rest.
    TooManyRecipients,
    /// The server takes no more messages on this connection (RFC 9422).
    TooManyMails,
    /// Something did not happen in time.
    Timeout(Wait),
    /// The transport failed.
    Transport(TransportError),
    /// The peer closed the connection.
    ConnectionLost,
    /// The text of a streamed body is not fit to be sent.
    Content(ContentError),
    /// The source of a streamed body failed.
    Source(TransportError),
    /// The text could not be made into one that the server takes: see
    /// [`MailBuilder::downgrade_with`](crate::MailBuilder::downgrade_with).
    Recode(TransportError),
    /// The caller gave the message up before it was done.
    Abandoned,
    /// The connection failed because of something else before this message was done: because of this error, which is no verdict
    /// on this message.
    Earlier(Error),
    /// The connection was told to end, and did.
    Closed,
    /// The caller asked for what cannot be.
    Misuse(ApiMisuse),
}

/// How the peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// What came is not a reply.
    Reply(ReplyError),
    /// A reply came that no command waits for.
    UnexpectedReply,
    /// A reply of this kind cannot answer this command.
    WrongClass,
    /// Bytes came in cleartext where TLS was to begin, such as after the reply to STARTTLS: somebody may have injected them.
    InjectedBeforeTls,
    /// A reply came while the body was still being sent.
    EarlyReply,
    /// The server accepted a message after it had rejected its sender, all recipients or a part of its text.
    AcceptedAfterRejection,
    /// The server sent more than any dialogue needs.
    TooMuchInput,
}

/// Why authentication failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The server offers no AUTH at all.
    NotAdvertised,
    /// The server offers no AUTH in cleartext, and may do so in TLS, for which it offers STARTTLS.
    NotAdvertisedInCleartext,
    /// The server offers no mechanism that the credentials can serve.
    NoCommonMechanism {
        /// What the server offers.
        offered: Vec<String>,
        /// What the credentials can serve.
        ours: Vec<String>,
    },
    /// The server rejected; [`Error::reply`] is what it said.
    Rejected {
        /// What the mechanism's own messages said of the failure, such as the JSON of OAuth (RFC 7628, 3.2.2).
        detail: Option<Vec<u8>>,
    },
    /// The server rejected a login bound to the TLS connection, and by all it said not for the password; [`Error::reply`] is
    /// what it said.
    BindingRejected {
        /// As in `Rejected`.
        detail: Option<Vec<u8>>,
    },
    /// The server rejected the token that its source had given; [`Error::reply`] is what it said.
    ///
    /// The token may have expired: one attempt more, with a new token, makes sense. See
    /// [`Config::with_refreshed_token`](crate::Config::with_refreshed_token).
    Expired {
        /// As in `Rejected`.
        detail: Option<Vec<u8>>,
    },
    /// The exchange of the mechanism's messages came to nothing before the server rejected.
    Exchange(ExchangeError),
}

/// A call that the machine cannot make sense of.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// No such mail or command, or its result has been taken.
    UnknownId,
    /// The body of this message is not written in pieces, or is finished.
    NotStreaming,
    /// The message's body is not finished, so its outcome cannot come.
    ContentUnfinished,
    /// Nothing is under way, so nothing can come of waiting.
    NothingUnderWay,
    /// TLS must be begun before anything else can happen, and nobody does.
    UpgradePending,
    /// There is no upgrade to be made: TLS is not asked for, or is done.
    NoUpgrade,
    /// More bytes were acknowledged than were offered.
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

    /// The error of a transport that failed while connecting, before there was a dialogue.
    pub fn connect(error: impl Into<TransportError>) -> Self {
        Self::new(Stage::Connect, ErrorKind::Transport(error.into()))
    }

    /// The error of an address that did not answer in time.
    pub fn connect_timeout() -> Self {
        Self::new(Stage::Connect, ErrorKind::Timeout(Wait::Connect))
    }

    /// The same error, of a connection to this server, unless it names one already.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<Arc<Peer>>) -> Self {
        if self.0.peer.is_none() {
            Arc::make_mut(&mut self.0).peer = Some(peer.into());
        }
        self
    }

    /// The same error, as that of the last of several attempts: `earlier` are the failures of those before it, in order.
    #[must_use]
    pub fn with_attempts(mut self, earlier: Vec<Self>) -> Self {
        if !earlier.is_empty() {
            Arc::make_mut(&mut self.0).attempts = earlier.into_boxed_slice();
        }
        self
    }

    /// The same error, of a connection that sent ahead of the replies.
    #[must_use]
    pub(crate) fn pipelined(mut self) -> Self {
        Arc::make_mut(&mut self.0).pipelined = true;
        self
    }

    /// The same for this reason.
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

    /// The error of a message to which a connection did not come that failed with this one.
    ///
    /// What became of one message, or of a command, is not the verdict on another. A failure to connect or to log in, and a
    /// transport that is gone, are the same for all.
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
            // The server is named once.
            let mut cause = self.clone();
            let peer = Arc::make_mut(&mut cause.0).peer.take();
            let mut error = Self::new(self.stage(), ErrorKind::Earlier(cause));
            Arc::make_mut(&mut error.0).peer = peer;
            error
        }
    }

    /// Whether both sides still understand each other after it, so that the dialogue can end in good order.
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
        ) && !self.0.reply.as_ref().is_some_and(ends)
    }

    /// Whether the connection was lost while nothing was under way.
    pub(crate) fn is_idle_close(&self) -> bool {
        self.0.stage == Stage::Idle
            && matches!(
                self.0.kind,
                ErrorKind::ConnectionLost | ErrorKind::Transport(_)
            )
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where in the dialogue it happened.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// What the server said, if it said something.
    pub fn reply(&self) -> Option<&Reply> {
        self.0.reply.as_ref()
    }

    /// The reply that had begun to come when it happened, as far as it came.
    pub fn partial_reply(&self) -> Option<&[u8]> {
        self.0.fragment.as_deref()
    }

    /// Where in the message the cause is, if it is the message: the first such place.
    pub fn location(&self) -> Option<&Location> {
        self.0.place.as_ref()
    }

    /// The server that the caller named, as `host:port` or as the path of a Unix socket.
    pub fn endpoint(&self) -> Option<&str> {
        self.0.peer.as_deref().map(Peer::endpoint)
    }

    /// The address of the server, if one had been taken.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.peer.as_deref().and_then(Peer::address)
    }

    /// The failures of the attempts to connect before this one, in order: at other addresses of the host, or at the same
    /// one under another policy.
    pub fn attempts(&self) -> &[Self] {
        &self.0.attempts
    }

    /// Whether the same may succeed later: a 4yz reply, a time-out, a lost connection.
    ///
    /// This says nothing about whether a message was delivered: that is for its [`RecipientStatus`](crate::RecipientStatus) to say.
    pub fn is_transient(&self) -> bool {
        match &self.0.kind {
            ErrorKind::Timeout(_)
            | ErrorKind::Transport(_)
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

/// Two errors are equal if their kind, stage and reply are; which server and which attempt they are
/// from does not count.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        one.kind == other.kind && one.stage == other.stage && one.reply == other.reply
    }
}

impl Eq for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(peer) = &inner.peer {
            write!(f, "{peer}: ")?;
        }
        if !matches!(inner.kind, ErrorKind::Earlier(_)) {
            write!(f, "{}: ", inner.stage)?;
        }
        inner.kind.fmt(f)?;
        if f.alternate()
            && let Some(place) = inner.place.filter(|place| place.offset().is_some())
        {
            write!(f, "; see {place}")?;
        }
        if let Some(reply) = &inner.reply {
            write!(f, "; the server said: {reply:.400}")?;
        }
        if !f.alternate() {
            return Ok(());
        }
        if let Some(fragment) = &inner.fragment {
            write!(f, "; what came: {}", Escaped::new(fragment, FRAGMENT_SHOWN))?;
        }
        if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        self.fmt_attempts(f)
    }
}

impl Error {
    /// Writes the failures of the attempts before this one, the first few of them, each cut.
    fn fmt_attempts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = self.attempts();
        let mut before = "; before that, ";
        for error in attempts.iter().take(ATTEMPTS_SHOWN) {
            let text = error.brief();
            write!(
                f,
                "{before}{}",
                Escaped::new(text.as_bytes(), ATTEMPT_SHOWN)
            )?;
            before = "; ";
        }
        match attempts.len().saturating_sub(ATTEMPTS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }

    /// Address, stage, kind and reply.
    fn brief(&self) -> String {
        let inner = &*self.0;
        let address = inner.peer.as_deref().and_then(Peer::shown_address);
        let mut text = address.map_or_else(String::new, |address| format!("{address}: "));
        // A `String` takes all that is written.
        _ = write!(text, "{}: {:#}", inner.stage, inner.kind);
        if let Some(reply) = &inner.reply {
            _ = write!(text, "; the server said: {reply:.60}");
        }
        text
    }
}

/// The text of `{:#}`, since `main` prints an error that it returns by `Debug`; `{:#?}` adds the fields.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")?;
        if !f.alternate() {
            return Ok(());
        }
        f.write_char('\n')?;
        f.debug_struct("Error")
            .field("stage", &self.0.stage)
            .field("kind", &self.0.kind)
            .field("reply", &self.0.reply)
            .field(
                "fragment",
                &self
                    .0
                    .fragment
                    .as_deref()
                    .map(|fragment| Escaped::new(fragment, FRAGMENT_SHOWN)),
            )
            .field("place", &self.0.place)
            .field("peer", &self.0.peer)
            .field("attempts", &self.0.attempts)
            .finish()
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Transport(error) | ErrorKind::Source(error) | ErrorKind::Recode(error) => {
                Some(&*error.error)
            }
            ErrorKind::Earlier(error) => Some(error),
            _ => None,
        }
    }
}

/// `{}` leaves out the cause that [`Error`]'s `source` returns; `{:#}` has it.
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Rejected => f.write_str("the server rejected"),
            Self::TlsUnavailable => f.write_str("the server does not do STARTTLS"),
            Self::Authentication(error) => error.fmt(f),
            Self::Unsupported(need) => need.fmt(f),
            Self::Address(fault) => fault.fmt(f),
            Self::TooLarge { size, limit } => {
                write!(f, "the message has {size} bytes, the server takes {limit}")
            }
            Self::TooManyRecipients => {
                f.write_str("more recipients than the server takes in one transaction")
            }
            Self::TooManyMails => {
                f.write_str("the server takes no more messages on this connection")
            }
            Self::Timeout(wait) => write!(f, "timed out waiting for {wait}"),
            Self::Transport(error) if f.alternate() => error.fmt(f),
            Self::Transport(_) => f.write_str("the transport failed"),
            Self::ConnectionLost => f.write_str("the server closed the connection"),
            Self::Content(fault) => fault.fmt(f),
            Self::Source(error) => {
                f.write_str("the source of the content failed")?;
                cause(f, error)
            }
            Self::Recode(error) => {
                f.write_str("the content cannot be downgraded for this server")?;
                cause(f, error)
            }
            Self::Abandoned => f.write_str("given up by the caller"),
            Self::Earlier(error) => {
                f.write_str("the connection failed before this message was done")?;
                cause(f, error)
            }
            Self::Closed => f.write_str("the connection has been ended"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(error) => error.fmt(f),
            Self::UnexpectedReply => f.write_str("a reply that no command waits for"),
            Self::WrongClass => f.write_str("a reply of this kind makes no sense here"),
            Self::InjectedBeforeTls => {
                f.write_str("bytes came in cleartext where TLS was to begin")
            }
            Self::EarlyReply => f.write_str("a reply before the message was sent whole"),
            Self::AcceptedAfterRejection => {
                f.write_str("the server accepted a message that it had rejected")
            }
            Self::TooMuchInput => f.write_str("the server sends more than any dialogue needs"),
        }
    }
}

impl fmt::Display for AuthenticationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAdvertised => f.write_str("the server does not offer to authenticate"),
            Self::NotAdvertisedInCleartext => {
                f.write_str("the server does not offer to authenticate before TLS")
            }
            Self::NoCommonMechanism { offered, ours } => {
                f.write_str("no mechanism in common: the server offers")?;
                list(f, offered)?;
                f.write_str(", the credentials serve")?;
                list(f, ours)
            }
            Self::Rejected { detail } => {
                f.write_str("the server rejected the login")?;
                with(f, detail.as_deref())
            }
            Self::BindingRejected { detail } => {
                f.write_str("the server rejected the login as it is bound to the TLS connection")?;
                with(f, detail.as_deref())
            }
            Self::Expired { detail } => {
                f.write_str("the server rejected the token")?;
                with(f, detail.as_deref())
            }
            Self::Exchange(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownId => "no such mail or command, or its result has been taken",
            Self::NotStreaming => "this message's body is not written in pieces, or is finished",
            Self::ContentUnfinished => {
                "the message's body is not finished, so nothing can come of it"
            }
            Self::NothingUnderWay => "nothing is under way, so nothing can come of waiting",
            Self::UpgradePending => "TLS has to begin before anything else",
            Self::NoUpgrade => "there is no upgrade to TLS to be made",
            Self::SentTooMuch => "more bytes were acknowledged than were offered",
        })
    }
}

debug_as_display!(ApiMisuse);

impl core::error::Error for ApiMisuse {}

/// Appends the cause, if the whole text is wanted.
fn cause(f: &mut fmt::Formatter<'_>, error: &dyn fmt::Display) -> fmt::Result {
    if f.alternate() {
        write!(f, ": {error:#}")
    } else {
        Ok(())
    }
}

fn with(f: &mut fmt::Formatter<'_>, detail: Option<&[u8]>) -> fmt::Result {
    match detail {
        Some(detail) => write!(f, " with {}", Escaped::new(detail, FRAGMENT_SHOWN)),
        None => Ok(()),
    }
}

fn list(f: &mut fmt::Formatter<'_>, words: &[String]) -> fmt::Result {
    for word in words.iter().take(LISTED) {
        write!(f, " {}", Escaped::new(word.as_bytes(), WORD_SHOWN))?;
    }
    Ok(())
}

/// How much of a fragment an error's text shows.
const FRAGMENT_SHOWN: usize = 80;

/// Of how many earlier attempts the failures are shown; [`Error::attempts`] has all.
const ATTEMPTS_SHOWN: usize = 4;

/// Bytes of each that are shown.
const ATTEMPT_SHOWN: usize = 120;

/// How many words of a list an error's text shows.
const LISTED: usize = 12;

/// How much of a word of a list an error's text shows.
const WORD_SHOWN: usize = 24;

#[cfg(test)]
mod tests;
