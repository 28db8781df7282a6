//! The automaton that knows where a line starts, and so where a dot is doubled or a line end
//! mended.
//!
//! ```text
//!             LF                 first byte
//!  AfterCr ────────▶ Start ────────────────────▶ Within ──┐ other bytes
//!     ▲                │ CR            CR          │  ▲────┘
//!     └────────────────┴───────────────────────────┘
//! ```
//! An insertion is one byte that is sent before the next one of the body: a dot leads from `Start`
//! to `Within`, a CR to `AfterCr`, an LF from `AfterCr` to `Start`. So nothing that was already
//! sent is ever looked at again.

use super::{
    BareLineEnds, ContentError, ContentErrorKind, LineRules,
    block_scan::{count_dots, find_sound},
    byte_len,
};
use crate::byte_search::find;

/// A byte to send before the next one of the body.
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

/// Where in a line the body stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    rules: LineRules,
    dots: Dots,
    /// Dots at the start of lines so far, as they were counted or doubled.
    counted: u64,
    state: State,
    /// Bytes of the body so far.
    offset: u64,
    /// Bytes of the line so far, never more than the longest line allowed.
    column: usize,
}

/// What becomes of a dot at the start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    /// Nothing: it is text.
    Passed,
    Counted,
    Doubled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The next byte is the first of a line; a dot here is doubled.
    Start,
    Within,
    /// Whether the CR is bare is known when the next byte is.
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

    /// The same line, with 8-bit bytes allowed from now on.
    pub(super) const fn with_eight_bit(mut self) -> Self {
        self.rules.eight_bit = true;
        self
    }

    /// Dots at the start of lines that were counted or doubled so far.
    pub(super) const fn dots(&self) -> u64 {
        self.counted
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Goes on to the next byte before which something must be inserted, or after a CR that no LF
    /// follows in `bytes`, or to their end.
    ///
    /// Returns how many of `bytes` that is. The insertion is asked for again until
    /// [`inserted`](Self::inserted) says that it was made.
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

    /// Says that the insertion last asked for was made.
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

    /// Whether a CR at the end of the last chunk may stand before `next`, as it is or with an
    /// LF inserted.
    pub(super) fn admit_cr(&self, next: u8) -> Result<(), ContentError> {
        if self.state == State::AfterCr && next != b'\n' {
            self.bare_cr()?;
        }
        Ok(())
    }

    /// The state in which the body ends.
    pub(super) fn finish(&self) -> Result<State, ContentError> {
        if self.state == State::AfterCr {
            self.bare_cr()?;
        }
        Ok(self.state)
    }

    /// [`advance`](Self::advance) from before or within a line, with so many dots to be counted in front.
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
                b'\n' => {
                    let len = self.line_len(here, at)?;
                    self.count(here.dots);
                    self.stand(len);
                    return match self.rules.line_ends {
                        BareLineEnds::Reject => Err(self.fault(at, ContentErrorKind::BareLf)),
                        BareLineEnds::Convert => Ok((at, Some(Insert::Cr))),
                    };
                }
                0 => {
                    self.line_len(here, at)?;
                    return Err(self.fault(at, ContentErrorKind::Nul));
                }
                128.. => {
                    self.line_len(here, at)?;
                    return Err(self.fault(at, ContentErrorKind::EightBit));
                }
                // A tab or another control.
                _ => {}
            }
        }
        let len = self.line_len(here, bytes.len())?;
        self.count(here.dots);
        self.stand(len);
        Ok((bytes.len(), None))
    }

    const fn count(&mut self, dots: u64) {
        self.counted = self.counted.saturating_add(dots);
    }

    /// Skips, from the start of a line, the blocks that are sound, if no dot in them is doubled.
    fn skip_blocks<const HIGH: bool>(&self, bytes: &[u8], from: Here) -> Here {
        // A block does not answer for an LF in front, and at the start of a line it is bare.
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
            // Where the line starts is looked for only where it may matter.
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

    /// Stands in a line of which `column` bytes came.
    const fn stand(&mut self, column: usize) {
        self.column = column;
        self.state = if column == 0 {
            State::Start
        } else {
            State::Within
        };
    }

    /// The bytes of the line up to the one at `at`, if they are not too many.
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

    /// What is to be done about the last byte, a CR that no LF follows.
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

/// How far the bytes of a call are read.
#[derive(Clone, Copy)]
struct Here {
    /// The next byte to look at.
    next: usize,
    /// Where the line that it is in starts, or the part of that line which is not in earlier calls.
    start: usize,
    /// The bytes of that line in earlier calls.
    before: usize,
    /// The dots at the start of lines.
    dots: u64,
}

impl Here {
    /// Finds out where the line starts, if it starts later. The byte after the blocks was looked at as well: an LF there
    /// ends a CR in the last one.
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

/// CR, LF and NUL are below it, and little else that is in a text.
const MARKS: u8 = 14;

/// Bytes of a block: enough to outweigh what it takes to begin and to end.
const LARGE: usize = 896;

/// The same for what is left, and for long lines: a block must not hold more than what a line may still have.
const SMALL: usize = 96;

/// How far to look line by line before trying whole blocks again: where dots are dense, a block
/// looked at is time lost.
const NEAR: usize = 1024;
