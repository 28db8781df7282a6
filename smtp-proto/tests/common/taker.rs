//! A server that takes messages quickly, and counts the commands.

use std::collections::VecDeque;
use std::vec::Vec;

use smtp_test::{Output, Peer};

/// A server that accepts `most` recipients of a message, replies 452 to the others, and counts
/// commands.
pub(crate) struct Taker {
    keywords: &'static str,
    most: usize,
    line: Vec<u8>,
    in_content: bool,
    chunk_left: usize,
    recipients: usize,
    pub(crate) commands: usize,
    replies: VecDeque<&'static str>,
}

impl Taker {
    pub(crate) fn new(keywords: &'static str, most: usize) -> Self {
        Self {
            keywords,
            most,
            line: Vec::new(),
            in_content: false,
            chunk_left: 0,
            recipients: 0,
            commands: 0,
            replies: VecDeque::from(["220 mx.test\r\n"]),
        }
    }

    fn reply(&mut self, verb: &[u8]) -> &'static str {
        match verb {
            b"EHLO" => self.keywords,
            b"MAIL" => {
                self.recipients = 0;
                "250 ok\r\n"
            }
            b"RCPT" if self.recipients == self.most => "452 4.5.3 too many recipients\r\n",
            b"RCPT" => {
                self.recipients += 1;
                "250 ok\r\n"
            }
            b"DATA" => {
                self.in_content = true;
                "354 go\r\n"
            }
            b"QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        }
    }
}

impl Peer for Taker {
    fn handle_input(&mut self, input: &[u8]) {
        for part in input.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if !self.line.ends_with(b"\r\n") {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if self.chunk_left > 0 {
                // Chunks end with a line.
                self.chunk_left -= line.len();
                continue;
            }
            if self.in_content {
                self.in_content = line != b".\r\n";
                if !self.in_content {
                    self.replies.push_back("250 taken\r\n");
                }
                continue;
            }
            if let Some(size) = line.strip_prefix(b"BDAT ") {
                let size = size.split(|byte| *byte == b' ').next().unwrap_or_default();
                self.chunk_left = str::from_utf8(size).unwrap().parse().unwrap();
            }
            self.commands += 1;
            let reply = self.reply(&line[..4]);
            self.replies.push_back(reply);
        }
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.replies
            .pop_front()
            .map(|reply| Output::Write(reply.as_bytes().to_vec()))
    }
}
