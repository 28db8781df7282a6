use std::{
    collections::VecDeque,
    fmt,
    io::{ErrorKind, Read, Write},
    sync::Arc,
};

use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};

use crate::{Output, Peer, TlsInfo};

/// A peer with TLS around it, begun where the inner peer says so.
///
/// It composes rustls with [`Machine`](crate::Machine) or [`Script`](crate::Script) without any
/// stream between them.
///
/// ```
/// use smtp_test::{Config, Machine, MemoryServer, Tls, TlsPeer};
///
/// let tls = Tls::new();
/// let machine = Machine::new(&Config::new().implicit_tls());
/// // A stream on which a client begins with a TLS handshake.
/// let stream = MemoryServer::with_peer(TlsPeer::new(machine, tls.server_config()));
/// # let _ = stream;
/// ```
pub struct TlsPeer<P> {
    inner: P,
    config: Arc<ServerConfig>,
    state: State,
    out: VecDeque<Output>,
}

enum State {
    Clear,
    Handshake(Box<ServerConnection>),
    Open(Box<ServerConnection>),
    /// The client's close_notify came, or its EOF.
    Half(Box<ServerConnection>),
    Failed,
}

impl<P: Peer> TlsPeer<P> {
    /// Puts TLS around a peer; see [`Tls::server_config`](crate::Tls::server_config).
    pub fn new(inner: P, config: Arc<ServerConfig>) -> Self {
        let mut peer = Self {
            inner,
            config,
            state: State::Clear,
            out: VecDeque::new(),
        };
        peer.upgrade();
        peer
    }

    /// The peer inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// Begins TLS if it is time to.
    fn upgrade(&mut self) {
        if !matches!(self.state, State::Clear) || !self.inner.poll_upgrade() {
            return;
        }
        // What the peer has put after its 220 goes out in cleartext before any byte of the
        // handshake.
        while let Some(output) = self.inner.poll_output() {
            self.out.push_back(output);
        }
        match ServerConnection::new(Arc::clone(&self.config)) {
            Ok(mut connection) => {
                connection.set_buffer_limit(None);
                self.state = State::Handshake(Box::new(connection));
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn fail(&mut self, reason: &str) {
        self.state = State::Failed;
        self.inner.handle_tls_error(reason);
    }

    /// Sends what rustls wants to send, and `plaintext` with it, as one segment.
    fn flush(&mut self, plaintext: &[u8]) {
        let (State::Handshake(connection) | State::Open(connection) | State::Half(connection)) =
            &mut self.state
        else {
            return;
        };
        let mut wire = Vec::new();
        let mut done = connection.writer().write_all(plaintext);
        while done.is_ok() && connection.wants_write() {
            done = connection.write_tls(&mut wire).map(drop);
        }
        if !wire.is_empty() {
            self.out.push_back(Output::Write(wire));
        }
    }

    fn decrypt(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            let (State::Handshake(connection) | State::Open(connection)) = &mut self.state else {
                return;
            };
            let processed = match connection.read_tls(&mut input) {
                Ok(_) => connection
                    .process_new_packets()
                    .map(drop)
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(reason) = processed {
                // The alert tells the client why.
                self.flush(b"");
                self.fail(&reason);
                return;
            }
            self.establish();
            self.read_plaintext();
        }
    }

    /// Notes the end of the handshake.
    fn establish(&mut self) {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Handshake(connection) if !connection.is_handshaking() => {
                let version = match connection.protocol_version() {
                    Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                    Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                    _ => "unknown",
                };
                let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
                let mut facts = TlsInfo::new(version, resumed, connection.server_name());
                let label = b"EXPORTER-Channel-Binding";
                if let Ok(data) = connection.export_keying_material([0; 32], label, Some(b"")) {
                    facts = facts.with_binding("tls-exporter", data);
                }
                self.state = State::Open(connection);
                self.inner.handle_tls(facts);
            }
            state => self.state = state,
        }
    }

    fn read_plaintext(&mut self) {
        let mut buffer = [0; 16 << 10];
        while let State::Open(connection) = &mut self.state {
            match connection.reader().read(&mut buffer) {
                Ok(0) => self.finish(),
                Ok(len) => self.inner.handle_input(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.fail(&error.to_string()),
            }
        }
    }

    /// Notes that the client sends nothing more, and goes on sending.
    fn finish(&mut self) {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Open(connection) => {
                self.state = State::Half(connection);
                self.inner.handle_eof();
            }
            State::Handshake(_) => {
                self.inner
                    .handle_tls_error("the client closed during the handshake");
                self.inner.handle_eof();
            }
            State::Clear => {
                self.state = State::Clear;
                self.inner.handle_eof();
            }
            state => self.state = state,
        }
    }
}

impl<P: Peer> Peer for TlsPeer<P> {
    fn handle_input(&mut self, input: &[u8]) {
        self.upgrade();
        match self.state {
            State::Clear => self.inner.handle_input(input),
            _ => self.decrypt(input),
        }
    }

    fn handle_eof(&mut self) {
        self.upgrade();
        self.finish();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.upgrade();
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        match (&self.state, self.inner.poll_output()) {
            (State::Clear | State::Failed, output) => return output,
            (_, None) => self.flush(b""),
            (_, Some(Output::Write(bytes))) => self.flush(&bytes),
            (_, Some(Output::Close)) => {
                if let State::Handshake(connection)
                | State::Open(connection)
                | State::Half(connection) = &mut self.state
                {
                    connection.send_close_notify();
                }
                self.flush(b"");
                self.out.push_back(Output::Close);
            }
            (_, Some(output)) => {
                self.flush(b"");
                self.out.push_back(output);
            }
        }
        self.out.pop_front()
    }

    fn handle_network(&mut self) {
        self.inner.handle_network();
    }

    fn wants_input(&self) -> bool {
        self.inner.wants_input()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl<P: fmt::Debug> fmt::Debug for TlsPeer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Clear => "clear",
            State::Handshake(_) => "handshake",
            State::Open(_) => "open",
            State::Half(_) => "half closed",
            State::Failed => "failed",
        };
        f.debug_struct("TlsPeer")
            .field("inner", &self.inner)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
