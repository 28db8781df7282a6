//! The server's side of SMTP. [`Machine`] is the glue: lines in, the reply queue out, the record kept.
//!
//! ```text
//! ExpectTls ──TLS──> ExpectCommand <──235, 5yz──> ExpectResponse (AUTH)
//!     ^──STARTTLS 220──┘     ^───end of data──> ExpectData (DATA 354)
//! ```
//! Any of them goes to `Closed` by QUIT, EOF or an [`Action`](crate::Action) that says so.

mod auth;
mod commands;
pub(crate) mod data;
mod queue;
mod syntax;

use std::{collections::HashMap, sync::Arc};

use crate::{
    Action, Config, Log, Output, Parameter, Peer, Recipient, Rule, Session, Stage, TlsFacts,
    Violation, action::End, config::TlsMode, record::printable,
};
use auth::Exchange;
use data::Data;
use queue::Queue;

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
    asked: String,
    /// The number of the command line that waits for its first reply.
    command: Option<usize>,
    commands: usize,
    received: u64,
    heard: bool,
    reading: bool,
    greeted: bool,
    in_tls: bool,
    hello: bool,
    offered: Vec<String>,
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
    Closed,
}

/// The transaction, as far as it got.
#[derive(Debug, Default)]
struct Envelope {
    mail: Option<(String, Vec<Parameter>)>,
    mails_seen: usize,
    rcpts_seen: usize,
    recipients: Vec<Recipient>,
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
            asked: "the connection".to_owned(),
            command: None,
            commands: 0,
            received: 0,
            heard: false,
            reading: true,
            greeted: false,
            in_tls: false,
            hello: false,
            offered: Vec::new(),
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
        let text = match &self.config.greeting {
            Some(text) => format!("220 {text}"),
            None => format!("220 {} ESMTP", self.config.host),
        };
        self.answer(&[Stage::Greeting], &text, true);
    }

    /// Queues a reply, or what the configuration puts in its place. Gives the code that counts: the one that the client
    /// gets, or would have got if the reply is kept back.
    ///
    /// `alone` is whether the client must not send anything before it.
    fn answer(&mut self, stages: &[Stage], text: &str, alone: bool) -> u16 {
        let action = self.action(stages).unwrap_or_default();
        let reply = action
            .reply
            .clone()
            .unwrap_or_else(|| Action::reply(text).reply.unwrap_or_default());
        let code = str::from_utf8(reply.get(..3).unwrap_or_default())
            .ok()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        if matches!(stages.first(), Some(Stage::Ehlo | Stage::EhloInTls)) && code / 100 == 2 {
            self.offered = offered(&reply);
        }
        self.perform(&action, reply, alone);
        code
    }

    /// Counts the stages as reached, and finds what to do at them.
    fn action(&mut self, stages: &[Stage]) -> Option<Action> {
        let mut stages = stages.to_vec();
        if let Some(number) = self.command.take() {
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

    /// Whether PIPELINING is offered.
    fn pipelining(&self) -> bool {
        self.offers("PIPELINING")
    }

    fn offers(&self, keyword: &str) -> bool {
        self.offered
            .iter()
            .any(|line| line.split(' ').next() == Some(keyword))
    }

    /// Judges the first octet of a command, a response or a message: may the client send it now?
    fn check_turn(&self) {
        let rule = if self.queue.must_wait() {
            Rule::DidNotWait
        } else if self.queue.is_answering() && !self.pipelining() {
            Rule::NotPipelining
        } else {
            return;
        };
        self.violation(rule, format!("before the reply to {}", self.asked));
    }

    /// Takes one line, or a part of it, from the front of `input`.
    fn read_line(&mut self, input: &[u8]) -> usize {
        if self.line.is_empty() {
            self.check_turn();
        }
        let end = memchr::memchr(b'\n', input);
        let piece = &input[..end.map_or(input.len(), |end| end + 1)];
        self.line.extend_from_slice(piece);
        if self.line.len() > MAX_BUFFERED {
            self.violation(Rule::LineTooLong, "a line of more than 64 KiB");
            self.answer(&[], "500 5.5.2 line too long", true);
            self.end(End::Close);
            return piece.len();
        }
        if end.is_none() {
            return piece.len();
        }
        let line = std::mem::take(&mut self.line);
        let sound = self.check_line(&line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.note(text);
        match std::mem::replace(&mut self.state, State::ExpectCommand) {
            State::ExpectResponse(exchange) => self.handle_response(exchange, text, sound),
            _ => self.handle_command(text, line.len(), sound),
        }
        self.received += line.len() as u64;
        piece.len()
    }

    /// Looks for octets that no line may have.
    fn check_line(&self, line: &[u8]) -> bool {
        let shown = printable(line);
        let text = match line.strip_suffix(b"\r\n") {
            Some(text) => text,
            None => {
                self.violation(Rule::BareLf, shown.clone());
                line.strip_suffix(b"\n").unwrap_or(line)
            }
        };
        for &byte in text {
            let rule = match byte {
                b'\r' => Rule::BareCr,
                0 => Rule::Nul,
                1..=31 | 127 => Rule::Control,
                _ => continue,
            };
            self.violation(rule, shown);
            return false;
        }
        line.ends_with(b"\r\n")
    }

    fn read_data(&mut self, input: &[u8]) -> usize {
        let State::ExpectData(data) = &mut self.state else {
            return 0;
        };
        let before = data.raw_len();
        // An action at an offset takes effect at that octet, however the input was cut.
        let stop = self
            .config
            .hooks
            .iter()
            .filter_map(|(moment, _)| match moment.stage() {
                Stage::Body(at) if at > before => usize::try_from(at - before).ok(),
                _ => None,
            })
            .min()
            .unwrap_or(usize::MAX)
            .min(input.len());
        let (taken, end) = data.read(&input[..stop]);
        let raw = data.raw_len();
        if before == 0 {
            self.check_turn();
        }
        self.received += taken as u64;
        if end {
            let State::ExpectData(data) = std::mem::replace(&mut self.state, State::ExpectCommand)
            else {
                return taken;
            };
            self.handle_message(*data);
        } else if self
            .config
            .hooks
            .iter()
            .any(|(moment, _)| moment.stage() == Stage::Body(raw))
        {
            let action = self.action(&[Stage::Body(raw)]).unwrap_or_default();
            let reply = action.reply.clone().unwrap_or_default();
            self.perform(&action, reply, false);
        }
        taken
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
                    self.violation(Rule::DidNotWait, "octets in clear where TLS begins");
                    self.end(End::Cut);
                    return;
                }
                State::ExpectData(_) => self.read_data(input),
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
            self.mark(format!(
                "C: <unfinished body of {} octets>",
                data.body_len()
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
                let turn = answers && std::mem::take(&mut self.heard);
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

    fn handle_tls(&mut self, facts: TlsFacts) {
        if !matches!(self.state, State::ExpectTls { .. }) {
            return;
        }
        self.mark("<tls>");
        self.log
            .update(self.number, |session| session.tls = Some(facts));
        self.state = State::ExpectCommand;
        self.in_tls = true;
        self.hello = false;
        self.offered.clear();
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
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.log
            .update(self.number, |session| session.closed = true);
    }
}

/// The lines of an EHLO reply behind the first, without their codes, keywords in capitals.
fn offered(reply: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(reply)
        .lines()
        .skip(1)
        .filter_map(|line| line.get(4..))
        .map(|line| line.trim().to_ascii_uppercase())
        .collect()
}

/// A client in a loop shall not fill the memory with reports.
const MAX_VIOLATIONS: usize = 1000;

/// No line is longer: SASL responses, the longest, may have 12,288 octets.
const MAX_BUFFERED: usize = 64 << 10;
