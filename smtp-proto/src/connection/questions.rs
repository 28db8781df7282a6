//! The requests of a caller, its questions, and the facts it may query.

use alloc::boxed::Box;
use core::task::Poll;

use bytes::Bytes;

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::config::Security;
use crate::connection::Connection;
use crate::connection::core::{EventCursor, Phase};
use crate::connection::handshake::State;
use crate::connection::progress::FillMode;
use crate::connection::queue::Queued;
use crate::connection::results::Completed;
use crate::connection::transaction::Transaction;
use crate::error::{ApiMisuse, Error, ErrorKind, Peer, TransportError};
use crate::event::{CommandId, ContentStatus, Event, MailId};
use crate::mail::Mail;
use crate::outcome::{ConnectionStats, Outcome};
use crate::reply::Reply;
use crate::sasl;
use crate::stage::Stage;
use crate::timeouts::Timeouts;
use crate::tls::TlsInfo;

// Requests.

impl Connection {
    /// Submits a message. Any number may be queued.
    ///
    /// Returns its id, for [`poll_outcome`](Self::poll_outcome) and [`Event::Outcome`].
    pub fn submit(&mut self, mail: Mail) -> MailId {
        let core = self.core.change();
        let id = MailId(core.new_id());
        let trace = core.io.spans.connection.mail(id);
        let transaction = Box::new(Transaction::new(id, mail, trace));
        match core.rejection() {
            None => core.push(Queued::Mail(transaction)),
            Some(error) => core.complete(transaction, Some(error)),
        }
        id
    }

    /// Submits the next piece of a streamed message's content, of any size.
    ///
    /// Pieces occupy memory while they wait: submit one whenever
    /// [`poll_content`](Self::poll_content) wants it. A piece for a message with a known outcome is
    /// dropped.
    ///
    /// # Errors
    /// If the message is not streamed, or its content is complete.
    ///
    /// # Examples
    /// ```
    /// use std::task::Poll;
    /// use smtp_proto::{ContentStatus, Mail, StreamedContent};
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    /// # let now = Time::ORIGIN;
    /// # let step = |connection: &mut Connection, reply: &str| {
    /// #     for _ in 0..4 {
    /// #         let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
    /// #         connection.handle_sent(now, count);
    /// #         connection.handle_timeout(now);
    /// #     }
    /// #     connection.handle_input(now, reply.as_bytes());
    /// # };
    ///
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .streamed(StreamedContent::new())
    ///     .build()?;
    /// let id = connection.submit(mail);
    /// # for reply in ["220 ready\r\n", "250 hello\r\n", "250 ok\r\n", "250 ok\r\n", "354 go on\r\n"] {
    /// #     step(&mut connection, reply);
    /// # }
    /// // The driver has brought the dialogue to the reply to DATA.
    /// assert_eq!(connection.poll_content(id)?, Poll::Ready(ContentStatus::Wanted));
    /// connection.write_content(id, "From: alice@example.org\r\n\r\n".into())?;
    /// connection.write_content(id, "Hello\r\n".into())?;
    /// connection.finish_content(id)?;
    /// # step(&mut connection, "250 taken\r\n");
    /// let Poll::Ready(outcome) = connection.poll_outcome(id) else { unreachable!() };
    /// assert!(outcome?.is_accepted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_content(&mut self, id: MailId, piece: Bytes) -> Result<(), ApiMisuse> {
        let core = self.core.change();
        match core.queue.mail(id) {
            Some(transaction) => {
                transaction.write(piece)?;
                core.io.resume();
                Ok(())
            }
            None => core.known_outcome(id),
        }
    }

    /// Records that the content of a streamed message is complete.
    ///
    /// # Errors
    /// If the message is not streamed, or its content is already complete.
    pub fn finish_content(&mut self, id: MailId) -> Result<(), ApiMisuse> {
        let core = self.core.change();
        match core.queue.mail(id) {
            Some(transaction) => {
                transaction.finish()?;
                core.io.resume();
                Ok(())
            }
            None => core.known_outcome(id),
        }
    }

    /// Abandons a message.
    ///
    /// If nothing of it has been sent, it is withdrawn and the connection continues. Otherwise the
    /// connection closes, and the message's outcome says whether it is in doubt. A message with a
    /// known outcome keeps it.
    ///
    /// # Examples
    /// ```
    /// use std::task::Poll;
    /// use smtp_proto::{Mail, RecipientStatus};
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    ///
    /// let message = "From: alice@example.org\r\n\r\nHello\r\n";
    /// let id = connection.submit(Mail::new("alice@example.org", ["bob@example.net"], message)?);
    /// connection.abandon(id);
    /// let Poll::Ready(outcome) = connection.poll_outcome(id) else { unreachable!() };
    /// assert!(matches!(outcome?.recipients()[0].status(), RecipientStatus::NotSent(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abandon(&mut self, id: MailId) {
        self.give_up(id, ErrorKind::Abandoned);
    }

    /// Abandons a message because the source of its content failed. Like
    /// [`abandon`](Self::abandon), with the source's error as the reason.
    pub fn fail_content(&mut self, id: MailId, error: TransportError) {
        self.give_up(id, ErrorKind::Source(error));
    }

    /// Submits a command that is not part of a message. It is sent after the messages before it.
    ///
    /// # Examples
    /// ```
    /// use std::task::Poll;
    /// use smtp_proto::Command;
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    /// # let now = Time::ORIGIN;
    ///
    /// let id = connection.command(Command::vrfy("alice")?);
    /// # for reply in ["220 ready\r\n", "250 hello\r\n", "252 cannot verify\r\n"] {
    /// #     let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
    /// #     connection.handle_sent(now, count);
    /// #     connection.handle_input(now, reply.as_bytes());
    /// # }
    /// // The driver has moved the bytes up to the reply.
    /// let Poll::Ready(reply) = connection.poll_reply(id) else { unreachable!() };
    /// assert_eq!(reply?.code(), 252);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn command(&mut self, command: Command) -> CommandId {
        let core = self.core.change();
        let id = CommandId(core.new_id());
        if core.rejection().is_none() {
            core.push(Queued::Command(id, command));
        }
        id
    }

    /// Closes the connection with QUIT once the queue is done. Anything submitted later is not
    /// sent.
    ///
    /// # Examples
    /// ```
    /// use std::task::Poll;
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    /// # let now = Time::ORIGIN;
    ///
    /// connection.quit();
    /// assert!(connection.poll_closed().is_pending());
    /// # for reply in ["220 ready\r\n", "250 hello\r\n", "221 bye\r\n"] {
    /// #     let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
    /// #     connection.handle_sent(now, count);
    /// #     connection.handle_input(now, reply.as_bytes());
    /// # }
    /// // The driver has moved the bytes up to the reply 221.
    /// assert_eq!(connection.poll_closed(), Poll::Ready(Ok(())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn quit(&mut self) {
        let core = self.core.change();
        if !core.queue.is_closed() && core.phase.state().is_ok() && !core.phase.is_ended() {
            core.push(Queued::Quit);
        }
    }

    /// The next event; `None` if there is none until bytes move or time passes.
    ///
    /// # Errors
    /// The failure of the connection, once all results of messages and commands have been returned.
    ///
    /// # Examples
    /// A loop over events suits a driver that handles many things at once:
    /// ```
    /// use smtp_proto::{Connection, Error, Event};
    ///
    /// fn on_progress(connection: &mut Connection) -> Result<(), Error> {
    ///     while let Some(event) = connection.poll_event() {
    ///         match event? {
    ///             Event::Ready => println!("connected"),
    ///             Event::Outcome(id, outcome) => println!("{id:?}: {outcome}"),
    ///             _ => {}
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Security, Seed};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # on_progress(&mut Connection::new(Arc::new(config), Seed::random()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        self.fill(FillMode::Probe);
        let core = self.core.unchanged();
        let is_ready = matches!(
            core.phase.state(),
            Ok(State::Ready | State::ExpectQuit | State::Ended)
        );
        if core.announced == EventCursor::Nothing
            && let Some(request) = core.claim_token()
        {
            core.announced = EventCursor::TokenWanted;
            return Some(Ok(Event::TokenWanted(request)));
        }
        if core.announced < EventCursor::Ready && is_ready {
            core.announced = EventCursor::Ready;
            return Some(Ok(Event::Ready));
        }
        match core.done.pop() {
            Some(Completed::Mail(id, outcome)) => return Some(Ok(Event::Outcome(id, outcome))),
            Some(Completed::Command(id, reply)) => return Some(Ok(Event::Reply(id, reply))),
            None => {}
        }
        match &core.phase {
            Phase::Failed(error) => return Some(Err(error.clone())),
            Phase::Open(State::Ended) if core.announced < EventCursor::Ended => {
                core.announced = EventCursor::Ended;
                return Some(Ok(Event::Closed));
            }
            Phase::Open(_) | Phase::Draining { .. } => {}
        }
        if let Some(Queued::Mail(transaction)) = core.queue.next_mut()
            && core.io.send_buffer.is_empty()
            && transaction.ask()
        {
            return Some(Ok(Event::ContentWanted(transaction.id)));
        }
        None
    }

    // Questions, for a loop that drives the connection until they are answered.

    /// Whether the server is ready for a message.
    ///
    /// # Errors
    /// The failure of the connection.
    pub fn poll_ready(&mut self) -> Poll<Result<(), Error>> {
        self.fill(FillMode::Probe);
        match &self.core.phase {
            Phase::Open(State::Ready) => Poll::Ready(Ok(())),
            Phase::Open(State::ExpectQuit | State::Ended)
            | Phase::Draining {
                state: State::ExpectQuit,
                ..
            } => Poll::Ready(Err(self.core.ended())),
            _ => self.core.stuck().map(Err),
        }
    }

    /// The status of a streamed message's content.
    ///
    /// # Errors
    /// If there is no such message, or the connection has failed.
    pub fn poll_content(&mut self, id: MailId) -> Poll<Result<ContentStatus, Error>> {
        self.fill(FillMode::Probe);
        let Some(transaction) = self.core.unchanged().queue.mail(id) else {
            return Poll::Ready(match self.core.known_outcome(id) {
                Ok(()) => Ok(ContentStatus::Done),
                Err(_) => Err(self.core.unknown()),
            });
        };
        if !transaction.is_open() {
            return Poll::Ready(Err(Error::misuse(Stage::Content, ApiMisuse::NotStreaming)));
        }
        // Only once the previous piece is fully sent, since more content may take long to arrive.
        if transaction.is_starved() && self.core.io.send_buffer.is_empty() {
            return Poll::Ready(Ok(ContentStatus::Wanted));
        }
        self.core.stuck().map(Err)
    }

    /// The outcome of a message. It is returned once.
    ///
    /// # Errors
    /// If there is no such message, its outcome has been returned, or its content is incomplete and
    /// nothing else can happen.
    pub fn poll_outcome(&mut self, id: MailId) -> Poll<Result<Outcome, Error>> {
        self.fill(FillMode::Probe);
        if let Some(outcome) = self.core.unchanged().done.take_mail(id) {
            return Poll::Ready(Ok(outcome));
        }
        if self.core.unchanged().queue.mail(id).is_none() {
            return Poll::Ready(Err(self.core.unknown()));
        }
        self.core.stuck().map(Err)
    }

    /// The reply to a command. It is returned once.
    ///
    /// # Errors
    /// If there is no such command, its reply has been returned, or the connection has failed.
    pub fn poll_reply(&mut self, id: CommandId) -> Poll<Result<Reply, Error>> {
        self.fill(FillMode::Probe);
        if let Some(reply) = self.core.unchanged().done.take_command(id) {
            return Poll::Ready(reply);
        }
        if !self.core.queue.has_command(id) {
            return Poll::Ready(Err(self.core.unknown()));
        }
        self.core.stuck().map(Err)
    }

    /// Whether the connection has closed as [`quit`](Self::quit) requested.
    ///
    /// After QUIT is sent, a missing or unusual reply is not a failure: every message before it has
    /// its outcome.
    ///
    /// # Errors
    /// The failure of the connection before that. A connection that the server closed while nothing
    /// was pending has not failed.
    pub fn poll_closed(&mut self) -> Poll<Result<(), Error>> {
        self.fill(FillMode::Probe);
        match &self.core.phase {
            Phase::Failed(error) if error.is_idle_close() => Poll::Ready(Ok(())),
            Phase::Open(State::Ended) => Poll::Ready(Ok(())),
            _ => self.core.stuck().map(Err),
        }
    }

    // Facts.

    /// The capabilities that the server advertises. TLS discards those learned before it.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    /// # let now = Time::ORIGIN;
    /// # for reply in ["220 ready\r\n", "250-mx.example.net\r\n250 DSN\r\n"] {
    /// #     let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
    /// #     connection.handle_sent(now, count);
    /// #     connection.handle_input(now, reply.as_bytes());
    /// # }
    /// // After the reply to EHLO:
    /// assert!(connection.capabilities().dsn());
    /// assert_eq!(connection.capabilities().server_name(), b"mx.example.net");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capabilities(&self) -> &Capabilities {
        &self.core.server.capabilities
    }

    /// The TLS connection under this one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.core.server.tls.as_ref()
    }

    /// The SASL mechanism used to authenticate, successfully or not.
    pub fn mechanism(&self) -> Option<&'static str> {
        self.core.server.mechanism.map(sasl::Name::as_str)
    }

    /// Whether the credentials have a token that was [refreshed](crate::Config::with_refreshed_token)
    /// for this connection.
    pub fn has_refreshed_token(&self) -> bool {
        self.core.io.config.renewing
    }

    /// The server, as [set](Self::set_peer) by the driver.
    pub fn peer(&self) -> Option<&Peer> {
        self.core.io.peer.as_deref()
    }

    /// The bytes and round trips so far.
    pub fn stats(&self) -> ConnectionStats {
        self.core.io.stats()
    }

    /// How the connection is secured.
    pub fn security(&self) -> Security {
        self.core.io.config.security
    }

    /// The time limits.
    pub fn timeouts(&self) -> &Timeouts {
        &self.core.io.config.timeouts
    }

    /// Whether nothing is queued or pending, and a message could be sent at once.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle() && matches!(self.core.phase.state(), Ok(State::Ready))
    }

    fn give_up(&mut self, id: MailId, reason: ErrorKind) {
        match self.core.unchanged().queue.mail(id) {
            Some(transaction) if transaction.is_untouched() => {
                let error = Error::new(Stage::Mail, reason);
                self.core.change().withdraw(id, error);
            }
            Some(_) => {
                let stage = self.core.stage();
                self.stop(Error::new(stage, reason));
            }
            None => {}
        }
    }
}
