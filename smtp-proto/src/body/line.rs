//! The automaton that knows where a line starts, and so where a dot is doubled or a line end mended.
//!
//! ```text
//!             LF                 first octet
//!  AfterCr ────────▶ Start ────────────────────▶ Within ──┐ other octets
//!     ▲                │ CR            CR          │  ▲────┘
//!     └────────────────┴───────────────────────────┘
//! ```
//! An insertion is one octet that is sent before the next one of the body: a dot leads from `Start` to `Within`, a CR
//! to `AfterCr`, an LF from `AfterCr` to `Start`. So nothing that was already sent is ever looked at again.

use super::{
    Fault, FaultReason, LineEnds, Rules,
    find::{BLOCK, WORD, marks, needs_nothing},
    octets,
};

/// An octet to send before the next one of the body.
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
    rules: Rules,
    state: State,
    /// Octets of the body so far.
    offset: u64,
    /// Octets of the line so far, never more than the longest line allowed.
    column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The next octet is the first of a line; a dot here is doubled.
    Start,
    Within,
    /// Whether the CR is bare is known when the next octet is.
    AfterCr,
}

impl Line {
    pub(super) const fn new(rules: &Rules) -> Self {
        Self {
            rules: *rules,
            state: State::Start,
            offset: 0,
            column: 0,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Goes on to the next octet before which something must be inserted, or behind a CR that no LF
    /// follows in `bytes`, or to their end.
    ///
    /// Returns how many of `bytes` that is. The insertion is asked for again until
    /// [`inserted`](Self::inserted) says that it was made.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, Option<Insert>), Fault> {
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
            Some(b'.') if self.state == State::Start => (0, Some(Insert::Dot)),
            Some(_) if self.rules.eight_bit => self.run::<true>(rest)?,
            Some(_) => self.run::<false>(rest)?,
        };
        self.offset = self.offset.saturating_add(octets(run));
        Ok((run.saturating_add(skipped), insert))
    }

    /// Says that the insertion last asked for was made.
    pub(super) const fn inserted(&mut self, insert: Insert) {
        match insert {
            Insert::Dot => self.state = State::Within,
            Insert::Cr => self.state = State::AfterCr,
            Insert::Lf => {
                self.state = State::Start;
                self.column = 0;
            }
        }
    }

    /// Whether a CR at the end of the last chunk may stand in front of `next`, as it is or with an LF inserted.
    pub(super) fn admit_cr(&self, next: u8) -> Result<(), Fault> {
        if self.state == State::AfterCr && next != b'\n' {
            self.bare_cr()?;
        }
        Ok(())
    }

    /// The state in which the body ends.
    pub(super) fn finish(&self) -> Result<State, Fault> {
        if self.state == State::AfterCr {
            self.bare_cr()?;
        }
        Ok(self.state)
    }

    /// [`advance`](Self::advance) from before or within a line.
    fn run<const HIGH: bool>(&mut self, bytes: &[u8]) -> Result<(usize, Option<Insert>), Fault> {
        // The line that is now read starts here in `bytes`, and `before` octets of it came earlier.
        let (mut start, mut before) = (0_usize, self.column);
        let mut base = 0_usize;
        let mut next_try = NEAR;
        while let Some(rest) = bytes.get(base..)
            && !rest.is_empty()
        {
            if base >= next_try {
                let (skipped, line) = self.skip::<HIGH>(bytes, base, start, before);
                if skipped > base {
                    (base, (start, before)) = (skipped, line);
                    next_try = base.saturating_add(NEAR);
                    continue;
                }
                next_try = base.saturating_add(NEAR);
            }
            let mut left = marks::<HIGH>(word(rest));
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                let at = base.saturating_add(usize::try_from(bit / 8).unwrap_or(WORD));
                let next = at.saturating_add(1);
                match bytes.get(at).copied().unwrap_or_default() {
                    b'\r' => {
                        let len = self.line_len(before, start, at)?;
                        if bytes.get(next) != Some(&b'\n') {
                            self.column = len;
                            self.state = State::AfterCr;
                            return Ok((next, None));
                        }
                        (start, before) = (next.saturating_add(1), 0);
                        if bytes.get(start) == Some(&b'.') {
                            self.stand(0);
                            return Ok((start, Some(Insert::Dot)));
                        }
                    }
                    // The second octet of a CRLF.
                    b'\n' if start == next => {}
                    b'\n' => {
                        let len = self.line_len(before, start, at)?;
                        self.stand(len);
                        return match self.rules.line_ends {
                            LineEnds::Reject => Err(self.fault(at, FaultReason::BareLf)),
                            LineEnds::Convert => Ok((at, Some(Insert::Cr))),
                        };
                    }
                    0 => {
                        self.line_len(before, start, at)?;
                        return Err(self.fault(at, FaultReason::Nul));
                    }
                    128.. => {
                        self.line_len(before, start, at)?;
                        return Err(self.fault(at, FaultReason::EightBit));
                    }
                    _ => {}
                }
            }
            base = base.saturating_add(WORD);
        }
        let len = self.line_len(before, start, bytes.len())?;
        self.stand(len);
        Ok((bytes.len(), None))
    }

    /// Skips the blocks from `base` on that need nothing, and tells where that leads and which line
    /// starts where there.
    #[inline]
    fn skip<const HIGH: bool>(
        &self,
        bytes: &[u8],
        mut base: usize,
        mut start: usize,
        mut before: usize,
    ) -> (usize, (usize, usize)) {
        let max = self.rules.max_line.unwrap_or(usize::MAX);
        while let Some(rest) = bytes.get(base..)
            // An LF here that does not end a line known to the caller is bare.
            && (rest.first() != Some(&b'\n') || start == base.saturating_add(1))
            // However the block continues the line, it does not make it too long.
            && base.saturating_add(BLOCK).saturating_sub(start).saturating_add(before) <= max
            && needs_nothing::<HIGH>(rest)
        {
            // The LF behind the block is looked at, too: it ends the line if a CR ends the block.
            let seen = rest.get(..=BLOCK).unwrap_or_default();
            if let Some(line_feed) = memchr::memrchr(b'\n', seen) {
                (start, before) = (base.saturating_add(line_feed).saturating_add(1), 0);
            }
            base = base.saturating_add(BLOCK);
        }
        (base, (start, before))
    }

    /// Stands in a line of which `column` octets came.
    const fn stand(&mut self, column: usize) {
        self.column = column;
        self.state = if column == 0 {
            State::Start
        } else {
            State::Within
        };
    }

    /// The octets of the line up to the one at `at`, if they are not too many.
    #[inline]
    fn line_len(&self, before: usize, start: usize, at: usize) -> Result<usize, Fault> {
        let len = at.saturating_sub(start).saturating_add(before);
        match self.rules.max_line {
            Some(max) if len > max => {
                let excess = start.saturating_add(max.saturating_sub(before));
                Err(self.fault(excess, FaultReason::LineTooLong))
            }
            _ => Ok(len),
        }
    }

    /// What is to be done about the last octet, a CR that no LF follows.
    fn bare_cr(&self) -> Result<Insert, Fault> {
        match self.rules.line_ends {
            LineEnds::Reject => Err(Fault {
                offset: self.offset.saturating_sub(1),
                reason: FaultReason::BareCr,
            }),
            LineEnds::Convert => Ok(Insert::Lf),
        }
    }

    #[cold]
    fn fault(&self, at: usize, reason: FaultReason) -> Fault {
        Fault {
            offset: self.offset.saturating_add(octets(at)),
            reason,
        }
    }
}

/// The first octets of `bytes`; what is added at their end bears no mark.
#[inline]
fn word(bytes: &[u8]) -> [u8; WORD] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut word = [b' '; WORD];
        word.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        word
    })
}

/// How far to go octet by octet before trying whole blocks: where dots are dense, a block is a
/// failure.
const NEAR: usize = 512;
