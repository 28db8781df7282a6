use std::{
    fmt,
    io::{self, ErrorKind, IoSlice, Read, Write},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    Config, Log, Output, Peer, Player,
    serve::{next_output, pretend_tls},
    server::peer,
};

/// A stream to a server in memory, without thread, socket or clock.
///
/// A write passes its bytes to the [`Peer`] at once, and a read takes the output of the peer, at
/// most one segment. It is the client's stream: `Read` and `Write`, and with the features `tokio`
/// and `futures-io` the async traits of each.
///
/// * If the server has no output, a blocking read fails with `WouldBlock` at once, like a socket
///   whose read timeout has passed, and an async read is pending until something is written.
/// * Delays are skipped.
/// * After the server closed, one write is lost, like in TCP, and further ones fail with
///   `BrokenPipe`.
/// * While the server does not read, a write fails with `WouldBlock`, or is pending.
///
/// ```
/// use std::io::{Read, Write};
/// use smtp_test::{Config, MemoryServer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut stream = MemoryServer::new(&Config::new());
/// let log = stream.log();
/// stream.write_all(b"QUIT\r\n")?; // A violation: before the greeting.
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// assert_eq!(text, "220 mail.test ESMTP\r\n221 2.0.0 bye\r\n");
/// assert_eq!(log.violations().len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct MemoryServer {
    peer: Box<dyn Peer>,
    log: Log,
    segment: Vec<u8>,
    taken: usize,
    end: Option<End>,
    client_closed: bool,
    swallowed: bool,
    waiting: Vec<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Eof,
    Reset,
}

impl MemoryServer {
    /// A connection to a new server; with TLS if the configuration has a certificate, else with a
    /// TLS that both sides only pretend.
    pub fn new(config: &Config) -> Self {
        Self::with_log(config, &Log::new())
    }

    /// A further connection to a server. The order in the log numbers the connections.
    ///
    /// ```
    /// use smtp_test::{Action, Config, Log, MemoryServer, Stage};
    ///
    /// let log = Log::new();
    /// let config = Config::new().on(Stage::Greeting.connection(1), Action::close());
    /// let first = MemoryServer::with_log(&config, &log); // gets no greeting
    /// let second = MemoryServer::with_log(&config, &log);
    /// assert_eq!(log.sessions().len(), 2);
    /// # let _ = (first, second);
    /// ```
    pub fn with_log(config: &Config, log: &Log) -> Self {
        let mut server = Self::with_peer(peer(Arc::new(config.clone()), log));
        server.log = log.clone();
        server
    }

    /// A connection to any peer. Its log is empty.
    pub fn with_peer(peer: impl Peer + 'static) -> Self {
        Self {
            peer: Box::new(peer),
            log: Log::new(),
            segment: Vec::new(),
            taken: 0,
            end: None,
            client_closed: false,
            swallowed: false,
            waiting: Vec::new(),
        }
    }

    /// A connection to a script. Take the [`report`](Player::report) from the player before.
    pub fn script(player: Player) -> Self {
        Self::with_peer(player)
    }

    /// The log, readable also after the stream was moved.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Does nothing, because no read waits; for clients that set timeouts on their streams.
    ///
    /// # Errors
    /// None.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }

    /// Closes the client's side: the server reads EOF, and its output is still available.
    pub fn shutdown(&mut self) {
        if !std::mem::replace(&mut self.client_closed, true) {
            self.peer.handle_eof();
            self.wake();
        }
    }

    /// Reads the available output; `None` if there is none.
    fn read_now(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        if buffer.is_empty() {
            return Some(Ok(0));
        }
        loop {
            let rest = &self.segment[self.taken..];
            if !rest.is_empty() {
                let len = rest.len().min(buffer.len());
                buffer[..len].copy_from_slice(&rest[..len]);
                self.taken += len;
                return Some(Ok(len));
            }
            match self.end {
                Some(End::Eof) => return Some(Ok(0)),
                Some(End::Reset) => return Some(Err(ErrorKind::ConnectionReset.into())),
                None => {}
            }
            match next_output(&mut self.peer)? {
                Output::Write(bytes) => {
                    self.segment = bytes;
                    self.taken = 0;
                }
                Output::Delay(_) => {}
                Output::Close | Output::Cut => self.end = Some(End::Eof),
                Output::Reset => self.end = Some(End::Reset),
            }
        }
    }

    /// Writes; `None` while the server does not read.
    fn write_now(&mut self, slices: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        if self.end == Some(End::Reset) || self.client_closed {
            return Some(Err(ErrorKind::BrokenPipe.into()));
        }
        if self.peer.is_closed() {
            let broken = std::mem::replace(&mut self.swallowed, true);
            return Some(if broken {
                Err(ErrorKind::BrokenPipe.into())
            } else {
                Ok(len)
            });
        }
        pretend_tls(&mut self.peer);
        if !self.peer.wants_input() {
            return None;
        }
        for slice in slices {
            self.peer.handle_input(slice);
        }
        self.wake();
        Some(Ok(len))
    }

    fn wake(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    #[cfg_attr(
        not(any(feature = "tokio", feature = "futures-io")),
        expect(dead_code, reason = "only the async traits need it")
    )]
    pub(crate) fn poll_read_bytes(
        &mut self,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.read_now(buffer)
            .map_or_else(|| self.wait(cx), Poll::Ready)
    }

    #[cfg_attr(
        not(any(feature = "tokio", feature = "futures-io")),
        expect(dead_code, reason = "only the async traits need it")
    )]
    pub(crate) fn poll_write_bytes(
        &mut self,
        cx: &Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_now(slices)
            .map_or_else(|| self.wait(cx), Poll::Ready)
    }
}

impl Read for MemoryServer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_now(buffer)
            .unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))
    }
}

impl Write for MemoryServer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_now(slices)
            .unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MemoryServer {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer")
            .field("log", &self.log)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
