//! The transaction of one message: MAIL, a RCPT for each recipient, the content, the final reply.
//!
//! It has two cursors. The send cursor goes through [`SendState`], the reply cursor through the
//! replies, which come in the order of the commands. A reply may move the send cursor: a rejected
//! sender ends the sending, and without an accepted recipient no content is sent.
//!
//! ```text
//! send       Check ─▶ Mail ─▶ Rcpt(0) ─▶ … ─▶ Rcpt(n) ─┬▶ Data ─▶ GoAhead ┬─▶ Content ───┐
//!                       ▲                              │                  └─▶ LoneDot ───┤
//!                       │                              └▶ Chunk ─▶ … ─▶ Chunk (the last) ┤
//!                       │                                                                ▼
//!                       └──────────── recipients remain ◀────────────────────── FinalReply or Nothing
//! reply      MAIL 2yz ─▶ RCPT 2yz|4yz|5yz … ─▶ DATA 3yz ─▶ end of the data 2yz|4yz|5yz
//! ```
//!
//! From every state before the content, and from between two chunks, a rejection leads to
//! `Nothing`. `FinalReply` is for a message with more recipients than its transaction may have: the
//! next message waits for the final reply, since the message begins again, for the remaining
//! recipients.

mod content;
mod leftover;
mod prepared;
mod rcpt;
mod recipients;
mod replies;
mod requirements;
mod seen_limit;
mod sending;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use self::content::ContentWriter;
pub(crate) use self::leftover::Leftover;
use self::prepared::Prepared;
use self::rcpt::Addressee;
use self::recipients::Recipients;
use self::replies::Replies;
pub(crate) use self::seen_limit::SeenLimit;
use crate::capabilities::Capabilities;
use crate::command::Line;
use crate::config::Protocol;
use crate::connection::handshake::ServerInfo;
use crate::connection::io::Io;
use crate::connection::pending::PendingReply;
use crate::connection::progress::{FillMode, Progress};
use crate::content::Framing;
use crate::error::{ApiMisuse, Error, ErrorKind, ProtocolError};
use crate::event::MailId;
use crate::mail::{self, Mail};
use crate::outcome::Outcome;
use crate::pipelining::Pipelining;
use crate::reply::ReplyRef;
use crate::stage::Stage;
use crate::tls::TlsInfo;
use crate::tracing::Trace;

/// One message, from its check to its outcome.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: MailId,
    pub(crate) trace: Trace,
    /// The message, whose recipients are in the next field.
    mail: Mail,
    recipients: Recipients,
    prepared: Prepared,
    next: SendState,
    replies: Replies,
    content: ContentWriter,
    position: ContentPosition,
    /// The reason why the rest of the content was not sent, although the connection is in order.
    stopped: Option<Error>,
}

/// How much of the content is queued, as positions in the output.
#[derive(Debug, Default)]
struct ContentPosition {
    /// The end of the content that was queued last.
    batch_end: u64,
    /// Bytes of the current chunk that are not queued yet.
    chunk_left: u64,
    /// The end of the content, once it is queued.
    end: Option<u64>,
}

/// The position of the send cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendState {
    /// It is not known whether the server takes such a message.
    Check,
    Mail,
    Rcpt(usize),
    Data,
    GoAhead,
    Content,
    LoneDot,
    Chunk,
    FinalReply,
    Nothing,
}

impl Transaction {
    pub(crate) fn new(id: MailId, mut mail: Mail, trace: Trace) -> Self {
        let recipients = core::mem::take(&mut mail.envelope.recipients);
        Self {
            id,
            trace,
            content: ContentWriter::new(&mail.content, Framing::Dot),
            mail,
            recipients: Recipients::new(
                (recipients.into_iter())
                    .map(|each| Addressee::new(each.into_path()))
                    .collect(),
            ),
            prepared: Prepared::unlimited(),
            next: SendState::Check,
            replies: Replies::default(),
            position: ContentPosition::default(),
            stopped: None,
        }
    }

    /// Bytes of the content; 0 if they are not known.
    pub(crate) fn size(&self) -> u64 {
        self.mail.size().unwrap_or_default()
    }

    /// Whether the caller writes the content in pieces.
    pub(crate) fn is_streamed(&self) -> bool {
        !self.mail.is_whole()
    }

    /// Whether nothing of the message has been queued.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.next, SendState::Check | SendState::Mail) && self.replies.asked == 0
    }

    /// The state that the completed transaction leaves at the server.
    pub(crate) fn leftover(&self) -> Leftover {
        // A rejected chunk need not end the transaction (RFC 3030, section 2). The end of data
        // should, whatever the reply (RFC 5321, section 4.1.1.4), but does not at every server.
        // A rejected MAIL began nothing.
        let needs_reset =
            !self.is_untouched() && !self.replies.taken && !self.is_rejected_at_mail();
        let ended = self.position.end.is_some() && self.content.framing() == Framing::Dot;
        Leftover::of(needs_reset, needs_reset && !ended)
    }

    /// Whether MAIL was rejected, and no recipient was accepted in spite of that.
    fn is_rejected_at_mail(&self) -> bool {
        self.replies.sender.is_some() && !self.replies.without_sender
    }

    /// Whether nothing is left to send and no reply is pending. Recipients may remain.
    pub(crate) fn is_complete(&self, io: &Io) -> bool {
        // The reply to MAIL comes before those to RCPT, and what follows these is of this message:
        // the next begins with MAIL.
        matches!(self.next, SendState::Nothing | SendState::FinalReply)
            && self.replies.all_answered()
            && !(io.pending.front()).is_some_and(|next| next.stage.follows_rcpt())
    }

    /// Sends the next command or content, if it may be sent now; MAIL only with [`FillMode::Send`].
    pub(crate) fn advance(
        &mut self,
        io: &mut Io,
        server: &ServerInfo,
        leftover: &mut Leftover,
        mode: FillMode,
    ) -> Progress {
        match self.next {
            SendState::Check | SendState::Mail => {
                match self.prepare(&server.capabilities, io.mails) {
                    Err(error) => Progress::Failed(error),
                    Ok(()) if mode == FillMode::Probe => Progress::Sendable,
                    Ok(()) => self.send_mail(io, leftover, &server.recipients),
                }
            }
            SendState::Rcpt(position) => self.send_rcpt(position, io, &server.recipients),
            SendState::Data => self.send_data(io),
            _ if self.sends_content(io) => self.send_content(io),
            SendState::Nothing => Progress::Done,
            _ => Progress::Blocked,
        }
    }

    /// Whether content, or the end of it, is next and may be sent.
    pub(crate) fn sends_content(&self, io: &Io) -> bool {
        match self.next {
            SendState::Content | SendState::LoneDot => true,
            SendState::Chunk => self.may_send_chunks(io),
            _ => false,
        }
    }

    /// Whether BDAT may be sent, possibly before any recipient is known to be accepted.
    fn may_send_chunks(&self, io: &Io) -> bool {
        // A chunk that has begun must continue: the server waits for all of it.
        self.position.chunk_left > 0 || self.replies.all_answered() || self.may_run_ahead(io)
    }

    /// Whether all of the content may be sent before any recipient is known to be accepted.
    ///
    /// Only in one chunk: after a rejected envelope, further chunks could confuse a server.
    fn may_run_ahead(&self, io: &Io) -> bool {
        let bounds = io.config.speculation;
        let fits = |size: u64| {
            size <= bounds.mail.min(io.config.chunk_size)
                && io.pending.content().saturating_add(size) <= bounds.in_flight
        };
        io.config.protocol == Protocol::Smtp
            && io.pending.level() >= Pipelining::Speculative
            && self.mail.whole_len().is_some_and(fits)
    }

    /// Checks, before a byte is sent, whether the server can take the message.
    ///
    /// Later calls check only the number of messages: `mails` were begun on this connection.
    pub(crate) fn prepare(&mut self, capabilities: &Capabilities, mails: u32) -> Result<(), Error> {
        let mail_max = capabilities.limits().mail_max();
        if mail_max.is_some_and(|most| mails >= most.get()) {
            return Err(Error::new(Stage::Mail, ErrorKind::TooManyMails));
        }
        if self.next != SendState::Check {
            return Ok(());
        }
        let requirements = requirements::of(&mut self.mail, self.recipients.all(), capabilities)?;
        if requirements.recoded {
            self.begin_content();
        }
        self.prepared = Prepared::new(requirements, &self.mail, capabilities)?;
        self.recipients.limit(capabilities.limits());
        if capabilities.chunking() {
            self.content
                .set_framing(&self.mail.content, Framing::Length);
        }
        self.next = SendState::Mail;
        Ok(())
    }

    /// Sends MAIL, after RSET if an earlier transaction requires it.
    fn send_mail(&mut self, io: &mut Io, leftover: &mut Leftover, seen: &SeenLimit) -> Progress {
        // A pending final reply may be a rejection.
        let may_be_rejected =
            matches!(io.pending.last(), Some(Stage::EndOfData | Stage::LastChunk));
        if leftover.needs_reset() || may_be_rejected {
            if !io.send(&Line::Rset) {
                return Progress::Blocked;
            }
            *leftover = leftover.reset_sent();
        }
        io.pending
            .reserve(self.recipients.all().len().saturating_add(AROUND));
        let sent = io.send(&Line::Mail {
            path: self.prepared.sender(&self.mail),
            content: self.prepared.content,
            parameters: self.mail.parameters(),
        });
        if !sent {
            return Progress::Blocked;
        }
        io.begin_mail();
        self.recipients.begin(seen.most());
        self.next = self.next_rcpt(0, seen);
        Progress::Sent
    }

    /// Sends RCPT for the recipient at this position.
    fn send_rcpt(&mut self, position: usize, io: &mut Io, seen: &SeenLimit) -> Progress {
        if self.replies.is_full() {
            // In this transaction no more are taken, unless one that is under way is accepted.
            if !self.replies.all_answered() {
                return Progress::Blocked;
            }
            self.next = self.after_rcpts();
            return Progress::Sent;
        }
        let ahead = self.replies.asked.saturating_sub(self.replies.answered);
        if ahead >= seen.ahead(self.replies.accepted) {
            return Progress::Blocked;
        }
        let recipients = &mut self.recipients;
        let index = recipients.index(position).unwrap_or(usize::MAX);
        let Some(path) = self.prepared.recipient(recipients.all(), index) else {
            return Progress::Blocked;
        };
        let line = Line::Rcpt {
            path,
            parameters: self.mail.recipient_parameters(index),
        };
        if !io.send_rcpt(&line, index) {
            return Progress::Blocked;
        }
        self.replies.asked = self.replies.asked.saturating_add(1);
        recipients.ask(position);
        self.next = self.next_rcpt(position.saturating_add(1), seen);
        Progress::Sent
    }

    fn send_data(&mut self, io: &mut Io) -> Progress {
        if !io.send(&Line::Data) {
            return Progress::Blocked;
        }
        self.next = SendState::GoAhead;
        Progress::Sent
    }

    /// The state of the next RCPT, from `position` on, or the one after the last.
    fn next_rcpt(&self, position: usize, seen: &SeenLimit) -> SendState {
        let next = (self.recipients).next(position, self.replies.asked, seen.most());
        next.map_or_else(|| self.after_rcpts(), SendState::Rcpt)
    }

    /// The state after the last RCPT.
    fn after_rcpts(&self) -> SendState {
        match self.content.framing() {
            Framing::Length => SendState::Chunk,
            Framing::Dot => SendState::Data,
        }
    }

    /// Appends a piece of the content.
    pub(crate) fn write(&mut self, piece: Bytes) -> Result<(), ApiMisuse> {
        self.content.write(piece)
    }

    /// Ends the content.
    pub(crate) fn finish(&mut self) -> Result<(), ApiMisuse> {
        self.content.finish()
    }

    /// Whether the content is next, and the caller has not written it.
    pub(crate) fn is_starved(&self) -> bool {
        let at_content = match self.next {
            SendState::Content => true,
            SendState::Chunk => self.replies.all_answered(),
            _ => false,
        };
        at_content && self.content.is_starved()
    }

    /// Whether to report that content is wanted.
    pub(crate) fn ask(&mut self) -> bool {
        self.is_starved() && self.content.ask()
    }

    /// Whether the caller has not finished the content.
    pub(crate) fn is_open(&self) -> bool {
        self.content.is_open()
    }

    /// Whether the content has begun, and its end has not been handed to the transport.
    pub(crate) fn is_in_content(&self, io: &Io) -> bool {
        match self.position.end {
            None => self.next == SendState::Content || self.has_begun_content(),
            Some(end) => !io.was_offered(end),
        }
    }

    /// Whether recipients remain for another transaction.
    fn has_remaining(&self) -> bool {
        self.mail.is_whole() && self.recipients.remain()
    }

    /// Applies the reply to a command of this transaction. Returns whether the same command has
    /// another reply.
    pub(crate) fn handle_reply(
        &mut self,
        answered: PendingReply,
        reply: ReplyRef<'_>,
        by_recipient: bool,
    ) -> Result<bool, ProtocolError> {
        let recipients = &mut self.recipients;
        let more = match answered.stage {
            Stage::Mail => {
                self.replies.handle_mail(reply)?;
                false
            }
            Stage::Rcpt => {
                let again = matches!(self.mail.content, mail::Content::Whole { .. });
                let index = answered.rcpt.unwrap_or(usize::MAX);
                self.replies.handle_rcpt(recipients, index, reply, again)?;
                false
            }
            Stage::Data => {
                self.handle_data(reply, by_recipient)?;
                false
            }
            Stage::Chunk => {
                self.replies.handle_chunk(reply)?;
                false
            }
            _ => {
                let framing = self.content.framing();
                self.replies
                    .handle_final_reply(recipients, reply, by_recipient, framing)?
            }
        };
        self.apply_replies();
        Ok(more)
    }

    fn handle_data(
        &mut self,
        reply: ReplyRef<'_>,
        by_recipient: bool,
    ) -> Result<(), ProtocolError> {
        let any_accepted = self.replies.sender.is_none() && self.replies.accepted > 0;
        let code = reply.code();
        if code.is_rejection() {
            self.replies.data = Some(reply.to_reply());
            self.next = SendState::Nothing;
        } else if !GO_AHEAD.contains(&code.as_u16()) {
            return Err(ProtocolError::WrongClass);
        } else if any_accepted {
            self.next = SendState::Content;
        } else if by_recipient {
            // RFC 2033, section 4.2: without accepted recipients there would be no final reply.
            return Err(ProtocolError::WrongClass);
        } else {
            self.next = SendState::LoneDot;
        }
        Ok(())
    }

    /// Ends the sending if the replies leave no recipient that could be accepted.
    fn apply_replies(&mut self) {
        let over = match self.next {
            SendState::Rcpt(_) => self.replies.sender.is_some(),
            SendState::Data => !self.replies.may_succeed(),
            SendState::Chunk => self.position.chunk_left == 0 && !self.replies.may_succeed(),
            _ => false,
        };
        if over {
            self.next = SendState::Nothing;
        }
    }

    /// What the completed transaction shows of how many recipients the server takes.
    pub(crate) fn seen(&self, seen: &mut SeenLimit) {
        seen.record(self.replies.shown());
    }

    /// Begins again for the recipients that remain. Returns whether it does: not if there are none,
    /// or if the replies show that they would be rejected too.
    pub(crate) fn restart_for_remaining(&mut self) -> bool {
        if !self.has_remaining() || !self.replies.may_retry_remaining() {
            return false;
        }
        self.replies = Replies::default();
        self.recipients.restart();
        self.next = SendState::Mail;
        self.begin_content();
        self.position.end = None;
        true
    }

    /// Begins the content anew, after it was recoded or for another transaction.
    #[cold]
    fn begin_content(&mut self) {
        self.content = ContentWriter::new(&self.mail.content, self.content.framing());
    }

    fn has_begun_content(&self) -> bool {
        self.content.written() > 0 || self.position.chunk_left > 0 || self.position.end.is_some()
    }

    /// The outcome, after completion or at a failure.
    pub(crate) fn outcome(
        mut self: Box<Self>,
        failure: Option<Error>,
        io: &Io,
        tls: Option<TlsInfo>,
    ) -> Outcome {
        let failure = self.stopped.take().or(failure);
        let failure = failure.map(|error| io.locate(error));
        let offered = self.position.end.is_some_and(|end| io.was_offered(end));
        let recipients = core::mem::replace(&mut self.recipients, Recipients::new(Vec::new()));
        let (replies, error) = (&self.replies, failure.as_ref());
        // An addressee and its outcome have the same size, so this allocates nothing.
        let deliveries = (recipients.into_all().into_iter())
            .map(|recipient| replies.delivery(recipient, error, offered))
            .collect();
        let outcome = Outcome::new(deliveries, failure, io.stats(), tls);
        if self.mail.is_whole() && outcome.has_retries() {
            outcome.with_mail(self.mail)
        } else {
            outcome
        }
    }
}

/// The replies to DATA that ask for the content: 354, and its neighbors that some servers send.
const GO_AHEAD: core::ops::RangeInclusive<u16> = 350..=359;

/// Pending replies of a transaction beside those to RCPT: to MAIL and to DATA.
const AROUND: usize = 2;
