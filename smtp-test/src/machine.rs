//! The server's side of SMTP. [`Machine`] is the glue: lines in, the reply queue out, the record kept.
//!
//! ```text
//! ExpectTls ──TLS──> ExpectCommand <──235, 5yz──> ExpectResponse (AUTH)
//!     ^──STARTTLS 220──┘   ^  ^───end of data──> ExpectData (DATA 354)
//!                          └───end of chunk──> ExpectChunk (BDAT)
//! ```
//! Any of them goes to `ConnectionLost` by QUIT, EOF or an [`Action`](crate::Action) that says so.

mod capabilities;
mod chunks;
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
mod syntax;
mod transaction;

use std::{collections::HashMap, sync::Arc};

use crate::{
    Action, Config, Log, Output, Peer, Rule, Session, Stage, TlsInfo, Violation, action::End,
    config::TlsMode, record::printable,
};
use capabilities::Capabilities;
use data::Data;
use queue::Queue;
use sasl::Exchange;
use transaction::{Chunk, Envelope};

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
    line: Vec<u8>,
    queue: Queue,
    reached: HashMap<Stage, usize>,
    /// What the last reply is to, in words.
    asked: Vec<u8>,
    /// The number of the last reply in the queue's order; of one that was kept back, none that is ever reached.
    last_reply: u64,
    /// Whether what was given as output has been seen by the client before its next input.
    exact: bool,
    /// The number of the command line that waits for its first reply.
    command: Option<usize>,
    commands: usize,
    received: u64,
    heard: bool,
    reading: bool,
    greeted: bool,
    in_tls: bool,
    tls: Option<TlsInfo>,
    hello: bool,
    capabilities: Capabilities,
    /// MAIL commands so far.
    mails: usize,
    user: Option<String>,
    auth_steps: usize,
    envelope: Envelope,
}

#[derive(Debug)]
enum State {
    /// TLS begins, or has begun.
    ExpectTls {
        begun: bool,
    },
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
            queue: Queue::new(config.split),
            reached: HashMap::new(),
            asked: b"the connection".to_vec(),
            last_reply: 0,
            exact: true,
            command: None,
            commands: 0,
            received: 0,
            heard: false,
            reading: true,
            greeted: false,
            in_tls: false,
            tls: None,
            hello: false,
            capabilities: Capabilities::default(),
            mails: 0,
            user: None,
            auth_steps: 0,
            envelope: Envelope::default(),
            config,
        };
        if implicit {
            machine.state = State::ExpectTls { begun: false };
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
        self.greeted = true;
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
                self.capabilities = Capabilities::new(text.as_bytes());
            }
            self.queue.push_reply(text, alone);
            self.last_reply = self.queue.pushed();
            return code;
        };
        let reply = action
            .reply
            .clone()
            .unwrap_or_else(|| Action::reply(text).reply.unwrap_or_default());
        let code = code(&reply);
        if hello && code / 100 == 2 {
            self.capabilities = Capabilities::new(&reply);
        }
        let before = self.queue.pushed();
        self.perform(&action, reply, alone);
        let after = self.queue.pushed();
        self.last_reply = if after > before { after } else { u64::MAX };
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
        !self.capabilities.pipelining() || (self.exact && self.queue.taken() >= reply)
    }

    /// Counts the stages as reached, and finds what to do at them.
    fn action(&mut self, stages: &[Stage]) -> Option<Action> {
        let command = self.command.take();
        if self.config.hooks.is_empty() {
            return None;
        }
        let mut stages = stages.to_vec();
        if let Some(number) = command {
            stages.extend([Stage::Command(number), Stage::AnyCommand]);
        }
        let counted: Vec<(Stage, usize)> = stages
            .into_iter()
            .map(|stage| {
                let count = self.reached.entry(stage).or_default();
                *count += 1;
                (stage, *count)
            })
            .collect();
        self.config.action(&counted, self.number + 1).cloned()
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
        self.heard = true;
        self.log.update(self.number, |session| {
            session.bytes_in += input.len() as u64
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
                State::ExpectTls { .. } => {
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
            .update(self.number, |session| session.client_eof = true);
        if open {
            self.end(End::Close);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        let (output, answers) = self.queue.pop()?;
        match &output {
            Output::Write(bytes) => {
                let turn = answers && !self.is_midway() && std::mem::take(&mut self.heard);
                let keep = self.config.keep_transcripts;
                let lines = if keep {
                    self.queue.lines(bytes)
                } else {
                    Vec::new()
                };
                self.log.update(self.number, |session| {
                    session.round_trips += usize::from(turn);
                    session.bytes_out += bytes.len() as u64;
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
                    session.closed = true;
                });
            }
            Output::Delay(_) => {}
        }
        Some(output)
    }

    fn poll_upgrade(&mut self) -> bool {
        match &mut self.state {
            State::ExpectTls { begun } if !*begun && !self.queue.is_answering() => {
                *begun = true;
                true
            }
            _ => false,
        }
    }

    fn handle_tls(&mut self, facts: TlsInfo) {
        if !matches!(self.state, State::ExpectTls { .. }) {
            return;
        }
        self.mark("<tls>");
        self.tls = Some(facts.clone());
        self.log
            .update(self.number, |session| session.tls = Some(facts));
        self.state = State::ExpectCommand;
        self.in_tls = true;
        self.hello = false;
        self.capabilities = Capabilities::default();
        self.user = None;
        self.envelope = Envelope::default();
        if !self.greeted {
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
        self.exact = false;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.log
            .update(self.number, |session| session.closed = true);
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
