//! How the bytes of a client become lines, messages and chunks, and whether it was its turn to send
//! them.

use super::{MAX_BUFFERED, Machine, State};
use crate::{Rule, Stage, action::End, record::printable};

impl Machine {
    /// Checks whether the client may send the first byte of a command, a response or a message now.
    pub(super) fn check_turn(&self) {
        let rule = if self.queue.must_wait() {
            Rule::DidNotWait
        } else if self.queue.is_answering() && !self.client.capabilities.pipelining() {
            Rule::NotPipelining
        } else {
            return;
        };
        let asked = printable(self.turn.asked());
        self.violation(rule, format!("before the reply to {asked}"));
    }

    /// Takes one line, or a part of it, from the front of `input`.
    pub(super) fn read_line(&mut self, input: &[u8]) -> usize {
        if self.line.is_empty() {
            self.check_turn();
        }
        let end = memchr::memchr(b'\n', input);
        let piece = &input[..end.map_or(input.len(), |end| end + 1)];
        if end.is_some() && self.line.is_empty() && piece.len() <= MAX_BUFFERED {
            self.take_line(piece);
            return piece.len();
        }
        self.line.extend_from_slice(piece);
        if self.line.len() > MAX_BUFFERED {
            self.violation(Rule::LineTooLong, "a line of more than 64 KiB");
            self.answer(&[], "500 5.5.2 line too long", true);
            self.end(End::Close);
        } else if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.take_line(&line);
        }
        piece.len()
    }

    fn take_line(&mut self, line: &[u8]) {
        let sound = self.check_line(line);
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.note(text);
        match std::mem::replace(&mut self.state, State::ExpectCommand) {
            State::ExpectResponse(exchange) => self.handle_response(exchange, text, sound),
            _ => self.handle_command(text, line.len(), sound),
        }
        self.received += line.len() as u64;
    }

    /// Looks for bytes that no line may have.
    fn check_line(&self, line: &[u8]) -> bool {
        let text = match line.strip_suffix(b"\r\n") {
            Some(text) => text,
            None => {
                self.violation(Rule::BareLf, printable(line));
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
            self.violation(rule, printable(line));
            return false;
        }
        line.ends_with(b"\r\n")
    }

    /// Takes what belongs to the message of a DATA command from the front of `input`.
    pub(super) fn read_data(&mut self, input: &[u8]) -> usize {
        let State::ExpectData(data) = &mut self.state else {
            return 0;
        };
        let before = data.raw_len();
        let stop = body_stop(&self.config.body_hooks, before, input.len());
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
            self.handle_data_end(*data);
        } else {
            self.reach_body(raw);
        }
        taken
    }

    /// Takes what belongs to a chunk from the front of `input`.
    pub(super) fn read_chunk(&mut self, input: &[u8]) -> usize {
        let State::ExpectChunk(chunk) = &mut self.state else {
            return 0;
        };
        let room = usize::try_from(chunk.left).unwrap_or(usize::MAX);
        let mut taken = input.len().min(room);
        let mut reached = None;
        if chunk.rejection.is_none()
            && let Some(chunks) = &mut self.envelope.chunks
        {
            taken = body_stop(&self.config.body_hooks, chunks.len(), taken);
            chunks.read(&input[..taken], self.received);
            reached = Some(chunks.len());
        }
        chunk.left -= taken as u64;
        let done = chunk.left == 0;
        let end_of_message = done && chunk.last;
        self.received += taken as u64;
        if let Some(bytes) = reached.filter(|_| !end_of_message) {
            self.reach_body(bytes);
        }
        if done && self.reading {
            self.end_chunk();
        }
        taken
    }

    /// Ends a chunk whose bytes have all come.
    pub(super) fn end_chunk(&mut self) {
        if let State::ExpectChunk(chunk) = std::mem::replace(&mut self.state, State::ExpectCommand)
        {
            self.handle_chunk_end(chunk);
        }
    }

    /// Does what is to be done at the `raw`-th byte of a message.
    fn reach_body(&mut self, raw: u64) {
        if self.config.body_hooks.contains(&raw) {
            // The command itself gets its reply later.
            let action = self.action_at(&[Stage::Body(raw)], None);
            let action = action.unwrap_or_default();
            let reply = action.reply.clone().unwrap_or_default();
            self.perform(&action, reply, false);
        }
    }
}

/// How many of `len` bytes to take behind the `before`-th of a message: an action at an offset
/// takes effect at that byte, however the input was cut.
fn body_stop(hooks: &[u64], before: u64, len: usize) -> usize {
    hooks
        .iter()
        .filter(|&&at| at > before)
        .filter_map(|&at| usize::try_from(at - before).ok())
        .min()
        .unwrap_or(usize::MAX)
        .min(len)
}
