//! The timers of a connection, and the time limit that expires first.

use crate::connection::pending::PendingReplies;
use crate::stage::{Stage, Timeout};
use crate::time::Time;
use crate::timeouts::Timeouts;

/// The time limits that are running, each with the time at which it expires.
///
/// An expiry is computed when its limit starts: it is asked for far more often than it changes.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The end of the session, which begins with the first call of the driver.
    session: Option<Time>,
    reply: Option<ReplyTimer>,
    /// The limit for the transport to take the bytes up to a position.
    write: Option<(Time, u64)>,
    /// The limit for an operation of the transport to send the bytes that it owns.
    operation: Option<Time>,
    tls: Option<(Time, Timeout)>,
    /// The limit for the token that the caller fetches.
    token: Option<Time>,
}

/// The limit for the next reply.
#[derive(Clone, Copy, Debug)]
struct ReplyTimer {
    since: Time,
    until: Time,
    timeout: Timeout,
}

impl Timers {
    /// Records the time of a call. The first call begins the session.
    pub(crate) fn begin(&mut self, now: Time, timeouts: &Timeouts) {
        self.session
            .get_or_insert_with(|| now.saturating_add(timeouts.session));
    }

    /// Extends the session for a message that begins.
    pub(crate) fn begin_mail(&mut self, timeouts: &Timeouts) {
        self.session = (self.session).map(|end| end.saturating_add(timeouts.session_per_mail));
    }

    /// Starts the limit for the next reply, once its command has been offered whole.
    pub(crate) fn wait(
        &mut self,
        now: Time,
        pending: &PendingReplies,
        offered: u64,
        timeouts: &Timeouts,
    ) {
        if self.reply.is_some() {
            return;
        }
        if let Some(next) = pending.front()
            && offered >= next.end
        {
            self.wait_for(now, next.stage, timeouts);
        }
    }

    /// Starts the limit for the reply at this stage.
    pub(crate) fn wait_for(&mut self, now: Time, stage: Stage, timeouts: &Timeouts) {
        let mut timeout = Timeout::Reply;
        let limit = match stage {
            // The first byte of all has a limit of its own.
            Stage::Greeting => timeouts.first_byte_limit(),
            // The limit for TLS includes this reply.
            Stage::StartTls => {
                timeout = Timeout::StartTls;
                self.begin_tls(now, timeouts, timeout);
                timeouts.starttls
            }
            _ => stage.limit(timeouts),
        };
        self.reply = Some(ReplyTimer {
            since: now,
            until: now.saturating_add(limit),
            timeout,
        });
    }

    /// Records the first byte that the peer sent: the rest of the greeting has longer.
    pub(crate) fn first_byte(&mut self, timeouts: &Timeouts) {
        if let Some(reply) = &mut self.reply {
            reply.until = reply.since.saturating_add(timeouts.greeting);
        }
    }

    /// Stops the limit for a reply, which has come.
    pub(crate) fn replied(&mut self) {
        self.reply = None;
    }

    /// Starts the limit for TLS, unless it is running.
    pub(crate) fn begin_tls(&mut self, now: Time, timeouts: &Timeouts, timeout: Timeout) {
        self.tls
            .get_or_insert_with(|| (now.saturating_add(timeouts.starttls), timeout));
    }

    /// Stops the limit for TLS.
    pub(crate) fn end_tls(&mut self) {
        self.tls = None;
    }

    /// Starts the limit for the token that the caller fetches.
    pub(crate) fn begin_token(&mut self, now: Time, timeouts: &Timeouts) {
        self.token = Some(now.saturating_add(Stage::Token.limit(timeouts)));
    }

    /// Stops that limit.
    pub(crate) fn end_token(&mut self) {
        self.token = None;
    }

    /// Starts the limit for the transport to take the bytes up to this position, unless it is busy
    /// with others.
    pub(crate) fn write(&mut self, now: Time, end: u64, timeouts: &Timeouts) {
        self.write
            .get_or_insert_with(|| (now.saturating_add(timeouts.data_block), end));
    }

    /// Stops that limit if all bytes up to its position are sent.
    pub(crate) fn sent(&mut self, sent: u64) {
        if self.write.is_some_and(|(_, target)| sent >= target) {
            self.write = None;
        }
    }

    /// Starts the limit for an operation that owns bytes.
    pub(crate) fn begin_operation(&mut self, now: Time, timeouts: &Timeouts) {
        self.operation = Some(now.saturating_add(timeouts.data_block));
    }

    /// Stops that limit.
    pub(crate) fn end_operation(&mut self) {
        self.operation = None;
    }

    /// Stops all limits but the session's and that of an operation, which a last QUIT waits for.
    pub(crate) fn close(&mut self) {
        *self = Self {
            session: self.session,
            operation: self.operation,
            ..Self::default()
        };
    }

    /// The time limit that expires first, and when.
    pub(crate) fn deadline(&self) -> Option<(Time, Timeout)> {
        let mut soonest = self.reply.map(|reply| (reply.until, reply.timeout));
        let write = self.write.map(|(until, _)| (until, Timeout::Write));
        let operation = self.operation.map(|until| (until, Timeout::Write));
        let token = self.token.map(|until| (until, Timeout::Token));
        let session = self.session.map(|until| (until, Timeout::Session));
        // Of limits that expire at the same time, the first counts.
        let limits = [write, operation, token, session, self.tls];
        for limit in limits.into_iter().flatten() {
            if soonest.is_none_or(|(until, _)| limit.0 < until) {
                soonest = Some(limit);
            }
        }
        soonest
    }

    /// The end of the session.
    pub(crate) const fn session_end(&self) -> Option<Time> {
        self.session
    }
}
