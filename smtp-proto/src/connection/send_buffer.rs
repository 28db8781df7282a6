//! Bytes to be sent, in order: command lines in one buffer, and content in slices of the caller's
//! memory.
//!
//! Bytes are handed out until they are acknowledged, so a short, failed or cancelled write loses
//! nothing. Positions count from the first byte ever queued and never go back.

mod transmit;

use alloc::{collections::VecDeque, vec::Vec};
use core::fmt;
use core::ops::Range;

use bytes::{Buf, Bytes};
use zeroize::Zeroize;

pub use self::transmit::Transmit;

/// Bytes that are queued and not yet acknowledged.
#[derive(Default)]
pub(crate) struct SendBuffer {
    /// Bytes of commands, the first `control_sent` of which are acknowledged.
    control: CommandBytes,
    control_sent: usize,
    /// The end of the command bytes that precede some piece; the rest follows the last piece.
    control_placed: usize,
    pieces: VecDeque<Piece>,
    pieces_len: usize,
    sent: u64,
}

/// The memory of command bytes, which is wiped if it held a secret.
#[derive(Default)]
struct CommandBytes {
    bytes: Vec<u8>,
    /// Whether the memory may hold secrets, sent or not.
    secret: bool,
}

/// A piece of content, after `control` unsent command bytes.
struct Piece {
    control: usize,
    body: Bytes,
}

impl SendBuffer {
    /// The buffer of command bytes. What is appended to it is queued.
    pub(crate) fn control(&mut self) -> &mut Vec<u8> {
        self.control.make_room();
        &mut self.control.bytes
    }

    /// The same for secret bytes, which are wiped when they are sent, discarded or dropped.
    ///
    /// At most one line of 12,288 bytes may be appended: the buffer must not move meanwhile.
    pub(crate) fn secret_control(&mut self) -> &mut Vec<u8> {
        self.control.secret = true;
        self.control()
    }

    /// Queues a piece of content without copying it.
    pub(crate) fn push(&mut self, body: Bytes) {
        if body.is_empty() {
            return;
        }
        let control = self.control.bytes.len().saturating_sub(self.control_placed);
        self.control_placed = self.control.bytes.len();
        self.pieces_len = self.pieces_len.saturating_add(body.len());
        self.pieces.push_back(Piece { control, body });
    }

    /// The bytes to send next; the same until [`advance`](Self::advance) acknowledges them.
    ///
    /// At most 64 slices, and 64 KiB of content.
    pub(crate) fn transmit(&self) -> Transmit<'_> {
        Transmit::of(self)
    }

    /// Acknowledges the first `n` bytes, which were sent.
    pub(crate) fn advance(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "more was sent than is queued");
        let mut left = n.min(self.len());
        let before = self.control_sent;
        self.sent = self
            .sent
            .saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
        while left > 0
            && let Some(piece) = self.pieces.front_mut()
        {
            let control = left.min(piece.control);
            piece.control = piece.control.saturating_sub(control);
            self.control_sent = self.control_sent.saturating_add(control);
            left = left.saturating_sub(control);

            let body = left.min(piece.body.len());
            piece.body.advance(body);
            self.pieces_len = self.pieces_len.saturating_sub(body);
            left = left.saturating_sub(body);
            if piece.body.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.control_sent = self.control_sent.saturating_add(left);
        self.control_placed = self.control_placed.max(self.control_sent);
        self.control.wipe_sent(before..self.control_sent);
        self.tidy();
    }

    /// Discards all that is not sent. Bytes queued after such a gap are only for a peer that will
    /// not read them.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            sent: self.sent,
            ..Self::default()
        };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes that are queued and not sent.
    pub(crate) fn len(&self) -> usize {
        self.control
            .bytes
            .len()
            .saturating_sub(self.control_sent)
            .saturating_add(self.pieces_len)
    }

    /// The number of pieces of content that are queued and not sent.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// The position after the last byte sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// The position after the last byte queued.
    pub(crate) fn queued(&self) -> u64 {
        self.sent
            .saturating_add(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }

    /// Frees memory: an idle connection keeps at most 512 bytes, and one that is never idle does
    /// not keep the bytes that it sent.
    fn tidy(&mut self) {
        let control_left = self.control.bytes.len().saturating_sub(self.control_sent);
        if control_left == 0 {
            self.control.wipe();
            self.control.bytes.clear();
            (self.control_sent, self.control_placed) = (0, 0);
            self.control.bytes.shrink_to(KEPT_CONTROL);
        } else if self.control_sent > control_left.max(KEPT_CONTROL) {
            self.control.bytes.drain(..self.control_sent);
            self.control_placed = self.control_placed.saturating_sub(self.control_sent);
            self.control_sent = 0;
        }
        if self.pieces.is_empty() && self.pieces.capacity() > KEPT_PIECES {
            self.pieces.shrink_to(KEPT_PIECES);
        }
    }
}

impl CommandBytes {
    /// Reserves a line if there are secrets, or will be: a vector that grows by itself leaves a
    /// copy in the memory that it frees.
    fn make_room(&mut self) {
        let free = self.bytes.capacity().saturating_sub(self.bytes.len());
        if self.secret && free < SECRET_LINE {
            drop(widen(&mut self.bytes));
        }
    }

    /// Wipes bytes that were sent; it may take long until the rest is.
    fn wipe_sent(&mut self, sent: Range<usize>) {
        if self.secret
            && let Some(sent) = self.bytes.get_mut(sent)
        {
            sent.zeroize();
        }
    }

    /// Wipes all of the memory, that after the length included.
    fn wipe(&mut self) {
        if self.secret {
            self.bytes.zeroize();
            self.secret = false;
        }
    }
}

impl Drop for CommandBytes {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Moves bytes to memory with a line of room after them; returns the memory before, wiped.
fn widen(bytes: &mut Vec<u8>) -> Vec<u8> {
    let mut wider = Vec::with_capacity(bytes.len().saturating_add(SECRET_LINE));
    wider.extend_from_slice(bytes);
    let mut before = core::mem::replace(bytes, wider);
    before.as_mut_slice().zeroize();
    before
}

impl fmt::Debug for SendBuffer {
    /// Omits the bytes, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuffer")
            .field("sent", &self.sent)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The longest line that carries a secret (RFC 4954, section 4).
const SECRET_LINE: usize = 12_288;

/// Bytes of commands for which an idle connection keeps memory: an envelope of about ten
/// recipients.
const KEPT_CONTROL: usize = 448;

/// Pieces for which an idle connection keeps memory.
const KEPT_PIECES: usize = 1;

#[cfg(test)]
mod tests;
