//! Why a message got no connection.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use smtp_proto::{Error, Mail, Time};

/// Why a request got no connection. Nothing of its message was sent.
///
/// `{}` is one line; `{:#}` and `Debug` have the cause and the likely remedy.
///
/// ```
/// use smtp_pool::{Pool, PoolConfig, Request};
/// use smtp_pool::proto::Time;
///
/// let now = Time::ORIGIN;
/// let mut pool = Pool::new(PoolConfig::new().with_max_waiting(1), 7);
/// assert!(pool.request(now, Request::new()).is_ok());
/// let error = pool.request(now, Request::new()).unwrap_err();
/// assert_eq!(error.to_string(), "1 message waits for a connection already");
/// assert!(error.is_transient());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// The pool is closed, or was while the request waited.
    Closed,
    /// As many messages wait as may.
    #[non_exhaustive]
    Full {
        /// The configured [limit](crate::PoolConfig::with_max_waiting).
        limit: usize,
    },
    /// No connection was free before the request's deadline; this is why.
    Deadline(Limit),
    /// No connection could be opened.
    Connect(Error),
    /// The content of the message is [streamed](smtp_proto::MailBuilder::streamed). It could not be
    /// sent again.
    Streamed,
    /// The driver of the mailer was dropped, so nothing sends the message.
    NoDriver,
}

/// What holds the oldest request up.
///
/// ```
/// use smtp_pool::{Action, Limit, Pool, PoolConfig, Request};
/// use smtp_pool::proto::Time;
///
/// let now = Time::ORIGIN;
/// let mut pool = Pool::new(PoolConfig::new().with_max_connections(1), 7);
/// for _ in 0..2 {
///     pool.request(now, Request::new()).expect("the pool is open");
/// }
/// while pool.poll_action(now).is_some() {}
/// let limit = pool.explain(now).expect("the second request waits");
/// assert_eq!(limit.to_string(), "the only connection is in use");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Every connection that may be open is in use.
    #[non_exhaustive]
    Connections {
        /// How many may be open.
        allowed: u32,
        /// Whether there are fewer than configured, because the server complained.
        is_reduced: bool,
    },
    /// The last attempt to connect failed, and the next one begins at this time.
    #[non_exhaustive]
    Backoff {
        /// When the next attempt begins.
        until: Time,
        /// For how long from now.
        left: Duration,
    },
    /// The [rate](crate::PoolConfig::with_message_rate) of messages.
    MessageRate(Duration),
    /// The [rate](crate::PoolConfig::with_recipient_rate) of recipients.
    RecipientRate(Duration),
    /// The [rate](crate::PoolConfig::with_connection_rate) of connections.
    ConnectionRate(Duration),
    /// The connection for the request is still being opened.
    Connecting,
    /// Nothing: the driver has an action to take.
    Driver,
}

impl PoolError {
    /// Whether the same message may be accepted later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Closed | Self::Streamed => false,
            Self::NoDriver => true,
            Self::Full { .. } | Self::Deadline(_) => true,
            Self::Connect(error) => error.is_transient(),
        }
    }

    /// The likely remedy, if the cause is a common mistake.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Closed => Some("send before closing the mailer"),
            Self::Full { .. } => Some("send fewer messages at a time, or raise the limit"),
            Self::Deadline(Limit::Connections { .. }) => {
                Some("allow more connections, or more time to wait")
            }
            Self::Deadline(_) => None,
            Self::Streamed => Some("send it over a client of its own, by `send_from`"),
            Self::NoDriver => Some("keep the driver running until the mailer is closed"),
            Self::Connect(error) => error.hint(),
        }
    }
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the mailer is closed")?,
            Self::Full { limit: 1 } => f.write_str("1 message waits for a connection already")?,
            Self::Full { limit } => write!(f, "{limit} messages wait for a connection already")?,
            Self::Deadline(limit) => write!(f, "no connection in time: {limit}")?,
            Self::Streamed => f.write_str("a mailer does not take streamed content")?,
            Self::NoDriver => f.write_str("the driver of the mailer was dropped")?,
            // The whole text has its hint.
            Self::Connect(error) => return fmt::Display::fmt(error, f),
        }
        match self.hint() {
            Some(hint) if f.alternate() => write!(f, " ({hint})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl core::error::Error for PoolError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Connect(error) => core::error::Error::source(error),
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections {
                allowed,
                is_reduced,
            } => {
                match allowed {
                    1 => f.write_str("the only connection is in use")?,
                    _ => write!(f, "all {allowed} connections are in use")?,
                }
                match is_reduced {
                    true => f.write_str("; there are fewer since the server allowed no more"),
                    false => Ok(()),
                }
            }
            Self::Backoff { left, .. } => {
                write!(
                    f,
                    "the last attempt to connect failed, the next is in {}",
                    seconds(*left)
                )
            }
            Self::MessageRate(left) => {
                write!(f, "the rate of messages, for {}", seconds(*left))
            }
            Self::RecipientRate(left) => {
                write!(f, "the rate of recipients, for {}", seconds(*left))
            }
            Self::ConnectionRate(left) => {
                write!(f, "the rate of connections, for {}", seconds(*left))
            }
            Self::Connecting => f.write_str("the connection was still being opened"),
            Self::Driver => f.write_str("nothing drives the mailer"),
        }
    }
}

/// A message that got no connection, with the reason. Nothing of it was sent.
///
/// It prints as its [`PoolError`] does, which never shows the message.
///
/// ```
/// use smtp_pool::{PoolError, SendError};
/// use smtp_pool::proto::Mail;
///
/// /// The message, if it makes sense to send it later.
/// fn later(error: SendError) -> Option<Mail> {
///     match error.kind() {
///         PoolError::Connect(cause) if !cause.is_transient() => None,
///         _ => Some(error.into_mail()),
///     }
/// }
/// # let _: fn(SendError) -> Option<Mail> = later;
/// ```
#[derive(Clone)]
pub struct SendError(Box<(PoolError, Mail)>);

impl SendError {
    /// The error for this message.
    pub fn new(kind: PoolError, mail: Mail) -> Self {
        Self(Box::new((kind, mail)))
    }

    /// The reason.
    pub fn kind(&self) -> &PoolError {
        &self.0.0
    }

    /// The message, as it was given.
    pub fn into_mail(self) -> Mail {
        self.0.1
    }

    /// Whether the message may be accepted later.
    pub fn is_transient(&self) -> bool {
        self.kind().is_transient()
    }

    /// The likely remedy, if the cause is a common mistake.
    pub fn hint(&self) -> Option<&'static str> {
        self.kind().hint()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.kind(), f)
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.kind(), f)
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.kind().source()
    }
}

fn seconds(duration: Duration) -> String {
    alloc::format!("{:.1} s", duration.as_secs_f32())
}
