//! An adapter for mio: a loop that polls one socket, without futures.
//!
//! It drives a [`Wire`] by readiness. The socket is edge-triggered, so each step tries to write and
//! to read before it waits.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, ToSocketAddrs as _};
use std::task;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use smtp_driver::{begin_connect, finish_connect};
use smtp_proto::{Connection, Error, Mail, Outcome, Time, Window, Wire};
use smtp_rustls::{Endpoint, Session, Target};

/// An SMTP connection over a TCP stream of mio.
pub struct Client<W: Wire> {
    stream: TcpStream,
    wire: W,
    poll: Poll,
    events: Events,
    /// The zero of the connection's time.
    epoch: Instant,
}

impl Client<Session> {
    /// Connects to a server, and waits until it is ready for messages.
    ///
    /// One address is tried after the other. An endpoint that is a Unix socket is an error.
    ///
    /// # Errors
    /// The failure at the last address, with the earlier ones as its
    /// [`attempts`](Error::attempts).
    pub fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let name = (endpoint.connect_host(), endpoint.connect_port());
        let addresses = name
            .to_socket_addrs()
            .map_err(|error| Error::connect(error).with_peer(endpoint.peer()))?;
        let mut attempts = endpoint.attempts(addresses);
        let epoch = Instant::now();
        while let Some(target) = attempts.poll_connect(Time::from_origin(epoch.elapsed())) {
            let stream = match open(endpoint, &target) {
                Ok(stream) => stream,
                Err(error) => {
                    attempts.handle_connect_error(&target, error);
                    continue;
                }
            };
            if let Some(session) = attempts.handle_connected(&target, stream.local_addr().ok()) {
                let client = Self::from_stream(stream, session).map_err(Error::connect);
                match client.and_then(Self::into_ready) {
                    Ok(client) => return Ok(client),
                    Err(error) => attempts.handle_failure(error),
                }
            }
        }
        Err(attempts.into_error())
    }
}

impl<W: Wire> Client<W> {
    /// A client over a connected stream, which does not block, and a wire that has not begun.
    ///
    /// # Errors
    /// If the system does not let the stream be polled.
    pub fn from_stream(mut stream: TcpStream, mut wire: W) -> io::Result<Self> {
        wire.smtp_mut().set_window(Window::FULL_DUPLEX);
        // Replies are awaited, so bytes that wait for more only delay them.
        _ = stream.set_nodelay(true);
        let poll = Poll::new()?;
        let interests = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(0), interests)?;
        Ok(Self {
            stream,
            wire,
            poll,
            events: Events::with_capacity(1),
            epoch: Instant::now(),
        })
    }

    /// The connection, for everything that needs no waiting.
    pub fn smtp_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }

    /// Moves bytes and time until `question` has an answer.
    pub fn drive<T>(&mut self, mut question: impl FnMut(&mut Connection) -> task::Poll<T>) -> T {
        loop {
            if let task::Poll::Ready(answer) = question(self.wire.smtp_mut()) {
                return answer;
            }
            self.step();
        }
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// # Errors
    /// If the message is streamed.
    pub fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        let id = self.smtp_mut().submit(mail);
        self.drive(|smtp| smtp.poll_outcome(id))
            .inspect_err(|_| self.smtp_mut().abandon(id))
    }

    /// Ends the connection by QUIT, and closes the stream.
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub fn quit(mut self) -> Result<(), Error> {
        self.smtp_mut().quit();
        let closed = self.drive(Connection::poll_closed);
        self.close();
        closed
    }

    /// Waits until the server is ready; if that fails, ends the connection in order.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn into_ready(mut self) -> Result<Self, Error> {
        match self.drive(Connection::poll_ready) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Waits until a connection that was ended or has failed is closed, sends the last output, such
    /// as an alert of TLS, and closes the stream.
    pub fn close(&mut self) {
        self.drive(|smtp| match smtp.is_closed() {
            true => task::Poll::Ready(()),
            false => task::Poll::Pending,
        });
        let until = (self.now()).saturating_add(self.wire.smtp().timeouts().quit());
        loop {
            let now = self.now();
            if !self.write(now) {
                if now >= until || self.wire.poll_transmit(now).is_none() {
                    break;
                }
                self.wait(now, Some(until));
            }
        }
        _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Moves bytes one way or both, or waits until it can or a time limit is reached.
    fn step(&mut self) {
        let now = self.now();
        // A limit that was reached is not extended by writing. Both are tried.
        let is_late = self.wire.poll_timeout().is_some_and(|until| until <= now);
        let wrote = !is_late && self.write(now);
        if self.read(now) || wrote {
            return;
        }
        match self.wire.poll_timeout() {
            // The read has found nothing.
            Some(until) if until <= now => self.wire.handle_timeout(now),
            until => self.wait(now, until),
        }
    }

    /// Writes output once; returns whether something happened.
    fn write(&mut self, now: Time) -> bool {
        let Some(transmit) = self.wire.poll_transmit(now) else {
            return false;
        };
        match transmit.with_io_slices(|output| self.stream.write_vectored(output)) {
            Ok(0) => {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                self.wire.handle_write_error(now, error.into());
            }
            Ok(count) => self.wire.handle_sent(now, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.wire.handle_write_error(now, error.into()),
        }
        true
    }

    /// Reads input once; returns whether something happened.
    fn read(&mut self, now: Time) -> bool {
        let mut input = [0; READ];
        match self.stream.read(&mut input) {
            Ok(0) => self.wire.handle_eof(now),
            Ok(count) => self.wire.handle_input(now, &input[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        true
    }

    /// Waits until the socket is ready or a time has come.
    fn wait(&mut self, now: Time, until: Option<Time>) {
        let limit = until.map(|until| until.saturating_since(now));
        match self.poll.poll(&mut self.events, limit) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.wire.handle_read_error(now, error.into());
            }
            _ => {}
        }
    }

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }
}

impl<W: Wire> fmt::Debug for Client<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("smtp", self.wire.smtp())
            .finish_non_exhaustive()
    }
}

/// Opens a TCP connection to a target.
fn open(endpoint: &Endpoint, target: &Target) -> io::Result<TcpStream> {
    let Target::Tcp(address) = *target else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let connecting = begin_connect(address, endpoint.local_address())?;
    let mut stream = TcpStream::from_std(connecting.try_clone()?);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut stream, Token(0), Interest::WRITABLE)?;
    let mut events = Events::with_capacity(1);
    let until = Instant::now() + endpoint.timeouts().connect().min(LONGEST);
    while events.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ if left.is_zero() && events.is_empty() => return Err(io::ErrorKind::TimedOut.into()),
            _ => {}
        }
    }
    finish_connect(&connecting)?;
    Ok(TcpStream::from_std(connecting))
}

/// How many bytes are read at a time: more than nearly every reply.
const READ: usize = 4 * 1024;

/// The longest limit of a connect. The clock of the system does not reach much further.
const LONGEST: Duration = Duration::from_secs(60 * 60);
