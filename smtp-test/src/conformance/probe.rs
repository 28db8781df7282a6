use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smtp_proto::{Connection, Time, Transmit, TransportError, Wire};

use super::record::{Both, Record, unwind};

/// The wire of a script: a cleartext connection, or a session of TLS, whose calls are recorded and
/// checked.
///
/// A violation does not panic in the adapter. It is in the [`Report`](super::Report).
pub struct Probe {
    wire: Box<dyn Wire + Send>,
    record: Arc<Record>,
    last: Time,
    /// The time of the first call, by the adapter and by the clock.
    first: Option<(Time, Instant)>,
    has_ended: bool,
    in_operation: bool,
}

impl Probe {
    pub(super) fn new(wire: Box<dyn Wire + Send>, record: Arc<Record>) -> Self {
        Self {
            wire,
            record,
            last: Time::ORIGIN,
            first: None,
            has_ended: false,
            in_operation: false,
        }
    }

    pub(super) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Checks a call at this time. `progress` is whether the adapter has news to report.
    fn call(&mut self, now: Time, progress: bool) {
        self.record.call(progress);
        if now < self.last {
            self.record.violation("time runs backwards");
        }
        self.last = now;
        let (first, began) = *self.first.get_or_insert_with(|| (now, Instant::now()));
        if now.saturating_since(first) > began.elapsed() + DRIFT {
            self.record.violation("time runs ahead of the clock");
        }
    }
}

impl Record {
    /// Counts a call.
    fn call(&self, progress: bool) {
        let mut both = self.lock();
        if both.expired {
            drop(both);
            unwind();
        }
        both.client.polls += 1;
        both.client.steps += u64::from(progress);
        if both.client.polls > FREE_CALLS + CALLS_PER_STEP * both.client.steps {
            both.violation("a busy loop: many calls, between which nothing happens");
        }
    }
}

impl Wire for Probe {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.call(now, !input.is_empty());
        self.record.change(|both| both.check_input(input));
        if self.has_ended {
            self.record.violation("input after the end of input");
        }
        self.wire.handle_input(now, input);
    }

    fn handle_eof(&mut self, now: Time) {
        let first = !std::mem::replace(&mut self.has_ended, true);
        self.call(now, first);
        let mut both = self.record.lock();
        if !both.server.ended {
            both.violation("EOF, although the server has not closed its side");
        } else if both.client.input < both.server.written.len() {
            both.violation("EOF before all input was passed on");
        }
        drop(both);
        self.wire.handle_eof(now);
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        self.call(now, count > 0);
        self.record.change(|both| both.acknowledge(count));
        self.wire.handle_sent(now, count);
    }

    fn handle_submitted(&mut self, now: Time, count: usize) {
        self.call(now, count > 0);
        if std::mem::replace(&mut self.in_operation, true) {
            self.record
                .violation("an operation was submitted before the last one completed");
        }
        self.record.change(|both| {
            both.acknowledge(count);
            both.client.owed = count;
        });
        self.wire.handle_submitted(now, count);
    }

    fn handle_completed(&mut self, now: Time) {
        let begun = std::mem::replace(&mut self.in_operation, false);
        self.call(now, begun);
        self.record.lock().client.owed = 0;
        if !begun {
            self.record
                .violation("an operation completed that was not submitted");
        }
        self.wire.handle_completed(now);
    }

    fn handle_timeout(&mut self, now: Time) {
        let is_due = self.wire.poll_timeout().is_some_and(|until| until <= now);
        self.call(now, is_due);
        let mut both = self.record.lock();
        if !is_due {
            both.violation("handle_timeout before the time of poll_timeout");
        } else if both.client.seen > both.client.input {
            both.violation("handle_timeout without a last read: input had arrived long before");
        }
        drop(both);
        self.wire.handle_timeout(now);
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.call(now, true);
        self.wire.handle_read_error(now, error);
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.call(now, true);
        self.in_operation = false;
        self.wire.handle_write_error(now, error);
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.call(now, false);
        let transmit = self.wire.poll_transmit(now);
        let offer = transmit
            .iter()
            .flat_map(Transmit::iter)
            .flatten()
            .copied()
            .collect();
        self.record.lock().client.offer = offer;
        transmit
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.record.call(false);
        self.wire.poll_timeout()
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }

    fn smtp(&self) -> &Connection {
        self.wire.smtp()
    }
}

impl Both {
    fn check_input(&mut self, input: &[u8]) {
        if input.is_empty() {
            self.violation("empty input; the end of input is handle_eof");
            return;
        }
        let at = self.client.input;
        self.client.input += input.len();
        if self.server.written.get(at..self.client.input) != Some(input) {
            self.violation(
                "input that is not what the server wrote: lost, repeated or out of order",
            );
        }
        if self.server.read.len() > self.client.sent.len() {
            self.violation(
                "input was passed on before the bytes that it answers were acknowledged",
            );
        }
    }

    fn acknowledge(&mut self, count: usize) {
        if count > self.client.offer.len() {
            self.violation("more bytes were acknowledged than the last output had");
        }
        let count = count.min(self.client.offer.len());
        let sent = self.client.offer.drain(..count);
        self.client.sent.extend(sent);
    }

    /// How many bytes were on their way.
    pub(super) fn stand(&self) -> String {
        format!(
            "{} bytes of output were acknowledged, and the server received {}; the server wrote {} \
             bytes, and {} were passed on",
            self.client.sent.len(),
            self.server.read.len(),
            self.server.written.len(),
            self.client.input
        )
    }

    /// Compares the bytes that the adapter acknowledged with those that the server received.
    pub(super) fn check_output(&mut self) {
        let received = self.server.read.len();
        let acknowledged = self.client.sent.len();
        let mut known = std::mem::take(&mut self.client.sent);
        known.extend_from_slice(&self.client.offer);
        if !known.starts_with(&self.server.read) {
            let same = known
                .iter()
                .zip(&self.server.read)
                .take_while(|(a, b)| a == b)
                .count();
            self.violation(format!(
                "the server received other bytes than the output, from byte {same} on: sent twice, \
                 lost or out of order"
            ));
        } else if received < acknowledged - self.client.owed && !self.server.is_broken() {
            self.violation(format!(
                "{acknowledged} bytes were acknowledged, and the server received {received}"
            ));
        } else if received > acknowledged && !self.server.is_broken() {
            self.violation(format!(
                "the server received {received} bytes, and {acknowledged} were acknowledged"
            ));
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("connection", self.wire.smtp())
            .finish_non_exhaustive()
    }
}

/// Calls without news that any adapter may make, such as by a timer that ticks.
const FREE_CALLS: u64 = 2000;

/// How much two clocks may differ.
const DRIFT: Duration = Duration::from_millis(100);

/// Calls for each news, of which a step of an adapter makes about five.
const CALLS_PER_STEP: u64 = 60;
