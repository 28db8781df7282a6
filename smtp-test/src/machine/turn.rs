/// Whose turn it is, and which replies the client can have seen.
#[derive(Debug)]
pub(super) struct Turn {
    /// What the last reply is to, in words.
    asked: Vec<u8>,
    /// The position of the last reply in the queue. A reply that was kept back is never reached.
    pub(super) last_reply: u64,
    pub(super) transport: Transport,
    pub(super) direction: Direction,
}

/// What is between the client and this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// The client has seen all output before its next input.
    Memory,
    /// Output may be on its way while input comes.
    Network,
}

/// The direction of the last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToClient,
    ToServer,
}

impl Turn {
    /// Before the greeting.
    pub(super) fn new() -> Self {
        Self {
            asked: b"the connection".to_vec(),
            last_reply: 0,
            transport: Transport::Memory,
            direction: Direction::ToClient,
        }
    }

    /// What the last reply is to, in words.
    pub(super) fn asked(&self) -> &[u8] {
        &self.asked
    }

    /// Records what the next reply is to.
    pub(super) fn ask(&mut self, what: &[u8]) {
        self.asked.clear();
        self.asked.extend_from_slice(what);
    }

    /// Records the end of a reply. Returns whether it ends a round trip.
    pub(super) fn end_reply(&mut self) -> bool {
        let before = std::mem::replace(&mut self.direction, Direction::ToClient);
        before == Direction::ToServer
    }
}
