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
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_block_is_checked_at_every_position() {
        const BLOCK: usize = 896;
        let sound = |bytes: &[u8]| {
            let dots = |dot: bool| {
                assert_eq!(dot, count_dots::<BLOCK>(bytes) > 0);
                count_dots::<BLOCK>(bytes)
            };
            (
                find_sound::<true, BLOCK>(bytes).map(dots),
                find_sound::<false, BLOCK>(bytes).map(dots),
            )
        };
        let none = (None, None);
        for at in 0..BLOCK {
            let last = if at == BLOCK - 1 { Some(0) } else { None };
            for (text, expected) in [
                (&b"\r\nx"[..], (Some(0), Some(0))),
                (b".\r\n", (Some(0), Some(0))),
                (b"\r\n.", (Some(1), Some(1))),
                (b"x\0x", (last, last)),
                (b"\rx\n", none),
                (b"\rx.", none),
                (b"x\nx", none),
                (b"x\n.", none),
                (b"\xe9xx", (Some(0), None)),
            ] {
                let mut bytes = vec![b'x'; BLOCK + 2];
                bytes[at..at + 3].copy_from_slice(text);
                assert_eq!(sound(&bytes), expected, "{text:?} at {at}");
                assert_eq!(sound(&bytes[..BLOCK + 1]), none);
            }
        }
        let dots = b"\r\n.".repeat(BLOCK / 3 + 2);
        assert_eq!(sound(&dots), (Some(299), Some(299)));
    }
}
