//! Those who wait for a connection.

use alloc::collections::{BTreeMap, BTreeSet};

use smtp_proto::Time;

/// A place in the queue for a connection, and later the use of one. Lower tickets are older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// A request for a connection, to send one message.
///
/// ```
/// use std::time::Duration;
/// use smtp_pool::Request;
/// use smtp_pool::proto::Time;
///
/// let now = Time::ORIGIN;
/// let request = Request::new()
///     .with_recipients(12)
///     .with_deadline(now + Duration::from_secs(60));
/// # let _ = request;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) recipients: u32,
    pub(crate) deadline: Option<Time>,
    /// Whether only a new connection will do.
    pub(crate) is_fresh: bool,
    /// Whether the message has been sent again.
    pub(crate) is_again: bool,
    /// Whether the rates have counted it.
    pub(crate) is_counted: bool,
}

impl Request {
    /// A request for a message to one recipient, without a deadline.
    pub const fn new() -> Self {
        Self {
            recipients: 1,
            deadline: None,
            is_fresh: false,
            is_again: false,
            is_counted: false,
        }
    }

    /// The number of recipients, for the [rate](crate::PoolConfig::with_recipient_rate).
    #[must_use]
    pub const fn with_recipients(self, recipients: u32) -> Self {
        Self { recipients, ..self }
    }

    /// How long the request may wait for a connection. A connection that is opened for it keeps the
    /// time limits of connecting; a driver that gives up sooner [cancels](crate::Pool::cancel) the
    /// request.
    #[must_use]
    pub const fn with_deadline(self, deadline: Time) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// The time until which the request may wait, if it is limited.
    pub const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Only a new connection will do: the request is a test of connecting.
    #[must_use]
    pub const fn fresh(self) -> Self {
        Self {
            is_fresh: true,
            ..self
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

/// The requests that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    requests: BTreeMap<Ticket, Request>,
    deadlines: BTreeSet<(Time, Ticket)>,
}

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn contains(&self, ticket: Ticket) -> bool {
        self.requests.contains_key(&ticket)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Adds a request at the place of its ticket.
    pub(crate) fn insert(&mut self, ticket: Ticket, request: Request) {
        if let Some(deadline) = request.deadline {
            self.deadlines.insert((deadline, ticket));
        }
        self.requests.insert(ticket, request);
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Request> {
        let request = self.requests.remove(&ticket)?;
        if let Some(deadline) = request.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        Some(request)
    }

    pub(crate) fn first(&self) -> Option<(Ticket, Request)> {
        let (ticket, request) = self.requests.first_key_value()?;
        Some((*ticket, *request))
    }

    pub(crate) fn first_deadline(&self) -> Option<(Time, Ticket)> {
        self.deadlines.first().copied()
    }
}
