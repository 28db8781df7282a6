//! What is under way: bytes to be sent, replies that are due, and how long that has taken.

use alloc::sync::Arc;
use core::time::Duration;

use crate::command::Line;
use crate::config::Config;
use crate::connection::pending::{Expect, PendingReplies, PendingReply};
use crate::connection::send_buffer::{SendBuffer, Transmit};
use crate::error::{ApiMisuse, Error, Peer, Wait};
use crate::outcome::ConnectionStats;
use crate::pipelining::Window;
use crate::reply::Reply;
use crate::time::Time;
use crate::timeouts::Timeouts;
use crate::tracing::Trace;
use crate::transcript::TranscriptEntry;

/// Output, replies due and deadlines, kept together since each is measured by the others' positions.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) config: Arc<Config>,
    /// The server, as far as the driver named it.
    pub(crate) peer: Option<Arc<Peer>>,
    pub(crate) send_buffer: SendBuffer,
    pub(crate) pending: PendingReplies,
    pub(crate) trace: Trace,
    /// What is being spoken of: the connection itself, or a message.
    subject: Trace,
    /// Messages begun.
    pub(crate) mails: u32,
    /// Position after the last byte that was ever offered to the transport.
    offered: u64,
    traffic: ConnectionStats,
    /// Position of the output when the first byte of the present reply came.
    reply_began: u64,
    /// Since when it is known what has come.
    heard: Option<Heard>,
    /// When output was held back until what has come is read.
    held: Option<Time>,
    /// Whether the caller went on after a rest, and what has come meanwhile is not read yet.
    rested: bool,
    /// Position of the output when the peer last spoke: more was sent since then if a round trip is on its way.
    answered_at: Option<u64>,
    clock: Timers,
}

/// All that had come at a time has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    at: Time,
    /// Position of the output then.
    sent: u64,
    /// For how long this lets more be sent: not at all if something was read, since more may have come after it.
    good_for: Duration,
}

/// Since when what is waited for.
#[derive(Debug, Default)]
struct Timers {
    began: Option<Time>,
    /// Since when the reply that is due next is waited for.
    waiting: Option<Time>,
    /// Since when the transport has been asked to take the bytes up to a position.
    writing: Option<(Time, u64)>,
    /// Until when TLS has to be ready for work.
    tls_until: Option<Time>,
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
            subject: trace.clone(),
            trace,
            mails: 0,
            offered: 0,
            traffic: ConnectionStats::default(),
            reply_began: 0,
            heard: None,
            held: None,
            rested: false,
            answered_at: None,
            clock: Timers::default(),
        }
    }

    /// The error with the server's name.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match &self.peer {
            Some(peer) => error.with_peer(Arc::clone(peer)),
            None => error,
        }
    }

    /// Waits for a reply without having said anything: the greeting.
    pub(crate) fn expect(&mut self, to: Expect) {
        self.push(to, 0, 0, 1);
    }

    /// Puts a command in line, if the pipeline admits it now.
    pub(crate) fn say(&mut self, line: &Line<'_>, to: Expect) -> bool {
        let Some(bytes) = self.encode(line, to) else {
            return false;
        };
        self.push(to, bytes, 0, 1);
        self.show(|| TranscriptEntry::Command(line.redacted()));
        true
    }

    /// Puts the head of a chunk in line, if the pipeline admits it now; so many bytes of text have to follow. Returns the
    /// position after them. `verdicts` says of the last chunk how many replies it leads to.
    pub(crate) fn say_chunk(&mut self, len: u64, verdicts: Option<usize>) -> Option<u64> {
        let last = verdicts.is_some();
        let line = Line::Bdat { len, last };
        let to = if last {
            Expect::LastChunk
        } else {
            Expect::Chunk
        };
        let bytes = self.encode(&line, to)?;
        let end = self.push(to, bytes, len, verdicts.unwrap_or(1));
        self.show(|| TranscriptEntry::Command(line.redacted()));
        Some(end)
    }

    /// Puts the end of a message's text in line; it does not count for the window. Returns the position after it.
    pub(crate) fn end_data(&mut self, terminator: &'static [u8], verdicts: usize) -> u64 {
        self.send_buffer.control().extend_from_slice(terminator);
        self.push(Expect::EndOfData, 0, 0, verdicts)
    }

    /// What is shown from now on is of this message, or else of the connection itself.
    pub(crate) fn speak_of(&mut self, mail: Option<&Trace>) {
        self.subject = mail.unwrap_or(&self.trace).clone();
    }

    /// Shows the entry that `entry` makes; makes none if nobody observes.
    pub(crate) fn show<'a>(&self, entry: impl FnOnce() -> TranscriptEntry<'a>) {
        if self.is_observed() {
            self.show_entry(&entry());
        }
    }

    /// Shows a reply, which is owned only for an observer.
    pub(crate) fn show_reply(&self, reply: impl FnOnce() -> Reply) {
        if self.is_observed() {
            self.show_entry(&TranscriptEntry::Reply(&reply()));
        }
    }

    fn is_observed(&self) -> bool {
        self.config.transcript.is_observed() || self.subject.is_observed()
    }

    fn show_entry(&self, entry: &TranscriptEntry<'_>) {
        self.config.transcript.show(entry);
        self.subject.show(entry);
    }

    /// Records that the first byte of a reply is here.
    pub(crate) fn reply_begins(&mut self) {
        self.reply_began = self.send_buffer.sent();
    }

    /// Whether no command waits for a reply: one that began now would belong to none.
    pub(crate) fn is_quiet(&self) -> bool {
        let sent = self.send_buffer.sent();
        self.pending.front().is_none_or(|due| due.end > sent)
    }

    /// Whether more may be sent now. While no reply is due, what had come before must have been read, or a reply that
    /// nobody waited for would answer what is sent next. So it must after a rest of the caller, and in the middle of a
    /// text: a reply to it that comes before its end ends it.
    pub(crate) fn may_speak(&self, now: Time) -> bool {
        let free =
            !self.rested && !self.is_quiet() && !self.pending.is_in_text(self.send_buffer.sent());
        free || self.heard.is_some_and(|heard| {
            heard.sent == self.send_buffer.sent()
                && now.saturating_since(heard.at) <= heard.good_for
                && now >= heard.at
        })
    }

    /// Records that bytes were read at this time.
    pub(crate) fn heard_something(&mut self, now: Time) {
        self.heard(now, Duration::ZERO);
    }

    /// Records that nothing had come at this time.
    pub(crate) fn heard_nothing(&mut self, now: Time) {
        self.heard(now, SILENCE);
    }

    fn heard(&mut self, at: Time, good_for: Duration) {
        self.held = None;
        self.rested = false;
        self.heard = Some(Heard {
            at,
            sent: self.send_buffer.sent(),
            good_for,
        });
    }

    /// The caller goes on after a rest: something may have come meanwhile, whatever the clock says.
    pub(crate) fn rested(&mut self) {
        self.rested = true;
        self.heard = None;
    }

    /// Holds back what is to be sent until what has come is read.
    pub(crate) fn hold(&mut self, now: Time) {
        self.held = Some(now);
    }

    /// Whether output is held back until what has come is read.
    pub(crate) fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether nothing was sent since something was read.
    pub(crate) fn has_just_heard(&self) -> bool {
        self.heard
            .is_some_and(|heard| heard.sent == self.send_buffer.sent())
    }

    /// The command that a reply belongs to, if there is one and it had been handed out whole before the reply began.
    pub(crate) fn answered(&mut self, now: Time) -> Option<PendingReply> {
        let sent = self.send_buffer.sent();
        if self.answered_at != Some(sent) {
            self.answered_at = Some(sent);
            self.add_round_trips(1);
        }
        let due = self.pending.answered(self.reply_began)?;
        self.clock.waiting = None;
        self.clock
            .wait(now, &self.pending, self.offered, &self.config.timeouts);
        Some(due)
    }

    /// One more reply is due to what was just answered.
    pub(crate) fn again(&mut self, now: Time, due: PendingReply) {
        self.pending.again(due);
        self.clock.waiting = Some(now);
    }

    /// What to send next, if there is something; the time for what is due begins with it.
    pub(crate) fn offer(&mut self, now: Time) -> Option<Transmit<'_>> {
        let offer = (!self.send_buffer.is_empty()).then(|| self.send_buffer.offer());
        if let Some(offer) = &offer {
            let len = u64::try_from(offer.len()).unwrap_or(u64::MAX);
            let end = self.send_buffer.sent().saturating_add(len);
            self.offered = self.offered.max(end);
            self.clock.writing.get_or_insert((now, end));
        }
        self.clock
            .wait(now, &self.pending, self.offered, &self.config.timeouts);
        offer
    }

    /// Begins the time for what is due, where nothing is to be sent.
    pub(crate) fn wait(&mut self, now: Time) {
        self.clock
            .wait(now, &self.pending, self.offered, &self.config.timeouts);
    }

    /// Records that so many bytes of the last offer went out.
    ///
    /// # Errors
    /// If more than was offered is said to have gone out.
    pub(crate) fn sent(&mut self, count: usize) -> Result<(), ApiMisuse> {
        let before = self.send_buffer.sent();
        let after = before.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if after > self.offered {
            return Err(ApiMisuse::SentTooMuch);
        }
        self.send_buffer.advance(count);
        let sent = self.send_buffer.sent();
        self.traffic.sent = self
            .traffic
            .sent
            .saturating_add(sent.saturating_sub(before));
        if self.clock.writing.is_some_and(|(_, target)| sent >= target) {
            self.clock.writing = None;
        }
        Ok(())
    }

    /// Records that so many bytes came.
    pub(crate) fn received(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.traffic.received = self.traffic.received.saturating_add(count);
    }

    pub(crate) fn add_round_trips(&mut self, count: u64) {
        self.traffic.round_trips = self.traffic.round_trips.saturating_add(count);
    }

    /// Whether the byte before this position was ever offered to the transport.
    pub(crate) fn was_offered(&self, end: u64) -> bool {
        self.offered >= end
    }

    /// The reply that is due next, if anything of its command was ever offered to the transport.
    pub(crate) fn due(&self) -> Option<PendingReply> {
        let due = self.pending.front()?;
        let bytes = u64::try_from(due.bytes).unwrap_or(u64::MAX);
        let begin = due.end.saturating_sub(due.text.saturating_add(bytes));
        (bytes == 0 || self.offered > begin).then_some(due)
    }

    pub(crate) fn stats(&self) -> ConnectionStats {
        self.traffic
    }

    /// Records the time at which the driver first called.
    pub(crate) fn begin(&mut self, now: Time) {
        self.clock.began.get_or_insert(now);
    }

    /// Starts the time for a TLS handshake, unless STARTTLS has started it.
    pub(crate) fn begin_tls(&mut self, now: Time) {
        self.clock.begin_tls(now, &self.config.timeouts);
    }

    /// Stops the time for TLS.
    pub(crate) fn end_tls(&mut self) {
        self.clock.tls_until = None;
    }

    /// What has to happen until when; the soonest of all.
    pub(crate) fn deadline(&self) -> Option<(Time, Wait)> {
        let timeouts = &self.config.timeouts;
        let mut soonest = self.held.map(|held| (held, Wait::Write));
        let mut consider = |until: Time, wait: Wait| {
            if soonest.is_none_or(|(other, _)| until < other) {
                soonest = Some((until, wait));
            }
        };
        if let (Some(since), Some(due)) = (self.clock.waiting, self.pending.front()) {
            let wait = due.to.wait();
            let limit = if wait == Wait::Greeting && self.traffic.received == 0 {
                timeouts.first_byte_limit()
            } else {
                limit(timeouts, wait)
            };
            consider(since.saturating_add(limit), wait);
        }
        if let Some((since, _)) = self.clock.writing {
            consider(since.saturating_add(timeouts.data_block), Wait::Write);
        }
        if let Some(until) = self.session_end() {
            consider(until, Wait::Session);
        }
        if let Some(until) = self.clock.tls_until {
            consider(until, Wait::StartTls);
        }
        soonest
    }

    /// Until when the peer may say why it takes nothing more.
    pub(crate) fn drain_until(&self, now: Time) -> Time {
        let until = now.saturating_add(self.config.timeouts.drain);
        self.session_end().map_or(until, |end| end.min(until))
    }

    /// Until when all of the connection's work has to be done: each message that was begun adds to it.
    fn session_end(&self) -> Option<Time> {
        let timeouts = &self.config.timeouts;
        let for_mails = timeouts.session_per_mail.saturating_mul(self.mails);
        let limit = timeouts.session.saturating_add(for_mails);
        Some(self.clock.began?.saturating_add(limit))
    }

    /// Nothing will be sent any more, and nothing is waited for.
    pub(crate) fn close(&mut self) {
        self.send_buffer.clear();
        self.pending = PendingReplies::new();
        self.clock = Timers {
            began: self.clock.began,
            ..Timers::default()
        };
        self.held = None;
    }

    fn encode(&mut self, line: &Line<'_>, to: Expect) -> Option<usize> {
        let control = if line.is_secret() {
            self.send_buffer.secret_control()
        } else {
            self.send_buffer.control()
        };
        let before = control.len();
        line.encode(control);
        let bytes = control.len().saturating_sub(before);
        if !self.pending.admits(to, bytes) {
            control.truncate(before);
            return None;
        }
        Some(bytes)
    }

    /// Expects so many replies to what is in line, and to the bytes of text that will follow. Returns the position after
    /// them.
    fn push(&mut self, to: Expect, bytes: usize, text: u64, replies: usize) -> u64 {
        let end = self.send_buffer.queued().saturating_add(text);
        self.pending.push(PendingReply {
            to,
            end,
            bytes,
            text,
            replies,
        });
        end
    }
}

impl Timers {
    /// Begins to wait for the reply that is due next, once its command has been offered whole.
    fn wait(&mut self, now: Time, pending: &PendingReplies, offered: u64, timeouts: &Timeouts) {
        if self.waiting.is_some() {
            return;
        }
        if let Some(due) = pending.front()
            && offered >= due.end
        {
            self.waiting = Some(now);
            if due.to == Expect::StartTls {
                self.begin_tls(now, timeouts);
            }
        }
    }

    fn begin_tls(&mut self, now: Time, timeouts: &Timeouts) {
        self.tls_until
            .get_or_insert_with(|| now.saturating_add(timeouts.starttls));
    }
}

fn limit(timeouts: &Timeouts, wait: Wait) -> Duration {
    match wait {
        Wait::Connect => timeouts.connect,
        Wait::Greeting | Wait::Xclient => timeouts.greeting,
        Wait::Ehlo => timeouts.ehlo,
        Wait::StartTls | Wait::TlsHandshake | Wait::ImplicitTls => timeouts.starttls,
        Wait::Auth => timeouts.auth,
        Wait::Mail => timeouts.mail,
        Wait::Rcpt => timeouts.rcpt,
        Wait::DataInit => timeouts.data_init,
        Wait::Write => timeouts.data_block,
        Wait::DataEnd | Wait::LastChunk => timeouts.data_end,
        Wait::Chunk => timeouts.data_block,
        Wait::Rset | Wait::Command | Wait::Session => timeouts.command,
        Wait::Quit => timeouts.quit,
    }
}

/// For how long nothing is known to have come after a read found nothing: enough to come back with what is to be sent.
const SILENCE: Duration = Duration::from_millis(100);
