//! Input and output: bytes to send, pending replies, and the time limits of both.

use alloc::sync::Arc;
use core::time::Duration;

use crate::command::Line;
use crate::config::Config;
use crate::connection::pending::{PendingReplies, PendingReply};
use crate::connection::send_buffer::{SendBuffer, Transmit};
use crate::connection::timers::Timers;
use crate::error::{ApiMisuse, Error, Peer};
use crate::outcome::ConnectionStats;
use crate::pipelining::Window;
use crate::stage::{Stage, Timeout};
use crate::time::Time;
use crate::tracing::Trace;
use crate::transcript::TranscriptEntry;

/// Output, pending replies and timers, kept together because each is measured by the others'
/// positions.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) config: Arc<Config>,
    /// The server, as the driver named it.
    pub(crate) peer: Option<Arc<Peer>>,
    pub(crate) send_buffer: SendBuffer,
    pub(crate) pending: PendingReplies,
    pub(crate) spans: Spans,
    /// The number of messages begun.
    pub(crate) mails: u32,
    /// The position after the last byte ever handed to the transport.
    offered: u64,
    stats: ConnectionStats,
    /// The output position when the first byte of the current reply arrived.
    reply_began: u64,
    /// The output position when the last reply arrived. If more has been sent since, a round trip
    /// is in progress.
    replied_at: Option<u64>,
    input: InputState,
    timers: Timers,
}

/// The span of the connection, and the span of current transcript entries.
#[derive(Debug)]
pub(crate) struct Spans {
    pub(crate) connection: Trace,
    current: Trace,
}

/// Whether all input has been read, which decides whether more may be sent.
#[derive(Clone, Copy, Debug)]
enum InputState {
    /// Nothing has been read yet.
    Unread,
    /// The caller continues after a pause, in which input may have arrived.
    Paused,
    /// All input available at that time has been read.
    Read(LastRead),
    /// Output is held back, since this time, until available input is read.
    Holding {
        since: Time,
        last_read: Option<LastRead>,
    },
}

/// A read after which no input was left.
#[derive(Clone, Copy, Debug)]
struct LastRead {
    at: Time,
    /// The output position at that time.
    sent: u64,
    /// How long more may be sent after it. Zero if something was read, since more may have
    /// followed.
    valid_for: Duration,
}

impl Io {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let mut pending = PendingReplies::new();
        pending.set_window(config.window.unwrap_or(Window::HALF_DUPLEX));
        let trace = Trace::connection(&config);
        Self {
            config,
            peer: None,
            send_buffer: SendBuffer::default(),
            pending,
            spans: Spans {
                current: trace.clone(),
                connection: trace,
            },
            mails: 0,
            offered: 0,
            stats: ConnectionStats::default(),
            reply_began: 0,
            replied_at: None,
            input: InputState::Unread,
            timers: Timers::default(),
        }
    }

    /// Adds the name of the server to an error.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match &self.peer {
            Some(peer) => error.with_peer(Arc::clone(peer)),
            None => error,
        }
    }

    // Output.

    /// Expects the greeting, which is not a reply to a command.
    pub(crate) fn expect_greeting(&mut self) {
        self.push(Stage::Greeting, None, 0, 0, 1);
    }

    /// Queues a command if it may be sent now. Returns whether it may.
    pub(crate) fn send(&mut self, line: &Line<'_>) -> bool {
        self.send_line(line, None, 0, 1).is_some()
    }

    /// Queues RCPT for the recipient at this index if it may be sent now. Returns whether it may.
    pub(crate) fn send_rcpt(&mut self, line: &Line<'_>, rcpt: usize) -> bool {
        self.send_line(line, Some(rcpt), 0, 1).is_some()
    }

    /// Queues BDAT if it may be sent now; `len` bytes of content must follow.
    ///
    /// `final_replies` is the number of replies to the last chunk; `None` for any other. Returns
    /// the position after the content.
    pub(crate) fn send_chunk(&mut self, len: u64, final_replies: Option<usize>) -> Option<u64> {
        let last = final_replies.is_some();
        self.send_line(
            &Line::Bdat { len, last },
            None,
            len,
            final_replies.unwrap_or(1),
        )
    }

    /// Queues a command and expects its replies, if it may be sent now. Returns the position after
    /// the command and the content that will follow it.
    fn send_line(
        &mut self,
        line: &Line<'_>,
        rcpt: Option<usize>,
        content: u64,
        replies: usize,
    ) -> Option<u64> {
        let bytes = self.encode(line)?;
        let end = self.push(line.stage(), rcpt, bytes, content, replies);
        self.show(|| TranscriptEntry::Command(line.redacted()));
        Some(end)
    }

    /// Queues the end of data, which does not count for the window. Returns the position after it.
    pub(crate) fn end_data(&mut self, terminator: &'static [u8], final_replies: usize) -> u64 {
        self.send_buffer.control().extend_from_slice(terminator);
        self.push(Stage::EndOfData, None, 0, 0, final_replies)
    }

    /// Encodes a command that may be sent now, and returns its length.
    ///
    /// Only the last check needs the length: a command that would overfill the window is removed
    /// again.
    fn encode(&mut self, line: &Line<'_>) -> Option<usize> {
        if !self.pending.admits(line.stage()) {
            return None;
        }
        let control = if line.is_secret() {
            self.send_buffer.secret_control()
        } else {
            self.send_buffer.control()
        };
        let before = control.len();
        line.encode(control);
        let bytes = control.len().saturating_sub(before);
        if !self.pending.has_room(bytes) {
            control.truncate(before);
            return None;
        }
        Some(bytes)
    }

    /// Expects replies to what is queued and to the content that will follow. Returns the position
    /// after both.
    fn push(
        &mut self,
        stage: Stage,
        rcpt: Option<usize>,
        bytes: usize,
        content: u64,
        replies: usize,
    ) -> u64 {
        let end = self.send_buffer.queued().saturating_add(content);
        self.pending.push(PendingReply {
            stage,
            rcpt,
            end,
            bytes,
            content,
            replies,
        });
        end
    }

    /// The bytes to send next, if any. Starts the time limit of the next reply.
    pub(crate) fn offer(&mut self, now: Time) -> Option<Transmit<'_>> {
        let offer = (!self.send_buffer.is_empty()).then(|| self.send_buffer.transmit());
        if let Some(offer) = &offer {
            let len = u64::try_from(offer.len()).unwrap_or(u64::MAX);
            let end = self.send_buffer.sent().saturating_add(len);
            self.offered = self.offered.max(end);
            self.timers.write(now, end, &self.config.timeouts);
        }
        self.timers
            .wait(now, &self.pending, self.offered, &self.config.timeouts);
        offer
    }

    /// Records that the first `count` bytes of the last [`Transmit`] were sent.
    ///
    /// # Errors
    /// If that is more than it contained.
    pub(crate) fn sent(&mut self, count: usize) -> Result<(), ApiMisuse> {
        let before = self.send_buffer.sent();
        let after = before.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if after > self.offered {
            return Err(ApiMisuse::SentTooMuch);
        }
        self.send_buffer.advance(count);
        let sent = self.send_buffer.sent();
        self.stats.sent = self.stats.sent.saturating_add(sent.saturating_sub(before));
        self.timers.sent(sent);
        Ok(())
    }

    /// Records that an operation of the transport owns the bytes acknowledged last.
    pub(crate) fn begin_operation(&mut self, now: Time) {
        self.timers.begin_operation(now, &self.config.timeouts);
    }

    /// Records that the operation has ended.
    pub(crate) fn end_operation(&mut self) {
        self.timers.end_operation();
    }

    /// Records that a message begins.
    pub(crate) fn begin_mail(&mut self) {
        self.mails = self.mails.saturating_add(1);
        self.timers.begin_mail(&self.config.timeouts);
    }

    /// Whether the byte before this position was ever handed to the transport.
    pub(crate) fn was_offered(&self, end: u64) -> bool {
        self.offered >= end
    }

    // Input.

    /// Records the arrival of bytes.
    pub(crate) fn received(&mut self, now: Time, count: usize) {
        if self.stats.received == 0 {
            // The greeting may begin before the driver first asks for output, such as in the read
            // that ends a TLS handshake.
            self.wait(now);
            self.timers.first_byte(&self.config.timeouts);
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.stats.received = self.stats.received.saturating_add(count);
    }

    /// Records the arrival of a reply's first byte.
    pub(crate) fn reply_begins(&mut self) {
        self.reply_began = self.send_buffer.sent();
    }

    /// The command that a reply belongs to, if one had been sent completely before the reply began.
    ///
    /// The limit for the next reply starts when all input has been [read](Self::read_something).
    pub(crate) fn replied(&mut self) -> Option<PendingReply> {
        let sent = self.send_buffer.sent();
        if self.replied_at != Some(sent) {
            self.replied_at = Some(sent);
            self.add_round_trips(1);
        }
        let answered = self.pending.replied(self.reply_began)?;
        self.timers.replied();
        Some(answered)
    }

    /// Expects another reply to the same command.
    pub(crate) fn expect_again(&mut self, now: Time, answered: PendingReply) {
        self.pending.expect_again(answered);
        self.timers
            .wait_for(now, answered.stage, &self.config.timeouts);
    }

    /// Starts the wait for the next reply when nothing is to be sent.
    pub(crate) fn wait(&mut self, now: Time) {
        self.timers
            .wait(now, &self.pending, self.offered, &self.config.timeouts);
    }

    /// The next pending reply, if any byte of its command was ever handed to the transport.
    pub(crate) fn awaited(&self) -> Option<PendingReply> {
        let next = self.pending.front()?;
        let bytes = u64::try_from(next.bytes).unwrap_or(u64::MAX);
        let begin = next.end.saturating_sub(next.content.saturating_add(bytes));
        (bytes == 0 || self.offered > begin).then_some(next)
    }

    /// Whether no sent command awaits a reply, so that a reply beginning now would be unexpected.
    pub(crate) fn is_quiet(&self) -> bool {
        let sent = self.send_buffer.sent();
        self.pending.front().is_none_or(|next| next.end > sent)
    }

    // Reading before sending.

    /// Whether more may be sent now.
    ///
    /// While no reply is pending, input must be read first, or a stray reply would be taken as the
    /// reply to the next command. The same holds after a pause by the caller, and within the
    /// content of a message, which an early reply stops.
    pub(crate) fn may_send(&self, now: Time) -> bool {
        match self.input {
            InputState::Holding { .. } => return false,
            InputState::Read(read)
                if read.sent == self.send_buffer.sent()
                    && now.saturating_since(read.at) <= read.valid_for
                    && now >= read.at =>
            {
                return true;
            }
            InputState::Paused => return false,
            InputState::Unread | InputState::Read(_) => {}
        }
        !self.is_quiet() && !self.pending.is_in_content(self.send_buffer.sent())
    }

    /// Records a read that returned bytes.
    pub(crate) fn read_something(&mut self, now: Time) {
        self.wait(now);
        self.read(now, Duration::ZERO);
    }

    /// Records a read that found nothing.
    pub(crate) fn read_nothing(&mut self, now: Time) {
        self.read(now, SILENCE);
    }

    fn read(&mut self, at: Time, valid_for: Duration) {
        self.input = InputState::Read(LastRead {
            at,
            sent: self.send_buffer.sent(),
            valid_for,
        });
    }

    /// Records that the caller continues after a pause. Input may have arrived meanwhile, whatever
    /// the clock says.
    pub(crate) fn resume(&mut self) {
        self.input = match self.input {
            InputState::Holding { since, .. } => InputState::Holding {
                since,
                last_read: None,
            },
            _ => InputState::Paused,
        };
    }

    /// Holds output back until available input is read.
    pub(crate) fn hold(&mut self, now: Time) {
        self.input = InputState::Holding {
            since: now,
            last_read: self.last_read(),
        };
    }

    /// Whether output is held back until available input is read.
    pub(crate) fn is_holding(&self) -> bool {
        matches!(self.input, InputState::Holding { .. })
    }

    /// Whether nothing was sent since the last read.
    pub(crate) fn has_just_read(&self) -> bool {
        self.last_read()
            .is_some_and(|read| read.sent == self.send_buffer.sent())
    }

    fn last_read(&self) -> Option<LastRead> {
        match self.input {
            InputState::Unread | InputState::Paused => None,
            InputState::Read(read) => Some(read),
            InputState::Holding { last_read, .. } => last_read,
        }
    }

    // Time.

    /// Records the time of a call. The first call begins the session.
    pub(crate) fn begin(&mut self, now: Time) {
        self.timers.begin(now, &self.config.timeouts);
    }

    /// Starts the time limit of a TLS handshake, unless STARTTLS has started it.
    pub(crate) fn begin_tls(&mut self, now: Time) {
        self.timers
            .begin_tls(now, &self.config.timeouts, Timeout::ImplicitTls);
    }

    /// Stops the time limit of TLS.
    pub(crate) fn end_tls(&mut self) {
        self.timers.end_tls();
    }

    /// Starts the time limit of the token that the caller fetches.
    pub(crate) fn begin_token(&mut self, now: Time) {
        self.timers.begin_token(now, &self.config.timeouts);
    }

    /// Stops the time limit of the token.
    pub(crate) fn end_token(&mut self) {
        self.timers.end_token();
    }

    /// The time limit that expires first, and when.
    pub(crate) fn deadline(&self) -> Option<(Time, Timeout)> {
        let limit = self.timers.deadline();
        match self.input {
            InputState::Holding { since, .. } if limit.is_none_or(|(until, _)| until >= since) => {
                Some((since, Timeout::Write))
            }
            _ => limit,
        }
    }

    /// The time until which the peer may still explain a failure.
    pub(crate) fn drain_until(&self, now: Time) -> Time {
        let until = now.saturating_add(self.config.timeouts.drain);
        let session = self.timers.session_end();
        session.map_or(until, |end| end.min(until))
    }

    // Observation.

    pub(crate) fn stats(&self) -> ConnectionStats {
        self.stats
    }

    pub(crate) fn add_round_trips(&mut self, count: u64) {
        self.stats.round_trips = self.stats.round_trips.saturating_add(count);
    }

    /// Attributes further transcript entries to this message, or to the connection itself.
    pub(crate) fn set_subject(&mut self, mail: Option<&Trace>) {
        self.spans.current = mail.unwrap_or(&self.spans.connection).clone();
    }

    /// Records the entry that `entry` creates. Creates none without an observer.
    pub(crate) fn show<'a>(&self, entry: impl FnOnce() -> TranscriptEntry<'a>) {
        if self.is_observed() {
            self.show_entry(&entry());
        }
    }

    /// Whether anything observes the transcript at present.
    pub(crate) fn is_observed(&self) -> bool {
        self.config.transcript.is_observed() || self.spans.current.is_observed()
    }

    fn show_entry(&self, entry: &TranscriptEntry<'_>) {
        self.config.transcript.show(entry);
        self.spans.current.show(entry);
    }

    /// Sends nothing more and expects nothing more.
    pub(crate) fn close(&mut self) {
        self.send_buffer.clear();
        self.pending = PendingReplies::new();
        self.timers.close();
        if let InputState::Holding { last_read, .. } = self.input {
            self.input = last_read.map_or(InputState::Paused, InputState::Read);
        }
    }
}

/// How long no input is assumed after a read that found none: enough for the driver to call again
/// and send.
const SILENCE: Duration = Duration::from_millis(100);
