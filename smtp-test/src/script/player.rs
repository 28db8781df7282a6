use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Kind, Step};
use crate::{Output, Peer, Split, TlsInfo, machine::data::Data, record::printable};

/// The server's side of a [`Script`](crate::Script): a [`Peer`].
///
/// ```
/// use smtp_test::{Output, Peer, Script, Split};
///
/// # fn main() -> Result<(), smtp_test::ScriptError> {
/// let script = Script::parse("S: 220 mx.test\nC: QUIT\nS: 221 bye\nS: <eof>")?;
/// let mut player = script.play(Split::Whole);
/// let report = player.report();
/// let _greeting = player.poll_output();
/// player.handle_input(b"QUIT\r\n");
/// assert_eq!(player.poll_output(), Some(Output::Write(b"221 bye\r\n".to_vec())));
/// report.assert_done();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Player {
    steps: Arc<[Step]>,
    at: usize,
    split: Split,
    queue: VecDeque<Output>,
    /// Whether the last segment in the queue may take more.
    open: bool,
    /// Whether the client took all of a segment since it last sent.
    taken: bool,
    begun_tls: bool,
    input: Vec<u8>,
    body: Option<Data>,
    state: State,
    report: Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Playing,
    /// The server's side is closed, by the script or since the client went wrong.
    Closed,
}

impl Player {
    pub(super) fn new(steps: Arc<[Step]>, split: Split) -> Self {
        let mut player = Self {
            steps,
            at: 0,
            split,
            queue: VecDeque::new(),
            open: false,
            taken: false,
            begun_tls: false,
            input: Vec::new(),
            body: None,
            state: State::Playing,
            report: Report::default(),
        };
        player.advance();
        player
    }

    /// The result, readable also after the player was moved.
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// Whether the script has come to a `<timeout>`.
    pub fn expects_timeout(&self) -> bool {
        self.queue.is_empty() && matches!(self.kind(), Some(Kind::Timeout))
    }

    /// Goes on behind a `<timeout>`; any input and EOF do the same.
    pub fn handle_timeout(&mut self) {
        if self.expects_timeout() {
            self.at += 1;
            self.advance();
        }
    }

    fn kind(&self) -> Option<&Kind> {
        self.steps.get(self.at).map(|step| &step.kind)
    }

    /// Does the server's steps up to one that waits for the client.
    fn advance(&mut self) {
        let steps = Arc::clone(&self.steps);
        while let Some(step) = steps.get(self.at) {
            match &step.kind {
                Kind::Send(segments) => self.send(segments),
                Kind::End(output) => {
                    self.push(output.clone());
                    self.state = State::Closed;
                }
                Kind::Line(_)
                | Kind::Bytes(_)
                | Kind::Body
                | Kind::Chunk(_)
                | Kind::ClientEof
                | Kind::Timeout
                | Kind::Tls => break,
            }
            self.at += 1;
        }
        let mut verdict = self.report.lock();
        verdict.expected = steps
            .get(self.at)
            .map(|step| (step.line, step.text.clone()));
        verdict.partial.clear();
    }

    fn send(&mut self, segments: &[Vec<u8>]) {
        for (number, segment) in segments.iter().enumerate() {
            if number > 0 {
                self.open = false;
            }
            match self.queue.back_mut() {
                Some(Output::Write(last)) if self.open => last.extend_from_slice(segment),
                _ if segment.is_empty() => {}
                _ => {
                    self.queue.push_back(Output::Write(segment.clone()));
                    self.open = true;
                }
            }
        }
    }

    fn push(&mut self, output: Output) {
        self.queue.push_back(output);
        self.open = false;
    }

    /// Notes that the client left the script, and closes.
    fn fail(&mut self, reason: &str, received: &[u8]) {
        let mut verdict = self.report.lock();
        let line = verdict.expected.as_ref().map(|(line, _)| *line);
        let mismatch = Mismatch {
            line,
            reason: reason.to_owned(),
            expected: verdict.expected.as_ref().map(|(_, text)| text.clone()),
            received: Some(printable(received)),
        };
        verdict.mismatch.get_or_insert(mismatch);
        drop(verdict);
        self.queue.clear();
        self.push(Output::Close);
        self.state = State::Closed;
    }

    /// Matches the front of `input`; gives how much it took.
    fn take(&mut self, input: &[u8]) -> usize {
        let steps = Arc::clone(&self.steps);
        let Some(step) = steps.get(self.at) else {
            self.fail("the client sent more", input);
            return input.len();
        };
        match &step.kind {
            Kind::Timeout => {
                self.at += 1;
                self.advance();
                0
            }
            Kind::Line(parts) => self.take_line(parts, input),
            Kind::Bytes(bytes) => self.take_bytes(bytes, input),
            Kind::Body => self.take_body(input),
            Kind::Chunk(len) => self.take_chunk(*len, input),
            _ => {
                self.fail("the client sent something else", input);
                input.len()
            }
        }
    }

    fn take_line(&mut self, parts: &[Vec<u8>], input: &[u8]) -> usize {
        let len = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
        self.input.extend_from_slice(&input[..len]);
        if !self.input.ends_with(b"\n") {
            self.report.lock().partial.clone_from(&self.input);
            return len;
        }
        let line = std::mem::take(&mut self.input);
        if fits(parts, &line) {
            self.at += 1;
            self.advance();
        } else {
            self.fail("the client sent another line", &line);
        }
        len
    }

    fn take_bytes(&mut self, bytes: &[u8], input: &[u8]) -> usize {
        let len = input.len().min(bytes.len() - self.input.len());
        self.input.extend_from_slice(&input[..len]);
        self.report.lock().partial.clone_from(&self.input);
        if self.input == bytes {
            self.input.clear();
            self.at += 1;
            self.advance();
        } else if !bytes.starts_with(&self.input) {
            let received = std::mem::take(&mut self.input);
            self.fail("the client sent other bytes", &received);
        }
        len
    }

    fn take_chunk(&mut self, len: usize, input: &[u8]) -> usize {
        let taken = input.len().min(len - self.input.len());
        self.input.extend_from_slice(&input[..taken]);
        if self.input.len() == len {
            let chunk = std::mem::take(&mut self.input);
            self.report.lock().bodies.push(chunk);
            self.at += 1;
            self.advance();
        } else {
            // Enough to know it by.
            let start = &self.input[..self.input.len().min(200)];
            self.report.lock().partial = start.to_vec();
        }
        taken
    }

    fn take_body(&mut self, input: &[u8]) -> usize {
        let body = self.body.get_or_insert_with(|| Data::new(true));
        let (len, end) = body.read(input);
        if let Some((rule, offset)) = body.faults().first() {
            let reason = format!("the client's content is invalid at byte {offset}: {rule}");
            self.fail(&reason, input);
        } else if end && let Some(body) = self.body.take() {
            self.report.lock().bodies.push(body.into_body());
            self.at += 1;
            self.advance();
        }
        len
    }
}

impl Peer for Player {
    fn handle_input(&mut self, mut input: &[u8]) {
        if !input.is_empty() && self.state == State::Playing && !self.queue.is_empty() {
            self.fail(
                "the client did not read the server's output before this",
                input,
            );
        }
        self.taken = false;
        while !input.is_empty() && self.state == State::Playing {
            if !self.queue.is_empty() {
                self.fail("the client sent this before the server's reply", input);
                return;
            }
            let taken = self.take(input);
            input = &input[taken..];
        }
    }

    fn handle_eof(&mut self) {
        if matches!(self.kind(), Some(Kind::Timeout)) {
            self.at += 1;
            self.advance();
        }
        match self.kind() {
            _ if self.state == State::Closed => {}
            Some(Kind::ClientEof) => {
                self.at += 1;
                self.advance();
                if self.at == self.steps.len() {
                    self.push(Output::Close);
                    self.state = State::Closed;
                }
            }
            Some(_) => {
                let received = std::mem::take(&mut self.input);
                self.fail("the client closed", &received);
            }
            None => {
                self.push(Output::Close);
                self.state = State::Closed;
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.queue.pop_front()?;
        let Output::Write(mut bytes) = output else {
            self.taken = true;
            return Some(output);
        };
        let len = self.split.first(&bytes);
        self.taken = len == bytes.len();
        if !self.taken {
            self.queue.push_front(Output::Write(bytes.split_off(len)));
        }
        Some(Output::Write(bytes))
    }

    fn poll_upgrade(&mut self) -> bool {
        let ready = matches!(self.kind(), Some(Kind::Tls)) && (self.taken || self.queue.is_empty());
        ready && !std::mem::replace(&mut self.begun_tls, true)
    }

    fn handle_tls(&mut self, _: TlsInfo) {
        if matches!(self.kind(), Some(Kind::Tls)) {
            self.at += 1;
            self.advance();
        }
    }

    fn handle_tls_error(&mut self, reason: &str) {
        self.fail("TLS failed", reason.as_bytes());
    }

    fn is_closed(&self) -> bool {
        self.state == State::Closed
    }
}

/// How a [`Script`](crate::Script) went. A handle: clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Report(Arc<Mutex<Verdict>>);

#[derive(Debug, Default)]
struct Verdict {
    mismatch: Option<Mismatch>,
    /// The step that waits for the client.
    expected: Option<(usize, String)>,
    partial: Vec<u8>,
    bodies: Vec<Vec<u8>>,
}

impl Report {
    /// Whether the client did all of the script, and nothing else.
    ///
    /// # Errors
    /// With the first difference, or with the step that did not come.
    pub fn verdict(&self) -> Result<(), Mismatch> {
        let verdict = self.lock();
        if let Some(mismatch) = &verdict.mismatch {
            return Err(mismatch.clone());
        }
        verdict.expected.as_ref().map_or(Ok(()), |(line, text)| {
            Err(Mismatch {
                line: Some(*line),
                reason: "the client did not send this".to_owned(),
                expected: Some(text.clone()),
                received: (!verdict.partial.is_empty()).then(|| printable(&verdict.partial)),
            })
        })
    }

    /// Asserts that the client did all of the script, and nothing else.
    ///
    /// # Panics
    /// With the difference.
    #[track_caller]
    pub fn assert_done(&self) {
        if let Err(mismatch) = self.verdict() {
            panic!("{mismatch}");
        }
    }

    /// What came at `C: <body>`, with the dot stuffing undone, and at `C: <chunk …>`.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.lock().bodies.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Verdict> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first difference between a client and a script.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    line: Option<usize>,
    reason: String,
    expected: Option<String>,
    received: Option<String>,
}

impl Mismatch {
    /// The number of the script's line that was due, from 1; `None` at its end.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "script line {line}: {}", self.reason)?,
            None => write!(f, "at the end of the script: {}", self.reason)?,
        }
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected: {expected}")?;
        }
        let Some(received) = &self.received else {
            return Ok(());
        };
        // As the expected line is written, so that the eye can compare.
        let received = received.strip_suffix("\\r\\n").unwrap_or(received);
        write!(f, "\n  received: C: {received}")?;
        let Some(expected) = self
            .expected
            .as_deref()
            .and_then(|text| text.strip_prefix("C: "))
        else {
            return Ok(());
        };
        let same = expected
            .chars()
            .zip(received.chars())
            .take_while(|(one, other)| one == other)
            .count();
        write!(f, "\n               {}^", " ".repeat(same))
    }
}

/// What `main` prints of an error that it returns.
impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mismatch {}

/// Whether `line` is the parts in order, with any text between them.
fn fits(parts: &[Vec<u8>], line: &[u8]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == line);
    };
    let Some(rest) = line.strip_prefix(first.as_slice()) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last.as_slice()) else {
        return false;
    };
    for part in middle {
        let Some(at) = memchr::memmem::find(rest, part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}
