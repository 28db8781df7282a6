//! One message on its way: MAIL, a RCPT for each recipient, the content, the final reply.
//!
//! Two cursors move over it. The sending one goes through [`SendState`]; the answering one through the replies, which
//! come in the order of the commands. Each may move the other: a rejected sender ends the sending, and without an
//! accepted recipient no content is sent.
//!
//! ```text
//! sending    Check ─▶ Mail ─▶ Rcpt(0) ─▶ … ─▶ Rcpt(n) ─┬▶ Data ─▶ GoAhead ┬─▶ Content ───┐
//!                       ▲                              │                  └─▶ LoneDot ───┤
//!                       │                              └▶ Chunk ─▶ … ─▶ Chunk (the last) ┤
//!                       │                                                                ▼
//!                       └──────────── there are recipients left ◀─────────────── FinalReply or Nothing
//! answering  MAIL 2yz ─▶ RCPT 2yz|4yz|5yz … ─▶ DATA 3yz ─▶ end of the data 2yz|4yz|5yz
//! ```
//!
//! From everywhere before the content, and from between two chunks, a rejection leads to `Nothing`. `FinalReply` is for
//! a message that has recipients left, too many for the first transaction: nothing of the next message may be sent
//! before its final reply is known. Then the message begins again, for them.

mod content;
mod leftover;
mod limits;
mod replies;
mod requirements;
mod sending;

use alloc::boxed::Box;

use bytes::Bytes;

use self::content::ContentWriter;
pub(crate) use self::leftover::Leftover;
use self::limits::TransactionLimits;
use self::replies::Replies;
use self::requirements::ALabels;
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
use crate::extension::{Content, ServerLimits, SizeLimit};
use crate::mail::{self, Mail, RcptState};
use crate::outcome::Outcome;
use crate::pipelining::Pipelining;
use crate::reply::ReplyRef;
use crate::stage::Stage;
use crate::tls::TlsInfo;
use crate::tracing::Trace;

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: MailId,
    pub(crate) trace: Trace,
    mail: Mail,
    prepared: Prepared,
    next: SendState,
    replies: Replies,
    /// Replies that are pending for this message.
    pending: usize,
    content: ContentWriter,
    position: ContentPosition,
    /// Why the rest of the content was not sent, where the connection goes on.
    stopped: Option<Error>,
}

/// The message as this server takes it.
#[derive(Debug)]
struct Prepared {
    /// What MAIL says of the content.
    content: Content,
    /// Addresses that are told in another form.
    a_labels: Option<Box<ALabels>>,
    /// The recipients that the server takes in one transaction.
    limits: TransactionLimits,
    /// The most bytes of content that the server takes (RFC 1870).
    size_limit: u64,
}

/// How far the content is queued, as positions in the output.
#[derive(Debug, Default)]
struct ContentPosition {
    /// After the content that was queued last.
    batch_end: u64,
    /// Bytes of the present chunk that are not queued yet.
    chunk_left: u64,
    /// After the end of the content, once that is queued.
    end: Option<u64>,
}

/// What the sending cursor is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendState {
    /// Whether the server takes such a message at all is not known.
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
    pub(crate) fn new(id: MailId, mail: Mail, trace: Trace) -> Self {
        Self {
            id,
            trace,
            content: ContentWriter::new(&mail.text, Framing::Dot),
            mail,
            prepared: Prepared {
                content: Content::default(),
                a_labels: None,
                limits: TransactionLimits::new(ServerLimits::default()),
                size_limit: u64::MAX,
            },
            next: SendState::Check,
            replies: Replies::default(),
            pending: 0,
            position: ContentPosition::default(),
            stopped: None,
        }
    }

    /// Bytes of its text, as far as they are known.
    pub(crate) fn size(&self) -> u64 {
        self.mail.size().unwrap_or_default()
    }

    /// Whether its text comes in pieces.
    pub(crate) fn is_streamed(&self) -> bool {
        !self.mail.is_whole()
    }

    /// Whether nothing of it has been queued.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.next, SendState::Check | SendState::Mail) && self.replies.asked == 0
    }

    /// What it leaves at the server, now that it is complete.
    pub(crate) fn leftover(&self) -> Leftover {
        // A rejected chunk need not end the transaction (RFC 3030, section 2). The end of the data should, whatever the reply
        // (RFC 5321, section 4.1.1.4), and not every server sees to it. A rejected MAIL began nothing.
        let needs_reset =
            !self.is_untouched() && !self.replies.taken && !self.is_rejected_at_mail();
        let ended = self.position.end.is_some() && self.content.framing() == Framing::Dot;
        Leftover::of(needs_reset, needs_reset && !ended)
    }

    /// Whether MAIL was rejected, and no recipient was accepted all the same.
    fn is_rejected_at_mail(&self) -> bool {
        self.replies.sender.is_some() && !self.replies.without_sender
    }

    /// Whether all has been sent that will be, and answered; there may be recipients left to begin again for.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.next, SendState::Nothing | SendState::FinalReply) && self.pending == 0
    }

    /// Sends what comes next, if it may be sent now; at the beginning only with [`FillMode::Send`].
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
                    Ok(()) => self.send_mail(io, leftover),
                }
            }
            SendState::Rcpt(index) => self.send_rcpt(index, io),
            SendState::Data => self.send_data(io),
            _ if self.sends_content(io) => self.send_content(io),
            SendState::Nothing => Progress::Done,
            _ => Progress::Blocked,
        }
    }

    /// Whether its content, or the end of that, is what comes next and may be sent.
    pub(crate) fn sends_content(&self, io: &Io) -> bool {
        match self.next {
            SendState::Content | SendState::LoneDot => true,
            SendState::Chunk => self.may_send_chunks(io),
            _ => false,
        }
    }

    /// Whether BDAT may be sent, possibly before any recipient is known to be accepted.
    fn may_send_chunks(&self, io: &Io) -> bool {
        // What has begun has to go on: the server waits for all of the chunk.
        self.position.chunk_left > 0 || self.replies.all_answered() || self.may_run_ahead(io)
    }

    /// Whether all of the content may be sent before any recipient is known to be accepted: only in one chunk, because after a
    /// rejected envelope each further chunk is one more command that a server may take amiss.
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

    /// Finds out what the message needs from the server and whether the server has it, before a byte goes out: once, but for
    /// the number of messages.
    ///
    /// `messages` is how many were begun on this connection.
    pub(crate) fn prepare(&mut self, capabilities: &Capabilities, mails: u32) -> Result<(), Error> {
        let limits = capabilities.limits();
        if limits.mail_max().is_some_and(|most| mails >= most.get()) {
            return Err(Error::new(Stage::Mail, ErrorKind::TooManyMails));
        }
        if self.next != SendState::Check {
            return Ok(());
        }
        let needs = requirements::of(&mut self.mail, capabilities)?;
        if needs.recoded {
            self.begin_content();
        }
        let size = self.mail.size();
        self.prepared.size_limit = match capabilities.size() {
            Some(SizeLimit::Bytes(limit)) => limit,
            _ => u64::MAX,
        };
        self.check_size(size.unwrap_or_default())
            .map_err(|reason| Error::new(Stage::Mail, reason))?;
        self.prepared.content = Content {
            size: size.filter(|_| capabilities.size().is_some()),
            ..needs.content
        };
        self.prepared.a_labels = needs.a_labels;
        if capabilities.chunking() && self.content.framing() != Framing::Length {
            self.content.set_framing(&self.mail.text, Framing::Length);
        }
        self.prepared.limits = TransactionLimits::new(limits);
        self.next = SendState::Mail;
        Ok(())
    }

    /// Sends MAIL, after RSET if the transaction before left something.
    fn send_mail(&mut self, io: &mut Io, leftover: &mut Leftover) -> Progress {
        // A final reply that is pending may be a rejection.
        let may_be_rejected =
            matches!(io.pending.last(), Some(Stage::EndOfData | Stage::LastChunk));
        if leftover.needs_reset() || may_be_rejected {
            if !io.send(&Line::Rset) {
                return Progress::Blocked;
            }
            *leftover = leftover.reset_sent();
        }
        io.pending
            .reserve(self.mail.recipients.len().saturating_add(AROUND));
        let a_labels = self.prepared.a_labels.as_deref();
        let sent = io.send(&Line::Mail {
            path: a_labels
                .and_then(ALabels::sender)
                .unwrap_or(&self.mail.sender),
            content: self.prepared.content,
            parameters: self.mail.parameters(),
        });
        if !sent {
            return Progress::Blocked;
        }
        io.mails = io.mails.saturating_add(1);
        self.pending = self.pending.saturating_add(1);
        self.next = self.next_rcpt(0);
        Progress::Sent
    }

    /// Sends RCPT for the recipient at this index.
    fn send_rcpt(&mut self, index: usize, io: &mut Io) -> Progress {
        let a_labels = self.prepared.a_labels.as_deref();
        let Some(recipient) = self.mail.recipients.get(index) else {
            return Progress::Blocked;
        };
        let line = Line::Rcpt {
            path: a_labels
                .and_then(|a_labels| a_labels.recipient(index))
                .unwrap_or(&recipient.path),
            parameters: self.mail.recipient_parameters(index),
        };
        if !io.send_rcpt(&line, index) {
            return Progress::Blocked;
        }
        self.pending = self.pending.saturating_add(1);
        self.replies.asked = self.replies.asked.saturating_add(1);
        if let Some(recipient) = self.mail.recipients.get_mut(index) {
            recipient.answer = RcptState::Asked;
        }
        self.next = self.next_rcpt(index.saturating_add(1));
        Progress::Sent
    }

    fn send_data(&mut self, io: &mut Io) -> Progress {
        if !io.send(&Line::Data) {
            return Progress::Blocked;
        }
        self.pending = self.pending.saturating_add(1);
        self.next = SendState::GoAhead;
        Progress::Sent
    }

    /// The next recipient to ask for, from `index` on, or what comes after the last.
    fn next_rcpt(&mut self, index: usize) -> SendState {
        let recipients = &self.mail.recipients;
        match self
            .prepared
            .limits
            .next(recipients, index, self.replies.asked)
        {
            Some(index) => SendState::Rcpt(index),
            None if self.content.framing() == Framing::Length => SendState::Chunk,
            None => SendState::Data,
        }
    }

    /// Takes a piece of the text.
    pub(crate) fn write(&mut self, piece: Bytes) -> Result<(), ApiMisuse> {
        self.content.write(piece)
    }

    /// Records that the text is whole.
    pub(crate) fn finish(&mut self) -> Result<(), ApiMisuse> {
        self.content.finish()
    }

    /// Whether it is at its text, and has none.
    pub(crate) fn is_starved(&self) -> bool {
        let at_text = match self.next {
            SendState::Content => true,
            SendState::Chunk => self.replies.all_answered(),
            _ => false,
        };
        at_text && self.content.is_starved()
    }

    /// Whether the caller is to be told that a piece of the text is wanted.
    pub(crate) fn ask(&mut self) -> bool {
        self.is_starved() && self.content.ask()
    }

    /// Whether its text is not finished, however far the rest is.
    pub(crate) fn is_open(&self) -> bool {
        self.content.is_open()
    }

    /// Whether the text has begun to go out and its end has not been offered.
    pub(crate) fn is_in_content(&self, io: &Io) -> bool {
        match self.position.end {
            None => self.next == SendState::Content || self.has_begun_content(),
            Some(end) => !io.was_offered(end),
        }
    }

    /// Whether there are recipients for whom the message can be sent once more.
    fn has_remaining(&self) -> bool {
        let recipients = &mut self.mail.recipients.iter();
        self.mail.is_whole()
            && recipients.any(|recipient| {
                matches!(recipient.answer, RcptState::None | RcptState::Deferred(_))
            })
    }

    /// Takes the reply to one of its commands. Returns whether there is another to come to the same.
    pub(crate) fn handle_reply(
        &mut self,
        answered: PendingReply,
        reply: ReplyRef<'_>,
        by_recipient: bool,
    ) -> Result<bool, ProtocolError> {
        let recipients = &mut self.mail.recipients;
        let more = match answered.stage {
            Stage::Mail => {
                self.replies.handle_mail(reply)?;
                false
            }
            Stage::Rcpt => {
                let again = matches!(self.mail.text, mail::Text::Whole { .. });
                let index = answered.rcpt.unwrap_or(usize::MAX);
                if let Some(recipient) = recipients.get_mut(index) {
                    self.replies.handle_rcpt(recipient, reply, again)?;
                }
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
        if !more {
            self.pending = self.pending.saturating_sub(1);
        }
        self.apply_replies();
        Ok(more)
    }

    fn handle_data(
        &mut self,
        reply: ReplyRef<'_>,
        by_recipient: bool,
    ) -> Result<(), ProtocolError> {
        let somebody = self.replies.sender.is_none() && self.replies.accepted > 0;
        let code = reply.code();
        if code.is_rejection() {
            self.replies.data = Some(reply.to_reply());
            self.next = SendState::Nothing;
        } else if !GO_AHEAD.contains(&code.as_u16()) {
            return Err(ProtocolError::WrongClass);
        } else if somebody {
            self.next = SendState::Content;
        } else if by_recipient {
            // RFC 2033, section 4.2: there would be nobody to answer for.
            return Err(ProtocolError::WrongClass);
        } else {
            self.next = SendState::LoneDot;
        }
        Ok(())
    }

    /// Lets what has been answered turn what is to be sent.
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

    /// Makes it begin again, for the recipients that are left, if there are any and what was said lets them hope; returns
    /// whether it did.
    pub(crate) fn restart_for_remaining(&mut self) -> bool {
        if !self.has_remaining() || !self.replies.may_retry_remaining() {
            return false;
        }
        self.replies = Replies::default();
        self.prepared.limits.reset();
        for recipient in &mut self.mail.recipients {
            recipient.answer = recipient.answer.take().into_next();
        }
        self.next = SendState::Mail;
        self.begin_content();
        self.position.end = None;
        true
    }

    /// Puts the cursor at the beginning of the text, which may be another than it was.
    #[cold]
    fn begin_content(&mut self) {
        self.content = ContentWriter::new(&self.mail.text, self.content.framing());
    }

    fn has_begun_content(&self) -> bool {
        self.content.written() > 0 || self.position.chunk_left > 0 || self.position.end.is_some()
    }

    /// What became of it: after it was completed, or at a failure.
    pub(crate) fn outcome(
        mut self: Box<Self>,
        failure: Option<Error>,
        io: &Io,
        tls: Option<TlsInfo>,
    ) -> Outcome {
        let failure = self.stopped.take().or(failure);
        let failure = failure.map(|error| io.locate(error));
        let offered = self.position.end.is_some_and(|end| io.was_offered(end));
        let Self {
            mut mail, replies, ..
        } = *self;
        let recipients = core::mem::take(&mut mail.recipients);
        let error = failure.as_ref();
        // A recipient and a delivery have the same size: this allocates nothing.
        let deliveries = recipients
            .into_iter()
            .map(|recipient| replies.delivery(recipient, error, offered))
            .collect();
        Outcome::new(deliveries, failure, io.stats(), tls).with_mail(mail)
    }
}

/// The replies to DATA that ask for the content: 354, and others of its tens that servers say.
const GO_AHEAD: core::ops::RangeInclusive<u16> = 350..=359;

/// Replies around those for the recipients: for MAIL and DATA.
const AROUND: usize = 2;
