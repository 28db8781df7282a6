//! The reference: an adapter that is short enough to be verified by reading it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::task::Poll;
use std::time::{Duration, Instant};

use smtp_proto::{Connection, Time, Wire};

use super::{Adapter, Probe, Turns};

/// Polls a socket that does not block: it writes once, reads once, and pauses if neither was
/// possible.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) is_full_duplex: bool,
}

/// A connection of the [`Reference`].
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    wire: Probe,
    began: Instant,
    /// The number of steps since something happened.
    idle: u32,
}

impl Adapter for Reference {
    type Client = Client;

    fn open(&self, stream: TcpStream, wire: Probe) -> Client {
        stream
            .set_nonblocking(true)
            .expect("any socket can be set so");
        let began = Instant::now();
        Client {
            stream,
            wire,
            began,
            idle: 0,
        }
    }

    fn drive(
        &self,
        client: &mut Client,
        _: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        while question(client.wire.smtp_mut()).is_pending() {
            client.step();
        }
        true
    }

    fn connection<'a>(&self, client: &'a mut Client) -> &'a mut Connection {
        client.wire.smtp_mut()
    }

    fn close(&self, mut client: Client) {
        while !client.wire.smtp().is_closed() {
            client.step();
        }
        while client.write() {}
        let _ = client.stream.shutdown(Shutdown::Both);
    }

    fn is_full_duplex(&self) -> bool {
        self.is_full_duplex
    }
}

impl Client {
    fn now(&self) -> Time {
        Time::from_origin(self.began.elapsed())
    }

    fn step(&mut self) {
        // Taken before the read, so that what is late arrived after the read that found nothing.
        let now = self.now();
        let is_late = |wire: &Probe| wire.poll_timeout().is_some_and(|until| until <= now);
        let wrote = !is_late(&self.wire) && self.write();
        if wrote | self.read() {
            self.idle = 0;
            return;
        }
        if is_late(&self.wire) {
            let now = self.now();
            self.wire.handle_timeout(now);
        } else {
            std::thread::sleep(LONGEST_PAUSE.min(PAUSE * self.idle));
            self.idle += 1;
        }
    }

    /// Writes once. Returns whether something happened.
    fn write(&mut self) -> bool {
        let now = self.now();
        let Some(output) = self.wire.poll_transmit(now) else {
            return false;
        };
        let written = output.with_io_slices(|slices| self.stream.write_vectored(slices));
        match written {
            Ok(count) => self.wire.handle_sent(now, count),
            Err(error) if is_pending(&error) => return false,
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        true
    }

    /// Reads once. Returns whether something happened.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = self.stream.read(&mut buffer);
        let now = self.now();
        match read {
            Ok(0) => self.wire.handle_eof(now),
            Ok(count) => self.wire.handle_input(now, &buffer[..count]),
            Err(error) if is_pending(&error) => return false,
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        true
    }
}

fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// How much longer each pause is than the one before.
const PAUSE: Duration = Duration::from_micros(20);

const LONGEST_PAUSE: Duration = Duration::from_millis(4);
