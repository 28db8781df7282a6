//! An adapter that polls a socket, with a defect on request.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::task::Poll;
use std::time::{Duration, Instant};

use smtp_proto::{Connection, Time, Wire};
use smtp_test::conformance::{Adapter, Probe, Turns};

/// What is wrong with an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Acknowledges all output after a short write.
    AcknowledgesTooMuch,
    /// Acknowledges a byte less than it wrote, and so writes it twice.
    AcknowledgesTooLittle,
    /// Acknowledges after the next input.
    AcknowledgesLate,
    /// Keeps output in a future, which loses it when it is dropped.
    LosesDroppedOutput,
    /// Forgets with a future that the system has its output, and writes it again.
    RepeatsDroppedOutput,
    /// Keeps output in a buffer that is never flushed.
    NeverFlushes,
    /// Waits for input whatever the time is.
    IgnoresTimeLimits,
    /// Reports a time limit without a last read.
    SkipsLastRead,
    /// Reports a time limit before it is reached.
    TimesOutEarly,
    /// Waits for more after the end of input.
    SwallowsEof,
    /// Waits for input after a read failed.
    SwallowsReadError,
    /// Waits for input after a write failed.
    SwallowsWriteError,
    /// Reports EOF when a write fails.
    TakesWriteErrorForEof,
    /// Writes until all output is written, although it claims to read meanwhile.
    BlocksWhileWriting,
    /// Takes the time from a clock that is set back.
    TurnsBackTime,
    /// Passes a part of the input on again.
    RepeatsInput,
    /// Loses input that does not fit in its buffer.
    LosesInput,
    /// Passes the second half of the input on first.
    SwapsInput,
    /// Leaves the socket open.
    NeverCloses,
    /// Closes before the last output is written.
    ClosesTooSoon,
    /// Closes without waiting for the connection to be closed.
    ClosesAtOnce,
    /// Never waits.
    LoopsBusily,
    /// Asks the question only when input came.
    AsksSeldom,
}

/// The adapter.
#[derive(Debug)]
pub(crate) struct Loop(pub(crate) Option<Defect>);

pub(crate) struct Client {
    stream: TcpStream,
    wire: Probe,
    began: Instant,
    defect: Option<Defect>,
    /// Bytes that were written and not acknowledged.
    unacknowledged: usize,
    buffer: Vec<u8>,
    calls: u64,
    idle: u32,
}

impl Adapter for Loop {
    type Client = Client;

    fn open(&self, stream: TcpStream, wire: Probe) -> Client {
        stream.set_nonblocking(true).unwrap();
        Client {
            stream,
            wire,
            began: Instant::now(),
            defect: self.0,
            unacknowledged: 0,
            buffer: Vec::new(),
            calls: 0,
            idle: 0,
        }
    }

    fn drive(
        &self,
        client: &mut Client,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        let mut left = turns.count();
        // What a future would have.
        let mut held = Held::default();
        let mut news = true;
        loop {
            if (news || !client.has(Defect::AsksSeldom))
                && question(client.wire.smtp_mut()).is_ready()
            {
                return true;
            }
            if left == Some(0) {
                return false;
            }
            left = left.map(|left| left - 1);
            news = client.step(&mut held);
        }
    }

    fn connection<'a>(&self, client: &'a mut Client) -> &'a mut Connection {
        client.wire.smtp_mut()
    }

    fn close(&self, mut client: Client) {
        let mut held = Held::default();
        while !client.has(Defect::ClosesAtOnce) && !client.wire.smtp().is_closed() {
            client.step(&mut held);
        }
        while !client.has(Defect::ClosesTooSoon) && client.write(&mut held) {}
        if client.has(Defect::NeverCloses) {
            std::mem::forget(client);
            return;
        }
        let _ = client.stream.shutdown(Shutdown::Both);
    }
}

/// The state of one future.
#[derive(Default)]
struct Held {
    output: Vec<u8>,
    submitted: usize,
}

impl Client {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn now(&mut self) -> Time {
        self.calls += 1;
        let mut now = Time::from_origin(self.began.elapsed() + Duration::from_secs(1));
        if self.has(Defect::TurnsBackTime) && self.calls % 5 == 0 {
            now = Time::from_origin(self.began.elapsed());
        }
        now
    }

    /// Moves bytes or waits. Returns whether there was input or time passed.
    fn step(&mut self, held: &mut Held) -> bool {
        let now = self.now();
        let is_late = |wire: &Probe| wire.poll_timeout().is_some_and(|until| until <= now);
        let late = is_late(&self.wire);
        if late && self.has(Defect::SkipsLastRead) {
            self.wire.handle_timeout(now);
            return true;
        }
        let wrote = !late && self.write(held);
        let read = self.read();
        if wrote || read {
            self.idle = 0;
            return read;
        }
        if is_late(&self.wire) && !self.ignores(now) {
            let now = self.now();
            self.wire.handle_timeout(now);
            return true;
        }
        if self.has(Defect::TimesOutEarly) {
            if let Some(until) = self.wire.poll_timeout() {
                self.wire.handle_timeout(until);
            }
        }
        if !self.has(Defect::LoopsBusily) {
            let pause = Duration::from_micros(20) * self.idle;
            std::thread::sleep(pause.min(Duration::from_millis(4)));
            self.idle += 1;
        }
        false
    }

    /// Whether a time limit is ignored: all but those that ask for a read.
    fn ignores(&mut self, now: Time) -> bool {
        self.has(Defect::IgnoresTimeLimits)
            && (self.wire.poll_timeout())
                .is_some_and(|until| now.saturating_since(until) < Duration::from_secs(60))
            && self.wire.poll_transmit(now).is_none()
            && self.wire.smtp().stats().bytes_sent() > 0
            && self.wire.poll_timeout().is_some_and(|until| {
                until.saturating_since(Time::ORIGIN) > Duration::ZERO
                    && now.saturating_since(until) > Duration::from_millis(20)
            })
    }

    fn write(&mut self, held: &mut Held) -> bool {
        let now = self.now();
        if self.has(Defect::LosesDroppedOutput) && !held.output.is_empty() {
            return self.write_held(held);
        }
        if held.submitted > 0 {
            self.wire
                .handle_sent(now, std::mem::take(&mut held.submitted));
            return true;
        }
        if self.has(Defect::AcknowledgesLate) && self.unacknowledged > 0 {
            return false;
        }
        let Some(output) = self.wire.poll_transmit(now) else {
            return false;
        };
        let bytes: Vec<u8> = output.iter().flatten().copied().collect();
        if self.has(Defect::LosesDroppedOutput) {
            self.wire.handle_sent(now, bytes.len());
            held.output = bytes;
            return true;
        }
        if self.has(Defect::NeverFlushes) {
            self.wire.handle_sent(now, bytes.len());
            self.buffer.extend(bytes);
            return true;
        }
        if self.has(Defect::BlocksWhileWriting) {
            self.stream.set_nonblocking(false).unwrap();
        }
        let written = self.stream.write(&bytes);
        self.stream.set_nonblocking(true).unwrap();
        match written {
            Ok(count) => self.acknowledge(now, count, bytes.len(), held),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) if self.has(Defect::SwallowsWriteError) => return false,
            Err(_) if self.has(Defect::TakesWriteErrorForEof) => self.wire.handle_eof(now),
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        true
    }

    fn acknowledge(&mut self, now: Time, count: usize, all: usize, held: &mut Held) {
        match self.defect {
            Some(Defect::AcknowledgesTooMuch) => self.wire.handle_sent(now, all),
            Some(Defect::AcknowledgesTooLittle) => self.wire.handle_sent(now, (count - 1).max(1)),
            Some(Defect::AcknowledgesLate) => self.unacknowledged = count,
            Some(Defect::RepeatsDroppedOutput) => held.submitted = count,
            _ => self.wire.handle_sent(now, count),
        }
    }

    fn write_held(&mut self, held: &mut Held) -> bool {
        match self.stream.write(&held.output) {
            Ok(count) => drop(held.output.drain(..count)),
            Err(_) => return false,
        }
        true
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer);
        let now = self.now();
        match read {
            Ok(0) if self.has(Defect::SwallowsEof) => return false,
            Ok(0) => self.wire.handle_eof(now),
            Ok(count) => self.pass(now, &buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) if self.has(Defect::SwallowsReadError) => return false,
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        true
    }

    fn pass(&mut self, now: Time, input: &[u8]) {
        let half = input.len() / 2;
        match self.defect {
            Some(Defect::RepeatsInput) if half > 0 => {
                self.wire.handle_input(now, &input[..half]);
                self.wire.handle_input(now, input);
            }
            Some(Defect::LosesInput) => self.wire.handle_input(now, &input[..input.len().min(64)]),
            Some(Defect::SwapsInput) if half > 0 => {
                self.wire.handle_input(now, &input[half..]);
                self.wire.handle_input(now, &input[..half]);
            }
            _ => self.wire.handle_input(now, input),
        }
        if self.unacknowledged > 0 {
            self.wire
                .handle_sent(now, std::mem::take(&mut self.unacknowledged));
        }
    }
}
