//! The pending replies: the distance between what has been sent and what has been replied to.
//!
//! Pending replies form a first-in-first-out queue. Every command is in it, and so is the greeting,
//! so there is only one way to tell which command a reply belongs to. The level of pipelining and a
//! window (RFC 2920) limit how far sending may run ahead.

use alloc::collections::VecDeque;

use crate::pipelining::{Pipelining, Window};
use crate::stage::Stage;

/// The pending replies, oldest first.
#[derive(Debug)]
pub(crate) struct PendingReplies {
    items: VecDeque<PendingReply>,
    bytes: usize,
    /// More than there are entries if one command leads to several (LMTP).
    replies: usize,
    /// Bytes of content in chunks without a reply. Content that ends with a dot is not counted.
    content: u64,
    window: Window,
    /// Whether a command had to wait because the window was full.
    full: bool,
    level: Pipelining,
}

/// A pending reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingReply {
    /// The stage of its command.
    pub(crate) stage: Stage,
    /// The index of the recipient, if the command is RCPT.
    pub(crate) rcpt: Option<usize>,
    /// The position in the output after the command's last byte.
    pub(crate) end: u64,
    /// Bytes of the command that count for the window.
    pub(crate) bytes: usize,
    /// Bytes of content after the command.
    pub(crate) content: u64,
    /// The maximum number of replies to the command.
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

    /// Whether a command of this stage may be sent before the pending replies have arrived, if
    /// [there is room](Self::has_room).
    pub(crate) fn admits(&mut self, next: Stage) -> bool {
        let Some(last) = self.items.back() else {
            self.full = false;
            return true;
        };
        if !last.stage.lets_follow(next, self.level) {
            return false;
        }
        // A chunk may exceed every buffer. Writing it may then wait for the peer to read, while the
        // peer waits for its replies to be read. Small chunks that need not wait for replies have
        // limits of their own.
        if last.stage == Stage::Chunk && self.replies >= self.window.replies_to_text() {
            return false;
        }
        let fits = self.fits(0);
        self.full |= !fits;
        fits
    }

    /// Whether the window has room for a command of `bytes` bytes. The first command always fits.
    ///
    /// A full window must be half empty before it accepts more. A few large flights cost less than
    /// many small ones, also in the buffers on the way, where TLS adds to each.
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

    /// Reserves room for `replies` more replies, up to the window.
    pub(crate) fn reserve(&mut self, replies: usize) {
        self.items.reserve_exact(replies.min(self.window.replies));
    }

    pub(crate) fn push(&mut self, due: PendingReply) {
        self.count(due);
        self.items.push_back(due);
    }

    /// Takes the next pending reply, if its command has been sent completely: `sent` is the
    /// position of the output.
    pub(crate) fn replied(&mut self, sent: u64) -> Option<PendingReply> {
        let due = self.front().filter(|due| due.end <= sent)?;
        self.items.pop_front();
        self.bytes = self.bytes.saturating_sub(due.bytes);
        self.content = self.content.saturating_sub(due.content);
        self.replies = self.replies.saturating_sub(due.replies);
        Some(due)
    }

    /// Adds one more reply to the command that was just replied to.
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

    /// Bytes of content in chunks without a reply. Content that ends with a dot is not counted.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// The stage of the command sent last, if its reply is pending.
    pub(crate) fn last(&self) -> Option<Stage> {
        self.items.back().map(|due| due.stage)
    }

    pub(crate) fn front(&self) -> Option<PendingReply> {
        self.items.front().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the output position is within the content of a chunk.
    pub(crate) fn is_in_content(&self, sent: u64) -> bool {
        let next = self.items.partition_point(|due| due.end <= sent);
        (self.items.get(next)).is_some_and(|due| due.end.saturating_sub(due.content) < sent)
    }

    /// Releases memory that only a busy connection needs.
    pub(crate) fn release(&mut self) {
        self.items.shrink_to(KEPT);
    }
}

/// The capacity that an idle connection keeps: a message to some ten recipients.
const KEPT: usize = 12;

#[cfg(test)]
mod tests;
