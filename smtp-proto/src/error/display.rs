//! The texts of errors.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write as _};

use super::{ApiMisuse, AuthenticationError, Error, ErrorKind, Inner, Peer, ProtocolError};
use crate::reply::Escaped;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(peer) = &inner.peer {
            write!(f, "{peer}: ")?;
        }
        if !matches!(inner.kind, ErrorKind::Earlier(_)) {
            write!(f, "{}: ", inner.stage)?;
        }
        let alternate = f.alternate();
        inner.fmt_kind(f, alternate)?;
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
            write!(f, "; received: {}", Escaped::new(fragment, FRAGMENT_SHOWN))?;
        }
        if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        self.fmt_attempts(f)
    }
}

/// The text of `{:#}`, since `main` prints an error that it returns by `Debug`; `{:#?}` adds the
/// fields.
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

/// `{}` omits the cause, which `source` of [`Error`] returns; `{:#}` includes it.
impl Inner {
    /// Writes the kind; for a timeout, with what was awaited.
    fn fmt_kind(&self, f: &mut impl fmt::Write, alternate: bool) -> fmt::Result {
        if alternate {
            write!(f, "{:#}", self.kind)?;
        } else {
            write!(f, "{}", self.kind)?;
        }
        match self.kind {
            ErrorKind::Timeout(timeout) => {
                write!(f, " waiting for {}", timeout.awaited(self.stage))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Rejected => f.write_str("rejected"),
            Self::TlsUnavailable => {
                f.write_str("TLS is required and the server did not provide it")
            }
            Self::Authentication(error) => error.fmt(f),
            Self::Unsupported(need) => need.fmt(f),
            Self::LimitExceeded(exceeded) => exceeded.fmt(f),
            Self::Address(fault) => fault.fmt(f),
            Self::TooLarge { size, limit } => {
                write!(
                    f,
                    "the message has {size} bytes, the server accepts {limit}"
                )
            }
            Self::TooManyRecipients => {
                f.write_str("more recipients than the server accepts in one transaction")
            }
            Self::TooManyMails => {
                f.write_str("the server accepts no more messages on this connection")
            }
            Self::Timeout(_) => f.write_str("timed out"),
            Self::Proxy(error) => error.fmt(f),
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
            Self::Abandoned => f.write_str("abandoned by the caller"),
            Self::Earlier(error) => {
                f.write_str("the connection failed before this message was done")?;
                cause(f, error)
            }
            Self::Closed => f.write_str("the connection is closed"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(error) => error.fmt(f),
            Self::UnexpectedReply => f.write_str("unexpected reply: no command is pending"),
            Self::WrongClass => {
                f.write_str("the reply code is of the wrong class for this command")
            }
            Self::InjectedBeforeTls => f.write_str("cleartext was received where TLS must begin"),
            Self::EarlyReply => f.write_str("the server replied before the whole message was sent"),
            Self::AcceptedAfterRejection => {
                f.write_str("the server accepted a message that it had rejected")
            }
            Self::TooMuchInput => f.write_str("the server exceeded the input limit of the session"),
        }
    }
}

impl fmt::Display for AuthenticationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAdvertised => f.write_str("the server does not advertise AUTH"),
            Self::NotAdvertisedInCleartext => {
                f.write_str("the server does not advertise AUTH before TLS")
            }
            Self::NoCommonMechanism { offered, ours } => {
                f.write_str("no mechanism in common: the server advertises")?;
                list(f, offered)?;
                f.write_str(", the credentials support")?;
                list(f, ours)
            }
            Self::Rejected { detail } => {
                f.write_str("the server rejected the login")?;
                with(f, detail.as_deref())
            }
            Self::BindingRejected { detail } => {
                f.write_str("the server rejected the login with channel binding")?;
                with(f, detail.as_deref())
            }
            Self::Expired { detail } => {
                f.write_str("the server rejected the token")?;
                with(f, detail.as_deref())
            }
            Self::TokenSource(error) => {
                f.write_str("the source of the token failed")?;
                cause(f, error)
            }
            Self::InvalidToken(error) => error.fmt(f),
            Self::Exchange(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownId => {
                "unknown id, or the result of that message or command has been taken"
            }
            Self::NotStreaming => "this message's content is not streamed, or is finished",
            Self::ContentUnfinished => {
                "the message's content is not finished, so there can be no outcome"
            }
            Self::NothingUnderWay => "nothing is pending, so waiting would never end",
            Self::UpgradePending => "TLS must begin first",
            Self::NoUpgrade => "there is no TLS upgrade to begin",
            Self::TokenWanted => "a token is wanted for AUTH, and the caller does not fetch it",
            Self::NoTokenWanted => "no token is wanted",
            Self::SentTooMuch => "more bytes were acknowledged than were transmitted",
        })
    }
}

/// Appends the cause for `{:#}`.
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

impl Error {
    /// Writes the failures of the first few earlier attempts, each cut.
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
        // Writing to a `String` does not fail.
        _ = write!(text, "{}: ", inner.stage);
        _ = inner.fmt_kind(&mut text, true);
        if let Some(reply) = &inner.reply {
            _ = write!(text, "; the server said: {reply:.60}");
        }
        text
    }
}

/// Bytes of a partial reply in the text of an error.
const FRAGMENT_SHOWN: usize = 80;

/// How many earlier attempts are shown; [`Error::attempts`] returns all.
const ATTEMPTS_SHOWN: usize = 4;

/// Bytes of each attempt that are shown.
const ATTEMPT_SHOWN: usize = 120;

/// How many words of a list are shown.
const LISTED: usize = 12;

/// Bytes of each word that are shown.
const WORD_SHOWN: usize = 24;
