//! The mailer: many threads send over a few connections, which are kept.

mod crew;
mod member;
mod send_all;
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
}
mod turn;
mod waiter;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use smtp_driver::Check;
use smtp_driver::pool::{CrewId, Finished, SharedPool};
use smtp_driver::smtp_pool::{
    ConnectionId, Limit, PoolConfig, PoolError, PoolStats, Request, SendError, Ticket,
};
use smtp_proto::{Error, Mail, Outcome, Time};
use smtp_rustls::Endpoint;

use self::crew::{Crew, Worker};
use self::member::{Member, Sockets};
use self::turn::Turn;
use crate::connect::resolve;
use crate::token::Login;
use crate::{Client, TokenSource};

pub use self::send_all::SendAll;
pub(crate) use self::waiter::Waiter;

/// Sends messages of many threads over a few connections, which are kept. A program needs nothing
/// else.
///
/// ```
/// use smtp_blocking::{Credentials, Endpoint, Mail, Mailer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tls = smtp_test::Tls::new();
/// # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
/// # let server = smtp_test::Server::start(config)?;
/// # let (host, port) = ("localhost", server.port());
/// let endpoint = Endpoint::starttls(host)
///     .port(port)
///     .credentials(Credentials::password("alice", "correct horse")?)
/// #   .tls(tls.client_config())
///     .build()?;
/// let mailer = Mailer::new(endpoint);
///
/// let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
/// let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
/// let outcome = mailer.send(mail)?;
/// assert!(outcome.is_accepted());
/// # assert_eq!(server.mails().len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// It is cheap to clone, and every method takes `&self`: any number of threads share it. By default
/// there are at most 3 connections. One that is idle is used again, and closed after 30 seconds;
/// [`PoolConfig`] has these limits, and the crate `smtp-pool` the rules. If a connection turns out
/// to be closed, its message is sent over another one.
///
/// Nothing runs in the background. Without a thread in [`run`](Self::run), the thread that calls
/// [`send`](Self::send) opens the connection that it needs, sends its message, and returns the
/// connection; idle connections are then closed when the mailer is used next, or dropped. A
/// program that sends much runs the mailer in threads of its own, which also send ahead of the
/// replies.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
    max_wait: Duration,
}

/// What the handles of a mailer share.
struct Inner {
    endpoint: Endpoint,
    tokens: Option<TokenSource>,
    /// The zero of the pool's time.
    epoch: Instant,
    pool: SharedPool<Member>,
    sockets: Sockets,
    /// The threads that run the mailer, if there are any.
    crew: Mutex<Option<Crew>>,
}

impl Mailer {
    /// A mailer without connections, with the defaults of [`PoolConfig`].
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_config(endpoint, PoolConfig::new())
    }

    /// A mailer without connections.
    ///
    /// ```
    /// use smtp_blocking::{Endpoint, Mailer, PoolConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = Endpoint::starttls("mail.example.org").build()?;
    /// let mailer = Mailer::with_config(endpoint, PoolConfig::new().with_max_connections(10));
    /// # let _ = mailer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_config(endpoint: Endpoint, config: PoolConfig) -> Self {
        Self::over(endpoint, config, None)
    }

    /// A mailer whose connections get their tokens from this source: for credentials of a
    /// [`fetched_token`](crate::Credentials::fetched_token).
    ///
    /// All connections use the same token, which one of them fetches. If the server rejects it,
    /// another is fetched and tried on a new connection, once.
    ///
    /// ```
    /// use smtp_blocking::{Credentials, Endpoint, Mailer, PoolConfig, Token, TokenSource};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # fn fetch() -> std::io::Result<Token> {
    /// #     Ok(Token::new("t0k3n"))
    /// # }
    /// let endpoint = Endpoint::starttls("mail.example.org")
    ///     .credentials(Credentials::fetched_token("alice@example.org")?)
    ///     .build()?;
    /// let tokens = TokenSource::new(|_| fetch());
    /// let mailer = Mailer::with_tokens(endpoint, PoolConfig::new(), tokens);
    /// # let _ = mailer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tokens(endpoint: Endpoint, config: PoolConfig, tokens: TokenSource) -> Self {
        Self::over(endpoint, config, Some(tokens))
    }

    fn over(endpoint: Endpoint, config: PoolConfig, tokens: Option<TokenSource>) -> Self {
        let seed = RandomState::new().hash_one(0);
        Self {
            inner: Arc::new(Inner {
                endpoint,
                tokens,
                epoch: Instant::now(),
                pool: SharedPool::new(config, seed),
                sockets: Sockets::default(),
                crew: Mutex::new(None),
            }),
            max_wait: MAX_WAIT,
        }
    }

    /// Limits how long a message of this handle and its clones waits for a connection; by default
    /// 60 seconds. While one is opened for it, and once it has one, the [time
    /// limits](crate::Timeouts) of the endpoint apply.
    #[must_use]
    pub fn with_max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// Messages wait for a connection in order. While a thread is in [`run`](Self::run), that thread
    /// sends the message; otherwise this one does.
    ///
    /// # Errors
    /// The message, if it got no connection: the server cannot be reached, the time to wait is over,
    /// too many messages wait, or the mailer is closed. Or the message is
    /// [streamed](smtp_proto::MailBuilder::streamed), which takes a [`Client`]. Rejections and lost
    /// connections are in the outcome.
    pub fn send(&self, mail: Mail) -> Result<Outcome, SendError> {
        let Some(crew) = self.inner.crew() else {
            return self.send_here(mail);
        };
        let sent = match self.hand_over(crew, mail) {
            Ok(ticket) => self.inner.result(ticket),
            Err(error) => Some(Err(error)),
        };
        match sent {
            // The threads that ran the mailer have ended.
            Some(Err(error)) if matches!(error.kind(), PoolError::NoDriver) => {
                self.send_here(error.into_mail())
            }
            sent => sent.expect("no other thread asks for this result"),
        }
    }

    /// Sends many messages: an iterator of their outcomes, each with the number of its message.
    ///
    /// It uses one connection at a time, in this thread, and sends ahead of the replies. To use several
    /// connections, [run](Self::run) the mailer in as many threads: they send the messages then.
    ///
    /// ```
    /// use smtp_blocking::{Endpoint, Mail, Mailer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let security = smtp_blocking::Security::Cleartext;
    /// # let endpoint = Endpoint::builder("localhost").port(server.port()).security(security).build()?;
    /// # let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
    /// let mailer = Mailer::new(endpoint);
    /// let recipients = ["bob@example.net", "carol@example.net"];
    /// let mails = recipients.map(|recipient| {
    ///     Mail::new("alice@example.org", [recipient], message).expect("it is valid")
    /// });
    /// for (number, result) in mailer.send_all(mails) {
    ///     println!("{}: {}", recipients[number], result?);
    /// }
    /// # assert_eq!(server.mails().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_all<I>(&self, mails: I) -> SendAll<'_, I::IntoIter>
    where
        I: IntoIterator<Item = Mail>,
    {
        SendAll::new(self, mails.into_iter())
    }

    /// Sends the messages of all callers, until the mailer is closed.
    ///
    /// It is for threads of the program: each drives one connection at a time, so there are at most as
    /// many connections as threads. Messages that wait go out ahead of the replies to those before them,
    /// and idle connections are closed in time.
    ///
    /// ```
    /// use std::thread;
    /// use std::time::Duration;
    ///
    /// use smtp_blocking::{Endpoint, Mail, Mailer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let security = smtp_blocking::Security::Cleartext;
    /// # let endpoint = Endpoint::builder("localhost").port(server.port()).security(security).build()?;
    /// # let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
    /// let mailer = Mailer::new(endpoint);
    /// thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| mailer.run());
    ///     }
    ///     // Other threads send, and at the end:
    /// #   let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
    ///     println!("{}", mailer.send(mail)?);
    ///     assert!(mailer.close(Duration::from_secs(30)));
    /// #   Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// If the function panics, such as in a [provider of tokens](crate::Credentials::token_provider),
    /// each message on its connection has an outcome, and the others are sent by the other threads, or
    /// by their callers.
    pub fn run(&self) {
        Worker::join(&self.inner).run();
    }

    /// Hands a message over to the threads in [`run`](Self::run), without waiting.
    /// [`outcome`](Self::outcome) returns its outcome, which the mailer keeps until then.
    ///
    /// # Errors
    /// The message, if no thread runs the mailer, it is closed, too many messages wait, or the message is
    /// [streamed](smtp_proto::MailBuilder::streamed).
    pub fn submit(&self, mail: Mail) -> Result<Ticket, SendError> {
        match self.inner.crew() {
            Some(crew) => self.hand_over(crew, mail),
            None => Err(SendError::new(PoolError::NoDriver, mail)),
        }
    }

    /// Waits for the outcome of a message that was [submitted](Self::submit). It is returned once; `None`
    /// if it was before.
    ///
    /// # Errors
    /// The message, if it got no connection.
    pub fn outcome(&self, ticket: Ticket) -> Option<Result<Outcome, SendError>> {
        self.inner.result(ticket)
    }

    /// Opens a new connection, logs in, and says what it found. The connection is kept for messages.
    ///
    /// ```
    /// use smtp_blocking::{Endpoint, Mailer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let security = smtp_blocking::Security::Cleartext;
    /// # let endpoint = Endpoint::builder("localhost").port(server.port()).security(security).build()?;
    /// # let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
    /// # _ = message;
    /// let mailer = Mailer::new(endpoint);
    /// println!("{}", mailer.check()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the server cannot be reached or rejects the credentials; or no connection may be opened in time.
    pub fn check(&self) -> Result<Check, PoolError> {
        let inner = &*self.inner;
        let now = inner.now();
        let request = Request::new().with_deadline(now + self.max_wait).fresh();
        let mut turn = Turn::new(inner, inner.pool.request(now, request)?);
        let (id, member) = turn.connection()?;
        let check = Check::new(member.client.connection());
        turn.release(id, member);
        Ok(check)
    }

    /// Closes the mailer: takes nothing new, and lets the rest end for at most `timeout`. Idle connections
    /// are closed. What is not done by then is dropped: a message that waits is returned to its caller, and
    /// one that is being sent has an outcome. Returns whether everything ended in time.
    ///
    /// The threads in [`run`](Self::run) return. A thread that opens a connection may take longer, until
    /// the system's resolver, connect or the [source of tokens](TokenSource) returns.
    pub fn close(&self, timeout: Duration) -> bool {
        let Inner { pool, sockets, .. } = &*self.inner;
        let now = self.inner.now();
        let until = now + timeout;
        pool.close(now, until);
        let mut waiter = Waiter::of_thread();
        self.inner.wait(&mut waiter, |now, waker| {
            let closed = match pool.poll_closed(now, waker) {
                Poll::Ready(()) => Poll::Ready(!pool.is_dropping()),
                Poll::Pending if until <= now => {
                    sockets.break_off();
                    Poll::Ready(false)
                }
                Poll::Pending => Poll::Pending,
            };
            (closed, move || Some(until))
        })
    }

    /// What holds up the message that waits longest; `None` if none waits.
    pub fn explain(&self) -> Option<Limit> {
        self.inner.pool.explain(self.inner.now())
    }

    /// The counters, for metrics.
    pub fn stats(&self) -> PoolStats {
        self.inner.pool.stats()
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Sends a message in this thread.
    fn send_here(&self, mail: Mail) -> Result<Outcome, SendError> {
        let (mut turn, mut mail) = self.turn(mail)?;
        loop {
            let (id, member) = match turn.connection() {
                Ok(connection) => connection,
                Err(error) => return Err(SendError::new(error, mail)),
            };
            match turn.send(id, member, mail) {
                Finished::Final(outcome) => return Ok(outcome),
                Finished::Again(again) => mail = again,
            }
        }
    }

    /// A turn for this message.
    fn turn(&self, mail: Mail) -> Result<(Turn<'_>, Mail), SendError> {
        let inner = &*self.inner;
        if mail.size().is_none() {
            return Err(SendError::new(PoolError::Streamed, mail));
        }
        let now = inner.now();
        match inner.pool.request(now, self.request(now, &mail)) {
            Ok(ticket) => Ok((Turn::new(inner, ticket), mail)),
            Err(error) => Err(SendError::new(error, mail)),
        }
    }

    fn hand_over(&self, crew: CrewId, mail: Mail) -> Result<Ticket, SendError> {
        let now = self.inner.now();
        let request = self.request(now, &mail);
        self.inner.pool.hand_over(now, crew, request, mail)
    }

    fn request(&self, now: Time, mail: &Mail) -> Request {
        let recipients = u32::try_from(mail.recipients().len()).unwrap_or(u32::MAX);
        Request::new()
            .with_recipients(recipients)
            .with_deadline(now + self.max_wait)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("endpoint", &self.inner.endpoint)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }

    fn crew(&self) -> Option<CrewId> {
        let crew = self.crew.lock().unwrap_or_else(PoisonError::into_inner);
        crew.as_ref().map(|crew| crew.id)
    }

    /// Asks a question until it is answered: each time the waiter is woken, and at the time that the
    /// second value returns.
    fn wait<T, A>(
        &self,
        waiter: &mut Waiter,
        mut question: impl FnMut(Time, &Waker) -> (Poll<T>, A),
    ) -> T
    where
        A: FnOnce() -> Option<Time>,
    {
        loop {
            let (answer, alarm) = question(self.now(), waiter.waker());
            if let Poll::Ready(answer) = answer {
                return answer;
            }
            let until = alarm().and_then(|until| self.epoch.checked_add(until.since_origin()));
            waiter.wait(until);
        }
    }

    /// Waits for the result of a message that was handed over.
    fn result(&self, ticket: Ticket) -> Option<Result<Outcome, SendError>> {
        let pool = &self.pool;
        self.wait(&mut Waiter::of_thread(), |now, waker| {
            pool.handle_timeout(now);
            (pool.poll_result(ticket, waker), || pool.alarm(ticket))
        })
    }

    /// Opens a connection for the pool, and reports it. `None` if that fails, or it is not wanted
    /// any more.
    fn open(&self, id: ConnectionId) -> Option<Member> {
        if !self.pool.is_dropping() {
            match self.connect() {
                Ok(mut member) => {
                    if self.pool.connected(self.now(), id, &mut member) {
                        return Some(member);
                    }
                }
                Err(error) => {
                    self.pool.connect_failed(self.now(), id, error);
                    return None;
                }
            }
        }
        self.pool.closed(self.now(), id);
        None
    }

    fn connect(&self) -> Result<Member, Error> {
        let mut handle = None;
        let addresses = resolve(&self.endpoint)?;
        let login = Login::new(self.tokens.as_ref());
        let client = Client::connect_watched(&self.endpoint, &addresses, login, |socket| {
            handle = Some(self.sockets.watch(socket)?);
            match self.pool.is_dropping() {
                true => Err(std::io::ErrorKind::ConnectionAborted.into()),
                false => Ok(()),
            }
        })?;
        Ok(Member {
            client,
            _handle: handle,
        })
    }
}

/// Ends the idle connections.
impl Drop for Inner {
    fn drop(&mut self) {
        self.pool
            .close(self.now(), Time::from_origin(Duration::MAX));
    }
}

/// How long a message waits for a connection, unless the program says otherwise.
const MAX_WAIT: Duration = Duration::from_secs(60);
