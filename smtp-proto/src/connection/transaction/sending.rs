//! Sends the content of a message: lines that end with a dot, or chunks.

use super::content::{Budget, byte_len};
use super::{SendState, Transaction};
use crate::config::Protocol;
use crate::connection::io::Io;
use crate::connection::progress::Progress;
use crate::content::ContentError;
use crate::error::{Error, ErrorKind};
use crate::stage::Stage;
use crate::transcript::TranscriptEntry;

impl Transaction {
    /// Queues as much of the content as there is room for, and its end with the last of it.
    ///
    /// Content is queued in batches: the next when the previous one is sent. Which part of invalid
    /// content is sent therefore does not depend on the transport.
    pub(super) fn send_content(&mut self, io: &mut Io) -> Progress {
        if io.send_buffer.sent() < self.position.batch_end {
            return Progress::Blocked;
        }
        let before = self.content.written();
        let queued = match self.next {
            SendState::LoneDot => {
                self.end_with(DOT, io);
                Ok(())
            }
            SendState::Chunk => self.send_chunks(io).map_err(ErrorKind::Content),
            _ => self.send_lines(io),
        };
        if let Err(reason) = queued {
            return Progress::Failed(Error::new(Stage::Content, reason));
        }
        if self.content.written() > before {
            self.position.batch_end = io.send_buffer.queued();
            let (sent, total) = (
                self.content.written(),
                self.content.total(&self.mail.content),
            );
            io.show(|| TranscriptEntry::Body { sent, total });
        }
        match self.next {
            SendState::Nothing => Progress::Done,
            _ => Progress::Blocked,
        }
    }

    /// Queues lines of content that ends with a dot.
    fn send_lines(&mut self, io: &mut Io) -> Result<(), ErrorKind> {
        self.encode(u64::MAX, io).map_err(ErrorKind::Content)?;
        if !self.content.is_spent() {
            return self.prepared.check_size(self.content.size());
        }
        let terminator = self.content.end().map_err(ErrorKind::Content)?;
        // The line end added to an incomplete last line counts.
        let lacking = byte_len(terminator).saturating_sub(byte_len(DOT));
        let size = self.content.size().saturating_add(lacking);
        self.prepared.check_size(size)?;
        self.end_with(terminator, io);
        Ok(())
    }

    /// Queues chunks, each after its length (RFC 3030, section 2).
    fn send_chunks(&mut self, io: &mut Io) -> Result<(), ContentError> {
        while self.next == SendState::Chunk {
            if self.position.chunk_left == 0 && !self.begin_chunk(io)? {
                return Ok(());
            }
            let written = self.encode(self.position.chunk_left, io)?;
            self.position.chunk_left = self.position.chunk_left.saturating_sub(written);
            if self.position.chunk_left > 0 {
                return Ok(());
            }
            if self.position.end.is_some() {
                self.ended();
            } else {
                // The message may have been rejected while this chunk was sent.
                self.apply_replies();
            }
        }
        Ok(())
    }

    /// Queues BDAT for the next chunk. Returns whether it may be sent.
    fn begin_chunk(&mut self, io: &mut Io) -> Result<bool, ContentError> {
        let by_recipient = io.config.protocol == Protocol::Lmtp;
        if by_recipient && io.pending.last() == Some(Stage::Chunk) {
            // If that is rejected, the number of final replies is unknown (RFC 2033, section 4.2).
            return Ok(false);
        }
        let limit = io.config.chunk_size;
        let (len, last) = match self.mail.whole_len() {
            Some(total) => {
                let left = total.saturating_sub(self.content.written());
                (left.min(limit), left <= limit)
            }
            None => {
                let Some(staged) = self.content.stage(limit)? else {
                    return Ok(false);
                };
                // A server may reject a chunk at once, and read its content as commands.
                let size = self.content.size().saturating_add(staged.0);
                if let Err(reason) = self.prepared.check_size(size) {
                    self.stopped = Some(Error::new(Stage::Content, reason));
                    self.next = SendState::Nothing;
                    return Ok(false);
                }
                staged
            }
        };
        let Some(end) = io.send_chunk(len, last.then(|| self.final_replies(io))) else {
            return Ok(false);
        };
        self.position.chunk_left = len;
        if last {
            self.position.end = Some(end);
        }
        Ok(true)
    }

    /// The number of final replies. In LMTP the accepted recipients are known by then, so that a
    /// reply too many or too few cannot pass for another number of recipients.
    fn final_replies(&self, io: &Io) -> usize {
        match io.config.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => self.replies.accepted,
        }
    }

    fn encode(&mut self, at_most: u64, io: &mut Io) -> Result<u64, ContentError> {
        let space = Budget::of(io).at_most(at_most);
        let send_buffer = &mut io.send_buffer;
        self.content
            .encode(space, &mut |part| send_buffer.push(part))
    }

    fn end_with(&mut self, terminator: &'static [u8], io: &mut Io) {
        self.position.end = Some(io.end_data(terminator, self.final_replies(io)));
        self.ended();
    }

    /// Records that all of the content is queued.
    fn ended(&mut self) {
        self.next = if self.has_remaining() {
            SendState::FinalReply
        } else {
            SendState::Nothing
        };
    }
}

/// The line that ends the data.
const DOT: &[u8] = b".\r\n";
