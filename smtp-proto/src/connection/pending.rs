//! Two cursors over one dialogue: what has been sent, and what has been answered.
//!
//! Between them lies a first-in-first-out queue of the replies that are due. Every command goes through it, the
//! greeting included, so there is one answer to the question which command a reply belongs to. How far the first cursor
//! may run ahead of the second is the level of pipelining, and a window (RFC 2920).

use alloc::collections::VecDeque;

use crate::error::{Stage, Wait};
use crate::pipelining::{Pipelining, Window};

/// The replies that are due, oldest first.
#[derive(Debug)]
pub(crate) struct PendingReplies {
    due: VecDeque<PendingReply>,
    bytes: usize,
    /// More than there are entries, where one leads to several (LMTP).
    replies: usize,
    /// Bytes of text that are not answered, those of text that ends by a dot left out.
    text: u64,
    window: Window,
    /// Whether something had to wait since more would have been unanswered than the window admits.
    full: bool,
    level: Pipelining,
}

/// A reply that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingReply {
    /// To what it is the answer.
    pub(crate) to: Expect,
    /// Position in the output just after the command's last byte.
    pub(crate) end: u64,
    /// Bytes of the command that count for the window.
    pub(crate) bytes: usize,
    /// Bytes of text after the command.
    pub(crate) text: u64,
    /// Replies that it leads to, at most.
    pub(crate) replies: usize,
}

/// What a reply can be the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Xclient,
    Auth,
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    EndOfData,
    Chunk,
    LastChunk,
    Command,
    Quit,
}

impl PendingReplies {
    pub(crate) fn new() -> Self {
        Self {
            due: VecDeque::new(),
            bytes: 0,
            replies: 0,
            text: 0,
            window: Window::HALF_DUPLEX,
            full: false,
            level: Pipelining::Off,
        }
    }

    pub(crate) fn set_level(&mut self, level: Pipelining) {
        self.level = level;
    }

    pub(crate) fn level(&self) -> Pipelining {
        self.level
    }

    pub(crate) fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// Whether a command of so many bytes may be sent now, before the replies that are due have come.
    ///
    /// A full window has to be half empty before there is more: few large flights cost less than many small ones, also in
    /// the buffers on the way, where TLS adds to each.
    pub(crate) fn admits(&mut self, next: Expect, bytes: usize) -> bool {
        let Some(last) = self.due.back() else {
            self.full = false;
            return true;
        };
        if !last.to.lets_follow(next, self.level) {
            return false;
        }
        // A chunk fits in no buffer: its writing may have to wait for the peer to read, and the peer for its replies to be read.
        // The small ones that may be sent without waiting for any reply have their own bounds.
        if last.to == Expect::Chunk && self.replies >= self.window.replies_to_text() {
            return false;
        }
        let window = if self.full {
            self.window.half()
        } else {
            self.window
        };
        let fits =
            self.replies < window.replies && self.bytes.saturating_add(bytes) <= window.bytes;
        self.full = !fits;
        fits
    }

    /// Makes room for so many more replies at once, or as many as the window lets be due.
    pub(crate) fn reserve(&mut self, replies: usize) {
        self.due.reserve_exact(replies.min(self.window.replies));
    }

    pub(crate) fn push(&mut self, due: PendingReply) {
        self.count(due);
        self.due.push_back(due);
    }

    /// The reply that is due next, if its command has been handed out whole: `sent` is the position of the output.
    pub(crate) fn answered(&mut self, sent: u64) -> Option<PendingReply> {
        let due = self.front().filter(|due| due.end <= sent)?;
        self.due.pop_front();
        self.bytes = self.bytes.saturating_sub(due.bytes);
        self.text = self.text.saturating_sub(due.text);
        self.replies = self.replies.saturating_sub(due.replies);
        Some(due)
    }

    /// One more reply is due to what was just answered.
    pub(crate) fn again(&mut self, due: PendingReply) {
        let due = PendingReply {
            bytes: 0,
            text: 0,
            replies: due.replies.saturating_sub(1).max(1),
            ..due
        };
        self.count(due);
        self.due.push_front(due);
    }

    fn count(&mut self, due: PendingReply) {
        self.bytes = self.bytes.saturating_add(due.bytes);
        self.text = self.text.saturating_add(due.text);
        self.replies = self.replies.saturating_add(due.replies);
    }

    /// Bytes of text that are not answered, those of text that ends by a dot left out.
    pub(crate) fn text(&self) -> u64 {
        self.text
    }

    /// What was sent last, if it is not answered.
    pub(crate) fn last(&self) -> Option<Expect> {
        self.due.back().map(|due| due.to)
    }

    pub(crate) fn front(&self) -> Option<PendingReply> {
        self.due.front().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Whether the output stands at this position in the middle of a chunk's text.
    pub(crate) fn is_in_text(&self, sent: u64) -> bool {
        let next = self.due.partition_point(|due| due.end <= sent);
        (self.due.get(next)).is_some_and(|due| due.end.saturating_sub(due.text) < sent)
    }

    /// Frees what only a busy connection needs.
    pub(crate) fn release(&mut self) {
        self.due.shrink_to(KEPT);
    }
}

impl Expect {
    /// Whether `next` may go out before the reply to `self` has come.
    ///
    /// RFC 2920, section 3.1: EHLO, DATA, VRFY, EXPN, TURN, QUIT and NOOP can only be the last of a group; RFC 3207 and
    /// RFC 4954 say it of STARTTLS and AUTH. The text of a message may begin a group.
    fn lets_follow(self, next: Self, level: Pipelining) -> bool {
        let needs = match (self, next) {
            (Self::Rset, Self::Mail)
            | (Self::Mail | Self::Rcpt(_), Self::Rcpt(_) | Self::Data)
            | (Self::Chunk, Self::Chunk | Self::LastChunk) => Pipelining::Envelope,
            // After a rejected text its transaction may stay open.
            (Self::EndOfData | Self::LastChunk, Self::Rset) => Pipelining::Transactions,
            (Self::Rcpt(_), Self::LastChunk) => Pipelining::Speculative,
            _ => return false,
        };
        level >= needs
    }

    /// Whether it is the answer to what is said for a message, if one is being answered.
    pub(crate) const fn is_of_mail(self) -> bool {
        matches!(
            self,
            Self::Rset
                | Self::Mail
                | Self::Rcpt(_)
                | Self::Data
                | Self::EndOfData
                | Self::Chunk
                | Self::LastChunk
        )
    }

    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Ehlo => Stage::Ehlo,
            Self::Helo => Stage::Helo,
            Self::StartTls => Stage::StartTls,
            Self::Xclient => Stage::Xclient,
            Self::Auth => Stage::Auth,
            Self::Rset => Stage::Rset,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data => Stage::Data,
            Self::EndOfData | Self::LastChunk => Stage::EndOfData,
            Self::Chunk => Stage::Content,
            Self::Command => Stage::Command,
            Self::Quit => Stage::Quit,
        }
    }

    pub(crate) fn wait(self) -> Wait {
        match self {
            Self::Greeting => Wait::Greeting,
            Self::Ehlo | Self::Helo => Wait::Ehlo,
            Self::StartTls => Wait::StartTls,
            Self::Xclient => Wait::Xclient,
            Self::Auth => Wait::Auth,
            Self::Rset => Wait::Rset,
            Self::Mail => Wait::Mail,
            Self::Rcpt(_) => Wait::Rcpt,
            Self::Data => Wait::DataInit,
            Self::EndOfData => Wait::DataEnd,
            Self::LastChunk => Wait::LastChunk,
            Self::Chunk => Wait::Chunk,
            Self::Command => Wait::Command,
            Self::Quit => Wait::Quit,
        }
    }
}

/// Entries that an idle connection may keep room for: those of a message for some ten recipients.
const KEPT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_is_not_filled_up_again_before_half_of_it_is_free() {
        let mut pipeline = PendingReplies::new();
        pipeline.set_level(Pipelining::Envelope);
        pipeline.set_window(Window::HALF_DUPLEX.with_bytes(1000).with_replies(8));
        let mut end = 0;
        let mut fill = |pipeline: &mut PendingReplies| {
            let mut pushed = 0;
            while pipeline.admits(Expect::Rcpt(0), 10) {
                end += 10;
                pushed += 1;
                pipeline.push(PendingReply {
                    to: Expect::Rcpt(0),
                    end,
                    bytes: 10,
                    replies: 1,
                    text: 0,
                });
            }
            pushed
        };
        assert_eq!(fill(&mut pipeline), 8);
        for more in [0, 0, 0, 0, 5, 0] {
            pipeline.answered(u64::MAX).unwrap();
            assert_eq!(fill(&mut pipeline), more);
        }
    }
}
