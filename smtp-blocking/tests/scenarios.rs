//! The scenarios of the machine's tests through the blocking client. Its clock is the real one: what waits in vain there
//! waits in a hurry here.

use std::io::{self, IoSlice, Read, Write};
use std::thread;
use std::time::Duration;

use crate::played::{Begun, Heard, Manner, Sent, Stage, every_scenario, wants_tls};
use crate::scenario::{Action, Piece, Scenario, source_error};
use smtp_blocking::proto::ContentStatus;
use smtp_blocking::{Client, Stream};
use smtp_test::{Faulty, MemoryServer, Plan, Split};

#[test]
fn every_scenario_goes_as_written_a_byte_at_a_time() {
    every_scenario(Some(SOON), run);
}

fn run(scenario: &Scenario, split: Split, manner: Manner) -> Result<Option<Sent>, String> {
    let (mut stage, server, wire) = Stage::set(scenario, split, manner);
    let stream = Patient {
        stream: Faulty::new(server, Plan::new().at_most(1).pending_first()),
        limit: Duration::MAX,
    };
    if manner == Manner::Attentive {
        let client = Client::from_stream(stream, stage.attentive(wire));
        let client = readied!(client);
        perform!(scenario, stage, client);
    } else {
        let client = Client::from_stream(stream, wire);
        let client = secured!(client, |stream| stage.line.handshake(stream));
        perform!(scenario, stage, client);
    }
    stage.verdict(scenario)
}

/// A stream that waits in vain as long as it may, as a socket does.
struct Patient {
    stream: Faulty<MemoryServer>,
    limit: Duration,
}

impl Patient {
    fn wait<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            assert!(self.limit <= SOON, "nothing comes for {:?}", self.limit);
            thread::sleep(self.limit);
        }
        result
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.stream.read(buffer);
        self.wait(result)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for Patient {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.limit = limit;
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.stream.read(buffer))
    }
}

/// How long a server is silent that falls silent: long enough that on a busy machine nothing else takes so long, and short
/// enough to wait for.
const SOON: Duration = Duration::from_millis(500);
