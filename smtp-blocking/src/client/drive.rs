//! The loop between a stream and the connection.

use std::io;
use std::task::Poll;
use std::time::Duration;
#[cfg(feature = "rustls")]
use std::time::Instant;

use smtp_driver::token::forgo_token;
use smtp_proto::{Connection, Time, Wire};

use super::{Client, SHORTEST};
use crate::Stream;

impl<S: Stream, W: Wire> Client<S, W> {
    /// Moves bytes until a question to the connection has an answer. It is asked first, and again
    /// whenever bytes or time have passed.
    ///
    /// Methods such as [`ready`](Self::ready) ask the usual questions. This one is for others, such
    /// as an [event](Connection::poll_event).
    ///
    /// ```
    /// use std::task::Poll;
    /// # use smtp_blocking::Client;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = smtp_test::Server::start(smtp_test::Config::new())?;
    /// # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
    /// # let stream = std::net::TcpStream::connect(server.addr())?;
    /// # let mut client = Client::from_stream(stream, connection);
    /// // Waits for the greeting, whatever it says.
    /// client.drive(|connection| match connection.stats().bytes_received() {
    ///     0 => Poll::Pending,
    ///     _ => Poll::Ready(()),
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn drive<T>(&mut self, mut question: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        let mut now = None;
        loop {
            if let Poll::Ready(answer) = question(self.wire.smtp_mut()) {
                return answer;
            }
            let began = now.unwrap_or_else(|| self.now());
            now = Some(self.step(began));
        }
    }

    /// When the time limit is reached that is due first.
    #[cfg(feature = "rustls")]
    pub(crate) fn alarm(&self) -> Option<Instant> {
        let until = self.wire.poll_timeout()?;
        self.epoch.checked_add(until.since_origin())
    }

    /// Ends the connection by QUIT, without waiting for the reply.
    #[cfg(feature = "rustls")]
    pub(crate) fn part(mut self) {
        self.wire.smtp_mut().quit();
        let now = self.now();
        let has_output = self.wire.poll_transmit(now).is_some();
        if !has_output && self.wire.poll_timeout().is_some_and(|until| until <= now) {
            self.read_now();
        }
        // The buffer of an idle socket has room, so this writes at once.
        if self.stream.set_timeouts(SHORTEST).is_ok() {
            _ = self.shut_down();
        }
    }

    /// Breaks the connection off. Every message on it has an outcome at once.
    #[cfg(feature = "rustls")]
    pub(crate) fn break_off(&mut self) {
        let error = io::Error::from(io::ErrorKind::ConnectionAborted);
        self.wire.handle_read_error(self.now(), error.into());
    }

    /// Waits until a connection that was ended or has failed is closed, then closes the stream.
    pub(super) fn close(&mut self) {
        forgo_token(self.wire.smtp_mut());
        self.drive(|smtp| match smtp.is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        // The outcome of every message is known.
        let _ = self.shut_down();
    }

    /// Writes once if there is output, otherwise reads once, until the next time limit at most.
    /// Returns the time afterwards.
    fn step(&mut self, now: Time) -> Time {
        // Output begins a wait. The stream has to know its limit before it blocks.
        let has_output = self.wire.poll_transmit(now).is_some();
        let until = self.wire.poll_timeout();
        if until.is_some_and(|until| until <= now) {
            return self.read_now();
        }
        match self.limit_blocking(now, until) {
            Err(error) => {
                self.wire.handle_read_error(now, error.into());
                now
            }
            Ok(()) if has_output => self.write(now),
            Ok(()) if self.needs_flush => self.flush(),
            Ok(()) => self.read(),
        }
    }

    /// Writes output once.
    fn write(&mut self, now: Time) -> Time {
        let Some(transmit) = self.wire.poll_transmit(now) else {
            return now;
        };
        let written = transmit.with_io_slices(|slices| self.stream.write_vectored(slices));
        let now = self.now();
        self.needs_flush = self.stream.is_buffered();
        match written {
            Ok(0) => {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                self.wire.handle_write_error(now, error.into());
            }
            Ok(count) => self.wire.handle_sent(now, count),
            Err(error) if is_retryable(&error) => {}
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        now
    }

    /// Flushes what the stream has buffered.
    fn flush(&mut self) -> Time {
        let flushed = self.stream.flush();
        let now = self.now();
        self.needs_flush = false;
        match flushed {
            Ok(()) => {}
            Err(error) if is_retryable(&error) => self.needs_flush = true,
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        now
    }

    /// Waits for input, and reads it.
    fn read(&mut self) -> Time {
        let mut buffer = [0; READ];
        let result = self.stream.read(&mut buffer);
        self.handle_read(&buffer, result).0
    }

    /// Reads input that has arrived, without waiting. If there is none, the time limit was reached.
    fn read_now(&mut self) -> Time {
        let mut buffer = [0; READ];
        let result = match self.stream.try_read(&mut buffer) {
            Some(result) => result,
            None => {
                self.timeout_range = None;
                let limited = self.stream.set_timeouts(SHORTEST);
                limited.and_then(|()| self.stream.read(&mut buffer))
            }
        };
        let (now, arrived) = self.handle_read(&buffer, result);
        if !arrived {
            self.wire.handle_timeout(now);
        }
        now
    }

    /// Passes the result of a read to the wire. Returns the time, and whether there was input, its
    /// end or a failure.
    fn handle_read(&mut self, buffer: &[u8], result: io::Result<usize>) -> (Time, bool) {
        let now = self.now();
        match result {
            Ok(0) => self.wire.handle_eof(now),
            Ok(count) => self
                .wire
                .handle_input(now, buffer.get(..count).unwrap_or(buffer)),
            Err(error) if is_retryable(&error) => return (now, false),
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        (now, true)
    }

    /// Sets the timeouts of the stream if those set last are too long, or so short that the stream
    /// would wake up often in vain. Between these bounds, waking up early costs less than setting
    /// the timeouts for each wait.
    pub(super) fn limit_blocking(&mut self, now: Time, until: Option<Time>) -> io::Result<()> {
        let left = until.map_or(LONGEST, |until| {
            until.saturating_since(now).clamp(SHORTEST, LONGEST)
        });
        let fits = self.timeout_range.as_ref();
        if !fits.is_some_and(|range| range.contains(&left)) {
            self.stream.set_timeouts(left)?;
            self.timeout_range = Some(left - left / 11..=left * 8);
        }
        Ok(())
    }

    /// Writes the last output of the wire, such as an alert of TLS, and shuts the stream down. The
    /// time limit of the reply to QUIT still limits each write.
    fn shut_down(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.wire.poll_transmit(self.now()) {
            match transmit.with_io_slices(|slices| self.stream.write_vectored(slices))? {
                0 => break,
                count => self.wire.handle_sent(self.now(), count),
            }
        }
        self.stream.shut_down()
    }
}

/// Whether an operation has to be repeated: it was interrupted, or its timeout was reached.
fn is_retryable(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// How many bytes are read at a time: more than nearly every reply, and few to clear each time.
const READ: usize = 2 * 1024;

/// The longest timeout of a stream. Some systems reject very long ones.
const LONGEST: Duration = Duration::from_secs(60 * 60);
