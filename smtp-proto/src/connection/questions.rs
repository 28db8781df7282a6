//! What the caller of a connection wants of it, asks it, and may know.

use alloc::boxed::Box;
use core::task::Poll;

use bytes::Bytes;

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::config::Security;
use crate::connection::Connection;
use crate::connection::core::{Completed, EventCursor, Phase};
use crate::connection::handshake::State;
use crate::connection::progress::FillMode;
use crate::connection::queue::Queued;
use crate::connection::transaction::Transaction;
use crate::error::{ApiMisuse, Error, ErrorKind, TransportError};
use crate::event::{CommandId, ContentStatus, Event, MailId};
use crate::mail::Mail;
use crate::outcome::{ConnectionStats, Outcome};
use crate::reply::Reply;
use crate::sasl;
use crate::stage::Stage;
use crate::timeouts::Timeouts;
use crate::tls::TlsInfo;

// What the caller wants.

impl Connection {
    /// Hands over a message; any number may wait in line.
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

    /// Hands over the next piece of a message's text, of any size.
    ///
    /// Memory is what pieces are waiting: hand over one whenever [`poll_content`](Self::poll_content) says that it is wanted.
    /// A piece for a message whose outcome is already known is dropped.
    ///
    /// # Errors
    /// If the message is not written in pieces, or is finished.
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

    /// Says that the text of a message is whole.
    ///
    /// # Errors
    /// If the message is not written in pieces, or is finished.
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

    /// Gives up a message.
    ///
    /// If nothing of it has been sent it is withdrawn and the connection goes on. Else the connection closes; the message's
    /// outcome says whether it is in doubt. A message whose outcome is known keeps it.
    pub fn abandon(&mut self, id: MailId) {
        self.give_up(id, ErrorKind::Abandoned);
    }

    /// Gives up a message because the source of its text failed; like [`abandon`](Self::abandon), with the source's error as
    /// the reason.
    pub fn fail_content(&mut self, id: MailId, error: TransportError) {
        self.give_up(id, ErrorKind::Source(error));
    }

    /// Hands over a command that is no part of sending a message; it waits its turn after the messages before it.
    pub fn command(&mut self, command: Command) -> CommandId {
        let core = self.core.change();
        let id = CommandId(core.new_id());
        if core.rejection().is_none() {
            core.push(Queued::Command(id, command));
        }
        id
    }

    /// Ends the connection with QUIT when all that is in line is done. What is handed over afterwards is not sent.
    pub fn quit(&mut self) {
        let core = self.core.change();
        if !core.queue.is_closed() && core.phase.state().is_ok() && !core.phase.is_ended() {
            core.push(Queued::Quit);
        }
    }

    /// The next thing that a caller may want to know of; `None` if there is nothing until bytes move
    /// or time passes.
    ///
    /// # Errors
    /// The connection's failure, once all that is known of messages and commands has been told.
    pub fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        self.fill(FillMode::Probe);
        let core = self.core.unchanged();
        let is_ready = matches!(
            core.phase.state(),
            Ok(State::Ready | State::ExpectQuit | State::Ended)
        );
        if core.announced == EventCursor::Nothing && is_ready {
            core.announced = EventCursor::Ready;
            return Some(Ok(Event::Ready));
        }
        match core.done.pop_front() {
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

    // Questions, made for a loop that drives until they are answered.

    /// Whether the server is ready for message.
    ///
    /// # Errors
    /// The connection's failure.
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

    /// What a message that is written in pieces wants.
    ///
    /// # Errors
    /// If there is no such mail, or the connection's failure.
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
        // Not before all of the last piece is out: what waits for more could wait for long.
        if transaction.is_starved() && self.core.io.send_buffer.is_empty() {
            return Poll::Ready(Ok(ContentStatus::Wanted));
        }
        self.core.stuck().map(Err)
    }

    /// What became of a message. It is told once.
    ///
    /// # Errors
    /// If there is no such mail, its outcome has been told, or its text is not finished and nothing else can happen.
    pub fn poll_outcome(&mut self, id: MailId) -> Poll<Result<Outcome, Error>> {
        self.fill(FillMode::Probe);
        let of_mail = |done: &Completed| matches!(done, Completed::Mail(each, _) if *each == id);
        if let Some(Completed::Mail(_, outcome)) = self.core.unchanged().take_done(of_mail) {
            return Poll::Ready(Ok(outcome));
        }
        if self.core.unchanged().queue.mail(id).is_none() {
            return Poll::Ready(Err(self.core.unknown()));
        }
        self.core.stuck().map(Err)
    }

    /// The reply to a command. It is told once.
    ///
    /// # Errors
    /// If there is no such command, its reply has been told, or the connection's failure.
    pub fn poll_reply(&mut self, id: CommandId) -> Poll<Result<Reply, Error>> {
        self.fill(FillMode::Probe);
        let of_command =
            |done: &Completed| matches!(done, Completed::Command(each, _) if *each == id);
        if let Some(Completed::Command(_, reply)) = self.core.unchanged().take_done(of_command) {
            return Poll::Ready(reply);
        }
        if !self.core.queue.has_command(id) {
            return Poll::Ready(Err(self.core.unknown()));
        }
        self.core.stuck().map(Err)
    }

    /// Whether the connection has ended as [`quit`](Self::quit) asked it to.
    ///
    /// Once QUIT has been said a missing or odd reply is no failure: all messages before it have their outcome.
    ///
    /// # Errors
    /// The connection's failure before that. That the server has closed it while nothing was under way is none.
    pub fn poll_closed(&mut self) -> Poll<Result<(), Error>> {
        self.fill(FillMode::Probe);
        match &self.core.phase {
            Phase::Failed(error) if error.is_idle_close() => Poll::Ready(Ok(())),
            Phase::Open(State::Ended) => Poll::Ready(Ok(())),
            _ => self.core.stuck().map(Err),
        }
    }

    // What is known.

    /// What the server says that it can do; what it said before TLS is forgotten after it.
    pub fn capabilities(&self) -> &Capabilities {
        &self.core.server.capabilities
    }

    /// The TLS connection under this one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.core.server.tls.as_ref()
    }

    /// The SASL mechanism by which this side logged in, or tried to.
    pub fn mechanism(&self) -> Option<&'static str> {
        self.core.server.mechanism.map(sasl::Name::as_str)
    }

    /// Bytes and round trips so far.
    pub fn stats(&self) -> ConnectionStats {
        self.core.io.stats()
    }

    /// How the connection is to be secured.
    pub fn security(&self) -> Security {
        self.core.io.config.security
    }

    /// How long to wait for what.
    pub fn timeouts(&self) -> &Timeouts {
        &self.core.io.config.timeouts
    }

    /// Whether nothing is queued, pending or under way on a connection that could take a message at once.
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
