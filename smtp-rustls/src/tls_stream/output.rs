//! Ciphertext to be sent, and the plaintext in it that is not acknowledged.

use std::collections::VecDeque;

/// Ciphertext to be sent.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// The number of bytes at the front that the transport has taken.
    sent: usize,
    /// The records with plaintext of the connection, oldest first.
    unacked: VecDeque<UnackedRecord>,
}

/// A record with plaintext of the connection that the transport has not taken entirely.
///
/// The plaintext is acknowledged to the connection when all of its record is sent. Earlier, the
/// connection would accept a reply to what was not sent, and would not time out if the server stops
/// reading. Later, with the records after it, would be too late: the server may reply to one record
/// while the next is still being written.
struct UnackedRecord {
    /// The length of the plaintext.
    plaintext: usize,
    /// Where the record ends in the ciphertext.
    end: usize,
}

impl Output {
    /// The buffer to append ciphertext to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends a record with this much plaintext of the connection, whose ciphertext is appended.
    pub(super) fn end_record(&mut self, plaintext: usize) {
        let end = self.bytes.len();
        self.unacked.push_back(UnackedRecord { plaintext, end });
    }

    /// The bytes that the transport has not taken.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Whether the transport has taken everything.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Whether there is no ciphertext, sent or not.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether there is room for another record.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < MAX_LEN
    }

    /// Whether plaintext of the connection is not acknowledged.
    pub(super) fn has_unacked(&self) -> bool {
        !self.unacked.is_empty()
    }

    /// Records that the transport took `count` bytes. Returns whether there were as many.
    #[must_use = "a transport cannot take more than it was given"]
    pub(super) fn advance(&mut self, count: usize) -> bool {
        let sent = self.sent.saturating_add(count);
        let allowed = sent <= self.bytes.len();
        if allowed {
            self.sent = sent;
        }
        allowed
    }

    /// The plaintext of the next record that is sent and not acknowledged.
    pub(super) fn next_sent(&mut self) -> Option<usize> {
        self.unacked
            .front()
            .filter(|record| record.end <= self.sent)?;
        self.unacked.pop_front().map(|record| record.plaintext)
    }

    /// Discards what is sent, once that is everything.
    pub(super) fn clear_sent(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The length of unsent ciphertext at which no further record is encrypted.
const MAX_LEN: usize = 64 << 10;
