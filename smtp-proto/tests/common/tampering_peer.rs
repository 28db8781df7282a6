//! An attacker between a connection and its server that changes one reply, and tags all of them.

use std::collections::VecDeque;

use smtp_test::{Output, Peer};

/// A peer that changes one reply of the peer inside.
///
/// Each reply ends with its number as a tag, such as ` #7`. An inserted reply has the tag `#extra`.
pub(crate) struct TamperingPeer<P> {
    pub(crate) peer: P,
    /// The number of the reply that is changed, and the change.
    change: Option<(usize, Change)>,
    /// Every original reply, with the number of its flight.
    pub(crate) replies: Vec<(usize, String)>,
    /// What the client sent, flight by flight.
    pub(crate) flights: Vec<Vec<u8>>,
    partial: Vec<u8>,
    output: VecDeque<Output>,
    heard_since: bool,
}

/// A change of one reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Before(&'static str),
    After(&'static str),
    Delete,
    Double,
    /// With the reply after it, if that is of the same flight.
    Swap,
}

impl Change {
    pub(crate) const ALL: [Self; 11] = [
        Self::Before("250 #extra"),
        Self::Before("550 #extra"),
        Self::Before("354 #extra"),
        Self::Before("421 #extra"),
        Self::After("250 #extra"),
        Self::After("550 #extra"),
        Self::After("354 #extra"),
        Self::After("421 #extra"),
        Self::Delete,
        Self::Double,
        Self::Swap,
    ];
}

impl<P: Peer> TamperingPeer<P> {
    pub(crate) fn new(peer: P, change: Option<(usize, Change)>) -> Self {
        Self {
            peer,
            change,
            replies: Vec::new(),
            flights: vec![Vec::new()],
            partial: Vec::new(),
            output: VecDeque::new(),
            heard_since: false,
        }
    }

    /// Takes a flight of replies from the peer inside.
    fn collect(&mut self) {
        let mut said: Vec<Vec<u8>> = Vec::new();
        let mut others = Vec::new();
        while let Some(output) = self.peer.poll_output() {
            match output {
                Output::Write(bytes) => {
                    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                        self.partial.extend_from_slice(line);
                        if line.ends_with(b"\r\n") && line.get(3) == Some(&b' ') {
                            said.push(self.tag());
                        }
                    }
                }
                other => others.push(other),
            }
        }
        let first = self.replies.len() - said.len();
        let mut at = first;
        while at < self.replies.len() {
            let reply = &said[at - first];
            let extra = |text: &str| format!("{text}\r\n").into_bytes();
            let changed = match self.change.filter(|(number, _)| *number == at) {
                None => reply.clone(),
                Some((_, Change::Before(text))) => [extra(text), reply.clone()].concat(),
                Some((_, Change::After(text))) => [reply.clone(), extra(text)].concat(),
                Some((_, Change::Delete)) => Vec::new(),
                Some((_, Change::Double)) => [reply.clone(), reply.clone()].concat(),
                Some((_, Change::Swap)) => match said.get(at - first + 1) {
                    Some(next) => {
                        at += 1;
                        [next.clone(), reply.clone()].concat()
                    }
                    None => reply.clone(),
                },
            };
            if !changed.is_empty() {
                self.output.push_back(Output::Write(changed));
            }
            at += 1;
        }
        self.output.extend(others);
    }

    /// The complete reply in `partial`, with its tag.
    fn tag(&mut self) -> Vec<u8> {
        let text = String::from_utf8(std::mem::take(&mut self.partial)).unwrap();
        let text = text.trim_end().to_owned();
        let tagged = format!("{text} #{}\r\n", self.replies.len());
        self.replies.push((self.flights.len() - 1, text));
        tagged.into_bytes()
    }
}

impl<P: Peer> Peer for TamperingPeer<P> {
    fn handle_input(&mut self, input: &[u8]) {
        if std::mem::take(&mut self.heard_since) {
            self.flights.push(Vec::new());
        }
        self.flights.last_mut().unwrap().extend_from_slice(input);
        self.peer.handle_input(input);
    }

    fn handle_eof(&mut self) {
        self.peer.handle_eof();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.collect();
        let output = self.output.pop_front();
        self.heard_since |= output.is_some();
        output
    }

    fn is_closed(&self) -> bool {
        self.peer.is_closed()
    }
}
