//! The bytes to write to the transport: slices of a [`SendBuffer`], or one slice of encrypted
//! bytes.

use alloc::collections::vec_deque;
use core::fmt;
#[cfg(feature = "std")]
use std::io::IoSlice;

use super::{Piece, SendBuffer};

/// Bytes to write to the transport, in at most 64 slices.
///
/// Acknowledge the number of bytes written with [`Wire::handle_sent`](crate::Wire::handle_sent).
/// Any other bytes are handed out again.
///
/// # Examples
/// ```
/// use smtp_proto::Transmit;
///
/// let transmit = Transmit::from(&b"NOOP\r\n"[..]);
/// assert_eq!(transmit.len(), 6);
/// let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
/// assert_eq!(bytes, b"NOOP\r\n");
/// ```
#[must_use = "bytes that are not written and acknowledged are handed out again"]
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    source: Source<'a>,
    len: usize,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Buffer(&'a SendBuffer),
    Slice(&'a [u8]),
}

impl<'a> Transmit<'a> {
    pub(super) fn of(send_buffer: &'a SendBuffer) -> Self {
        let source = Source::Buffer(send_buffer);
        // All of so few bytes fits: a piece takes at most two slices, and commands after the last
        // take one.
        if send_buffer.pieces_len < CONTENT && send_buffer.pieces.len() < SLICES / 2 {
            let len = send_buffer.len();
            return Self { source, len };
        }
        Self::new(source)
    }

    fn new(source: Source<'a>) -> Self {
        let mut transmit = Self { source, len: 0 };
        transmit.len = transmit
            .iter()
            .map(<[u8]>::len)
            .fold(0, usize::saturating_add);
        transmit
    }

    /// The total number of bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices in the order in which to write them. None is empty.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (slices, slice) = match self.source {
            Source::Buffer(send_buffer) => (Some(Slices::new(send_buffer)), None),
            Source::Slice(slice) => (None, Some(slice).filter(|slice| !slice.is_empty())),
        };
        slices.into_iter().flatten().chain(slice)
    }

    /// Calls `write` with the slices, as a
    /// [vectored write](std::io::Write::write_vectored) takes them; returns what it returns.
    #[cfg(feature = "std")]
    pub fn with_io_slices<T>(&self, write: impl FnOnce(&mut [IoSlice<'a>]) -> T) -> T {
        let mut few = [IoSlice::new(&[]); FEW];
        let mut many;
        let mut room = few.as_mut_slice();
        let mut count = self.fill(room);
        if count > FEW {
            many = [IoSlice::new(&[]); SLICES];
            room = &mut many;
            count = self.fill(room);
        }
        write(room.get_mut(..count).unwrap_or_default())
    }

    /// Stores the slices, as many as there is room for; returns how many there are.
    #[cfg(feature = "std")]
    fn fill(&self, room: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0_usize;
        self.iter().for_each(|slice| {
            if let Some(place) = room.get_mut(count) {
                *place = IoSlice::new(slice);
            }
            count = count.saturating_add(1);
        });
        count
    }
}

impl<'a> From<&'a [u8]> for Transmit<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Self::new(Source::Slice(slice))
    }
}

impl fmt::Debug for Transmit<'_> {
    /// Omits the bytes, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("slices", &self.iter().count())
            .field("len", &self.len)
            .finish()
    }
}

/// Iterator over the slices of a [`SendBuffer`].
struct Slices<'a> {
    /// Command bytes that are still to come.
    control: &'a [u8],
    pieces: vec_deque::Iter<'a, Piece>,
    /// The content after the last command bytes.
    body: &'a [u8],
    body_left: usize,
    left: usize,
}

impl<'a> Slices<'a> {
    fn new(send_buffer: &'a SendBuffer) -> Self {
        let control = send_buffer.control.bytes.get(send_buffer.control_sent..);
        Self {
            control: control.unwrap_or_default(),
            pieces: send_buffer.pieces.iter(),
            body: &[],
            body_left: CONTENT,
            left: SLICES,
        }
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        if self.body.is_empty() {
            let Some(piece) = self.pieces.next().filter(|_| self.body_left > 0) else {
                // The commands after the last piece, if all of it came.
                let last = core::mem::take(&mut self.control);
                return Some(last).filter(|last| !last.is_empty() && self.body_left > 0);
            };
            let (before, behind) = self
                .control
                .split_at_checked(piece.control)
                .unwrap_or((self.control, &[]));
            self.control = behind;
            self.body = piece.body.get(..self.body_left).unwrap_or(&piece.body);
            self.body_left = self.body_left.saturating_sub(self.body.len());
            if !before.is_empty() {
                return Some(before);
            }
        }
        Some(core::mem::take(&mut self.body))
    }
}

/// Slices of a transmit: no more than any usual system takes in a vectored write.
pub(super) const SLICES: usize = 64;

/// Slices of most transmits, for which a kilobyte need not be initialized.
#[cfg(feature = "std")]
pub(super) const FEW: usize = 4;

/// Bytes of content of a transmit: about as many as a socket buffer takes.
pub(super) const CONTENT: usize = 64 * 1024;
