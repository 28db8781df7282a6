//! One message on its way: MAIL, a RCPT for each recipient, the text, the verdict.
//!
//! Two cursors move over it. The sending one goes through [`Next`]; the answering one through the replies, which come in
//! the order in which the commands went. Either may turn the other: a rejected sender ends the sending, a message without an
//! accepted recipient has no text.
//!
//! ```text
//! sending    Check ─▶ Mail ─▶ Rcpt(0) ─▶ … ─▶ Rcpt(n) ─┬▶ Data ─▶ GoAhead ┬─▶ Text ──────┐
//!                       ▲                              │                  └─▶ LoneDot ───┤
//!                       │                              └▶ Chunk ─▶ … ─▶ Chunk (the last) ┤
//!                       │                                                                ▼
//!                       └──────────── there are recipients left ◀────────────────── Verdict or Nothing
//! answering  MAIL 2yz ─▶ RCPT 2yz|4yz|5yz … ─▶ DATA 3yz ─▶ end of the text 2yz|4yz|5yz
//! ```
//!
//! From everywhere before the text, and from between two chunks, a rejection leads to `Nothing`. `Verdict` is for a message that
//! has recipients left, too many for the first time: nothing of the next message may be sent before that is known. Then the
//! mail begins again, for them.

mod content;
mod limits;
mod replies;
mod requirements;

use alloc::boxed::Box;

use bytes::Bytes;

use self::content::{Budget, ContentWriter, byte_len};
use self::limits::TransactionLimits;
use self::replies::Replies;
use self::requirements::ALabels;
use crate::capabilities::Capabilities;
use crate::command::Line;
use crate::config::Protocol;
use crate::connection::io::Io;
use crate::connection::pending::Expect;
use crate::content::{ContentError, Framing};
use crate::error::{ApiMisuse, Error, ErrorKind, ProtocolError, Stage};
use crate::event::MailId;
use crate::extension::Content;
use crate::extension::{ServerLimits, SizeLimit};
use crate::mail::{self, Mail, RcptState};
use crate::outcome::Outcome;
use crate::pipelining::Pipelining;
use crate::reply::ReplyRef;
use crate::tls::TlsInfo;
use crate::tracing::Trace;
use crate::transcript::TranscriptEntry;

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: MailId,
    pub(crate) trace: Trace,
    mail: Mail,
    content: Content,
    /// Its addresses as the server is told them, where that is another form.
    a_labels: Option<Box<ALabels>>,
    /// The recipients that the server takes at a time.
    limits: TransactionLimits,
    /// The most bytes of text that the server takes (RFC 1870).
    size_limit: u64,
    next: SendState,
    replies: Replies,
    /// Replies that are due for this message.
    due: usize,
    text: ContentWriter,
    /// Position in the output after the text that was queued last.
    batch_end: u64,
    /// Bytes of the present chunk that are not in line yet.
    chunk_left: u64,
    /// Position in the output after the end of the text, once that is in line.
    end: Option<u64>,
    /// Why the rest of the text was not sent, where the connection goes on.
    stopped: Option<Error>,
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
    Text,
    LoneDot,
    Chunk,
    Verdict,
    Nothing,
}

/// What a message wants done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextAction {
    /// This command to be sent.
    Command(Expect),
    /// Its text to be written.
    Text,
    /// An answer.
    Answer,
    /// Nothing more: all is sent that will be.
    Nothing,
}

impl Transaction {
    pub(crate) fn new(id: MailId, mail: Mail, trace: Trace) -> Self {
        Self {
            id,
            trace,
            text: ContentWriter::new(&mail.text, Framing::Dot),
            mail,
            content: Content::default(),
            a_labels: None,
            limits: TransactionLimits::new(ServerLimits::default()),
            size_limit: u64::MAX,
            next: SendState::Check,
            replies: Replies::default(),
            due: 0,
            batch_end: 0,
            chunk_left: 0,
            end: None,
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

    /// Whether the server may hold the beginning of this message, so that RSET has to come before the next.
    pub(crate) fn needs_reset(&self) -> bool {
        // A rejected chunk need not end the transaction (RFC 3030, section 2). The end of the data should, whatever the reply
        // (RFC 5321, section 4.1.1.4), and not every server sees to it. A rejected MAIL began nothing.
        !self.is_untouched() && !self.replies.taken && !self.is_rejected_at_mail()
    }

    /// Whether MAIL was rejected, and no recipient was accepted all the same.
    fn is_rejected_at_mail(&self) -> bool {
        self.replies.sender.is_some() && !self.replies.without_sender
    }

    /// Whether the server may still hold it open: MAIL was accepted, and nothing said since ends it.
    pub(crate) fn may_be_open(&self) -> bool {
        // After the end of the data it is closed, whatever the reply (RFC 5321, section 4.1.1.4); a rejected chunk need not
        // end it (RFC 3030, section 2).
        let ended = self.end.is_some() && self.text.framing() == Framing::Dot;
        self.needs_reset() && !ended
    }

    /// Whether all has been sent that will be, and answered; there may be recipients left to begin again for.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.next, SendState::Nothing | SendState::Verdict) && self.due == 0
    }

    /// What it wants done now.
    pub(crate) fn want(&self, io: &Io) -> NextAction {
        match self.next {
            SendState::Check | SendState::Mail => NextAction::Command(Expect::Mail),
            SendState::Rcpt(index) => NextAction::Command(Expect::Rcpt(index)),
            SendState::Data => NextAction::Command(Expect::Data),
            SendState::Text | SendState::LoneDot => NextAction::Text,
            SendState::Chunk if self.may_send_chunks(io) => NextAction::Text,
            SendState::Chunk | SendState::GoAhead | SendState::Verdict => NextAction::Answer,
            SendState::Nothing => NextAction::Nothing,
        }
    }

    /// Whether chunks may go out, and be it before it is known that there is somebody to get them.
    fn may_send_chunks(&self, io: &Io) -> bool {
        // What has begun has to go on: the server waits for all of the chunk.
        self.chunk_left > 0 || self.replies.all_answered() || self.may_run_ahead(io)
    }

    /// Whether all of the text may go before it is known that there is somebody to get it: only in one chunk, since after a
    /// rejected envelope each further one is a command more that a server may take amiss.
    fn may_run_ahead(&self, io: &Io) -> bool {
        let bounds = io.config.speculation;
        let fits = |size: u64| {
            size <= bounds.mail.min(io.config.chunk_size)
                && io.pending.text().saturating_add(size) <= bounds.in_flight
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
            self.begin_text();
        }
        let size = self.mail.size();
        self.size_limit = match capabilities.size() {
            Some(SizeLimit::Bytes(limit)) => limit,
            _ => u64::MAX,
        };
        self.check_size(size.unwrap_or_default())
            .map_err(|reason| Error::new(Stage::Mail, reason))?;
        self.content = Content {
            size: size.filter(|_| capabilities.size().is_some()),
            ..needs.content
        };
        self.a_labels = needs.a_labels;
        if capabilities.chunking() && self.text.framing() != Framing::Length {
            self.text.set_framing(&self.mail.text, Framing::Length);
        }
        self.limits = TransactionLimits::new(limits);
        self.next = SendState::Mail;
        Ok(())
    }

    /// Puts the next command in line, if the pipeline admits it; returns whether it did.
    pub(crate) fn say(&mut self, to: Expect, io: &mut Io) -> bool {
        let a_labels = self.a_labels.as_deref();
        let line = match to {
            Expect::Rcpt(index) => match self.mail.recipients.get(index) {
                Some(recipient) => Line::Rcpt {
                    path: a_labels
                        .and_then(|a_labels| a_labels.recipient(index))
                        .unwrap_or(&recipient.path),
                    parameters: self.mail.recipient_parameters(index),
                },
                None => return false,
            },
            Expect::Mail => Line::Mail {
                path: a_labels
                    .and_then(ALabels::sender)
                    .unwrap_or(&self.mail.sender),
                content: self.content,
                parameters: self.mail.parameters(),
            },
            _ => Line::Data,
        };
        if to == Expect::Mail {
            io.pending
                .reserve(self.mail.recipients.len().saturating_add(AROUND));
        }
        if !io.say(&line, to) {
            return false;
        }
        self.due = self.due.saturating_add(1);
        match to {
            Expect::Mail => self.next = self.next_rcpt(0),
            Expect::Rcpt(index) => {
                self.replies.asked = self.replies.asked.saturating_add(1);
                if let Some(recipient) = self.mail.recipients.get_mut(index) {
                    recipient.answer = RcptState::Asked;
                }
                self.next = self.next_rcpt(index.saturating_add(1));
            }
            _ => self.next = SendState::GoAhead,
        }
        true
    }

    /// The next recipient to ask for, from `index` on, or what comes after the last.
    fn next_rcpt(&mut self, index: usize) -> SendState {
        let recipients = &self.mail.recipients;
        match self.limits.next(recipients, index, self.replies.asked) {
            Some(index) => SendState::Rcpt(index),
            None if self.text.framing() == Framing::Length => SendState::Chunk,
            None => SendState::Data,
        }
    }

    /// Takes a piece of the text.
    pub(crate) fn write(&mut self, piece: Bytes) -> Result<(), ApiMisuse> {
        self.text.write(piece)
    }

    /// Records that the text is whole.
    pub(crate) fn finish(&mut self) -> Result<(), ApiMisuse> {
        self.text.finish()
    }

    /// Whether it is at its text, and has none.
    pub(crate) fn is_starved(&self) -> bool {
        let at_text = match self.next {
            SendState::Text => true,
            SendState::Chunk => self.replies.all_answered(),
            _ => false,
        };
        at_text && self.text.is_starved()
    }

    /// Whether the caller is to be told that a piece of the text is wanted.
    pub(crate) fn ask(&mut self) -> bool {
        self.is_starved() && self.text.ask()
    }

    /// Whether its text is not finished, however far the rest is.
    pub(crate) fn is_open(&self) -> bool {
        self.text.is_open()
    }

    /// Whether the text has begun to go out and its end has not been offered.
    pub(crate) fn is_in_text(&self, io: &Io) -> bool {
        match self.end {
            None => self.next == SendState::Text || self.has_begun_text(),
            Some(end) => !io.was_offered(end),
        }
    }

    /// Puts as much of the text in line as there is room for, and its end after the last of it.
    ///
    /// It goes in batches: the next is queued when the last is out. So what is sent of a text that turns out to be
    /// wrong does not depend on how the transport takes it.
    ///
    /// # Errors
    /// Why the text, which has begun, can neither go on nor be taken back.
    pub(crate) fn write_text(&mut self, io: &mut Io) -> Result<(), ErrorKind> {
        if io.send_buffer.sent() < self.batch_end {
            return Ok(());
        }
        let before = self.text.written();
        match self.next {
            SendState::LoneDot => self.end_with(DOT, io),
            SendState::Chunk => self.write_chunks(io).map_err(ErrorKind::Content)?,
            _ => self.write_lines(io)?,
        }
        if self.text.written() > before {
            self.batch_end = io.send_buffer.queued();
            let (sent, total) = (self.text.written(), self.text.total(&self.mail.text));
            io.show(|| TranscriptEntry::Body { sent, total });
        }
        Ok(())
    }

    /// Puts lines of a text in line that ends by a dot.
    fn write_lines(&mut self, io: &mut Io) -> Result<(), ErrorKind> {
        self.encode(u64::MAX, io).map_err(ErrorKind::Content)?;
        if !self.text.is_spent() {
            return self.check_size(self.text.size());
        }
        let terminator = self.text.end().map_err(ErrorKind::Content)?;
        // The line end that the last line lacks counts.
        let lacking = byte_len(terminator).saturating_sub(byte_len(DOT));
        self.check_size(self.text.size().saturating_add(lacking))?;
        self.end_with(terminator, io);
        Ok(())
    }

    /// Whether the server takes a text of so many bytes.
    fn check_size(&self, size: u64) -> Result<(), ErrorKind> {
        let limit = self.size_limit;
        if size > limit {
            return Err(ErrorKind::TooLarge { size, limit });
        }
        Ok(())
    }

    /// Puts chunks in line, each after its length (RFC 3030, section 2).
    fn write_chunks(&mut self, io: &mut Io) -> Result<(), ContentError> {
        while self.next == SendState::Chunk {
            if self.chunk_left == 0 && !self.begin_chunk(io)? {
                return Ok(());
            }
            let written = self.encode(self.chunk_left, io)?;
            self.chunk_left = self.chunk_left.saturating_sub(written);
            if self.chunk_left > 0 {
                return Ok(());
            }
            if self.end.is_some() {
                self.ended();
            } else {
                // The message may have been rejected while this chunk was written.
                self.apply_replies();
            }
        }
        Ok(())
    }

    /// Puts the head of the next chunk in line; returns whether it could be.
    fn begin_chunk(&mut self, io: &mut Io) -> Result<bool, ContentError> {
        let by_recipient = io.config.protocol == Protocol::Lmtp;
        if by_recipient && io.pending.last() == Some(Expect::Chunk) {
            // If that is rejected, nobody knows to how many replies the end of the text leads (RFC 2033, section 4.2).
            return Ok(false);
        }
        let limit = io.config.chunk_size;
        let (len, last) = match self.mail.whole_len() {
            Some(total) => {
                let left = total.saturating_sub(self.text.written());
                (left.min(limit), left <= limit)
            }
            None => {
                let Some(staged) = self.text.stage(limit)? else {
                    return Ok(false);
                };
                // A server may reject a chunk at once, and take what is in it for commands.
                let size = self.text.size().saturating_add(staged.0);
                if let Err(reason) = self.check_size(size) {
                    self.stopped = Some(Error::new(Stage::Content, reason));
                    self.next = SendState::Nothing;
                    return Ok(false);
                }
                staged
            }
        };
        let Some(end) = io.say_chunk(len, last.then(|| self.verdicts(io))) else {
            return Ok(false);
        };
        self.due = self.due.saturating_add(1);
        self.chunk_left = len;
        if last {
            self.end = Some(end);
        }
        Ok(true)
    }

    /// How many replies the end of the text leads to. In LMTP the recipients are known by then: a reply too many or too few
    /// must not pass for another number of recipients.
    fn verdicts(&self, io: &Io) -> usize {
        match io.config.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => self.replies.accepted,
        }
    }

    fn encode(&mut self, at_most: u64, io: &mut Io) -> Result<u64, ContentError> {
        let space = Budget::of(io).at_most(at_most);
        let send_buffer = &mut io.send_buffer;
        self.text.encode(space, &mut |part| send_buffer.push(part))
    }

    fn end_with(&mut self, terminator: &'static [u8], io: &mut Io) {
        self.end = Some(io.end_data(terminator, self.verdicts(io)));
        self.due = self.due.saturating_add(1);
        self.ended();
    }

    /// All of the text is in line.
    fn ended(&mut self) {
        self.next = if self.has_remaining() {
            SendState::Verdict
        } else {
            SendState::Nothing
        };
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
        to: Expect,
        reply: ReplyRef<'_>,
        by_recipient: bool,
    ) -> Result<bool, ProtocolError> {
        let recipients = &mut self.mail.recipients;
        let more = match to {
            Expect::Mail => {
                self.replies.handle_mail(reply)?;
                false
            }
            Expect::Rcpt(index) => {
                let again = matches!(self.mail.text, mail::Text::Whole { .. });
                if let Some(recipient) = recipients.get_mut(index) {
                    self.replies.handle_rcpt(recipient, reply, again)?;
                }
                false
            }
            Expect::Data => {
                self.handle_data(reply, by_recipient)?;
                false
            }
            Expect::Chunk => {
                self.replies.handle_chunk(reply)?;
                false
            }
            _ => {
                let framing = self.text.framing();
                self.replies
                    .handle_final_reply(recipients, reply, by_recipient, framing)?
            }
        };
        if !more {
            self.due = self.due.saturating_sub(1);
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
            self.next = SendState::Text;
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
            SendState::Chunk => self.chunk_left == 0 && !self.replies.may_succeed(),
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
        self.limits.reset();
        for recipient in &mut self.mail.recipients {
            recipient.answer = recipient.answer.take().into_next();
        }
        self.next = SendState::Mail;
        self.begin_text();
        self.end = None;
        true
    }

    /// Puts the cursor at the beginning of the text, which may be another than it was.
    #[cold]
    fn begin_text(&mut self) {
        self.text = ContentWriter::new(&self.mail.text, self.text.framing());
    }

    fn has_begun_text(&self) -> bool {
        self.text.written() > 0 || self.chunk_left > 0 || self.end.is_some()
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
        let offered = self.end.is_some_and(|end| io.was_offered(end));
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

/// The line that ends a text.
const DOT: &[u8] = b".\r\n";

/// Replies around those for the recipients: for MAIL and DATA.
const AROUND: usize = 2;
