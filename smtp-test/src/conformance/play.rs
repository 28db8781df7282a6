//! What a script does with a client, and what the client reports.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smtp_proto::{
    Command, CommandId, Connection, ContentStatus, Mail, MailId, Outcome, StreamedContent,
};

use super::record::{Both, Record, unwind};
use super::{Adapter, Turns};

/// A client in a script: of the adapter or of the reference.
pub(super) trait Driven {
    fn drive(
        &mut self,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool;

    fn connection(&mut self) -> &mut Connection;
}

/// A client with its adapter.
pub(super) struct Client<'a, A: Adapter> {
    pub(super) adapter: &'a A,
    pub(super) client: A::Client,
}

impl<A: Adapter> Driven for Client<'_, A> {
    fn drive(
        &mut self,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        self.adapter.drive(&mut self.client, turns, question)
    }

    fn connection(&mut self) -> &mut Connection {
        self.adapter.connection(&mut self.client)
    }
}

/// A script at work.
pub(super) struct Play<'a> {
    pub(super) client: &'a mut dyn Driven,
    pub(super) record: Arc<Record>,
    pub(super) turns: Turns,
    pub(super) patience: Duration,
    /// The client's socket.
    pub(super) handle: TcpStream,
    /// What the client reported.
    pub(super) lines: Vec<String>,
}

impl Play<'_> {
    /// Drives the connection until a question is answered.
    pub(super) fn ask<T>(&mut self, mut question: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        loop {
            self.record.begin_drive();
            let mut answer = None;
            let mut ask = |smtp: &mut Connection| {
                if answer.is_none() {
                    match question(smtp) {
                        Poll::Ready(value) => answer = Some(value),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Poll::Ready(())
            };
            let is_ready = self.client.drive(self.turns, &mut ask);
            if self.record.lock().expired {
                unwind();
            }
            if is_ready != answer.is_some() {
                self.record
                    .violation("drive does not return whether the question was ready");
            }
            if let Some(answer) = answer {
                return answer;
            }
            if self.turns == Turns::ALL {
                self.record
                    .violation("drive returned before the question was ready");
            }
            std::thread::yield_now();
        }
    }

    /// Records what the client reports, without the name of the server.
    pub(super) fn line(&mut self, line: impl Into<String>) {
        let mut line = line.into();
        for endpoint in ["localhost:25: ", "localhost:587: ", "localhost:465: "] {
            line = line.replace(endpoint, "");
        }
        self.lines.push(line);
    }

    /// Waits until the connection is ready. Returns whether it is.
    pub(super) fn ready(&mut self) -> bool {
        match self.ask(Connection::poll_ready) {
            Ok(()) => {
                self.line("ready");
                true
            }
            Err(error) => {
                self.line(format!("not ready: {error}"));
                false
            }
        }
    }

    pub(super) fn submit(&mut self, mail: Mail) -> MailId {
        self.client.connection().submit(mail)
    }

    /// Waits for the outcome of a message.
    pub(super) fn outcome(&mut self, id: MailId) {
        let outcome = self.ask(|smtp| smtp.poll_outcome(id));
        self.line(match &outcome {
            Ok(outcome) => describe(outcome),
            Err(error) => format!("no outcome: {error}"),
        });
    }

    /// Sends a message, and waits for its outcome.
    pub(super) fn send(&mut self, mail: Mail) {
        let id = self.submit(mail);
        self.outcome(id);
    }

    /// Sends a message whose content is written piece by piece, when it is wanted.
    pub(super) fn stream<'a>(&mut self, mail: Mail, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let id = self.submit(mail);
        for piece in pieces {
            match self.ask(|smtp| smtp.poll_content(id)) {
                Ok(ContentStatus::Wanted) => {}
                Ok(_) => break,
                Err(error) => {
                    self.line(format!("no content: {error}"));
                    break;
                }
            }
            let piece = piece.to_vec().into();
            // Never misuse: this piece was asked for.
            let _ = self.client.connection().write_content(id, piece);
        }
        let _ = self.client.connection().finish_content(id);
        self.outcome(id);
    }

    /// Sends a command, and waits for its reply.
    pub(super) fn command(&mut self, command: Command) {
        let id = self.client.connection().command(command);
        self.reply(id);
    }

    /// Waits for the reply to a command.
    pub(super) fn reply(&mut self, id: CommandId) {
        let reply = self.ask(|smtp| smtp.poll_reply(id));
        self.line(match reply {
            Ok(reply) => format!("reply: {reply}"),
            Err(error) => format!("no reply: {error}"),
        });
    }

    /// Sends a command, and comes back after `pause`, when its reply has arrived. The client is not
    /// driven meanwhile.
    pub(super) fn command_and_pause(&mut self, command: Command, pause: Duration) {
        // The reply must not be there before the drive returns.
        let arrived = self.record.change(|both| {
            both.server.holds = true;
            both.server.arrived
        });
        let id = self.client.connection().command(command);
        let before = self.client.connection().stats().bytes_sent();
        let record = Arc::clone(&self.record);
        self.ask(|smtp| {
            let is_sent = smtp.stats().bytes_sent() > before && record.lock().client.owed == 0;
            if is_sent {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        self.record.change(|both| both.server.holds = false);
        let has_replied = |both: &Both| both.server.arrived > arrived;
        self.record.wait(self.patience, has_replied);
        std::thread::sleep(pause);
        self.reply(id);
    }

    /// Has the server write these bytes, whatever it does otherwise.
    pub(super) fn inject(&self, bytes: &[u8]) {
        self.record.change(|both| {
            both.server.written.extend_from_slice(bytes);
            let stream = both.server.stream.as_mut();
            let sent = stream.and_then(|stream| stream.write(bytes).ok());
            both.server.arrived += sent.unwrap_or(0);
        });
    }

    /// Makes every write of the client fail.
    pub(super) fn break_writes(&self) {
        let _ = self.handle.shutdown(Shutdown::Write);
    }

    /// Has the server close its side, whatever it does otherwise.
    pub(super) fn hang_up(&self) {
        self.record.change(|both| {
            both.server.ended = true;
            if let Some(stream) = &both.server.stream {
                let _ = stream.shutdown(Shutdown::Write);
            }
        });
    }
}

/// An outcome in one line, without anything that differs from run to run. A status that all
/// recipients share stands alone.
fn describe(outcome: &Outcome) -> String {
    let recipients = outcome.recipients();
    let statuses: Vec<String> = recipients
        .iter()
        .map(|each| each.status().to_string())
        .collect();
    if statuses.windows(2).all(|two| two[0] == two[1]) {
        return format!("outcome: {}", statuses[0]);
    }
    let each = recipients.iter().zip(statuses);
    let each = each.map(|(recipient, status)| format!("{}: {status}", recipient.recipient()));
    format!("outcome: {}", each.collect::<Vec<_>>().join("; "))
}

/// A message to two recipients.
pub(super) fn mail() -> Mail {
    Mail::new(
        "alice@example.org",
        ["bob@example.net", "carol@example.net"],
        TEXT,
    )
    .expect("a valid message")
}

/// A message of this content.
pub(super) fn mail_of(text: impl Into<Vec<u8>>) -> Mail {
    Mail::new("alice@example.org", ["bob@example.net"], text.into()).expect("a valid message")
}

/// A message whose content is written later.
pub(super) fn streamed() -> Mail {
    Mail::builder()
        .sender("alice@example.org")
        .recipient("bob@example.net")
        .streamed(StreamedContent::new())
        .build()
        .expect("a valid message")
}

/// Content with a line that begins with a dot.
pub(super) const TEXT: &str =
    "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n.\r\n..bye\r\n";
