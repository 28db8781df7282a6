//! The client: construction, access, and the methods that wait.

mod drive;

use std::io::Read;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use std::{fmt, io};

use bytes::BytesMut;
use smtp_driver::token::forgo_token;
use smtp_driver::{PIECE, complete_tls, is_token_wanted, poll_tls};
use smtp_proto::{
    Capabilities, Command, CommandId, Connection, ContentStatus, Error, Mail, MailId, Outcome,
    Reply, Time, TlsInfo, Wire,
};

use crate::Stream;

/// An SMTP connection over a stream that blocks.
///
/// With the feature `rustls`, `Client` without parameters is the usual client: over TCP or a Unix
/// socket, with TLS by [`smtp_rustls::Session`](crate::tls::Session). Its
/// [`connect`](Self::connect) opens the connection.
///
/// ```
/// use smtp_blocking::{Client, Mail};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
/// # let stream = std::net::TcpStream::connect(server.addr())?;
/// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
/// let mut client = Client::from_stream(stream, connection);
/// for recipient in ["bob@example.net", "carol@example.net"] {
///     let message = format!("From: alice@example.org\r\nTo: {recipient}\r\n\r\nHello.\r\n");
///     let mail = Mail::new("alice@example.org", [recipient], message)?;
///     println!("{}", client.send(mail)?);
/// }
/// client.quit()?;
/// # assert_eq!(server.mails().len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// A client works only inside its methods: no thread runs in the background, and an idle client
/// holds no buffer.
///
/// The first failure of a connection is final. Every method then returns the same error, except for
/// messages that were queued: each of them has an outcome.
pub struct Client<
    #[cfg(feature = "rustls")] S = crate::Socket,
    #[cfg(feature = "rustls")] W = smtp_rustls::Session,
    #[cfg(not(feature = "rustls"))] S,
    #[cfg(not(feature = "rustls"))] W,
> {
    stream: S,
    wire: W,
    /// The zero of the connection's time.
    epoch: Instant,
    /// The time left for which the stream's timeouts are good enough.
    timeout_range: Option<RangeInclusive<Duration>>,
    /// Whether the stream may buffer bytes that were written to it.
    needs_flush: bool,
}

impl<S, W: Wire> Client<S, W> {
    /// A client over a connected stream and a wire that has not begun.
    ///
    /// It does not wait for the server; [`ready`](Self::ready) does.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use smtp_blocking::proto::{Config, Connection, Seed};
    /// use smtp_blocking::{Client, Security};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// let config = Config::builder("relay.example.org".parse()?)
    ///     .security(Security::Cleartext)
    ///     .build()?;
    /// let connection = Connection::new(Arc::new(config), Seed::random());
    /// let mut client = Client::from_stream(stream, connection);
    /// client.ready()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_stream(stream: S, wire: W) -> Self {
        Self::resume(stream, wire, Instant::now())
    }

    /// Queues a message without waiting. Any number of messages may be queued.
    ///
    /// It is sent while a method waits, such as [`wait_outcome`](Self::wait_outcome).
    ///
    /// ```
    /// # use smtp_blocking::{Client, Mail};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let first = Mail::new("alice@example.org", ["bob@example.net"], message)?;
    /// # let second = Mail::new("alice@example.org", ["carol@example.net"], message)?;
    /// let ids = [client.submit(first), client.submit(second)];
    /// for id in ids {
    ///     println!("{}", client.wait_outcome(id)?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit(&mut self, mail: Mail) -> MailId {
        self.wire.smtp_mut().submit(mail)
    }

    /// The extensions that the server advertises.
    pub fn capabilities(&self) -> &Capabilities {
        self.wire.smtp().capabilities()
    }

    /// The TLS connection under this one; `None` in cleartext.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.wire.smtp().tls()
    }

    /// The connection, for its state: statistics, timeouts.
    pub fn connection(&self) -> &Connection {
        self.wire.smtp()
    }

    /// The connection, for everything that needs no waiting, such as writing streamed content.
    pub fn connection_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream and the wire, in their present state.
    ///
    /// The wire's time began when this client was created. Another driver must continue from there:
    /// time never runs backwards.
    pub fn into_parts(self) -> (S, W) {
        (self.stream, self.wire)
    }

    fn resume(stream: S, wire: W, epoch: Instant) -> Self {
        Self {
            stream,
            wire,
            epoch,
            timeout_range: None,
            needs_flush: false,
        }
    }

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }
}

impl<S: Stream, W: Wire> Client<S, W> {
    /// Waits until the server is ready for messages: after its greeting, and with TLS and
    /// authentication as configured.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.drive(Connection::poll_ready)
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// ```
    /// # use smtp_blocking::{Client, Mail};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = smtp_test::Config::new().reject("carol@example.net", "550 5.1.1 unknown");
    /// # let server = smtp_test::Server::start(config)?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n";
    /// let recipients = ["bob@example.net", "carol@example.net"];
    /// let mail = Mail::new("alice@example.org", recipients, message)?;
    /// let outcome = client.send(mail)?;
    /// for recipient in outcome.recipients() {
    ///     println!("{}: {}", recipient.recipient(), recipient.status());
    /// }
    /// # assert_eq!(outcome.to_string().lines().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// To queue several messages before waiting, use [`submit`](Self::submit) and
    /// [`wait_outcome`](Self::wait_outcome).
    ///
    /// # Errors
    /// If the message is [streamed](smtp_proto::MailBuilder::streamed). Rejections and failures of
    /// the connection are in the outcome.
    pub fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        let id = self.submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        sending.client.wait_outcome(id)
    }

    /// Sends a message whose content comes from a reader, and waits for its outcome.
    ///
    /// The message must be [streamed](smtp_proto::MailBuilder::streamed). At most 64 KiB of the
    /// content are in memory at a time.
    ///
    /// ```
    /// use smtp_blocking::proto::StreamedContent;
    /// # use smtp_blocking::{Client, Mail};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// # let file = &b"From: alice@example.org\r\n\r\nHello.\r\n"[..];
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .streamed(StreamedContent::new())
    ///     .build()?;
    /// let outcome = client.send_from(mail, file)?;
    /// # assert!(outcome.is_accepted());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A reader that fails leaves the message unsent, and its error is in the outcome. The
    /// connection fails with it, because content that was begun cannot be taken back.
    ///
    /// # Errors
    /// If the message is not streamed; it is then abandoned.
    pub fn send_from(&mut self, mail: Mail, mut content: impl Read) -> Result<Outcome, Error> {
        let id = self.submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        let client = &mut *sending.client;
        let mut buffer = BytesMut::new();
        while client.content_wanted(id)? == ContentStatus::Wanted {
            buffer.resize(PIECE, 0);
            match content.read(&mut buffer) {
                Ok(0) => break,
                // Never misuse: this piece was asked for.
                Ok(count) => {
                    let piece = buffer.split_to(count).freeze();
                    _ = client.connection_mut().write_content(id, piece);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => client.connection_mut().fail_content(id, error.into()),
            }
        }
        _ = client.connection_mut().finish_content(id);
        client.wait_outcome(id)
    }

    /// Waits until more content of a streamed message is wanted, or none will be.
    ///
    /// ```
    /// use smtp_blocking::proto::ContentStatus;
    /// # use smtp_blocking::{Client, Mail};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// # let pieces = ["From: alice@example.org\r\n", "\r\n", "Hello.\r\n"];
    /// # let mail = Mail::builder()
    /// #     .sender("alice@example.org")
    /// #     .recipient("bob@example.net")
    /// #     .streamed(smtp_blocking::proto::StreamedContent::new())
    /// #     .build()?;
    /// let id = client.submit(mail);
    /// for piece in pieces {
    ///     if client.content_wanted(id)? != ContentStatus::Wanted {
    ///         break;
    ///     }
    ///     client.connection_mut().write_content(id, piece.into())?;
    /// }
    /// client.connection_mut().finish_content(id)?;
    /// let outcome = client.wait_outcome(id)?;
    /// # assert!(outcome.is_accepted());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the id is unknown, or the message is not streamed or finished; or the connection's
    /// failure.
    pub fn content_wanted(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        self.drive(|smtp| smtp.poll_content(id))
    }

    /// Waits for the outcome of a message that was [submitted](Self::submit). It is returned once.
    ///
    /// # Errors
    /// If the id is unknown, the outcome was returned before, or the content is not finished.
    pub fn wait_outcome(&mut self, id: MailId) -> Result<Outcome, Error> {
        self.drive(|smtp| smtp.poll_outcome(id))
    }

    /// Sends a command, after everything that is queued, and waits for its reply.
    ///
    /// ```
    /// use smtp_blocking::Command;
    /// # use smtp_blocking::Client;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// let reply = client.command(Command::vrfy("alice")?)?;
    /// println!("{reply}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The connection's failure, or that it was ended.
    pub fn command(&mut self, command: Command) -> Result<Reply, Error> {
        let id = self.wire.smtp_mut().command(command);
        self.wait_reply(id)
    }

    /// Waits for the reply to a [queued command](Connection::command). It is returned once.
    ///
    /// # Errors
    /// If the id is unknown or the reply was returned before; or the connection's failure.
    pub fn wait_reply(&mut self, id: CommandId) -> Result<Reply, Error> {
        self.drive(|smtp| smtp.poll_reply(id))
    }

    /// Ends the connection by QUIT, after everything that is queued.
    ///
    /// ```
    /// # use smtp_blocking::Client;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let log = server.log();
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// # client.ready()?;
    /// client.quit()?;
    /// # assert!(log.session().quit());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub fn quit(mut self) -> Result<(), Error> {
        self.wire.smtp_mut().quit();
        forgo_token(self.wire.smtp_mut());
        let closed = self.drive(Connection::poll_closed);
        self.close();
        closed
    }

    /// Waits until the server is ready, by this method; if that fails, ends the connection in
    /// order.
    pub(crate) fn into_ready(
        mut self,
        ready: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        match ready(&mut self) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }
}

impl<S: Stream> Client<S, Connection> {
    /// Has another TLS stack take over the stream where TLS begins, and waits until the server is
    /// ready for messages inside it.
    ///
    /// `handshake` gets the stream, from which nothing more has been read. It returns the stream in
    /// TLS, and what is known of TLS, or [`TlsInfo::asserted`]. Each of its reads and writes may
    /// take as long as the whole handshake, by the config of the connection; a handshake that ends
    /// late has failed.
    ///
    /// ```
    /// use smtp_blocking::Client;
    /// use smtp_blocking::proto::TlsInfo;
    ///
    /// # fn handshake<S>(stream: S) -> std::io::Result<S> {
    /// #     Ok(stream)
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = smtp_test::Config::new().advertise_starttls();
    /// # let server = smtp_test::Server::start(config)?;
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::StartTls);
    /// let client = Client::from_stream(stream, connection);
    /// let client = client
    ///     .upgrade(|stream| {
    ///         let secured = handshake(stream)?;
    ///         Ok((secured, TlsInfo::asserted()))
    ///     })?;
    /// # assert!(client.tls().is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With credentials of a [fetched token](crate::Credentials::fetched_token) it returns when the
    /// token is wanted: call [`ready_with_tokens`](Self::ready_with_tokens) next.
    ///
    /// # Errors
    /// The connection's failure, which includes an error of the handshake; or misuse, if the config
    /// has no TLS.
    pub fn upgrade<T, F>(mut self, handshake: F) -> Result<Client<T, Connection>, Error>
    where
        T: Stream,
        F: FnOnce(S) -> io::Result<(T, TlsInfo)>,
    {
        self.drive(poll_tls)?;
        // Starts the time limit of the handshake.
        _ = self.wire.begin_tls(self.now())?;
        // Timeouts that are a little short are good enough for a step, but end a handshake.
        self.timeout_range = None;
        let limited = self.limit_blocking(self.now(), self.wire.poll_timeout());
        let Self {
            stream,
            mut wire,
            epoch,
            ..
        } = self;
        let secured = limited.and_then(|()| handshake(stream));
        let now = Time::from_origin(epoch.elapsed());
        wire.handle_timeout(now);
        let stream = complete_tls(&mut wire, now, Some(secured))?;
        Client::resume(stream, wire, epoch).into_ready(|client| match client.ready() {
            Err(error) if is_token_wanted(&error) => Ok(()),
            ready => ready,
        })
    }
}

impl<S, W: fmt::Debug> fmt::Debug for Client<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

/// Abandons a message that cannot be sent as it is, or whose reader panics. A message whose outcome
/// is known keeps it.
struct AbandonOnDrop<'a, S, W: Wire> {
    client: &'a mut Client<S, W>,
    id: MailId,
}

impl<S, W: Wire> Drop for AbandonOnDrop<'_, S, W> {
    fn drop(&mut self) {
        self.client.wire.smtp_mut().abandon(self.id);
    }
}

/// The shortest timeout of a stream: zero means none.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);
