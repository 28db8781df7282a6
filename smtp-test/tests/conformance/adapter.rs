//! An adapter that polls a socket, with a defect on request.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::task::Poll;
use std::time::{Duration, Instant};

use smtp_proto::{Connection, Time, Wire};
use smtp_test::conformance::{Adapter, Probe, Turns};

/// What is wrong with an adapter, except for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing is wrong: writes and acknowledges.
    Polls,
    /// Nothing is wrong: owns a copy of the output until it is written, as completions do.
    Submits,
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
    /// Owns a copy as [`Submits`](Self::Submits) does, and never says that it is written.
    NeverCompletes,
    /// Keeps output in a buffer that is never flushed.
    NeverFlushes,
    /// Never reports a time limit.
    IgnoresTimeLimits,
    /// Waits for input without a limit, unless a read without waiting is asked for.
    WaitsWithoutLimit,
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
pub(crate) struct Loop(pub(crate) Manner);

pub(crate) struct Client {
    stream: TcpStream,
    wire: Probe,
    began: Instant,
    manner: Manner,
    /// Bytes that were written and not acknowledged.
    unacknowledged: usize,
    buffer: Vec<u8>,
    /// What an operation of the system has not yet written.
    copy: Vec<u8>,
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
            manner: self.0,
            unacknowledged: 0,
            buffer: Vec::new(),
            copy: Vec::new(),
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
            if (news || !client.has(Manner::AsksSeldom))
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
        while !client.has(Manner::ClosesAtOnce) && !client.wire.smtp().is_closed() {
            client.step(&mut held);
        }
        while !client.has(Manner::ClosesTooSoon) && client.write(&mut held) {}
        if client.has(Manner::NeverCloses) {
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
    fn has(&self, manner: Manner) -> bool {
        self.manner == manner
    }

    fn now(&mut self) -> Time {
        self.calls += 1;
        let mut now = Time::from_origin(self.began.elapsed() + Duration::from_secs(1));
        if self.has(Manner::TurnsBackTime) && self.calls.is_multiple_of(5) {
            now = Time::from_origin(self.began.elapsed());
        }
        now
    }

    /// Moves bytes or waits. Returns whether there was input or time passed.
    fn step(&mut self, held: &mut Held) -> bool {
        let now = self.now();
        let is_late = |wire: &Probe| wire.poll_timeout().is_some_and(|until| until <= now);
        let late = is_late(&self.wire);
        if late && self.has(Manner::SkipsLastRead) {
            self.wire.handle_timeout(now);
            return true;
        }
        let wrote = !late && self.write(held);
        if !late && !wrote && self.has(Manner::WaitsWithoutLimit) {
            let has_limit = self.wire.poll_timeout().is_none_or(|until| until > now);
            self.stream.set_nonblocking(!has_limit).unwrap();
        }
        let read = self.read();
        self.stream.set_nonblocking(true).unwrap();
        if wrote || read {
            self.idle = 0;
            return read;
        }
        if is_late(&self.wire) && !self.has(Manner::IgnoresTimeLimits) {
            let now = self.now();
            self.wire.handle_timeout(now);
            return true;
        }
        if self.has(Manner::TimesOutEarly)
            && let Some(until) = self.wire.poll_timeout()
        {
            self.wire.handle_timeout(until);
        }
        if !self.has(Manner::LoopsBusily) {
            let pause = Duration::from_micros(20) * self.idle;
            std::thread::sleep(pause.min(Duration::from_millis(4)));
            self.idle += 1;
        }
        false
    }

    fn write(&mut self, held: &mut Held) -> bool {
        let now = self.now();
        if !self.copy.is_empty() {
            return self.complete(now);
        }
        if self.has(Manner::LosesDroppedOutput) && !held.output.is_empty() {
            return self.write_held(held);
        }
        if held.submitted > 0 {
            self.wire
                .handle_sent(now, std::mem::take(&mut held.submitted));
            return true;
        }
        if self.has(Manner::AcknowledgesLate) && self.unacknowledged > 0 {
            return false;
        }
        let Some(output) = self.wire.poll_transmit(now) else {
            return false;
        };
        let bytes: Vec<u8> = output.iter().flatten().copied().collect();
        if self.has(Manner::LosesDroppedOutput) {
            self.wire.handle_sent(now, bytes.len());
            held.output = bytes;
            return true;
        }
        if self.has(Manner::Submits) || self.has(Manner::NeverCompletes) {
            self.wire.handle_submitted(now, bytes.len());
            self.copy = bytes;
            return true;
        }
        if self.has(Manner::NeverFlushes) {
            self.wire.handle_sent(now, bytes.len());
            self.buffer.extend(bytes);
            return true;
        }
        if self.has(Manner::BlocksWhileWriting) {
            self.stream.set_nonblocking(false).unwrap();
        }
        let written = self.stream.write(&bytes);
        self.stream.set_nonblocking(true).unwrap();
        match written {
            Ok(count) => self.acknowledge(now, count, bytes.len(), held),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) if self.has(Manner::SwallowsWriteError) => return false,
            Err(_) if self.has(Manner::TakesWriteErrorForEof) => self.wire.handle_eof(now),
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        true
    }

    fn acknowledge(&mut self, now: Time, count: usize, all: usize, held: &mut Held) {
        match self.manner {
            Manner::AcknowledgesTooMuch => self.wire.handle_sent(now, all),
            Manner::AcknowledgesTooLittle => self.wire.handle_sent(now, (count - 1).max(1)),
            Manner::AcknowledgesLate => self.unacknowledged = count,
            Manner::RepeatsDroppedOutput => held.submitted = count,
            _ => self.wire.handle_sent(now, count),
        }
    }

    /// Continues an operation.
    fn complete(&mut self, now: Time) -> bool {
        match self.stream.write(&self.copy) {
            Ok(count) => drop(self.copy.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => {
                self.copy.clear();
                self.wire.handle_write_error(now, error.into());
                return true;
            }
        }
        if self.copy.is_empty() && !self.has(Manner::NeverCompletes) {
            self.wire.handle_completed(now);
        }
        true
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
            Ok(0) if self.has(Manner::SwallowsEof) => return false,
            Ok(0) => self.wire.handle_eof(now),
            Ok(count) => self.pass(now, &buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) if self.has(Manner::SwallowsReadError) => return false,
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        true
    }

    fn pass(&mut self, now: Time, input: &[u8]) {
        let half = input.len() / 2;
        match self.manner {
            Manner::RepeatsInput if half > 0 => {
                self.wire.handle_input(now, &input[..half]);
                self.wire.handle_input(now, input);
            }
            Manner::LosesInput => self.wire.handle_input(now, &input[..input.len().min(64)]),
            Manner::SwapsInput if half > 0 => {
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
