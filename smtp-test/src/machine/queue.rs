use std::collections::VecDeque;

use crate::{Action, Output, Split};

/// The output that waits to be taken, and with it who may speak.
#[derive(Debug)]
pub(super) struct Queue {
    split: Split,
    items: VecDeque<Item>,
    /// Replies in `items`.
    answering: usize,
    /// Replies in `items` before which the client must send nothing.
    alone: usize,
    /// Replies ever added.
    pushed: u64,
    /// The start of a line that was taken without its end.
    line: Vec<u8>,
}

#[derive(Debug)]
struct Item {
    output: Output,
    replies: usize,
    alone: usize,
    /// Whether more may be put into the same segment.
    open: bool,
}

impl Queue {
    pub(super) fn new(split: Split) -> Self {
        Self {
            split,
            items: VecDeque::new(),
            answering: 0,
            alone: 0,
            pushed: 0,
            line: Vec::new(),
        }
    }

    /// Adds a reply, cut and adorned as the action says.
    pub(super) fn push(&mut self, action: &Action, mut reply: Vec<u8>, alone: bool) {
        if let Some(delay) = action.delay {
            self.push_plain(Output::Delay(delay));
        }
        let is_reply = !reply.is_empty();
        reply.extend_from_slice(&action.append);
        if let Some(len) = action.cut_at {
            reply.truncate(len);
        }
        let cuts: Vec<usize> = match action.drip {
            Some(_) => (1..reply.len()).collect(),
            None => action
                .split_at
                .iter()
                .copied()
                .filter(|&at| at > 0 && at < reply.len())
                .collect(),
        };
        let whole = cuts.is_empty() && action.then.is_empty() && action.delay.is_none();
        let mut start = 0;
        for end in cuts.into_iter().chain([reply.len()]) {
            if let Some(pause) = action.drip {
                self.push_plain(Output::Delay(pause));
            }
            let last = is_reply && end == reply.len();
            self.push_segment(&reply[start..end], last, last && alone, whole);
            start = end;
        }
        for segment in &action.then {
            self.push_segment(segment, false, false, false);
        }
    }

    /// Adds an ordinary reply: lines that are still to be ended with CRLF.
    pub(super) fn push_reply(&mut self, text: &str, alone: bool) {
        let segment = self.open_segment(1, usize::from(alone));
        for line in text.lines() {
            segment.extend_from_slice(line.as_bytes());
            segment.extend_from_slice(b"\r\n");
        }
    }

    /// Adds a delay, or the end of the connection.
    pub(super) fn push_plain(&mut self, output: Output) {
        self.items.push_back(Item {
            output,
            replies: 0,
            alone: 0,
            open: false,
        });
    }

    /// Takes the next output; with it whether it has the end of a reply.
    pub(super) fn pop(&mut self) -> Option<(Output, bool)> {
        let front = self.items.front_mut()?;
        if let Output::Write(bytes) = &mut front.output {
            let len = self.split.first(bytes);
            if len < bytes.len() {
                let rest = bytes.split_off(len);
                let first = std::mem::replace(bytes, rest);
                return Some((Output::Write(first), false));
            }
        }
        let item = self.items.pop_front()?;
        self.answering -= item.replies;
        self.alone -= item.alone;
        Some((item.output, item.replies > 0))
    }

    /// Whether there is a reply that the client cannot have seen.
    pub(super) fn is_answering(&self) -> bool {
        self.answering > 0
    }

    /// How many replies were ever added.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// How many of them were taken.
    pub(super) fn taken(&self) -> u64 {
        self.pushed - self.answering as u64
    }

    /// Whether there is one that the client had to wait for.
    pub(super) fn must_wait(&self) -> bool {
        self.alone > 0
    }

    /// The lines that `bytes` completes, for the transcript.
    pub(super) fn lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.line.extend_from_slice(bytes);
        let end = memchr::memrchr(b'\n', &self.line).map_or(0, |at| at + 1);
        let rest = self.line.split_off(end);
        let whole = std::mem::replace(&mut self.line, rest);
        whole
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r\n").unwrap_or(line).to_vec())
            .collect()
    }

    /// What was taken after the last line end.
    pub(super) fn unfinished_line(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.line)
    }

    fn push_segment(&mut self, bytes: &[u8], reply: bool, alone: bool, open: bool) {
        if bytes.is_empty() {
            return;
        }
        let (replies, alone) = (usize::from(reply), usize::from(alone));
        if open {
            self.open_segment(replies, alone).extend_from_slice(bytes);
            return;
        }
        self.count(replies, alone);
        self.items.push_back(Item {
            output: Output::Write(bytes.to_vec()),
            replies,
            alone,
            open,
        });
    }

    /// The segment for the end of `replies` replies: the last one, if it may grow.
    fn open_segment(&mut self, replies: usize, alone: usize) -> &mut Vec<u8> {
        self.count(replies, alone);
        let fits = matches!(
            self.items.back(),
            Some(Item {
                output: Output::Write(_),
                open: true,
                ..
            })
        );
        if !fits {
            self.items.push_back(Item {
                output: Output::Write(Vec::new()),
                replies: 0,
                alone: 0,
                open: true,
            });
        }
        match self.items.back_mut() {
            Some(Item {
                output: Output::Write(bytes),
                replies: in_last,
                alone: alone_in_last,
                ..
            }) => {
                *in_last += replies;
                *alone_in_last += alone;
                bytes
            }
            _ => unreachable!("it was put there"),
        }
    }

    fn count(&mut self, replies: usize, alone: usize) {
        self.answering += replies;
        self.alone += alone;
        self.pushed += replies as u64;
    }
}
