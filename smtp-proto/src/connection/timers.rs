//! The timers of a connection, and the time limit that expires first.

use crate::config::Config;
use crate::connection::pending::{PendingReplies, PendingReply};
use crate::outcome::ConnectionStats;
use crate::stage::{Stage, Timeout};
use crate::time::Time;
use crate::timeouts::Timeouts;

/// The start of each wait.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The first call of the driver.
    began: Option<Time>,
    /// The start of the wait for the next reply.
    waiting: Option<Time>,
    /// The time at which the transport was given the bytes up to a position.
    writing: Option<(Time, u64)>,
    /// The end of the time limit of TLS.
    tls: Option<(Time, Timeout)>,
}

impl Timers {
    /// Records the time of a call. The first call begins the session.
    pub(crate) fn begin(&mut self, now: Time) {
        self.began.get_or_insert(now);
    }

    /// Starts the wait for the next reply, once its command has been handed out completely.
    pub(crate) fn wait(
        &mut self,
        now: Time,
        pending: &PendingReplies,
        offered: u64,
        timeouts: &Timeouts,
    ) {
        if self.waiting.is_some() {
            return;
        }
        if let Some(next) = pending.front()
            && offered >= next.end
        {
            self.waiting = Some(now);
            if next.stage == Stage::StartTls {
                self.begin_tls(now, timeouts, Timeout::StartTls);
            }
        }
    }

    /// Ends the wait for a reply, which has arrived.
    pub(crate) fn replied(&mut self) {
        self.waiting = None;
    }

    /// Starts the wait for another reply to the same command.
    pub(crate) fn wait_again(&mut self, now: Time) {
        self.waiting = Some(now);
    }

    /// Starts the time limit of TLS, unless it is running.
    pub(crate) fn begin_tls(&mut self, now: Time, timeouts: &Timeouts, limit: Timeout) {
        self.tls
            .get_or_insert_with(|| (now.saturating_add(timeouts.starttls), limit));
    }

    /// Stops the time limit of TLS.
    pub(crate) fn end_tls(&mut self) {
        self.tls = None;
    }

    /// Starts the time limit for writing the bytes up to this position, unless it is running for
    /// others.
    pub(crate) fn write(&mut self, now: Time, end: u64) {
        self.writing.get_or_insert((now, end));
    }

    /// Stops the time limit for writing if all bytes up to its position are sent.
    pub(crate) fn sent(&mut self, sent: u64) {
        if self.writing.is_some_and(|(_, target)| sent >= target) {
            self.writing = None;
        }
    }

    /// Stops all timers except the session's.
    pub(crate) fn close(&mut self) {
        *self = Self {
            began: self.began,
            ..Self::default()
        };
    }

    /// The time limit that expires first, and when.
    pub(crate) fn deadline(
        &self,
        next: Option<PendingReply>,
        config: &Config,
        stats: &ConnectionStats,
        mails: u32,
    ) -> Option<(Time, Timeout)> {
        let timeouts = &config.timeouts;
        let reply = self.waiting.zip(next).map(|(since, next)| {
            let limit = if next.stage == Stage::Greeting && stats.received == 0 {
                timeouts.first_byte_limit()
            } else {
                next.stage.limit(timeouts)
            };
            let timeout = match next.stage {
                Stage::StartTls => Timeout::StartTls,
                _ => Timeout::Reply,
            };
            (since.saturating_add(limit), timeout)
        });
        let write = (self.writing)
            .map(|(since, _)| (since.saturating_add(timeouts.data_block), Timeout::Write));
        let session = self
            .session_end(timeouts, mails)
            .map(|until| (until, Timeout::Session));
        // Of limits that expire at the same time, the first is reported.
        [reply, write, session, self.tls]
            .into_iter()
            .flatten()
            .min_by_key(|&(until, _)| until)
    }

    /// The end of the session, to which each message begun adds some time.
    pub(crate) fn session_end(&self, timeouts: &Timeouts, mails: u32) -> Option<Time> {
        let for_mails = timeouts.session_per_mail.saturating_mul(mails);
        let limit = timeouts.session.saturating_add(for_mails);
        Some(self.began?.saturating_add(limit))
    }
}
