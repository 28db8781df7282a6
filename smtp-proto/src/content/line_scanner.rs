//! The automaton that finds the starts of lines, and so where to double a dot or repair a line end.
//!
//! ```text
//!             LF                 first byte
//!  AfterCr ────────▶ Start ────────────────────▶ Within ──┐ other bytes
//!     ▲                │ CR            CR          │  ▲────┘
//!     └────────────────┴───────────────────────────┘
//! ```
//! An insertion is one byte sent before the next byte of the content: a dot leads from `Start` to
//! `Within`, a CR to `AfterCr`, an LF from `AfterCr` to `Start`. Bytes already sent are never read
//! again.

use super::{
    BareLineEnds, ContentError, ContentErrorKind, LineRules,
    block_scan::{count_dots, find_sound},
    byte_len,
};
use crate::byte_search::find;

/// A byte to send before the next byte of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insert {
    Dot,
    Cr,
    Lf,
}

impl Insert {
    pub(super) const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Dot => b".",
            Self::Cr => b"\r",
            Self::Lf => b"\n",
        }
    }
}

/// The position in a line of the content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    rules: LineRules,
    dots: Dots,
    /// Dots counted or doubled at the start of lines so far.
    counted: u64,
    state: State,
    /// Bytes of the content so far.
    offset: u64,
    /// Bytes of the current line so far, at most the maximum line length.
    column: usize,
}

/// The treatment of a dot at the start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    /// Passed through unchanged.
    Passed,
    Counted,
    Doubled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The next byte begins a line; a dot here is doubled.
    Start,
    Within,
    /// The next byte decides whether the CR is bare.
    AfterCr,
}

impl Line {
    pub(super) const fn new(rules: &LineRules, dots: Dots) -> Self {
        Self {
            rules: *rules,
            dots,
            counted: 0,
            state: State::Start,
            offset: 0,
            column: 0,
        }
    }

    /// Allows 8-bit bytes from here on.
    pub(super) const fn with_eight_bit(mut self) -> Self {
        self.rules.eight_bit = true;
        self
    }

    /// The number of dots counted or doubled at the start of lines so far.
    pub(super) const fn dots(&self) -> u64 {
        self.counted
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Advances to the next byte that needs an insertion before it, to the byte after a bare CR, or
    /// to the end of `bytes`.
    ///
    /// Returns the number of bytes advanced. The same insertion is returned until
    /// [`inserted`](Self::inserted) is called.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
    ) -> Result<(usize, Option<Insert>), ContentError> {
        let (mut rest, mut skipped) = (bytes, 0);
        if self.state == State::AfterCr {
            match bytes.split_first() {
                None => return Ok((0, None)),
                Some((b'\n', behind)) => {
                    (rest, skipped) = (behind, 1);
                    self.offset = self.offset.saturating_add(1);
                    self.stand(0);
                }
                Some(_) => return Ok((0, Some(self.bare_cr()?))),
            }
        }
        let (run, insert) = match rest.first() {
            None => (0, None),
            Some(b'.') if self.dots == Dots::Doubled && self.state == State::Start => {
                (0, Some(Insert::Dot))
            }
            Some(first) => {
                let is_dot = self.state == State::Start && *first == b'.';
                let dots = u64::from(is_dot && self.dots == Dots::Counted);
                if self.rules.eight_bit {
                    self.run::<true>(rest, dots)?
                } else {
                    self.run::<false>(rest, dots)?
                }
            }
        };
        self.offset = self.offset.saturating_add(byte_len(run));
        Ok((run.saturating_add(skipped), insert))
    }

    /// Records that the insertion last returned was made.
    pub(super) const fn inserted(&mut self, insert: Insert) {
        match insert {
            Insert::Dot => {
                self.state = State::Within;
                self.count(1);
            }
            Insert::Cr => self.state = State::AfterCr,
            Insert::Lf => {
                self.state = State::Start;
                self.column = 0;
            }
        }
    }

    /// Checks that a CR at the end of the last chunk may be sent before `next`, as it is or with an
    /// LF inserted.
    pub(super) fn admit_cr(&self, next: u8) -> Result<(), ContentError> {
        if next != b'\n' {
            self.bare_cr()?;
        }
        Ok(())
    }

    /// The state at the end of the content.
    pub(super) fn finish(&self) -> Result<State, ContentError> {
        if self.state == State::AfterCr {
            self.bare_cr()?;
        }
        Ok(self.state)
    }

    /// [`advance`](Self::advance) from `Start` or `Within`, with `dots` dots to be counted before.
    fn run<const HIGH: bool>(
        &mut self,
        bytes: &[u8],
        dots: u64,
    ) -> Result<(usize, Option<Insert>), ContentError> {
        let mut here = Here {
            next: 0,
            start: 0,
            before: self.column,
            dots,
        };
        if self.column == 0 {
            here = self.skip_blocks::<HIGH>(bytes, here);
        }
        let mut try_blocks_at = here.next.saturating_add(NEAR);
        while let Some(mark) = find::<MARKS, HIGH>(bytes.get(here.next..).unwrap_or_default()) {
            let at = here.next.saturating_add(mark);
            here.next = at.saturating_add(1);
            match bytes.get(at).copied().unwrap_or_default() {
                b'\r' => {
                    let len = self.line_len(here, at)?;
                    if bytes.get(here.next) != Some(&b'\n') {
                        self.count(here.dots);
                        self.column = len;
                        self.state = State::AfterCr;
                        return Ok((here.next, None));
                    }
                    here.begin_line(here.next.saturating_add(1));
                    if bytes.get(here.next) == Some(&b'.') {
                        match self.dots {
                            Dots::Passed => {}
                            Dots::Counted => here.dots = here.dots.saturating_add(1),
                            Dots::Doubled => {
                                self.stand(0);
                                return Ok((here.next, Some(Insert::Dot)));
                            }
                        }
                    }
                    if here.next >= try_blocks_at {
                        here = self.skip_blocks::<HIGH>(bytes, here);
                        try_blocks_at = here.next.saturating_add(NEAR);
                    }
                }
                byte @ (b'\n' | 0 | 128..) => return self.misplaced(here, at, byte),
                // A tab or another control character.
                _ => {}
            }
        }
        let len = self.line_len(here, bytes.len())?;
        self.count(here.dots);
        self.stand(len);
        Ok((bytes.len(), None))
    }

    /// What to do about a bare LF, a NUL or an 8-bit byte. A line that is too long comes before it.
    fn misplaced(
        &mut self,
        here: Here,
        at: usize,
        byte: u8,
    ) -> Result<(usize, Option<Insert>), ContentError> {
        let len = self.line_len(here, at)?;
        let kind = match byte {
            b'\n' => {
                self.count(here.dots);
                self.stand(len);
                match self.rules.line_ends {
                    BareLineEnds::Convert => return Ok((at, Some(Insert::Cr))),
                    BareLineEnds::Reject => ContentErrorKind::BareLf,
                }
            }
            0 => ContentErrorKind::Nul,
            _ => ContentErrorKind::EightBit,
        };
        Err(self.fault(at, kind))
    }

    const fn count(&mut self, dots: u64) {
        self.counted = self.counted.saturating_add(dots);
    }

    /// Skips sound blocks from the start of a line, as long as none contains a dot to be doubled.
    fn skip_blocks<const HIGH: bool>(&self, bytes: &[u8], from: Here) -> Here {
        // The block check ignores an LF in the first place; at the start of a line it is bare.
        if bytes.get(from.next) == Some(&b'\n') {
            return from;
        }
        let here = self.skip::<HIGH, LARGE>(bytes, from);
        let mut here = self.skip::<HIGH, SMALL>(bytes, here);
        if here.next != from.next {
            here.find_start(bytes);
            here.next = here.next.max(here.start);
        }
        here
    }

    #[inline]
    fn skip<const HIGH: bool, const BLOCK: usize>(&self, bytes: &[u8], from: Here) -> Here {
        let max = self.rules.max_line.unwrap_or(usize::MAX);
        let mut here = from;
        let fits = |here: Here| here.next.saturating_add(BLOCK).saturating_sub(here.start) <= max;
        loop {
            // Search for the start of the line only when the length may exceed the limit.
            if !fits(here) {
                here.find_start(bytes);
                if !fits(here) {
                    return here;
                }
            }
            let block = bytes.get(here.next..).unwrap_or_default();
            match (find_sound::<HIGH, BLOCK>(block), self.dots) {
                (None, _) | (Some(true), Dots::Doubled) => return here,
                (Some(true), Dots::Counted) => {
                    here.dots = here.dots.saturating_add(count_dots::<BLOCK>(block));
                }
                (Some(_), _) => {}
            }
            here.next = here.next.saturating_add(BLOCK);
        }
    }

    /// Moves to `column` bytes into a line.
    const fn stand(&mut self, column: usize) {
        self.column = column;
        self.state = if column == 0 {
            State::Start
        } else {
            State::Within
        };
    }

    /// The length of the line up to `at`, or an error if it exceeds the maximum.
    #[inline]
    fn line_len(&self, here: Here, at: usize) -> Result<usize, ContentError> {
        let len = at.saturating_sub(here.start).saturating_add(here.before);
        match self.rules.max_line {
            Some(max) if len > max => {
                let excess = here.start.saturating_add(max.saturating_sub(here.before));
                Err(self.fault(excess, ContentErrorKind::LineTooLong))
            }
            _ => Ok(len),
        }
    }

    /// The insertion after a bare CR as the last byte, if it is allowed.
    fn bare_cr(&self) -> Result<Insert, ContentError> {
        match self.rules.line_ends {
            BareLineEnds::Reject => Err(ContentError {
                offset: self.offset.saturating_sub(1),
                reason: ContentErrorKind::BareCr,
            }),
            BareLineEnds::Convert => Ok(Insert::Lf),
        }
    }

    #[cold]
    fn fault(&self, at: usize, reason: ContentErrorKind) -> ContentError {
        ContentError {
            offset: self.offset.saturating_add(byte_len(at)),
            reason,
        }
    }
}

/// The progress of one call through its bytes.
#[derive(Clone, Copy)]
struct Here {
    /// The next byte to read.
    next: usize,
    /// The start of the current line within these bytes.
    start: usize,
    /// The bytes of that line in earlier calls.
    before: usize,
    /// The dots at the start of lines.
    dots: u64,
}

impl Here {
    /// Moves `start` to the last line that begins before `next`. The byte after the blocks is
    /// included: an LF there completes a CR at the end of the last block.
    fn find_start(&mut self, bytes: &[u8]) {
        let seen = bytes.get(self.start..=self.next).unwrap_or_default();
        if let Some(line_feed) = memchr::memrchr(b'\n', seen) {
            self.start = self.start.saturating_add(line_feed).saturating_add(1);
        }
    }

    const fn begin_line(&mut self, next: usize) {
        *self = Self {
            next,
            start: next,
            before: 0,
            dots: self.dots,
        }
    }
}

/// CR, LF and NUL are below this value; hardly any byte of a typical message is.
const MARKS: u8 = 14;

/// A block large enough to outweigh the cost of starting and finishing one.
const LARGE: usize = 896;

/// A smaller block for the remainder and for long lines: a block must fit into what is left of the
/// maximum line length.
const SMALL: usize = 96;

/// The distance to read line by line before trying whole blocks again: where dots are dense,
/// checking a block first is wasted time.
const NEAR: usize = 1024;
