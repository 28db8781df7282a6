//! The server of a script: one connection on a thread, with faults.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use super::record::{Both, Record};
use crate::serve::serve_with;
use crate::{Config, Log, Machine, Output, Peer, TlsInfo, TlsPeer};

/// What the network does with the server's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Each byte is written when the client has taken the one before.
    Drip,
    /// The server's side ends after this number of bytes written.
    CutAfterWritten(usize),
    /// The connection is reset after this number of bytes written.
    ResetAfterWritten(usize),
    /// The server's side ends after this number of bytes read.
    CutAfterRead(usize),
}

/// How a server listens, and for how long it waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    pub(super) fault: Fault,
    /// The size of the buffers of both sockets, in bytes, if not that of the system.
    pub(super) buffers: Option<usize>,
    /// Whether the server has a smaller buffer for input than that.
    pub(super) is_narrow: bool,
    pub(super) lingers: bool,
    /// How many bytes the length of a flight differs by from run to run.
    pub(super) margin: usize,
    pub(super) patience: Duration,
}

/// Connects a client to a new server. Returns the client's stream, and the server's thread.
pub(super) fn start(
    config: &Config,
    conditions: Conditions,
    record: &Arc<Record>,
    log: &Log,
) -> io::Result<(TcpStream, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    if let Some(size) = conditions.buffers {
        let size = if conditions.is_narrow { size / 8 } else { size };
        SockRef::from(&listener).set_recv_buffer_size(size)?;
    }
    let client = TcpStream::connect(listener.local_addr()?)?;
    client.set_nodelay(true)?;
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(conditions.patience))?;
    stream.set_write_timeout(Some(conditions.patience))?;
    if let Some(size) = conditions.buffers {
        SockRef::from(&client).set_recv_buffer_size(size)?;
        // So small that the writes of a client are short.
        let part = if conditions.is_narrow { 8 } else { 4 };
        SockRef::from(&client).set_send_buffer_size(size / part)?;
        SockRef::from(&stream).set_send_buffer_size(size)?;
    }
    let handle = stream.try_clone()?;
    record.change(|both| both.server.stream = Some(handle));
    let inside = Inside {
        machine: Machine::with_log(config, log),
        record: Arc::clone(record),
    };
    let mut peer: Box<dyn Peer> = match &config.tls {
        Some(tls) => Box::new(TlsPeer::new(inside, tls.server_config())),
        None => Box::new(inside),
    };
    let tap = Tap {
        stream,
        record: Arc::clone(record),
        conditions,
    };
    let thread = std::thread::spawn(move || tap.converse(&mut peer));
    Ok((client, thread))
}

/// The server's end of the socket, where all bytes are recorded and faults happen.
struct Tap {
    stream: TcpStream,
    record: Arc<Record>,
    conditions: Conditions,
}

impl Tap {
    fn converse(mut self, peer: &mut Box<dyn Peer>) {
        // An error ends this connection. What the client made of it is in its trace.
        let _ = serve_with(
            peer,
            &mut self,
            |_, _| Ok(0),
            |time| {
                std::thread::sleep(time);
                true
            },
        );
        let record = Arc::clone(&self.record);
        let is_deaf = !peer.wants_input() && !peer.is_closed() && !record.lock().server.ended;
        if is_deaf || self.conditions.lingers {
            // Open without reading, until the client gives up.
            record.wait(self.conditions.patience, |both| both.finished);
        }
        if record.lock().server.reset {
            // By dropping the last handle.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            record.change(|both| {
                both.server.ended = true;
                both.server.client_closed = true;
                both.server.stream = None;
            });
            return;
        }
        self.end();
        self.drain(peer);
        // The clone alone would keep the socket open.
        record.change(|both| both.server.stream = None);
    }

    /// Reads what the client still sends, until it closes.
    fn drain(&mut self, peer: &mut dyn Peer) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.receive(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    peer.handle_input(&buffer[..count]);
                    while peer.poll_output().is_some() {}
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A client that closes with unread input resets the connection.
                Err(error) if !is_timeout(&error) => break,
                Err(_) => return,
            }
        }
        self.record.change(|both| both.server.client_closed = true);
    }

    /// Closes the server's side. The client's bytes are still read.
    fn end(&self) {
        self.record.change(|both| both.server.ended = true);
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer);
        match &read {
            Ok(count) => {
                let bytes = &buffer[..*count];
                self.record
                    .change(|both| both.server.read.extend_from_slice(bytes));
            }
            // A client that is closed and leaves its socket open does not hang.
            Err(error) if is_timeout(error) && !self.record.lock().finished => {
                self.record.expire();
            }
            Err(_) => {}
        }
        read
    }

    fn send(&mut self, bytes: &[u8], is_last: bool) -> io::Result<()> {
        let may_write = |both: &Both| !both.server.holds || both.expired;
        self.record.wait(self.conditions.patience, may_write);
        self.record
            .change(|both| both.server.written.extend_from_slice(bytes));
        let mut left = bytes;
        while !left.is_empty() {
            let sent = if is_last {
                send_held(&self.stream, left)
            } else {
                self.stream.write(left)
            };
            match sent {
                Ok(count) => {
                    left = &left[count..];
                    self.record.change(|both| both.server.arrived += count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if is_timeout(&error) {
                        self.record.expire();
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Ends the output after `bytes`, which are the last; `rest` is what the peer wanted to send
    /// after them.
    fn cut(&mut self, bytes: &[u8], rest: &[u8]) -> io::Error {
        let is_reset = matches!(self.conditions.fault, Fault::ResetAfterWritten(_));
        let _ = self.send(bytes, !is_reset);
        let margin = self.conditions.margin;
        let is_first = margin > 0 && bytes.len() <= margin;
        let boundary = rest.len() <= margin || is_first || bytes.ends_with(b"\n");
        self.record
            .change(|both| both.server.is_boundary = boundary);
        if is_reset {
            // What was sent must arrive before the reset discards it.
            self.record
                .wait(self.conditions.patience, Both::is_input_whole);
            self.record.change(|both| both.server.reset = true);
        } else {
            self.end();
        }
        ErrorKind::BrokenPipe.into()
    }
}

impl Both {
    fn is_input_whole(&self) -> bool {
        self.client.input >= self.server.written.len() || self.finished || self.expired
    }
}

impl super::record::ServerSide {
    /// Whether bytes may have been lost on the way to the server.
    pub(super) fn is_broken(&self) -> bool {
        self.reset
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.record.lock().server.read.len();
        let most = match self.conditions.fault {
            Fault::CutAfterRead(limit) => limit.saturating_sub(read).min(buffer.len()),
            _ => buffer.len(),
        };
        if most > 0 {
            // Any error ends the dialogue; the rest is read by `drain`.
            return match self.receive(&mut buffer[..most]) {
                Ok(0) => Err(io::Error::other("the client has closed its side")),
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    Err(io::Error::other(error))
                }
                read => read,
            };
        }
        self.record.change(|both| {
            both.server.is_boundary = both.server.read.last().is_none_or(|last| *last == b'\n');
        });
        self.end();
        Err(io::Error::other("the server's side ends here"))
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.record.lock().server.written.len();
        match self.conditions.fault {
            Fault::CutAfterWritten(limit) | Fault::ResetAfterWritten(limit)
                if limit <= written + bytes.len() =>
            {
                let (last, rest) = bytes.split_at(limit.saturating_sub(written));
                return Err(self.cut(last, rest));
            }
            Fault::Drip => {
                for byte in bytes {
                    self.send(&[*byte], false)?;
                    self.record.wait(DRIP, Both::is_input_whole);
                }
            }
            _ => self.send(bytes, false)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The machine inside of TLS, whose input is recorded in plaintext.
struct Inside {
    machine: Machine,
    record: Arc<Record>,
}

impl Peer for Inside {
    fn handle_input(&mut self, input: &[u8]) {
        self.record.lock().server.plain.extend_from_slice(input);
        self.machine.handle_input(input);
    }

    fn handle_eof(&mut self) {
        self.record.lock().server.notified = true;
        self.machine.handle_eof();
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        if output == Some(Output::Reset) {
            self.record.lock().server.reset = true;
        }
        output
    }

    fn poll_upgrade(&mut self) -> bool {
        self.machine.poll_upgrade()
    }

    fn handle_tls(&mut self, facts: TlsInfo) {
        self.machine.handle_tls(facts);
    }

    fn handle_tls_error(&mut self, reason: &str) {
        self.machine.handle_tls_error(reason);
    }

    fn handle_network(&mut self) {
        self.machine.handle_network();
    }

    fn wants_input(&self) -> bool {
        self.machine.wants_input()
    }

    fn is_closed(&self) -> bool {
        self.machine.is_closed()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Sends bytes that wait for the end of the stream, so that both arrive at the same time.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send_held(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    /// `MSG_MORE` of Linux.
    const MORE: i32 = 0x8000;
    SockRef::from(stream).send_with_flags(bytes, MORE)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn send_held(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}

/// How long a drip waits for a client that does not read at present.
const DRIP: Duration = Duration::from_millis(200);
