//! A server that replies from a list, one entry for each command, whatever the command is.

use std::collections::VecDeque;

use smtp_test::{Output, Peer};

/// A server whose replies come from a list. It stores what the entries say it truly accepted,
/// whatever the reply says.
#[derive(Debug, Default)]
pub(crate) struct ScriptedServer {
    entries: VecDeque<Entry>,
    output: VecDeque<Output>,
    line: Vec<u8>,
    in_text: bool,
    pub(crate) commands: Vec<String>,
    open: Stored,
    pub(crate) stored: Vec<Stored>,
    closed: bool,
}

/// What the server does at one command.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The code that decides what the server stores.
    pub(crate) truth: u16,
    /// The bytes that the client gets.
    pub(crate) said: Vec<u8>,
}

/// A message as the server stored it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
}

impl Entry {
    /// A true reply of one or more lines.
    pub(crate) fn new(reply: &str) -> Self {
        Self {
            truth: reply[..3].parse().unwrap(),
            said: format!("{}\r\n", reply.replace('\n', "\r\n")).into_bytes(),
        }
    }
}

impl ScriptedServer {
    /// The first entry is the greeting. After the last one the server closes.
    pub(crate) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut server = Self {
            entries: entries.into_iter().collect(),
            ..Self::default()
        };
        server.answer();
        server
    }

    /// Replies that are true, one string each.
    pub(crate) fn saying(replies: &[&str]) -> Self {
        Self::new(replies.iter().map(|reply| Entry::new(reply)))
    }

    fn answer(&mut self) -> u16 {
        let Some(entry) = self.entries.pop_front() else {
            self.output.push_back(Output::Close);
            self.closed = true;
            return 0;
        };
        if !entry.said.is_empty() {
            self.output.push_back(Output::Write(entry.said));
        }
        entry.truth
    }

    fn take(&mut self, line: &str) {
        if self.in_text {
            if line == "." {
                self.in_text = false;
                let mail = std::mem::take(&mut self.open);
                if self.answer() / 100 == 2 && !mail.recipients.is_empty() {
                    self.stored.push(mail);
                }
            }
            return;
        }
        self.commands.push(line.to_owned());
        let truth = self.answer() / 100;
        let path = line
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map(|(path, _)| path.to_owned());
        match line.get(..4) {
            Some("MAIL") if truth == 2 => self.open.sender = path.unwrap(),
            Some("RCPT") if truth == 2 => self.open.recipients.push(path.unwrap()),
            Some("RSET") if truth == 2 => self.open = Stored::default(),
            Some("DATA") => self.in_text = truth == 3,
            _ => {}
        }
    }
}

impl Peer for ScriptedServer {
    fn handle_input(&mut self, input: &[u8]) {
        for byte in input {
            self.line.push(*byte);
            if let Some(line) = self.line.strip_suffix(b"\r\n") {
                let line = String::from_utf8(line.to_vec()).unwrap();
                self.line.clear();
                if !self.closed {
                    self.take(&line);
                }
            }
        }
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn is_closed(&self) -> bool {
        self.closed
    }
}
