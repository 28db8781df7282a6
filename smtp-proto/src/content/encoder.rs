//! Encodes content chunk by chunk for DATA or BDAT.

use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};

use super::{
    ContentError, ContentErrorKind, LineRules, ScanSummary,
    block_scan::has_dot,
    byte_len,
    line_scanner::{Dots, Insert, Line, State},
};

/// Encodes pieces of content for DATA (RFC 5321, section 4.5.2) or BDAT (RFC 3030).
///
/// Long runs leave as slices of the chunk, not copied. After a [`ContentError`] every call returns
/// it again: the content must then not be terminated, only the connection closed.
#[derive(Debug)]
pub struct Encoder {
    mode: Result<Mode, ContentError>,
    framing: Framing,
}

/// How the end of the content is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By a line with a single dot. Dots at the start of other lines are doubled.
    Dot,
    /// By the number of bytes.
    Length,
}

impl Framing {
    /// The treatment of a dot at the start of a line.
    const fn dots(self) -> Dots {
        match self {
            Self::Dot => Dots::Doubled,
            Self::Length => Dots::Passed,
        }
    }
}

impl Encoder {
    /// Creates an encoder for DATA that checks the content against `rules`.
    pub const fn new(rules: &LineRules) -> Self {
        Self::checking(rules, Framing::Dot)
    }

    /// Creates an encoder for BDAT that checks the content: no dot is doubled, and only an
    /// incomplete last line is completed at the end.
    pub const fn chunked(rules: &LineRules) -> Self {
        Self::checking(rules, Framing::Length)
    }

    /// Creates an encoder that passes all bytes through, for BDAT with BINARYMIME (RFC 3030,
    /// section 3).
    pub const fn binary() -> Self {
        Self {
            mode: Ok(Mode::Raw),
            framing: Framing::Length,
        }
    }

    /// [`new`](Self::new) or [`chunked`](Self::chunked), according to the framing.
    pub(crate) const fn checking(rules: &LineRules, framing: Framing) -> Self {
        Self {
            mode: Ok(Mode::Check {
                line: Line::new(rules, framing.dots()),
                held_cr: false,
            }),
            framing,
        }
    }

    /// Creates an encoder for DATA and content whose [`scan`](super::scan) returned `facts`.
    ///
    /// Only the length of the content is checked again. Dots to be doubled are searched for;
    /// content without them passes through unread. Any other content would be sent without ever
    /// being checked.
    pub const fn verified(facts: &ScanSummary) -> Self {
        Self::trusting(facts, Framing::Dot)
    }

    /// Creates an encoder for BDAT and scanned content; see [`verified`](Self::verified).
    pub const fn chunked_verified(facts: &ScanSummary) -> Self {
        Self::trusting(facts, Framing::Length)
    }

    /// [`verified`](Self::verified) or [`chunked_verified`](Self::chunked_verified), according to
    /// the framing.
    pub(crate) const fn trusting(facts: &ScanSummary, framing: Framing) -> Self {
        if facts.converted != 0 {
            return Self::checking(&facts.rules, framing);
        }
        let doubled = matches!(framing, Framing::Dot) && facts.dots != 0;
        Self {
            mode: Ok(Mode::Pass {
                offset: 0,
                len: facts.len,
                ending: facts.ending,
                doubler: if doubled {
                    Some(DotStuffer {
                        at_start: true,
                        doubled: 0,
                    })
                } else {
                    None
                },
            }),
            framing,
        }
    }

    /// Takes bytes from the start of `chunk` and passes their encoding to `out`, within the limits
    /// of `room`.
    ///
    /// With room for at least one byte and one piece, each call takes or passes something. A CR at
    /// the end of the chunk is taken but held back until the next byte is known.
    ///
    /// # Errors
    /// The first byte that breaks the rules. Its offset counts from the start of the first chunk
    /// and does not depend on how the chunks are cut. Bytes before it may already have been passed
    /// to `out`.
    pub fn encode(
        &mut self,
        chunk: &mut Bytes,
        room: Room,
        out: &mut impl FnMut(Bytes),
    ) -> Result<(), ContentError> {
        let done = match self.mode.as_mut().map_err(|fault| *fault)? {
            Mode::Check { line, held_cr } => {
                check(line, held_cr, chunk, ChunkWriter::new(room, out))
            }
            Mode::Pass {
                offset,
                len,
                doubler,
                ..
            } => {
                let before = chunk.len();
                if offset.saturating_add(byte_len(before)) > *len {
                    Err(ContentError {
                        offset: *len,
                        reason: ContentErrorKind::NotAsScanned,
                    })
                } else {
                    match doubler {
                        Some(doubler) => doubler.encode(chunk, room, out),
                        None => pass(chunk, room, out),
                    }
                    *offset = offset.saturating_add(byte_len(before.saturating_sub(chunk.len())));
                    Ok(())
                }
            }
            Mode::Raw => {
                pass(chunk, room, out);
                Ok(())
            }
        };
        if let Err(fault) = done {
            self.mode = Err(fault);
        }
        done
    }

    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// The number of bytes added so far by dot-stuffing.
    pub(crate) const fn doubled(&self) -> u64 {
        match &self.mode {
            Ok(Mode::Check { line, .. }) => line.dots(),
            Ok(Mode::Pass {
                doubler: Some(doubler),
                ..
            }) => doubler.doubled,
            Ok(Mode::Pass { doubler: None, .. } | Mode::Raw) | Err(_) => 0,
        }
    }

    /// The end of the content: the CRLF of an incomplete last line, and `.` CRLF for DATA.
    ///
    /// # Errors
    /// The error found before, a bare CR at the end, or content shorter than what was scanned.
    pub fn finish(&self) -> Result<&'static [u8], ContentError> {
        let lacking: &'static [u8] = match self.mode.as_ref().map_err(|fault| *fault)? {
            Mode::Check { line, held_cr } => match line.finish()? {
                State::Start => b"",
                State::AfterCr if !held_cr => b"\n",
                State::AfterCr | State::Within => b"\r\n",
            },
            Mode::Pass { offset, len, .. } if offset < len => {
                return Err(ContentError {
                    offset: *offset,
                    reason: ContentErrorKind::NotAsScanned,
                });
            }
            Mode::Pass {
                ending: State::Start,
                ..
            }
            | Mode::Raw => b"",
            Mode::Pass { .. } => b"\r\n",
        };
        Ok(match (self.framing, lacking) {
            (Framing::Length, lacking) => lacking,
            (Framing::Dot, b"") => b".\r\n",
            (Framing::Dot, b"\n") => b"\n.\r\n",
            (Framing::Dot, _) => b"\r\n.\r\n",
        })
    }
}

/// The limits of one call of [`Encoder::encode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    bytes: usize,
    pieces: usize,
}

impl Room {
    /// At most `bytes` bytes in at most `pieces` pieces.
    pub const fn new(bytes: usize, pieces: usize) -> Self {
        Self { bytes, pieces }
    }

    /// The maximum number of bytes.
    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// The maximum number of pieces.
    pub const fn pieces(self) -> usize {
        self.pieces
    }
}

#[derive(Debug)]
enum Mode {
    Check {
        line: Line,
        /// Whether the CR before the position of `line` has not been sent.
        held_cr: bool,
    },
    Pass {
        offset: u64,
        len: u64,
        ending: State,
        /// `None` if no dot has to be doubled.
        doubler: Option<DotStuffer>,
    },
    Raw,
}

/// Passes bytes through unchanged.
fn pass(chunk: &mut Bytes, room: Room, out: &mut impl FnMut(Bytes)) {
    if room.pieces > 0 && room.bytes > 0 && !chunk.is_empty() {
        out(chunk.split_to(chunk.len().min(room.bytes)));
    }
}

/// Doubles the dots of content that is known to obey the rules. Checks nothing else.
#[derive(Debug)]
struct DotStuffer {
    /// Whether the next byte begins a line. If it is a dot, it has not been doubled.
    at_start: bool,
    doubled: u64,
}

impl DotStuffer {
    fn encode(&mut self, chunk: &mut Bytes, mut room: Room, out: &mut impl FnMut(Bytes)) {
        while room.pieces > 0 && room.bytes > 0 && !chunk.is_empty() {
            let piece = if self.at_start && chunk.starts_with(b".") {
                self.copy(chunk, room.bytes)
            } else {
                let bytes = chunk.get(..room.bytes).unwrap_or(chunk);
                let len = before_dot(bytes).unwrap_or(bytes.len());
                let piece = chunk.split_to(len);
                self.at_start = piece.ends_with(b"\n");
                piece
            };
            room.bytes = room.bytes.saturating_sub(piece.len());
            room.pieces = room.pieces.saturating_sub(1);
            out(piece);
        }
    }

    /// Copies lines while their dots are close together, each with its dot doubled.
    fn copy(&mut self, chunk: &mut Bytes, at_most: usize) -> Bytes {
        let mut copy = Vec::new();
        let mut rest: &[u8] = chunk;
        self.at_start = false;
        while let Some(room) = at_most.checked_sub(copy.len().saturating_add(1))
            && let near = rest.get(..room.min(SHORT)).unwrap_or(rest)
            && let Some((lines, behind)) =
                before_near_dot(near).and_then(|len| rest.split_at_checked(len))
        {
            if copy.is_empty() {
                copy.reserve(at_most.min(COPY));
            }
            copy.push(b'.');
            copy.extend_from_slice(lines);
            self.doubled = self.doubled.saturating_add(1);
            rest = behind;
            self.at_start = true;
        }
        if copy.is_empty() {
            self.doubled = self.doubled.saturating_add(1);
            return Bytes::from_static(b".");
        }
        let taken = chunk.len().saturating_sub(rest.len());
        chunk.advance(taken);
        copy.into()
    }
}

/// The number of bytes before the first dot that follows an LF.
fn before_dot(bytes: &[u8]) -> Option<usize> {
    let mut seen = 0_usize;
    // Where dots are dense, checking a block first is wasted time.
    while seen < FEW {
        seen = seen.saturating_add(after_line(bytes.get(seen..)?)?);
        if bytes.get(seen) == Some(&b'.') {
            return Some(seen);
        }
    }
    while let Some(false) = has_dot::<BLOCK>(bytes.get(seen..)?) {
        seen = seen.saturating_add(BLOCK);
    }
    let near = before_near_dot(bytes.get(seen..)?)?;
    Some(seen.saturating_add(near))
}

/// The same, for a dot that is probably near.
fn before_near_dot(bytes: &[u8]) -> Option<usize> {
    let mut seen = 0_usize;
    loop {
        seen = seen.saturating_add(after_line(bytes.get(seen..)?)?);
        if bytes.get(seen) == Some(&b'.') {
            return Some(seen);
        }
    }
}

/// The number of bytes up to the first LF, which is included.
fn after_line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|at| at.saturating_add(1))
}

fn check(
    line: &mut Line,
    held_cr: &mut bool,
    chunk: &mut Bytes,
    mut sink: ChunkWriter<'_, impl FnMut(Bytes)>,
) -> Result<(), ContentError> {
    while let Some(limit) = sink.limit()
        && let Some(next) = chunk.first()
    {
        if *held_cr {
            line.admit_cr(*next)?;
            *held_cr = false;
            sink.insert(Insert::Cr);
            continue;
        }
        let (run, insert) = line.advance(chunk.get(..limit).unwrap_or(chunk))?;
        *held_cr = insert.is_none() && line.state() == State::AfterCr;
        if *held_cr {
            sink.run(chunk, run.saturating_sub(1));
            chunk.advance(1);
        } else {
            sink.run(chunk, run);
        }
        match insert {
            Some(insert) if sink.limit().is_some() => {
                sink.insert(insert);
                line.inserted(insert);
            }
            Some(_) => break,
            // The open piece is the last there is room for: do not copy a long run into it.
            None if sink.room.pieces == 0 => break,
            None => {}
        }
    }
    sink.flush();
    Ok(())
}

/// Collects pieces within the limits of a [`Room`].
///
/// Dots in every line would make two pieces a line, and a vectored write holds only some dozens. A
/// short run after an insertion is therefore copied into the same piece.
struct ChunkWriter<'a, F> {
    room: Room,
    open: OpenChunk,
    out: &'a mut F,
}

/// The piece that can still grow.
enum OpenChunk {
    None,
    Insert(Insert),
    Copy(Vec<u8>),
}

impl<'a, F: FnMut(Bytes)> ChunkWriter<'a, F> {
    const fn new(room: Room, out: &'a mut F) -> Self {
        Self {
            room,
            open: OpenChunk::None,
            out,
        }
    }

    /// The maximum length of the next run or insertion; `None` if there is no room.
    const fn limit(&self) -> Option<usize> {
        match (self.room, &self.open) {
            (Room { bytes: 0, .. }, _) | (Room { pieces: 0, .. }, OpenChunk::None) => None,
            (
                Room {
                    bytes: SHORT..,
                    pieces: 0,
                },
                _,
            ) => Some(SHORT),
            (Room { bytes, .. }, _) => Some(bytes),
        }
    }

    #[inline]
    fn insert(&mut self, insert: Insert) {
        self.room.bytes = self.room.bytes.saturating_sub(1);
        match &mut self.open {
            OpenChunk::None => {
                self.room.pieces = self.room.pieces.saturating_sub(1);
                self.open = OpenChunk::Insert(insert);
            }
            OpenChunk::Insert(first) => {
                self.open = OpenChunk::Copy([first.as_bytes(), insert.as_bytes()].concat())
            }
            OpenChunk::Copy(copy) => copy.extend_from_slice(insert.as_bytes()),
        }
    }

    /// Takes the first `len` bytes of `chunk`.
    #[inline]
    fn run(&mut self, chunk: &mut Bytes, len: usize) {
        if len == 0 {
            return;
        }
        self.room.bytes = self.room.bytes.saturating_sub(len);
        if len > SHORT {
            self.flush();
        }
        match &mut self.open {
            OpenChunk::None => {
                self.room.pieces = self.room.pieces.saturating_sub(1);
                (self.out)(chunk.split_to(len));
            }
            OpenChunk::Insert(first) => {
                let mut copy = Vec::with_capacity(
                    self.room
                        .bytes
                        .min(COPY)
                        .saturating_add(len)
                        .saturating_add(1),
                );
                copy.extend_from_slice(first.as_bytes());
                copy.extend_from_slice(chunk.get(..len).unwrap_or_default());
                chunk.advance(len);
                self.open = OpenChunk::Copy(copy);
            }
            OpenChunk::Copy(copy) => {
                copy.extend_from_slice(chunk.get(..len).unwrap_or_default());
                chunk.advance(len);
            }
        }
    }

    fn flush(&mut self) {
        match mem::replace(&mut self.open, OpenChunk::None) {
            OpenChunk::None => {}
            OpenChunk::Insert(insert) => (self.out)(Bytes::from_static(insert.as_bytes())),
            OpenChunk::Copy(copy) => (self.out)(copy.into()),
        }
    }
}

/// The longest run that is cheaper to copy than to send as a piece of its own.
const SHORT: usize = 512;

/// The bytes in which a dot at the start of a line is looked for at once.
const BLOCK: usize = 256;

/// The bytes in which it is looked for line by line first.
const FEW: usize = 256;

/// The first capacity of a copy: some lines.
const COPY: usize = 1024;
