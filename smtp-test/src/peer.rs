use std::time::Duration;

/// The far side of a connection without I/O: bytes in, bytes out.
///
/// [`Machine`](crate::Machine) and [`Script`](crate::Script) are peers, and
/// [`TlsPeer`](crate::TlsPeer) puts TLS around either. [`MemoryServer`](crate::MemoryServer),
/// [`Server`](crate::Server) and [`serve`](crate::serve) move a peer's bytes. A test of a sans-IO
/// client can call these methods itself:
///
/// | method | when |
/// | --- | --- |
/// | [`handle_input`](Self::handle_input), [`handle_eof`](Self::handle_eof) | the client sent bytes, or closed its side |
/// | [`poll_output`](Self::poll_output) | the client reads: call until `None` |
/// | [`poll_upgrade`](Self::poll_upgrade) | after each output, and before each input: does TLS begin here? |
/// | [`handle_tls`](Self::handle_tls), [`handle_tls_error`](Self::handle_tls_error) | the handshake ended |
///
/// ```
/// use smtp_test::{Config, Machine, Output, Peer};
///
/// let mut server = Machine::new(&Config::new());
/// let mut received = Vec::new();
/// for input in [&b""[..], b"QUIT\r\n"] {
///     server.handle_input(input);
///     while let Some(output) = server.poll_output() {
///         if let Output::Write(bytes) = output {
///             received.extend(bytes);
///         }
///     }
/// }
/// assert_eq!(received, b"220 mail.test ESMTP\r\n221 2.0.0 bye\r\n");
/// assert!(server.is_closed());
/// ```
pub trait Peer: Send {
    /// Takes all of these bytes from the client. Any split has the same effect.
    fn handle_input(&mut self, input: &[u8]);

    /// Reports that the client closed its sending side.
    fn handle_eof(&mut self);

    /// The next output towards the client, or `None` while there is none.
    ///
    /// Output that was taken counts as read by the client. By it a peer knows whether the client
    /// waited for a reply.
    fn poll_output(&mut self) -> Option<Output>;

    /// Whether TLS begins here, in both directions; `true` once.
    ///
    /// The caller then performs the handshake and reports it by [`handle_tls`](Self::handle_tls). A
    /// test without TLS calls it at once with [`TlsInfo::pretended`].
    fn poll_upgrade(&mut self) -> bool {
        false
    }

    /// Reports that TLS is established: from now on, input and output are the plaintext inside.
    fn handle_tls(&mut self, facts: TlsInfo) {
        let _ = facts;
    }

    /// Reports that the handshake failed, with the reason. The connection ends.
    fn handle_tls_error(&mut self, reason: &str) {
        let _ = reason;
    }

    /// Reports that a network or another thread is between peer and client, so the client may send
    /// its next bytes before it has read all output. Without this call, output counts as read at
    /// once.
    fn handle_network(&mut self) {}

    /// Whether the peer reads; `false` after an action that stops reading.
    fn wants_input(&self) -> bool {
        true
    }

    /// Whether the peer closed the connection and ignores further input.
    fn is_closed(&self) -> bool {
        false
    }
}

impl<P: Peer + ?Sized> Peer for Box<P> {
    fn handle_input(&mut self, input: &[u8]) {
        (**self).handle_input(input);
    }

    fn handle_eof(&mut self) {
        (**self).handle_eof();
    }

    fn poll_output(&mut self) -> Option<Output> {
        (**self).poll_output()
    }

    fn poll_upgrade(&mut self) -> bool {
        (**self).poll_upgrade()
    }

    fn handle_tls(&mut self, facts: TlsInfo) {
        (**self).handle_tls(facts);
    }

    fn handle_tls_error(&mut self, reason: &str) {
        (**self).handle_tls_error(reason);
    }

    fn handle_network(&mut self) {
        (**self).handle_network();
    }

    fn wants_input(&self) -> bool {
        (**self).wants_input()
    }

    fn is_closed(&self) -> bool {
        (**self).is_closed()
    }
}

/// An action of a peer towards the client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send these bytes as one segment: one write, and in memory never joined with the next in one
    /// read.
    Write(Vec<u8>),
    /// Wait this long; skipped where there is no clock.
    Delay(Duration),
    /// Close in good order: with a close_notify inside TLS.
    Close,
    /// Close without a close_notify.
    Cut,
    /// Reset the connection, so that the client's next read fails; over TCP the same as
    /// [`Output::Cut`].
    Reset,
}

/// The TLS connection as the server knows it.
///
/// ```
/// use smtp_test::TlsInfo;
///
/// let info = TlsInfo::pretended().with_binding("tls-exporter", *b"0123");
/// assert_eq!(info.version(), "pretended");
/// assert_eq!(info.binding("tls-exporter"), Some(&b"0123"[..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    version: &'static str,
    resumed: bool,
    server_name: Option<String>,
    bindings: Vec<(String, Vec<u8>)>,
}

impl TlsInfo {
    /// The result of a real handshake.
    pub(crate) fn new(version: &'static str, resumed: bool, server_name: Option<&str>) -> Self {
        Self {
            version,
            resumed,
            server_name: server_name.map(str::to_owned),
            bindings: Vec::new(),
        }
    }

    /// For a test in which both sides pretend TLS, and no byte is encrypted.
    pub fn pretended() -> Self {
        Self::new("pretended", false, None)
    }

    /// Adds the data of a channel binding (RFC 5056), such as `tls-exporter`, which SCRAM with
    /// `-PLUS` requires.
    #[must_use = "this adds to a copy"]
    pub fn with_binding(mut self, name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.bindings.push((name.into(), data.into()));
        self
    }

    /// The data of a channel binding: `tls-exporter` (RFC 9266) where TLS took place.
    pub fn binding(&self, name: &str) -> Option<&[u8]> {
        self.bindings
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, data)| data.as_slice())
    }

    /// The protocol version: `TLSv1.2`, `TLSv1.3` or `pretended`.
    pub fn version(&self) -> &str {
        self.version
    }

    /// Whether an earlier session was resumed.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The name that the client asked for (SNI).
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

/// How a peer's output is cut into segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Split {
    /// All output that is available at one time in one segment.
    #[default]
    Whole,
    /// One segment for each line.
    Line,
    /// One segment for each byte.
    Byte,
}

impl Split {
    /// All the ways to split, for tests that try each.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Line, Self::Byte];

    /// How many of `bytes` make up the first segment.
    pub(crate) fn first(self, bytes: &[u8]) -> usize {
        match self {
            Self::Whole => bytes.len(),
            Self::Line => memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1),
            Self::Byte => bytes.len().min(1),
        }
    }
}
