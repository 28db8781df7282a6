//! Checks of whole blocks of content at once, without a branch for each byte.

/// Checks the first `BLOCK` bytes of `bytes` and the byte after them. They are sound if there is no
/// NUL, every CR is before an LF, every LF except in the first place is after a CR, and 8-bit bytes
/// occur only if `HIGH` allows them. Returns whether a dot follows one of these LFs, or `None` if
/// the block is not sound.
///
/// Also `None` unless two more bytes follow the block. No step of the loop depends on what was
/// found, so it compiles to comparisons of whole vectors.
#[inline]
pub(super) fn find_sound<const HIGH: bool, const BLOCK: usize>(bytes: &[u8]) -> Option<bool> {
    let (bytes, nexts, afters) = side_by_side::<BLOCK>(bytes)?;
    let (mut wrong, mut dot) = (false, false);
    let (mut highest, mut lowest) = (0, u8::MAX);
    for ((byte, next), after) in bytes.iter().zip(nexts).zip(afters) {
        let line_feed = *next == b'\n';
        wrong |= (*byte == b'\r') ^ line_feed;
        dot |= line_feed & (*after == b'.');
        highest |= byte;
        lowest = lowest.min(*byte);
    }
    let sound = !wrong & (lowest > 0) & (HIGH | (highest < 128));
    sound.then_some(dot)
}

/// Whether a dot follows an LF, which is one of the first `BLOCK` bytes of `bytes`; `None` unless
/// another byte follows them.
#[inline]
pub(super) fn has_dot<const BLOCK: usize>(bytes: &[u8]) -> Option<bool> {
    let lines: &[u8; BLOCK] = bytes.first_chunk()?;
    let nexts: &[u8; BLOCK] = bytes.get(1..)?.first_chunk()?;
    let mut dot = false;
    for (byte, next) in lines.iter().zip(nexts) {
        dot |= (*byte == b'\n') & (*next == b'.');
    }
    Some(dot)
}

/// The number of dots that [`find_sound`] found.
pub(super) fn count_dots<const BLOCK: usize>(bytes: &[u8]) -> u64 {
    let Some((_, nexts, afters)) = side_by_side::<BLOCK>(bytes) else {
        return 0;
    };
    let dots = |(next, after): (&u8, &u8)| u8::from((*next == b'\n') & (*after == b'.'));
    // Few enough at a time for the sum to fit in a byte.
    let parts = nexts.chunks(FEW).zip(afters.chunks(FEW));
    parts
        .map(|(nexts, afters)| nexts.iter().zip(afters).map(dots).fold(0, u8::wrapping_add))
        .fold(0, |sum, dots| sum.saturating_add(u64::from(dots)))
}

/// The block that begins at the first byte, at the second and at the third.
#[inline]
fn side_by_side<const BLOCK: usize>(
    bytes: &[u8],
) -> Option<(&[u8; BLOCK], &[u8; BLOCK], &[u8; BLOCK])> {
    let from = |start: usize| bytes.get(start..)?.first_chunk();
    Some((from(0)?, from(1)?, from(2)?))
}

const FEW: usize = 240;

#[cfg(test)]
mod tests;
