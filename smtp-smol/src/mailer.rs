//! The mailer: many callers, a few connections.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use smtp_driver::mailer::{self, Connected, Connector};
use smtp_driver::smtp_pool::{Limit, PoolConfig, PoolError, PoolStats, SendError, Ticket};
use smtp_driver::token::TokenSource;
use smtp_driver::{Check, Mails};
use smtp_proto::{Error, Mail, Outcome};
use smtp_rustls::{Endpoint, Session};

use crate::runtime::Smol;
use crate::{Client, Socket};

/// Sends messages of any number of tasks over a few connections to one server.
///
/// ```
/// use smtp_smol::{Credentials, Endpoint, Mail, Mailer};
///
/// # futures_lite::future::block_on(async {
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
/// let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
/// let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
/// println!("{}", mailer.send(mail).await?);
/// # assert_eq!(server.mails().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// A mailer is cheap to clone, and clones share the connections. They are opened when messages need
/// them, at most 3 at a time, kept for 30 seconds, and replaced when the server has closed them.
/// [`PoolConfig`] changes these numbers.
///
/// | | |
/// | --- | --- |
/// | an idle connection was closed | another one is used; the message has not been touched |
/// | a message was lost on a connection that had carried others | it is sent again, once |
/// | a message is in doubt | it is never sent again; its [outcome](Outcome) says so |
/// | the server cannot be reached | all that wait fail at once; the next attempt follows after a pause that grows from 1 to 60 seconds |
/// | the server complains of too many connections | half as many are used |
///
/// Nothing runs in the background. [`send`](Self::send) opens the connection that it needs, or takes
/// an idle one, and returns it. Idle connections are therefore closed only when the mailer is used
/// or closed. For a program that sends much, a [`driver`](Self::driver) does it.
#[derive(Clone)]
pub struct Mailer {
    mailer: mailer::Mailer<Connect>,
    max_wait: Duration,
}

impl Mailer {
    /// A mailer for this endpoint. It connects when there is a message.
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_config(endpoint, PoolConfig::new())
    }

    /// A mailer with other limits.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use smtp_smol::pool::{PoolConfig, Rate};
    /// use smtp_smol::{Endpoint, Mailer};
    ///
    /// # futures_lite::future::block_on(async {
    /// let config = PoolConfig::new()
    ///     .with_max_connections(10)
    ///     .with_message_rate(Rate::new(100, Duration::from_secs(60)));
    /// let mailer = Mailer::with_config(Endpoint::starttls("mail.example.org").build()?, config)
    ///     .with_max_wait(Duration::from_secs(10));
    /// # let _ = mailer;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
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
    /// use smtp_smol::{Credentials, Endpoint, Mailer, PoolConfig, Token, TokenSource};
    ///
    /// # futures_lite::future::block_on(async {
    /// # async fn fetch() -> std::io::Result<Token> {
    /// #     Ok(Token::new("t0k3n"))
    /// # }
    /// let endpoint = Endpoint::starttls("mail.example.org")
    ///     .credentials(Credentials::fetched_token("alice@example.org")?)
    ///     .build()?;
    /// let tokens = TokenSource::new(|_| fetch());
    /// let mailer = Mailer::with_tokens(endpoint, PoolConfig::new(), tokens);
    /// # let _ = mailer;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn with_tokens(endpoint: Endpoint, config: PoolConfig, tokens: TokenSource) -> Self {
        Self::over(endpoint, config, Some(tokens))
    }

    fn over(endpoint: Endpoint, config: PoolConfig, tokens: Option<TokenSource>) -> Self {
        let connector = Connect { endpoint, tokens };
        Self {
            mailer: mailer::Mailer::new(connector, Smol::new(), config),
            max_wait: MAX_WAIT,
        }
    }

    /// Limits how long a message waits for a connection, including the time for connecting; by
    /// default 60 seconds. Once it has one, the [time limits](crate::Timeouts) of the endpoint
    /// apply.
    #[must_use]
    pub fn with_max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// Dropping the future gives up a message that has not begun. One that has begun is sent to its
    /// end if there is a [driver](Self::driver); otherwise its connection is dropped, and the
    /// server may or may not have accepted it. To ask for the outcome later, use
    /// [`submit`](Self::submit).
    ///
    /// # Errors
    /// If the message got no connection: the server cannot be reached or rejects the login, no
    /// connection was free in time, the mailer is closed, or too many messages wait. The error
    /// gives the message [back](SendError::into_mail). Everything else is in the outcome.
    pub async fn send(&self, mail: Mail) -> Result<Outcome, SendError> {
        self.mailer.send(mail, self.max_wait).await
    }

    /// Sends many messages over several connections. Outcomes come as they are known, each with the
    /// number of its message.
    ///
    /// ```
    /// # use smtp_smol::{Endpoint, Mail, Mailer, Security};
    /// # futures_lite::future::block_on(async {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let endpoint = Endpoint::builder("localhost").port(server.port())
    /// #     .security(Security::Cleartext).build()?;
    /// # let mailer = Mailer::new(endpoint);
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 20];
    /// let mut sending = mailer.send_all(mails);
    /// while let Some((number, result)) = sending.next().await {
    ///     println!("{number}: {}", result?);
    /// }
    /// # assert_eq!(server.mails().len(), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// Messages are taken from the iterator as they are sent. On each connection they are sent
    /// ahead of the replies. They wait for a connection as long as it takes.
    ///
    /// Between two calls of [`next`](SendAll::next) the messages rest, and keep their connections. A
    /// program that sends another message by the mailer meanwhile does it in a task of its own, or
    /// runs a [`driver`](Self::driver) and submits all of them.
    pub fn send_all<I>(&self, mails: I) -> SendAll<Mails<I::IntoIter>>
    where
        I: IntoIterator<Item = Mail>,
    {
        self.send_stream(Mails::new(mails))
    }

    /// As [`send_all`](Self::send_all), for messages that arrive over time.
    pub fn send_stream<M: Stream<Item = Mail> + Unpin>(&self, mails: M) -> SendAll<M> {
        SendAll {
            sending: self.mailer.send_all(mails),
        }
    }

    /// Tests the connection: connects, logs in, and says what it found. The connection is kept for
    /// messages.
    ///
    /// ```
    /// # use smtp_smol::{Endpoint, Mailer, Security};
    /// # futures_lite::future::block_on(async {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let endpoint = Endpoint::builder("localhost").port(server.port())
    /// #     .security(Security::Cleartext).build()?;
    /// # let mailer = Mailer::new(endpoint);
    /// match mailer.check().await {
    ///     Ok(found) => println!("{found}"),
    ///     Err(error) => println!("{error:#}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// Cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    /// Why the server cannot be used: the failure of connecting or of the login, or a limit of the
    /// pool.
    pub async fn check(&self) -> Result<Check, PoolError> {
        self.mailer.check(self.max_wait).await
    }

    /// The driver: a future that the program runs, and that then sends the messages of all callers.
    ///
    /// ```
    /// # use smtp_smol::{Endpoint, Mail, Mailer, Security};
    /// # use std::time::Duration;
    /// # futures_lite::future::block_on(async {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let endpoint = Endpoint::builder("localhost").port(server.port())
    /// #     .security(Security::Cleartext).build()?;
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
    /// let mailer = Mailer::new(endpoint);
    /// if let Some(driver) = mailer.driver() {
    ///     smol::spawn(driver).detach();
    /// }
    /// let ticket = mailer.submit(mail)?;
    /// // … later
    /// if let Some(result) = mailer.outcome(ticket).await {
    ///     println!("{}", result?);
    /// }
    /// mailer.close(Duration::from_secs(60)).await;
    /// # assert_eq!(server.mails().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// It saves a round trip for each message that waits behind another, closes idle connections in
    /// time, and lets a message be sent whose caller has gone. It is ready when the mailer is
    /// [closed](Self::close), or its last clone is dropped, and everything is sent. Dropping it
    /// before that drops the connections: messages on them are not sent or in doubt, and those that
    /// wait fail.
    ///
    /// `None` if there is a driver.
    pub fn driver(&self) -> Option<MailerDriver> {
        Some(MailerDriver {
            driver: self.mailer.driver()?,
        })
    }

    /// Hands a message over to the [driver](Self::driver) without waiting. Its outcome comes from
    /// [`outcome`](Self::outcome), and is kept until then.
    ///
    /// # Errors
    /// If there is no driver, the mailer is closed, or too many messages wait. The error gives the
    /// message [back](SendError::into_mail).
    pub fn submit(&self, mail: Mail) -> Result<Ticket, SendError> {
        self.mailer.submit(mail, self.max_wait)
    }

    /// Waits for the outcome of a message that was [submitted](Self::submit). `None` if it was
    /// returned before. One task at a time waits for it.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn outcome(&self, ticket: Ticket) -> Option<Result<Outcome, SendError>> {
        self.mailer.outcome(ticket).await
    }

    /// Closes the mailer and its clones: nothing new is taken, what waits or is being sent ends
    /// within `timeout`, and idle connections end by QUIT. What is left then is dropped, and its
    /// senders get an outcome or an error. Returns whether everything ended in time.
    ///
    /// Cancel safe, but the time limit applies only while the future is awaited.
    pub async fn close(&self, timeout: Duration) -> bool {
        self.mailer.close(timeout).await
    }

    /// What holds up the message that waits longest; `None` if none waits.
    pub fn explain(&self) -> Option<Limit> {
        self.mailer.explain()
    }

    /// The counters, for metrics.
    pub fn stats(&self) -> PoolStats {
        self.mailer.stats()
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.mailer.connector().endpoint
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("endpoint", self.endpoint())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Sends the messages of all callers of a [`Mailer`], while it is awaited.
///
/// Created by [`Mailer::driver`].
#[derive(Debug)]
#[must_use = "a driver does nothing unless it is awaited, such as by a task"]
pub struct MailerDriver {
    driver: mailer::MailerDriver<Connect>,
}

impl Future for MailerDriver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.driver).poll(cx)
    }
}

/// Many messages over several connections: the outcomes as they come.
///
/// Created by [`Mailer::send_all`] and [`Mailer::send_stream`]; a [`Stream`] too. Dropped before
/// its end, it drops its connections.
#[derive(Debug)]
#[must_use = "nothing is sent until outcomes are awaited"]
pub struct SendAll<M> {
    sending: mailer::SendAll<Connect, M>,
}

impl<M: Stream<Item = Mail> + Unpin> SendAll<M> {
    /// Waits for the next outcome, and the number of its message, counted from 0. `None` when every
    /// message has one.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<(usize, Result<Outcome, SendError>)> {
        std::future::poll_fn(|cx| Pin::new(&mut self.sending).poll_next(cx)).await
    }
}

impl<M: Stream<Item = Mail> + Unpin> Stream for SendAll<M> {
    type Item = (usize, Result<Outcome, SendError>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.sending).poll_next(cx)
    }
}

/// Opens connections to an endpoint.
struct Connect {
    endpoint: Endpoint,
    tokens: Option<TokenSource>,
}

impl Connector for Connect {
    type Stream = Socket;
    type Wire = Session;
    type Runtime = Smol;

    async fn connect(&self) -> Result<Connected<Self>, Error> {
        let client = Client::open(&self.endpoint, self.tokens.as_ref()).await?;
        Ok(client.driver)
    }
}

/// How long a message waits for a connection by default.
const MAX_WAIT: Duration = Duration::from_secs(60);
