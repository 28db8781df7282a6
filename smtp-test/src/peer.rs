use std::time::Duration;

/// The far side of a connection without any input or output of its own: bytes in, bytes out.
///
/// [`Machine`](crate::Machine) and [`Script`](crate::Script) are peers, and [`TlsPeer`](crate::TlsPeer) puts TLS
/// around either. [`MemoryServer`](crate::MemoryServer), [`Server`](crate::Server) and [`serve`](crate::serve) move a
/// peer's bytes; a test of a sans-IO client can as well call these methods itself:
///
/// | method | when |
/// | --- | --- |
/// | [`handle_input`](Self::handle_input), [`handle_eof`](Self::handle_eof) | something came from the client |
/// | [`poll_output`](Self::poll_output) | the client reads: call until `None` |
/// | [`poll_upgrade`](Self::poll_upgrade) | after each output, and before each input: does TLS begin here? |
/// | [`handle_tls`](Self::handle_tls), [`handle_tls_error`](Self::handle_tls_error) | the handshake ended |
pub trait Peer: Send {
    /// Takes bytes that the client sent; all of them, and any split has the same effect.
    fn handle_input(&mut self, input: &[u8]);

    /// Notes that the client closed its sending side.
    fn handle_eof(&mut self);

    /// Gives what to do next towards the client, or `None` while there is nothing.
    ///
    /// What was given counts as seen by the client: a peer finds out with it who talks out of turn.
    fn poll_output(&mut self) -> Option<Output>;

    /// Tells, once, that what is sent from here on in both directions belongs to TLS.
    ///
    /// The caller then makes the handshake and reports it by [`handle_tls`](Self::handle_tls), at once with
    /// [`TlsInfo::pretended`] where the test leaves TLS out.
    fn poll_upgrade(&mut self) -> bool {
        false
    }

    /// Notes that TLS stands: input and output are now what is inside.
    fn handle_tls(&mut self, facts: TlsInfo) {
        let _ = facts;
    }

    /// Notes that TLS failed, with the reason; the connection is dead.
    fn handle_tls_error(&mut self, reason: &str) {
        let _ = reason;
    }

    /// Notes that a network or another thread lies between: what was given as output can still be under way when the
    /// client sends what comes in next. Without it a peer knows all that the client had seen.
    fn handle_network(&mut self) {}

    /// Whether the peer reads at present; `false` when it is told to stop reading.
    fn wants_input(&self) -> bool {
        true
    }

    /// Whether the peer closed the connection and will look at no more input.
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

/// One thing that a peer does towards the client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send these bytes as one segment: one write, and in memory never joined with the next in one read.
    Write(Vec<u8>),
    /// Do nothing for so long; where there is no clock it is skipped.
    Delay(Duration),
    /// Close in good order: with a close_notify inside TLS.
    Close,
    /// Close without a close_notify.
    Cut,
    /// Break the connection so that the client's next read fails; over TCP it is as [`Output::Cut`].
    Reset,
}

/// What is known of a TLS session on the server's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    version: &'static str,
    resumed: bool,
    server_name: Option<String>,
    bindings: Vec<(String, Vec<u8>)>,
}

impl TlsInfo {
    /// Facts of a handshake that took place.
    pub(crate) fn new(version: &'static str, resumed: bool, server_name: Option<&str>) -> Self {
        Self {
            version,
            resumed,
            server_name: server_name.map(str::to_owned),
            bindings: Vec::new(),
        }
    }

    /// Facts for a test in which both sides agree that TLS stands, and no byte is encrypted.
    pub fn pretended() -> Self {
        Self::new("pretended", false, None)
    }

    /// Adds the data of a channel binding (RFC 5056), such as `tls-exporter`, which SCRAM with `-PLUS` wants to see.
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
    /// All that there is at one time in one segment.
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
