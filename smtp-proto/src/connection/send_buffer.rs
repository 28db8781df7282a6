//! What is to be sent, in order: command bytes in one buffer, and pieces of bodies as they came.
//!
//! Bytes are offered until they are acknowledged, so a short, failed or cancelled write loses
//! nothing. Positions count from the first byte ever queued and never go back.

use alloc::{collections::VecDeque, vec::Vec};
use core::fmt;
use core::ops::Range;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use zeroize::Zeroize;

/// The bytes that are queued and not yet sent.
#[derive(Default)]
pub(crate) struct SendBuffer {
    /// Command bytes, the first `control_sent` of which are sent.
    control: CommandBytes,
    control_sent: usize,
    /// The end of the command bytes that stand before some piece; those after it come last.
    control_placed: usize,
    pieces: VecDeque<Piece>,
    pieces_len: usize,
    sent: u64,
}

/// The memory of command bytes, which is wiped wherever it held a secret.
#[derive(Default)]
struct CommandBytes {
    bytes: Vec<u8>,
    /// Whether there may be secrets in the memory, sent or not.
    secret: bool,
}

/// A piece of a body, and how many unsent command bytes stand between it and the piece before.
struct Piece {
    control: usize,
    body: Bytes,
}

impl SendBuffer {
    /// The buffer to append command bytes to: they are queued as soon as they are in it.
    pub(crate) fn control(&mut self) -> &mut Vec<u8> {
        self.control.make_room();
        &mut self.control.bytes
    }

    /// The same for bytes that are secret: at most a line of 12,288 bytes, since the buffer must not move while they are
    /// written. They are wiped when they are sent, given up or dropped.
    pub(crate) fn secret_control(&mut self) -> &mut Vec<u8> {
        self.control.secret = true;
        self.control()
    }

    /// Queues a piece of a body, without copying it.
    pub(crate) fn push(&mut self, body: Bytes) {
        if body.is_empty() {
            return;
        }
        let control = self.control.bytes.len().saturating_sub(self.control_placed);
        self.control_placed = self.control.bytes.len();
        self.pieces_len = self.pieces_len.saturating_add(body.len());
        self.pieces.push_back(Piece { control, body });
    }

    /// What to send next: the same again until [`advance`](Self::advance) says that it was sent.
    ///
    /// It ends after 64 KiB of body or 64 slices, whatever is queued after.
    pub(crate) fn offer(&self) -> Transmit<'_> {
        let source = Source::Outbox(self);
        // So little goes out whole: a piece is two slices at most, and one is after the last.
        if self.pieces_len < OFFERED_BODY && self.pieces.len() < SLICES / 2 {
            let len = self.len();
            return Transmit { source, len };
        }
        Transmit::new(source)
    }

    fn slices(&self) -> Slices<'_> {
        Slices {
            control: self
                .control
                .bytes
                .get(self.control_sent..)
                .unwrap_or_default(),
            pieces: self.pieces.iter(),
            body: &[],
            body_left: OFFERED_BODY,
            left: SLICES,
        }
    }

    /// Takes away the first `n` bytes, which were sent.
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

    /// Takes away all that is not sent, for good: nothing may be queued after a gap but to a peer
    /// that will not read it.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            sent: self.sent,
            ..Self::default()
        };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are queued and not sent.
    pub(crate) fn len(&self) -> usize {
        self.control
            .bytes
            .len()
            .saturating_sub(self.control_sent)
            .saturating_add(self.pieces_len)
    }

    /// How many pieces of bodies are queued and not sent.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// The position up to which all is sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// The position up to which all is queued.
    pub(crate) fn queued(&self) -> u64 {
        self.sent
            .saturating_add(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }

    /// Gives back memory: an idle connection keeps at most 512 bytes, and one that is never idle
    /// does not collect what it sent.
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
    /// Makes room for a line if what is here is secret or will be: a vector that grows by itself leaves a copy after.
    fn make_room(&mut self) {
        let free = self.bytes.capacity().saturating_sub(self.bytes.len());
        if self.secret && free < SECRET_LINE {
            drop(widen(&mut self.bytes));
        }
    }

    /// Wipes what was sent, since it may be long until all is.
    fn wipe_sent(&mut self, sent: Range<usize>) {
        if self.secret
            && let Some(sent) = self.bytes.get_mut(sent)
        {
            sent.zeroize();
        }
    }

    /// Wipes all of the memory, also what is no longer counted in.
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

/// Moves bytes to where a line has room after them; returns where they were, wiped.
fn widen(bytes: &mut Vec<u8>) -> Vec<u8> {
    let mut wider = Vec::with_capacity(bytes.len().saturating_add(SECRET_LINE));
    wider.extend_from_slice(bytes);
    let mut before = core::mem::replace(bytes, wider);
    before.as_mut_slice().zeroize();
    before
}

impl fmt::Debug for SendBuffer {
    /// Without the bytes, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("sent", &self.sent)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Bytes to write to the transport, as at most 64 slices.
///
/// What was written is acknowledged by its length; what was not is offered again.
#[must_use = "what is not written and acknowledged is offered again for ever"]
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    source: Source<'a>,
    len: usize,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Outbox(&'a SendBuffer),
    Slice(&'a [u8]),
}

impl<'a> Transmit<'a> {
    fn new(source: Source<'a>) -> Self {
        let mut transmit = Self { source, len: 0 };
        transmit.len = transmit
            .iter()
            .map(<[u8]>::len)
            .fold(0, usize::saturating_add);
        transmit
    }

    /// The number of bytes in all slices.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices, none of them empty, in the order in which they are to be written.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (slices, slice) = match self.source {
            Source::Outbox(send_buffer) => (Some(send_buffer.slices()), None),
            Source::Slice(slice) => (None, Some(slice).filter(|slice| !slice.is_empty())),
        };
        slices.into_iter().flatten().chain(slice)
    }

    /// The slices for a vectored write.
    #[cfg(feature = "std")]
    pub fn io_slices(&self) -> IoSlices<'a> {
        let mut slices = IoSlices {
            room: Room::Few([IoSlice::new(&[]); FEW]),
            count: 0,
        };
        self.iter().for_each(|slice| slices.push(slice));
        slices
    }
}

impl<'a> From<&'a [u8]> for Transmit<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Self::new(Source::Slice(slice))
    }
}

impl fmt::Debug for Transmit<'_> {
    /// Without the bytes, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("slices", &self.iter().count())
            .field("len", &self.len)
            .finish()
    }
}

/// The slices of a [`Transmit`], as [`write_vectored`](std::io::Write::write_vectored) takes them.
#[cfg(feature = "std")]
pub struct IoSlices<'a> {
    room: Room<'a>,
    count: usize,
}

/// Most offers are of one or two slices, and should not cost the filling of a kilobyte.
#[cfg(feature = "std")]
#[expect(
    clippy::large_enum_variant,
    reason = "what is saved is the filling, not the space"
)]
enum Room<'a> {
    Few([IoSlice<'a>; FEW]),
    Many([IoSlice<'a>; SLICES]),
}

#[cfg(feature = "std")]
impl<'a> IoSlices<'a> {
    fn push(&mut self, slice: &'a [u8]) {
        if self.count == FEW {
            self.widen();
        }
        let room = match &mut self.room {
            Room::Few(few) => few.as_mut_slice(),
            Room::Many(many) => many.as_mut_slice(),
        };
        if let Some(place) = room.get_mut(self.count) {
            *place = IoSlice::new(slice);
            self.count = self.count.saturating_add(1);
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Room::Few(few) = self.room {
            let mut many = [IoSlice::new(&[]); SLICES];
            many.iter_mut()
                .zip(few)
                .for_each(|(place, slice)| *place = slice);
            self.room = Room::Many(many);
        }
    }
}

#[cfg(feature = "std")]
impl<'a> core::ops::Deref for IoSlices<'a> {
    type Target = [IoSlice<'a>];

    fn deref(&self) -> &Self::Target {
        let room = match &self.room {
            Room::Few(few) => few.as_slice(),
            Room::Many(many) => many.as_slice(),
        };
        room.get(..self.count).unwrap_or_default()
    }
}

/// For [`IoSlice::advance_slices`].
#[cfg(feature = "std")]
impl core::ops::DerefMut for IoSlices<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        let room = match &mut self.room {
            Room::Few(few) => few.as_mut_slice(),
            Room::Many(many) => many.as_mut_slice(),
        };
        room.get_mut(..self.count).unwrap_or_default()
    }
}

#[cfg(feature = "std")]
impl fmt::Debug for IoSlices<'_> {
    /// Without the bytes, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoSlices")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// What an send_buffer offers, slice by slice.
struct Slices<'a> {
    /// Unsent command bytes that have not been given.
    control: &'a [u8],
    pieces: alloc::collections::vec_deque::Iter<'a, Piece>,
    /// The body after the command bytes just given.
    body: &'a [u8],
    body_left: usize,
    left: usize,
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        if self.body.is_empty() {
            let Some(piece) = self.pieces.next().filter(|_| self.body_left > 0) else {
                // What stands after the last piece, unless that was not offered whole.
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

/// As many slices as a vectored write takes on every usual system, and small enough to pass by
/// value.
const SLICES: usize = 64;

/// The longest line that carries a secret (RFC 4954, section 4).
const SECRET_LINE: usize = 12_288;

/// Slices that most offers have at most.
#[cfg(feature = "std")]
const FEW: usize = 4;

/// About what a socket buffer takes; more would only be offered again.
const OFFERED_BODY: usize = 64 * 1024;

/// The command bytes there is room for while nothing is queued: an envelope of some ten recipients.
const KEPT_CONTROL: usize = 448;

/// The pieces there is room for while nothing is queued.
const KEPT_PIECES: usize = 1;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn bytes(offer: &Transmit<'_>) -> Vec<u8> {
        let bytes = offer.iter().collect::<Vec<_>>().concat();
        assert_eq!(offer.len(), bytes.len(), "{offer:?}");
        bytes
    }

    #[test]
    fn commands_and_pieces_leave_in_the_order_they_came() {
        let mut send_buffer = SendBuffer::default();
        send_buffer.control().extend(b"DATA\r\n");
        send_buffer.push(Bytes::from_static(b"body"));
        send_buffer.push(Bytes::from_static(b"\r\n.\r\n"));
        send_buffer.control().extend(b"MAIL FROM:<>\r\n");
        send_buffer.control().extend(b"QUIT\r\n");
        let offer = send_buffer.offer();
        assert!(offer.iter().eq([
            &b"DATA\r\n"[..],
            b"body",
            b"\r\n.\r\n",
            b"MAIL FROM:<>\r\nQUIT\r\n"
        ]));
        assert_eq!(
            (offer.len(), send_buffer.sent(), send_buffer.queued()),
            (35, 0, 35)
        );
    }

    #[test]
    fn an_offer_stands_until_it_is_acknowledged() {
        let mut send_buffer = SendBuffer::default();
        send_buffer.control().extend(b"NOOP\r\n");
        assert_eq!(bytes(&send_buffer.offer()), bytes(&send_buffer.offer()));
        send_buffer.advance(0);
        assert_eq!(bytes(&send_buffer.offer()), b"NOOP\r\n");
        send_buffer.advance(4);
        assert_eq!(bytes(&send_buffer.offer()), b"\r\n");
        send_buffer.advance(2);
        assert!(send_buffer.is_empty() && send_buffer.offer().is_empty());
        assert_eq!((send_buffer.sent(), send_buffer.queued()), (6, 6));
    }

    #[test]
    fn an_offer_ends_after_64_slices_and_after_64_kib_of_body() {
        let mut send_buffer = SendBuffer::default();
        for _ in 0..100 {
            send_buffer.control().push(b'c');
            send_buffer.push(Bytes::from_static(b"b"));
        }
        assert_eq!(send_buffer.offer().iter().count(), SLICES);
        assert_eq!(send_buffer.offer().len(), SLICES);
        send_buffer.clear();
        send_buffer.control().extend(vec![b'c'; 2 * OFFERED_BODY]);
        send_buffer.push(vec![b'b'; OFFERED_BODY - 1].into());
        send_buffer.push(vec![b'b'; OFFERED_BODY].into());
        send_buffer.control().push(b'c');
        let lens: Vec<usize> = send_buffer.offer().iter().map(<[u8]>::len).collect();
        assert_eq!(lens, [2 * OFFERED_BODY, OFFERED_BODY - 1, 1]);
        assert_eq!(send_buffer.offer().len(), lens.iter().sum::<usize>());
    }

    #[test]
    fn a_piece_is_not_copied() {
        let mut send_buffer = SendBuffer::default();
        let body = Bytes::from(vec![b'b'; 100]);
        send_buffer.push(body.clone());
        send_buffer.advance(10);
        assert!(
            send_buffer
                .offer()
                .iter()
                .all(|slice| slice.as_ptr_range() == body[10..].as_ptr_range())
        );
    }

    #[test]
    fn a_drained_outbox_keeps_at_most_512_bytes() {
        let mut send_buffer = SendBuffer::default();
        for _ in 0..1000 {
            send_buffer.control().extend([b'c'; 100]);
            send_buffer.push(Bytes::from_static(b"body"));
        }
        send_buffer.advance(send_buffer.len());
        assert!(
            send_buffer.control.bytes.capacity()
                + send_buffer.pieces.capacity() * size_of::<Piece>()
                <= 512
        );
    }

    #[test]
    fn an_outbox_that_is_never_empty_does_not_grow() {
        let mut send_buffer = SendBuffer::default();
        send_buffer.control().push(b'c');
        for _ in 0..10_000 {
            send_buffer.control().extend([b'c'; 100]);
            send_buffer.advance(100);
        }
        assert!(send_buffer.control.bytes.capacity() < 4 * KEPT_CONTROL);
        assert_eq!((send_buffer.len(), send_buffer.sent()), (1, 1_000_000));
    }

    #[test]
    fn a_secret_is_wiped_as_it_is_sent_and_moves_without_a_trace() {
        let mut send_buffer = SendBuffer::default();
        send_buffer.control().extend(b"NOOP\r\n");
        send_buffer
            .secret_control()
            .extend(b"AUTH PLAIN c2VjcmV0\r\n");
        let capacity = send_buffer.control.bytes.capacity();
        assert!(capacity >= SECRET_LINE);
        send_buffer.advance(20);
        assert_eq!(
            send_buffer.control.bytes,
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0jcmV0\r\n"
        );
        assert_eq!(widen(&mut send_buffer.control.bytes), [0; 27]);
        // A line after it has room beforehand, however often.
        send_buffer.control().extend([b'c'; SECRET_LINE]);
        send_buffer.control().extend([b'c'; SECRET_LINE]);
        assert_eq!(bytes(&send_buffer.offer()).len(), 7 + 2 * SECRET_LINE);
        send_buffer.advance(send_buffer.len());
        assert!(
            !send_buffer.control.secret && send_buffer.control.bytes.capacity() <= KEPT_CONTROL
        );
    }

    #[test]
    fn clearing_takes_what_is_not_sent_and_keeps_the_position() {
        let mut send_buffer = SendBuffer::default();
        send_buffer.control().extend(b"RSET\r\n");
        send_buffer.advance(2);
        send_buffer.clear();
        assert_eq!(
            (send_buffer.len(), send_buffer.sent(), send_buffer.queued()),
            (0, 2, 2)
        );
    }

    #[test]
    #[cfg(feature = "std")]
    fn slices_for_a_vectored_write_are_those_of_the_offer_however_many() {
        for count in [0, 1, FEW, FEW + 1, SLICES, SLICES + 1] {
            let mut send_buffer = SendBuffer::default();
            for _ in 0..count {
                send_buffer.push(Bytes::from_static(b"body"));
            }
            let offer = send_buffer.offer();
            let slices = offer.io_slices();
            assert_eq!(slices.len(), count.min(SLICES));
            assert!(slices.iter().map(|slice| &**slice).eq(offer.iter()));
        }
    }

    #[test]
    fn neither_prints_what_is_sent() {
        let mut send_buffer = SendBuffer::default();
        send_buffer.control().extend(b"AUTH PLAIN c2VjcmV0\r\n");
        let printed = alloc::format!("{send_buffer:?} {:?}", send_buffer.offer());
        assert_eq!(
            printed,
            "Outbox { sent: 0, len: 21, .. } Transmit { slices: 1, len: 21 }"
        );
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_was_queued(
            steps in prop::collection::vec((0_u8..3, 0_usize..2000), 0..60),
        ) {
            let mut send_buffer = SendBuffer::default();
            let (mut queued, mut sent) = (Vec::new(), Vec::new());
            let mut next = (0_u8..251).cycle();
            for (step, n) in steps {
                match step {
                    0 => {
                        let bytes: Vec<u8> = next.by_ref().take(n).collect();
                        queued.extend(&bytes);
                        send_buffer.control().extend(bytes);
                    }
                    1 => {
                        let bytes: Vec<u8> = next.by_ref().take(n).collect();
                        queued.extend(&bytes);
                        send_buffer.push(bytes.into());
                    }
                    _ => {
                        let mut offered = bytes(&send_buffer.offer());
                        offered.truncate(n);
                        send_buffer.advance(offered.len());
                        sent.extend(offered);
                    }
                }
                prop_assert_eq!(usize::try_from(send_buffer.sent()), Ok(sent.len()));
                prop_assert_eq!(usize::try_from(send_buffer.queued()), Ok(queued.len()));
                prop_assert_eq!(send_buffer.is_empty(), queued.len() == sent.len());
            }
            while !send_buffer.is_empty() {
                let offered = bytes(&send_buffer.offer());
                send_buffer.advance(offered.len());
                sent.extend(offered);
            }
            prop_assert_eq!(sent, queued);
        }
    }
}
