//! The mailer of an async adapter, without a runtime.

mod crew;
mod driving;
mod send_all;
mod signal;
mod turn;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, mem};

use smtp_pool::{Limit, PoolConfig, PoolError, PoolStats, Request, SendError, Ticket};
use smtp_proto::{Error, Mail, Outcome, Time, Wire};

use self::crew::Crew;
use self::turn::Turn;
use crate::pool::{CrewId, SharedPool};
use crate::{Check, Clock, Driver, Runtime};

pub use self::driving::MailerDriver;
pub use self::send_all::SendAll;

/// How an adapter opens connections for a [`Mailer`].
pub trait Connector: Send + Sync + 'static {
    /// The stream.
    type Stream: Send + 'static;
    /// The connection, or a TLS layer around it.
    type Wire: Wire + Send + 'static;
    /// The runtime.
    type Runtime: Runtime<Self::Stream> + Clock<Alarm: Send> + Send + Sync + 'static;

    /// Opens a connection, and waits until the server is ready for messages.
    ///
    /// # Errors
    /// The failure of the last attempt.
    fn connect(&self) -> impl Future<Output = Result<Connected<Self>, Error>> + Send;
}

/// The connections of a [`Connector`].
pub type Connected<K> =
    Driver<<K as Connector>::Stream, <K as Connector>::Wire, <K as Connector>::Runtime>;

/// Sends messages of many tasks over a few connections, which are kept.
///
/// The `Mailer` of an adapter wraps it, and has the documentation for its users. Nothing runs in
/// the background: the future of a method opens the connection that it needs, sends, and returns
/// the connection to the pool. A [`MailerDriver`] sends the messages of all callers instead, while
/// there is one.
pub struct Mailer<K: Connector> {
    inner: Arc<Inner<K>>,
}

/// What mailers and their driver share.
pub(crate) struct Inner<K: Connector> {
    pub(crate) connector: K,
    pub(crate) clock: K::Runtime,
    pub(crate) pool: SharedPool<Box<Connected<K>>>,
    /// The crew of the driver, if there is one.
    driver: Mutex<Option<CrewId>>,
    /// How many mailers there are.
    mailers: AtomicUsize,
}

impl<K: Connector> Mailer<K> {
    /// A mailer without connections.
    pub fn new(connector: K, clock: K::Runtime, config: PoolConfig) -> Self {
        Self {
            inner: Arc::new(Inner {
                connector,
                clock,
                pool: SharedPool::new(config, seed()),
                driver: Mutex::new(None),
                mailers: AtomicUsize::new(1),
            }),
        }
    }

    /// The connector.
    pub fn connector(&self) -> &K {
        &self.inner.connector
    }

    /// Sends a message, and waits for its outcome; for a connection at most `max_wait`.
    ///
    /// Dropping the future gives up a message that has not begun. With a driver, a message that has
    /// begun is sent; without one, its connection is dropped.
    ///
    /// # Errors
    /// The message, if it got no connection.
    pub async fn send(&self, mail: Mail, max_wait: Duration) -> Result<Outcome, SendError> {
        let inner = &*self.inner;
        let Some(crew) = inner.crew() else {
            return inner.send(mail, max_wait).await;
        };
        match inner.hand_over(crew, mail, Some(max_wait)) {
            Ok(ticket) => HandedOver { inner, ticket }.result().await,
            // The driver was dropped in between.
            Err(error) if matches!(error.kind(), PoolError::NoDriver) => {
                inner.send(error.into_mail(), max_wait).await
            }
            Err(error) => Err(error),
        }
    }

    /// Hands a message over to the driver without waiting.
    ///
    /// # Errors
    /// The message, if there is no driver, the mailer is closed, or too many messages wait.
    pub fn submit(&self, mail: Mail, max_wait: Duration) -> Result<Ticket, SendError> {
        match self.inner.crew() {
            Some(crew) => self.inner.hand_over(crew, mail, Some(max_wait)),
            None => Err(SendError::new(PoolError::NoDriver, mail)),
        }
    }

    /// Waits for the outcome of a message that was [submitted](Self::submit); `None` if it was
    /// returned before. Cancel safe.
    ///
    /// # Errors
    /// The message, if it got no connection.
    pub async fn outcome(&self, ticket: Ticket) -> Option<Result<Outcome, SendError>> {
        self.inner.result(ticket).await
    }

    /// Sends many messages over several connections.
    pub fn send_all<M>(&self, mails: M) -> SendAll<K, M> {
        SendAll::new(self.clone(), mails)
    }

    /// Opens a connection, says what it found, and keeps the connection for messages.
    ///
    /// Cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    /// If the server cannot be reached, or it rejects the login; or the pool gives no connection.
    pub async fn check(&self, max_wait: Duration) -> Result<Check, PoolError> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let request = Request::new().with_deadline(now + max_wait).fresh();
        let mut turn = Turn::new(inner, inner.pool.request(now, request)?, now + max_wait);
        let (id, driver) = turn.connection().await?;
        let check = Check::new(driver.smtp());
        turn.release(id, driver);
        Ok(check)
    }

    /// The driver: a future that the program runs, and that sends the messages of all callers.
    ///
    /// `None` if there is one.
    pub fn driver(&self) -> Option<MailerDriver<K>> {
        MailerDriver::new(&self.inner)
    }

    /// Takes nothing new, lets the rest end for at most `timeout`, then drops it. Returns whether
    /// everything ended in time.
    ///
    /// Cancel safe: dropping the future leaves the mailer closed, and the time limit has no effect
    /// until the next call.
    pub async fn close(&self, timeout: Duration) -> bool {
        let inner = &self.inner;
        let until = inner.clock.now() + timeout;
        let mut crew = Crew::new(Arc::clone(inner), false);
        inner.pool.close(inner.clock.now(), until);
        crew.run_until_closed(until).await
    }

    /// What holds up the message that waits longest.
    pub fn explain(&self) -> Option<Limit> {
        self.inner.pool.explain(self.inner.clock.now())
    }

    /// The counters.
    pub fn stats(&self) -> PoolStats {
        self.inner.pool.stats()
    }
}

impl<K: Connector> Clone for Mailer<K> {
    fn clone(&self) -> Self {
        self.inner.mailers.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// The last mailer ends idle connections, and the driver once everything is sent.
impl<K: Connector> Drop for Mailer<K> {
    fn drop(&mut self) {
        if self.inner.mailers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let pool = &self.inner.pool;
            pool.close(self.inner.clock.now(), Time::from_origin(Duration::MAX));
        }
    }
}

impl<K: Connector> fmt::Debug for Mailer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl<K: Connector> Inner<K> {
    /// Sends a message in this future.
    async fn send(&self, mut mail: Mail, max_wait: Duration) -> Result<Outcome, SendError> {
        if mail.size().is_none() {
            return Err(SendError::new(PoolError::Streamed, mail));
        }
        let now = self.clock.now();
        let ticket = match self.pool.request(now, request(&mail, now, Some(max_wait))) {
            Ok(ticket) => ticket,
            Err(error) => return Err(SendError::new(error, mail)),
        };
        let mut turn = Turn::new(self, ticket, now + max_wait);
        loop {
            let (id, driver) = match turn.connection().await {
                Ok(connection) => connection,
                Err(error) => return Err(SendError::new(error, mail)),
            };
            match turn.send(id, driver, mail).await {
                Ok(outcome) => return Ok(outcome),
                Err(again) => mail = again,
            }
        }
    }

    fn hand_over(
        &self,
        crew: CrewId,
        mail: Mail,
        max_wait: Option<Duration>,
    ) -> Result<Ticket, SendError> {
        let now = self.clock.now();
        let request = request(&mail, now, max_wait);
        self.pool.hand_over(now, crew, request, mail)
    }

    async fn result(&self, ticket: Ticket) -> Option<Result<Outcome, SendError>> {
        std::future::poll_fn(|cx| self.pool.poll_result(ticket, cx.waker())).await
    }

    /// The crew of the driver.
    fn crew(&self) -> Option<CrewId> {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that was handed over, while its sender waits.
struct HandedOver<'a, K: Connector> {
    inner: &'a Inner<K>,
    ticket: Ticket,
}

impl<K: Connector> HandedOver<'_, K> {
    async fn result(self) -> Result<Outcome, SendError> {
        let result = self.inner.result(self.ticket).await;
        mem::forget(self);
        result.expect("the result of this ticket is asked for here only")
    }
}

impl<K: Connector> Drop for HandedOver<'_, K> {
    fn drop(&mut self) {
        let now = self.inner.clock.now();
        self.inner.pool.forget(now, self.ticket);
    }
}

fn request(mail: &Mail, now: Time, max_wait: Option<Duration>) -> Request {
    let recipients = u32::try_from(mail.recipients().len()).unwrap_or(u32::MAX);
    let request = Request::new().with_recipients(recipients);
    match max_wait {
        Some(wait) => request.with_deadline(now + wait),
        None => request,
    }
}

/// A number for the pauses after failures.
fn seed() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(0)
}
