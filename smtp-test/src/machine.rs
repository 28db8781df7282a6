//! The server's side of SMTP. [`Machine`] is the glue: lines in, the reply queue out, the record kept.
//!
//! ```text
//! ExpectTls ──> TlsHandshake ──> ExpectCommand <──235, 5yz──> ExpectResponse (AUTH)
//!     ^─────────STARTTLS 220─────────┘  ^  ^───end of data──> ExpectData (DATA 354)
//!                                       └───end of chunk──> ExpectChunk (BDAT)
//! ```
//! Any of them goes to `Closed` by QUIT, EOF or an [`Action`](crate::Action) that says so.

mod capabilities;
mod chunks;
mod client;
mod commands;
pub(crate) mod data;
mod header;
mod input;
mod login;
mod origin;
mod parameters;
mod queue;
mod sasl;
mod scram;
mod stages;
mod syntax;
mod transaction;
mod turn;

use std::sync::Arc;

use crate::{
    Action, Config, Log, Output, Peer, Rule, Session, Stage, TlsInfo, Violation, action::End,
    config::TlsMode, record::printable,
};
use capabilities::Capabilities;
use client::Client;
use data::Data;
use queue::Queue;
use sasl::Exchange;
use stages::Stages;
use transaction::{Chunk, Envelope};
use turn::{Direction, Transport, Turn};

/// An SMTP server as a sans-IO machine: one connection.
///
/// It reads commands strictly and by itself, does what its [`Config`] says, and writes what it sees into a [`Log`].
///
/// ```
/// use smtp_test::{Config, Machine, Output, Peer};
///
/// let mut server = Machine::new(&Config::new());
/// assert_eq!(server.poll_output(), Some(Output::Write(b"220 mail.test ESMTP\r\n".to_vec())));
/// server.handle_input(b"NOOP\n");
/// assert!(server.log().violations()[0].to_string().contains("bare line feed"));
/// ```
#[derive(Debug)]
pub struct Machine {
    config: Arc<Config>,
    log: Log,
    number: usize,
    state: State,
    /// The start of a line that has not ended.
    line: Vec<u8>,
    /// Bytes received, up to the last line or message that was taken.
    received: u64,
    /// Whether input is read; an action may end that for good.
    reading: bool,
    queue: Queue,
    turn: Turn,
    stages: Stages,
    client: Client,
    envelope: Envelope,
}

#[derive(Debug)]
enum State {
    /// TLS is to begin.
    ExpectTls,
    /// The TLS layer does the handshake.
    TlsHandshake,
    ExpectCommand,
    ExpectResponse(Exchange),
    ExpectData(Box<Data>),
    ExpectChunk(Chunk),
    Closed,
}

impl Machine {
    /// A server with a log of its own.
    pub fn new(config: &Config) -> Self {
        Self::with_log(config, &Log::new())
    }

    /// A server that writes into a log together with others; the order in it numbers the connections.
    pub fn with_log(config: &Config, log: &Log) -> Self {
        Self::shared(Arc::new(config.clone()), log)
    }

    /// The same without a copy of the configuration.
    pub(crate) fn shared(config: Arc<Config>, log: &Log) -> Self {
        let implicit = config.tls_mode == TlsMode::Implicit;
        let mut machine = Self {
            number: log.open(Session::default()),
            log: log.clone(),
            state: State::ExpectCommand,
            line: Vec::new(),
            received: 0,
            reading: true,
            queue: Queue::new(config.split),
            turn: Turn::new(),
            stages: Stages::default(),
            client: Client::default(),
            envelope: Envelope::default(),
            config,
        };
        if implicit {
            machine.state = State::ExpectTls;
        } else {
            machine.greet();
        }
        machine
    }

    /// The log that it writes into.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    fn greet(&mut self) {
        let text = self.greeting();
        self.answer(&[Stage::Greeting], &text, true);
    }

    fn greeting(&self) -> String {
        match &self.config.greeting {
            Some(text) => format!("220 {text}"),
            None if self.config.lmtp => format!("220 {} LMTP", self.config.host),
            None => format!("220 {} ESMTP", self.config.host),
        }
    }

    /// Queues a reply, or what the configuration puts in its place. Gives the code that counts: the one that the client
    /// gets, or would have got if the reply is kept back.
    ///
    /// `alone` is whether the client must not send anything before it.
    fn answer(&mut self, stages: &[Stage], text: &str, alone: bool) -> u16 {
        let hello = matches!(stages.first(), Some(Stage::Ehlo | Stage::EhloInTls));
        let Some(action) = self.action(stages) else {
            let code = code(text.as_bytes());
            if hello && code / 100 == 2 {
                self.client.capabilities = Capabilities::new(text.as_bytes());
            }
            self.queue.push_reply(text, alone);
            self.turn.last_reply = self.queue.pushed();
            return code;
        };
        let reply = action
            .reply
            .clone()
            .unwrap_or_else(|| Action::reply(text).reply.unwrap_or_default());
        let code = code(&reply);
        if hello && code / 100 == 2 {
            self.client.capabilities = Capabilities::new(&reply);
        }
        let before = self.queue.pushed();
        self.perform(&action, reply, alone);
        let after = self.queue.pushed();
        self.turn.last_reply = if after > before { after } else { u64::MAX };
        code
    }

    /// Whether the client must be still about to send: it has begun what it has not ended.
    fn is_midway(&self) -> bool {
        match &self.state {
            State::ExpectChunk(_) => true,
            State::ExpectData(data) => data.raw_len() > 0,
            _ => !self.line.is_empty(),
        }
    }

    /// Whether the client must have seen a reply when it sent what comes in now.
    fn is_known(&self, reply: u64) -> bool {
        !self.client.capabilities.pipelining()
            || (self.turn.transport == Transport::Memory && self.queue.taken() >= reply)
    }

    /// The action at these stages of a reply, and at those of the command line if this is its first reply.
    fn action(&mut self, stages: &[Stage]) -> Option<Action> {
        let command = self.stages.take_command();
        self.action_at(stages, command)
    }

    /// Counts the stages as reached, and finds what to do at them.
    fn action_at(&mut self, stages: &[Stage], command: Option<usize>) -> Option<Action> {
        if self.config.hooks.is_empty() {
            return None;
        }
        let reached = self.stages.reach(stages, command);
        self.config.action(&reached, self.number + 1).cloned()
    }

    fn perform(&mut self, action: &Action, reply: Vec<u8>, alone: bool) {
        if !action.silent {
            self.queue.push(action, reply, alone);
        } else if let Some(delay) = action.delay {
            self.queue.push_plain(Output::Delay(delay));
        }
        if action.stop_reading {
            self.reading = false;
        }
        if let Some(end) = action.end {
            self.end(end);
        }
    }

    fn end(&mut self, end: End) {
        self.queue.push_plain(match end {
            End::Close => Output::Close,
            End::Cut => Output::Cut,
            End::Reset => Output::Reset,
        });
        self.state = State::Closed;
    }

    fn violation(&self, rule: Rule, detail: impl Into<String>) {
        self.violation_at(rule, detail, self.received);
    }

    fn violation_at(&self, rule: Rule, detail: impl Into<String>, offset: u64) {
        let detail = detail.into();
        self.log.update(self.number, |session| {
            if session.violations.len() < MAX_VIOLATIONS {
                session.violations.push(Violation {
                    rule,
                    detail,
                    offset,
                });
            }
        });
    }

    fn note(&self, line: &[u8]) {
        if self.config.keep_transcripts {
            self.log
                .update(self.number, |session| session.note('C', line));
        }
    }

    fn mark(&self, mark: impl Into<String>) {
        if self.config.keep_transcripts {
            self.log.update(self.number, |session| session.mark(mark));
        }
    }
}

impl Peer for Machine {
    fn handle_input(&mut self, mut input: &[u8]) {
        if input.is_empty() {
            return;
        }
        self.turn.direction = Direction::ToServer;
        self.log.update(self.number, |session| {
            session.traffic.bytes_in += input.len() as u64
        });
        while !input.is_empty() && self.reading {
            let taken = match &self.state {
                State::Closed => {
                    // A hook may close where the client is free to go on.
                    if self.queue.must_wait() {
                        self.check_turn();
                    }
                    return;
                }
                State::ExpectTls | State::TlsHandshake => {
                    self.violation(Rule::DidNotWait, "bytes in cleartext where TLS begins");
                    self.end(End::Cut);
                    return;
                }
                State::ExpectData(_) => self.read_data(input),
                State::ExpectChunk(_) => self.read_chunk(input),
                State::ExpectCommand | State::ExpectResponse(_) => self.read_line(input),
            };
            input = &input[taken..];
        }
    }

    fn handle_eof(&mut self) {
        let unfinished = std::mem::take(&mut self.line);
        if !unfinished.is_empty() {
            self.mark(format!("C- {}", printable(&unfinished)));
        }
        if let State::ExpectData(data) = &self.state {
            self.mark(format!("C: <unfinished body of {} bytes>", data.body_len()));
        }
        if let State::ExpectChunk(chunk) = &self.state {
            self.mark(format!(
                "C: <unfinished chunk, {} bytes missing>",
                chunk.left
            ));
        }
        let open = !matches!(self.state, State::Closed);
        self.mark("C: <eof>");
        self.log
            .update(self.number, |session| session.end.client_eof = true);
        if open {
            self.end(End::Close);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        let (output, answers) = self.queue.pop()?;
        match &output {
            Output::Write(bytes) => {
                let turn = answers && !self.is_midway() && self.turn.end_reply();
                let keep = self.config.keep_transcripts;
                let lines = if keep {
                    self.queue.lines(bytes)
                } else {
                    Vec::new()
                };
                self.log.update(self.number, |session| {
                    session.traffic.round_trips += usize::from(turn);
                    session.traffic.bytes_out += bytes.len() as u64;
                    for line in lines {
                        session.note('S', &line);
                    }
                });
            }
            Output::Close | Output::Cut | Output::Reset => {
                let rest = self.queue.unfinished_line();
                let keep = self.config.keep_transcripts;
                self.log.update(self.number, |session| {
                    if keep {
                        if !rest.is_empty() {
                            session.mark(format!("S- {}", printable(&rest)));
                        }
                        session.mark(match output {
                            Output::Close => "S: <eof>",
                            Output::Cut => "S: <cut>",
                            _ => "S: <reset>",
                        });
                    }
                    session.end.closed = true;
                });
            }
            Output::Delay(_) => {}
        }
        Some(output)
    }

    fn poll_upgrade(&mut self) -> bool {
        let begins = matches!(self.state, State::ExpectTls) && !self.queue.is_answering();
        if begins {
            self.state = State::TlsHandshake;
        }
        begins
    }

    fn handle_tls(&mut self, facts: TlsInfo) {
        if !matches!(self.state, State::ExpectTls | State::TlsHandshake) {
            return;
        }
        self.mark("<tls>");
        let greets = self.config.tls_mode == TlsMode::Implicit && !self.client.is_in_tls();
        self.client = self.client.over_tls(facts.clone());
        self.log
            .update(self.number, |session| session.tls = Some(facts));
        self.state = State::ExpectCommand;
        self.envelope = Envelope::default();
        if greets {
            self.greet();
        }
    }

    fn handle_tls_error(&mut self, reason: &str) {
        self.mark(format!("<tls error: {reason}>"));
        self.log.update(self.number, |session| {
            session.tls_error = Some(reason.to_owned())
        });
        if !matches!(self.state, State::Closed) {
            self.end(End::Cut);
        }
    }

    fn wants_input(&self) -> bool {
        self.reading
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn handle_network(&mut self) {
        self.turn.transport = Transport::Network;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.log
            .update(self.number, |session| session.end.closed = true);
    }
}

/// The code of a reply, or 0.
fn code(reply: &[u8]) -> u16 {
    str::from_utf8(reply.get(..3).unwrap_or_default())
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// A client in a loop shall not fill the memory with reports.
const MAX_VIOLATIONS: usize = 1000;

/// No line is longer: SASL responses, the longest, may have 12,288 bytes.
const MAX_BUFFERED: usize = 64 << 10;
