//! A model of a server: it knows which replies it owes, and sends them when the test says so.

use std::collections::VecDeque;

use super::Input;
use crate::common;
use crate::common::session::Mode;

/// A server that knows which replies it owes, and sends them when the test says so.
pub(crate) struct ModelServer {
    pub(crate) line: Vec<u8>,
    pub(crate) asked: VecDeque<String>,
    pub(crate) in_text: bool,
    /// The bytes of a chunk that are still to come, and the command to reply to after them.
    pub(crate) chunk: Option<(usize, String)>,
    pub(crate) rest: Vec<u8>,
    pub(crate) chunking: bool,
    pub(crate) auth: bool,
    pub(crate) lmtp: bool,
    /// Recipients that were accepted.
    pub(crate) accepted: usize,
}

impl ModelServer {
    pub(crate) fn new(mode: Mode, auth: bool) -> Self {
        Self {
            line: Vec::new(),
            asked: VecDeque::from(["greeting".to_owned()]),
            in_text: false,
            chunk: None,
            rest: Vec::new(),
            chunking: mode.chunk.is_some(),
            auth,
            lmtp: mode.lmtp,
            accepted: 0,
        }
    }

    pub(crate) fn owes(&self) -> bool {
        !self.asked.is_empty() || !self.rest.is_empty()
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some((left, _)) = &mut self.chunk {
                *left -= 1;
                self.end_chunk();
                continue;
            }
            self.line.push(*byte);
            if let Some(line) = self.line.strip_suffix(b"\r\n") {
                let line = String::from_utf8_lossy(line).into_owned();
                self.line.clear();
                if self.in_text {
                    self.in_text = line != ".";
                    if !self.in_text {
                        self.asked.push_back(line);
                    }
                } else if let Some((size, _)) = common::dialogue::chunk(&line) {
                    self.chunk = Some((size, line));
                    self.end_chunk();
                } else {
                    self.asked.push_back(line);
                }
            }
        }
    }

    pub(crate) fn end_chunk(&mut self) {
        if let Some((_, line)) = self.chunk.take_if(|(left, _)| *left == 0) {
            self.asked.push_back(line);
        }
    }

    /// Takes the next command to reply to, with its reply.
    pub(crate) fn answer(&mut self, code: u16) -> Option<String> {
        let line = self.asked.pop_front()?;
        let accepts = code / 100 == 2;
        if line.starts_with("MAIL") {
            self.accepted = 0;
        } else if line.starts_with("RCPT") && accepts {
            self.accepted += 1;
        } else if self.lmtp && (line == "." || line.ends_with(" LAST")) {
            for _ in 1..self.accepted {
                self.asked.push_front("another recipient".to_owned());
            }
        } else if line == "DATA" {
            self.in_text = code / 100 == 3;
        }
        Some(line)
    }

    pub(crate) fn right(&mut self) -> Vec<u8> {
        let code = match self.asked.front() {
            Some(line) if line == "DATA" => 354,
            _ => 250,
        };
        let Some(line) = self.answer(code) else {
            return Vec::new();
        };
        let reply = match line.get(..4).unwrap_or_default() {
            "gree" => "220 hi\r\n",
            "EHLO" | "LHLO" => {
                let mut reply = b"250-hi\r\n250-PIPELINING\r\n".to_vec();
                if self.chunking {
                    reply.extend_from_slice(b"250-CHUNKING\r\n");
                }
                if self.auth {
                    reply.extend_from_slice(b"250-AUTH XOAUTH2\r\n");
                }
                reply.extend_from_slice(b"250 STARTTLS\r\n");
                return reply;
            }
            "AUTH" => "235 2.7.0 welcome\r\n",
            "STAR" => "220 go on\r\n",
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 2.0.0 ok\r\n",
        };
        reply.as_bytes().to_vec()
    }

    pub(crate) fn say(&mut self, input: &Input) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        match input {
            Input::Right(count) => {
                for _ in 0..*count {
                    let reply = self.right();
                    bytes.extend(reply);
                }
            }
            Input::Part(len) => {
                let reply = self.right();
                bytes.extend(reply);
                self.rest = bytes.split_off(bytes.len().min(*len));
            }
            Input::No(later) => {
                if self.answer(550).is_some() {
                    bytes.extend_from_slice(if *later {
                        b"451 later\r\n"
                    } else {
                        b"550-no\r\n550 never\r\n"
                    });
                }
            }
            Input::Odd(reply) => {
                self.answer(
                    reply
                        .get(..3)
                        .and_then(|code| code.parse().ok())
                        .unwrap_or(0),
                );
                bytes.extend_from_slice(reply.as_bytes());
            }
            Input::Junk(junk) => bytes.extend_from_slice(junk),
        }
        bytes
    }
}

/// A part of I3: the output is chunks, and lines that end in CRLF without other CR, LF or NUL.
pub(crate) fn check_lines(mut sent: &[u8]) {
    while let Some(end) = sent.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = sent.split_at(end + 1);
        sent = rest;
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        assert!(
            !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "{:?}",
            String::from_utf8_lossy(line)
        );
        if let Some((size, _)) = common::dialogue::chunk(&String::from_utf8_lossy(line)) {
            sent = sent.get(size..).unwrap_or_default();
        }
    }
    // The last line may have been cut off after its CR.
    let line = sent.strip_suffix(b"\r").unwrap_or(sent);
    assert!(!line.contains(&b'\r') && !line.contains(&0));
}
