//! The options of a pool.

use core::time::Duration;

use crate::rate::Rate;

/// The options of a pool.
///
/// | option | default |
/// | --- | --- |
/// | [`max_connections`](Self::with_max_connections) | 3 |
/// | [`idle_timeout`](Self::with_idle_timeout) | 30 s |
/// | [`max_age`](Self::with_max_age) | 300 s |
/// | [`max_messages`](Self::with_max_messages) | 100 on each connection |
/// | [`max_waiting`](Self::with_max_waiting) | 10,000 |
/// | [`message_rate`](Self::with_message_rate), [`recipient_rate`](Self::with_recipient_rate), [`connection_rate`](Self::with_connection_rate) | none |
///
/// ```
/// use std::time::Duration;
/// use smtp_pool::{PoolConfig, Rate};
///
/// let config = PoolConfig::new()
///     .with_max_connections(10)
///     .with_message_rate(Rate::new(100, Duration::from_secs(60)));
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    pub(crate) max_connections: u32,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_age: Duration,
    pub(crate) max_messages: u32,
    pub(crate) max_waiting: usize,
    pub(crate) message_rate: Option<Rate>,
    pub(crate) recipient_rate: Option<Rate>,
    pub(crate) connection_rate: Option<Rate>,
}

impl PoolConfig {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            max_connections: 3,
            idle_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(300),
            max_messages: 100,
            max_waiting: 10_000,
            message_rate: None,
            recipient_rate: None,
            connection_rate: None,
        }
    }

    /// The most connections at a time, including those being opened. 0 counts as 1.
    ///
    /// The default suits the strictest of the large providers. More connections than a server
    /// allows cost time: it rejects them, and the pool then opens half as many.
    #[must_use]
    pub const fn with_max_connections(self, max_connections: u32) -> Self {
        Self {
            max_connections: at_least_one(max_connections),
            ..self
        }
    }

    /// How long a connection is kept that no message uses.
    #[must_use]
    pub const fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            ..self
        }
    }

    /// How old a connection may be when a message begins.
    #[must_use]
    pub const fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// The most messages on one connection. 0 counts as 1. A lower MAILMAX of the server
    /// (RFC 9422) is kept, too.
    #[must_use]
    pub const fn with_max_messages(self, max_messages: u32) -> Self {
        Self {
            max_messages: at_least_one(max_messages),
            ..self
        }
    }

    /// The most messages that wait for a connection; one more is an
    /// [error](crate::PoolError::Full). 0 counts as 1, since a message waits until the driver has
    /// taken the action that serves it.
    #[must_use]
    pub const fn with_max_waiting(self, max_waiting: usize) -> Self {
        let max_waiting = if max_waiting == 0 { 1 } else { max_waiting };
        Self {
            max_waiting,
            ..self
        }
    }

    /// Limits how often a message is sent.
    #[must_use]
    pub const fn with_message_rate(self, rate: Rate) -> Self {
        Self {
            message_rate: Some(rate),
            ..self
        }
    }

    /// Limits the recipients of all messages together.
    ///
    /// A message with more recipients than the burst waits until the whole burst is restored, and
    /// then counts in full.
    #[must_use]
    pub const fn with_recipient_rate(self, rate: Rate) -> Self {
        Self {
            recipient_rate: Some(rate),
            ..self
        }
    }

    /// Limits how often a connection is opened.
    #[must_use]
    pub const fn with_connection_rate(self, rate: Rate) -> Self {
        Self {
            connection_rate: Some(rate),
            ..self
        }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self::new()
    }
}

const fn at_least_one(count: u32) -> u32 {
    if count == 0 { 1 } else { count }
}
