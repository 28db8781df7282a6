//! The client: construction, access, and the methods that wait.

use std::pin::pin;
use std::task::Poll;
use std::{fmt, io};

use smtp_driver::Driver;
use smtp_driver::token::TokenSource;
use smtp_proto::{
    Capabilities, Command, CommandId, Connection, ContentStatus, Error, Mail, MailId, Outcome,
    Reply, TlsInfo, Wire,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::runtime::Tokio;

/// An SMTP connection over a tokio stream.
///
/// With the feature `rustls`, `Client` without parameters is the usual client: over TCP or a Unix
/// socket, with TLS by [`smtp_rustls::Session`](crate::tls::Session). Its
/// [`connect`](Self::connect) opens the connection.
///
/// ```
/// use smtp_tokio::{Client, Mail};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
/// # let stream = tokio::net::TcpStream::connect(server.addr()).await?;
/// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
/// let mut client = Client::from_stream(stream, connection);
/// for recipient in ["bob@example.net", "carol@example.net"] {
///     let message = format!("From: alice@example.org\r\nTo: {recipient}\r\n\r\nHello.\r\n");
///     let mail = Mail::new("alice@example.org", [recipient], message)?;
///     println!("{}", client.send(mail).await?);
/// }
/// client.quit().await?;
/// # assert_eq!(server.mails().len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// A client works only inside its methods: no task runs in the background, and an idle client holds
/// no buffer.
///
/// Every method that takes `&mut self` is cancel safe, except [`send`](Self::send) and
/// [`send_from`](Self::send_from): dropping its future changes nothing, and the next call continues
/// where it stopped.
///
/// The first failure of a connection is final. Every method then returns the same error, except for
/// messages that were queued: each of them has an outcome.
pub struct Client<
    #[cfg(feature = "rustls")] S = crate::Socket,
    #[cfg(feature = "rustls")] W = smtp_rustls::Session,
    #[cfg(not(feature = "rustls"))] S,
    #[cfg(not(feature = "rustls"))] W,
> {
    pub(crate) driver: Driver<S, W, Tokio>,
}

impl<S, W: Wire> Client<S, W> {
    /// A client over a connected stream and a wire that has not begun.
    ///
    /// It does not wait for the server; [`ready`](Self::ready) does.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use smtp_tokio::proto::{Config, Connection, Seed};
    /// use smtp_tokio::{Client, Security};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let stream = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// let config = Config::builder("relay.example.org".parse()?)
    ///     .security(Security::Cleartext)
    ///     .build()?;
    /// let connection = Connection::new(Arc::new(config), Seed::random());
    /// let mut client = Client::from_stream(stream, connection);
    /// client.ready().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_stream(stream: S, wire: W) -> Self {
        Self {
            driver: Driver::new(stream, wire, Tokio::new()),
        }
    }

    /// Queues a message without waiting. Any number of messages may be queued.
    ///
    /// It is sent while a method waits, such as [`wait_outcome`](Self::wait_outcome).
    ///
    /// ```
    /// # use smtp_tokio::{Client, Mail};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let first = Mail::new("alice@example.org", ["bob@example.net"], message)?;
    /// # let second = Mail::new("alice@example.org", ["carol@example.net"], message)?;
    /// let ids = [client.submit(first), client.submit(second)];
    /// for id in ids {
    ///     println!("{}", client.wait_outcome(id).await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit(&mut self, mail: Mail) -> MailId {
        self.driver.smtp_mut().submit(mail)
    }

    /// The extensions that the server advertises.
    pub fn capabilities(&self) -> &Capabilities {
        self.driver.smtp().capabilities()
    }

    /// The TLS connection under this one; `None` in cleartext.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.driver.smtp().tls()
    }

    /// The connection, for its state: statistics, timeouts.
    pub fn connection(&self) -> &Connection {
        self.driver.smtp()
    }

    /// The connection, for everything that needs no waiting, such as writing streamed content.
    pub fn connection_mut(&mut self) -> &mut Connection {
        self.driver.smtp_mut()
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        self.driver.stream()
    }

    /// The stream and the wire, in their present state.
    ///
    /// The wire's time began when this client was created. Another driver must continue from there:
    /// time never runs backwards.
    pub fn into_parts(self) -> (S, W) {
        self.driver.into_parts()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Wire> Client<S, W> {
    /// Waits until a question to the connection has an answer. It is asked first, and again whenever
    /// bytes or time have passed.
    ///
    /// The methods below ask the usual questions. This one is for others, such as an
    /// [event](Connection::poll_event).
    ///
    /// ```
    /// use std::task::Poll;
    /// # use smtp_tokio::Client;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// // Waits for the greeting, whatever it says.
    /// client
    ///     .drive(|connection| match connection.stats().bytes_received() {
    ///         0 => Poll::Pending,
    ///         _ => Poll::Ready(()),
    ///     })
    ///     .await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safe if `question` is: an answer is never lost, because the future ends with it.
    pub async fn drive<T>(&mut self, question: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        self.driver.drive(question).await
    }

    /// Waits until the server is ready for messages: after its greeting, and with TLS and
    /// authentication as configured.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The connection's failure.
    pub async fn ready(&mut self) -> Result<(), Error> {
        self.driver.drive(Connection::poll_ready).await
    }

    /// Waits until the server is ready for messages, as [`ready`](Self::ready) does, and fetches a
    /// token if one is wanted.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The connection's failure.
    pub async fn ready_with_tokens(&mut self, tokens: &TokenSource) -> Result<(), Error> {
        self.driver.ready_with_tokens(tokens).await
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// ```
    /// # use smtp_tokio::{Client, Mail};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = smtp_test::Config::new().reject("carol@example.net", "550 5.1.1 unknown");
    /// # let server = smtp_test::MemoryServer::new(&config);
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n";
    /// let recipients = ["bob@example.net", "carol@example.net"];
    /// let mail = Mail::new("alice@example.org", recipients, message)?;
    /// let outcome = client.send(mail).await?;
    /// for recipient in outcome.recipients() {
    ///     println!("{}: {}", recipient.recipient(), recipient.status());
    /// }
    /// # assert_eq!(outcome.to_string().lines().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Not cancel safe: dropping the future abandons the message. If nothing of it has been sent,
    /// it is withdrawn, and the connection continues; otherwise the connection fails. Its outcome
    /// comes from [`poll_event`](Connection::poll_event). To resume waiting for a message, use
    /// [`submit`](Self::submit) and [`wait_outcome`](Self::wait_outcome).
    ///
    /// # Errors
    /// If the message is [streamed](smtp_proto::MailBuilder::streamed). Rejections and failures of
    /// the connection are in the outcome.
    pub async fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        self.driver.send(mail).await
    }

    /// Sends a message whose content comes from a reader, and waits for its outcome.
    ///
    /// The message must be [streamed](smtp_proto::MailBuilder::streamed). At most 64 KiB of the
    /// content are in memory at a time.
    ///
    /// ```
    /// use smtp_tokio::proto::StreamedContent;
    /// # use smtp_tokio::{Client, Mail};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// # let file = &b"From: alice@example.org\r\n\r\nHello.\r\n"[..];
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .streamed(StreamedContent::new())
    ///     .build()?;
    /// let outcome = client.send_from(mail, file).await?;
    /// # assert!(outcome.is_accepted());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A reader that fails leaves the message unsent, and its error is in the outcome. The
    /// connection fails with it, because content that was begun cannot be taken back.
    ///
    /// Not cancel safe: dropping the future abandons the message, as with [`send`](Self::send).
    ///
    /// # Errors
    /// If the message is not streamed; it is then abandoned.
    pub async fn send_from(
        &mut self,
        mail: Mail,
        content: impl AsyncRead,
    ) -> Result<Outcome, Error> {
        let mut content = pin!(content);
        self.driver
            .send_from(mail, |cx, buffer| pin!(content.read_buf(buffer)).poll(cx))
            .await
    }

    /// Waits until more content of a streamed message is wanted, or none will be.
    ///
    /// ```
    /// use smtp_tokio::proto::ContentStatus;
    /// # use smtp_tokio::{Client, Mail};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// # let pieces = ["From: alice@example.org\r\n", "\r\n", "Hello.\r\n"];
    /// # let mail = Mail::builder()
    /// #     .sender("alice@example.org")
    /// #     .recipient("bob@example.net")
    /// #     .streamed(smtp_tokio::proto::StreamedContent::new())
    /// #     .build()?;
    /// let id = client.submit(mail);
    /// for piece in pieces {
    ///     if client.content_wanted(id).await? != ContentStatus::Wanted {
    ///         break;
    ///     }
    ///     client.connection_mut().write_content(id, piece.into())?;
    /// }
    /// client.connection_mut().finish_content(id)?;
    /// let outcome = client.wait_outcome(id).await?;
    /// # assert!(outcome.is_accepted());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If the id is unknown, or the message is not streamed or finished; or the connection's
    /// failure.
    pub async fn content_wanted(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        self.driver.drive(|smtp| smtp.poll_content(id)).await
    }

    /// Waits for the outcome of a message that was [submitted](Self::submit). It is returned once.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If the id is unknown, the outcome was returned before, or the content is not finished.
    pub async fn wait_outcome(&mut self, id: MailId) -> Result<Outcome, Error> {
        self.driver.drive(|smtp| smtp.poll_outcome(id)).await
    }

    /// Sends a command, after everything that is queued, and waits for its reply.
    ///
    /// ```
    /// use smtp_tokio::Command;
    /// # use smtp_tokio::Client;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// let reply = client.command(Command::vrfy("alice")?).await?;
    /// println!("{reply}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safe. The reply to a command whose future was dropped comes from
    /// [`poll_event`](Connection::poll_event).
    ///
    /// # Errors
    /// The connection's failure, or that it was ended.
    pub async fn command(&mut self, command: Command) -> Result<Reply, Error> {
        let id = self.driver.smtp_mut().command(command);
        self.wait_reply(id).await
    }

    /// Waits for the reply to a [queued command](Connection::command). It is returned once.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// If the id is unknown or the reply was returned before; or the connection's failure.
    pub async fn wait_reply(&mut self, id: CommandId) -> Result<Reply, Error> {
        self.driver.drive(|smtp| smtp.poll_reply(id)).await
    }

    /// Ends the connection by QUIT, after everything that is queued.
    ///
    /// ```
    /// # use smtp_tokio::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
    /// # let log = server.log();
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
    /// # let mut client = Client::from_stream(server, connection);
    /// # client.ready().await?;
    /// client.quit().await?;
    /// # assert!(log.session().quit());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Not cancel safe: dropping the future drops the connection as it is.
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub async fn quit(mut self) -> Result<(), Error> {
        self.driver.quit().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S, Connection> {
    /// Has another TLS stack take over the stream where TLS begins, and waits until the server is
    /// ready for messages inside it.
    ///
    /// `handshake` gets the stream, from which nothing more has been read. It returns the stream in
    /// TLS, and what is known of TLS, or [`TlsInfo::asserted`]. The config of the connection limits
    /// its time.
    ///
    /// ```
    /// use smtp_tokio::Client;
    /// use smtp_tokio::proto::TlsInfo;
    ///
    /// # async fn handshake<S>(stream: S) -> std::io::Result<S> {
    /// #     Ok(stream)
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = smtp_test::Config::new().advertise_starttls();
    /// # let stream = smtp_test::MemoryServer::new(&config);
    /// # let connection = adapter_tests::common::wire(smtp_tokio::Security::StartTls);
    /// let client = Client::from_stream(stream, connection);
    /// let client = client
    ///     .upgrade(async |stream| {
    ///         let secured = handshake(stream).await?;
    ///         Ok((secured, TlsInfo::asserted()))
    ///     })
    ///     .await?;
    /// # assert!(client.tls().is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Not cancel safe: dropping the future drops the connection as it is.
    ///
    /// With credentials of a [fetched token](crate::Credentials::fetched_token) it returns when the
    /// token is wanted: call [`ready_with_tokens`](Self::ready_with_tokens) next.
    ///
    /// # Errors
    /// The connection's failure, which includes an error of the handshake; or misuse, if the config
    /// has no TLS.
    pub async fn upgrade<T, F>(self, handshake: F) -> Result<Client<T, Connection>, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        F: AsyncFnOnce(S) -> io::Result<(T, TlsInfo)>,
    {
        let driver = self.driver.upgrade(handshake).await?;
        Ok(Client { driver })
    }
}

impl<S, W: fmt::Debug> fmt::Debug for Client<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("wire", self.driver.wire())
            .finish_non_exhaustive()
    }
}
