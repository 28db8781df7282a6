//! Two cursors over one dialogue: what has been sent, and what has been answered.
//!
//! Between them lies a first-in-first-out queue of the replies that are due. Every command goes through it, the
//! greeting included, so there is one answer to the question which command a reply belongs to. How far the first cursor
//! may run ahead of the second is the level of pipelining, and a window (RFC 2920).

use alloc::collections::VecDeque;

use crate::pipelining::{Pipelining, Window};
use crate::stage::Stage;

/// The replies that are due, oldest first.
#[derive(Debug)]
pub(crate) struct PendingReplies {
    items: VecDeque<PendingReply>,
    bytes: usize,
    /// More than there are entries, where one leads to several (LMTP).
    replies: usize,
    /// Bytes of text that are not answered, those of text that ends by a dot left out.
    content: u64,
    window: Window,
    /// Whether something had to wait since more would have been unanswered than the window admits.
    full: bool,
    level: Pipelining,
}

/// A reply that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingReply {
    /// The stage of the command that it answers.
    pub(crate) stage: Stage,
    /// Index of the recipient, if it answers RCPT.
    pub(crate) rcpt: Option<usize>,
    /// Position in the output just after the command's last byte.
    pub(crate) end: u64,
    /// Bytes of the command that count for the window.
    pub(crate) bytes: usize,
    /// Bytes of text after the command.
    pub(crate) content: u64,
    /// Replies that it leads to, at most.
    pub(crate) replies: usize,
}

impl PendingReplies {
    pub(crate) fn new() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            replies: 0,
            content: 0,
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

    /// Whether a command of this stage may be sent now, before the pending replies have come, if it [fits](Self::has_room).
    pub(crate) fn admits(&mut self, next: Stage) -> bool {
        let Some(last) = self.items.back() else {
            self.full = false;
            return true;
        };
        if !last.stage.lets_follow(next, self.level) {
            return false;
        }
        // A chunk fits in no buffer: its writing may have to wait for the peer to read, and the peer for its replies to be read.
        // The small ones that may be sent without waiting for any reply have their own bounds.
        if last.stage == Stage::Chunk && self.replies >= self.window.replies_to_text() {
            return false;
        }
        let fits = self.fits(0);
        self.full |= !fits;
        fits
    }

    /// Whether the window has room for a command of so many bytes; the first always fits.
    ///
    /// A full window has to be half empty before there is more: few large flights cost less than many small ones, also in
    /// the buffers on the way, where TLS adds to each.
    pub(crate) fn has_room(&mut self, bytes: usize) -> bool {
        if self.items.is_empty() {
            return true;
        }
        let fits = self.fits(bytes);
        self.full = !fits;
        fits
    }

    fn fits(&self, bytes: usize) -> bool {
        let window = if self.full {
            self.window.half()
        } else {
            self.window
        };
        self.replies < window.replies && self.bytes.saturating_add(bytes) <= window.bytes
    }

    /// Makes room for so many more replies at once, or as many as the window lets be due.
    pub(crate) fn reserve(&mut self, replies: usize) {
        self.items.reserve_exact(replies.min(self.window.replies));
    }

    pub(crate) fn push(&mut self, due: PendingReply) {
        self.count(due);
        self.items.push_back(due);
    }

    /// The reply that is due next, if its command has been handed out whole: `sent` is the position of the output.
    pub(crate) fn replied(&mut self, sent: u64) -> Option<PendingReply> {
        let due = self.front().filter(|due| due.end <= sent)?;
        self.items.pop_front();
        self.bytes = self.bytes.saturating_sub(due.bytes);
        self.content = self.content.saturating_sub(due.content);
        self.replies = self.replies.saturating_sub(due.replies);
        Some(due)
    }

    /// One more reply is due to what was just answered.
    pub(crate) fn expect_again(&mut self, due: PendingReply) {
        let due = PendingReply {
            bytes: 0,
            content: 0,
            replies: due.replies.saturating_sub(1).max(1),
            ..due
        };
        self.count(due);
        self.items.push_front(due);
    }

    fn count(&mut self, due: PendingReply) {
        self.bytes = self.bytes.saturating_add(due.bytes);
        self.content = self.content.saturating_add(due.content);
        self.replies = self.replies.saturating_add(due.replies);
    }

    /// Bytes of text that are not answered, those of text that ends by a dot left out.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// What was sent last, if it is not answered.
    pub(crate) fn last(&self) -> Option<Stage> {
        self.items.back().map(|due| due.stage)
    }

    pub(crate) fn front(&self) -> Option<PendingReply> {
        self.items.front().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the output stands at this position in the middle of a chunk's text.
    pub(crate) fn is_in_content(&self, sent: u64) -> bool {
        let next = self.items.partition_point(|due| due.end <= sent);
        (self.items.get(next)).is_some_and(|due| due.end.saturating_sub(due.content) < sent)
    }

    /// Frees what only a busy connection needs.
    pub(crate) fn release(&mut self) {
        self.items.shrink_to(KEPT);
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
            while pipeline.admits(Stage::Rcpt) && pipeline.has_room(10) {
                end += 10;
                pushed += 1;
                pipeline.push(PendingReply {
                    stage: Stage::Rcpt,
                    rcpt: Some(0),
                    end,
                    bytes: 10,
                    replies: 1,
                    content: 0,
                });
            }
            pushed
        };
        assert_eq!(fill(&mut pipeline), 8);
        for more in [0, 0, 0, 0, 5, 0] {
            pipeline.replied(u64::MAX).unwrap();
            assert_eq!(fill(&mut pipeline), more);
        }
    }
}
