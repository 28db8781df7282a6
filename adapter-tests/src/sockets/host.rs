//! A server that sends surplus replies when the test asks for them.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use smtp_test::{Config, Log, Machine, Output, Peer, Tls, TlsInfo, TlsPeer};
use socket2::SockRef;

/// A server for one connection.
pub(super) struct Host {
    address: SocketAddr,
    log: Log,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    more: More,
    /// `None` after the connection has ended.
    line: Mutex<Option<Line>>,
    received: Mutex<Vec<u8>>,
    grown: Condvar,
}

struct Line {
    peer: Box<dyn Peer>,
    stream: TcpStream,
}

/// Surplus output of the server.
type More = Arc<Mutex<VecDeque<Output>>>;

impl Host {
    pub(super) fn start(config: &Config, tls: Option<&Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let log = Log::new();
        let more = More::default();
        let peer = Talkative {
            machine: Machine::with_log(config, &log),
            more: Arc::clone(&more),
        };
        let peer: Box<dyn Peer> = match tls {
            Some(tls) => Box::new(TlsPeer::new(peer, tls.server_config())),
            None => Box::new(peer),
        };
        let shared = Arc::new(Shared {
            more,
            line: Mutex::default(),
            received: Mutex::default(),
            grown: Condvar::new(),
        });
        Self {
            address: listener.local_addr().unwrap(),
            log,
            shared: Arc::clone(&shared),
            thread: thread::spawn(move || shared.serve(&listener, peer)),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command lines so far.
    pub(super) fn commands(&self) -> Vec<String> {
        self.log.session().commands().to_vec()
    }

    pub(super) fn mail_count(&self) -> usize {
        self.log.mail_count()
    }

    /// How many bytes have been received so far.
    pub(super) fn received(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// Waits until `count` bytes have been received.
    pub(super) fn wait_for(&self, count: usize) {
        let mut received = self.shared.received.lock().unwrap();
        while received.len() < count {
            received = self.shared.grown.wait(received).unwrap();
        }
    }

    /// Sends this, and returns when the system has it.
    pub(super) fn say(&self, output: Output) {
        let mut line = self.shared.line.lock().unwrap();
        if output == Output::Reset {
            let Some(Line { stream, .. }) = line.take() else {
                return;
            };
            // The connection is reset when its last socket is closed: that of the other thread,
            // which this wakes.
            SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            stream.shutdown(Shutdown::Read).unwrap();
            return;
        }
        self.shared.more.lock().unwrap().push_back(output);
        line.as_mut().expect("the client is there").write();
    }

    /// Waits until the client has closed, and returns all that was received.
    pub(super) fn finish(self) -> (Vec<u8>, Log) {
        self.thread.join().unwrap();
        let received = std::mem::take(&mut *self.shared.received.lock().unwrap());
        (received, self.log)
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener, peer: Box<dyn Peer>) {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let mut line = Line { peer, stream };
        line.peer.handle_network();
        line.write();
        *self.line.lock().unwrap() = Some(line);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = reader.read(&mut buffer).unwrap_or(0);
            let mut slot = self.line.lock().unwrap();
            let Some(line) = &mut *slot else {
                return;
            };
            if count == 0 {
                line.peer.handle_eof();
                *slot = None;
                return;
            }
            let input = &buffer[..count];
            self.received.lock().unwrap().extend_from_slice(input);
            self.grown.notify_all();
            line.peer.handle_input(input);
            line.write();
        }
    }
}

impl Line {
    fn write(&mut self) {
        while let Some(output) = self.peer.poll_output() {
            // A client that has closed is noticed when it is read from.
            let _ = match output {
                Output::Write(bytes) => self.stream.write_all(&bytes),
                _ => self.stream.shutdown(Shutdown::Write),
            };
        }
    }
}

/// A server that sends surplus replies.
struct Talkative {
    machine: Machine,
    more: More,
}

impl Peer for Talkative {
    fn handle_input(&mut self, input: &[u8]) {
        self.machine.handle_input(input);
    }

    fn handle_eof(&mut self) {
        self.machine.handle_eof();
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        output.or_else(|| self.more.lock().unwrap().pop_front())
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
