//! Finding the few octets of a body that must be looked at one by one: two a line, in text.

/// Octets that [`find_nothing`] answers for in one go.
///
/// Long enough that the loop outweighs its preparation, short enough that two of them hold no line
/// of more than 998 octets if each holds a line end.
pub(super) const BLOCK: usize = 480;

/// What is known of a block that needs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nothing {
    /// Whether an LF is in it behind its first octet, or right behind it.
    pub(super) line_feed: bool,
}

/// Looks whether the first [`BLOCK`] octets of `bytes` and the next can be sent as they are: no
/// NUL, every CR before an LF, every LF but the first octet behind a CR and not before a dot, and
/// octets over 127 only if `HIGH` allows them.
///
/// Without two more octets behind the block there is no answer. Nothing in the loop depends on what
/// was found, so that it compiles to comparisons of whole vectors.
#[inline]
pub(super) fn find_nothing<const HIGH: bool>(bytes: &[u8]) -> Option<Nothing> {
    let octets = bytes.first_chunk::<BLOCK>()?;
    let nexts = bytes.get(1..)?.first_chunk::<BLOCK>()?;
    let afters = bytes.get(2..)?.first_chunk::<BLOCK>()?;
    let (mut wrong, mut any_line_feed) = (false, false);
    let (mut highest, mut lowest) = (0, u8::MAX);
    for ((octet, next), after) in octets.iter().zip(nexts).zip(afters) {
        let line_feed = *next == b'\n';
        wrong |= ((*octet == b'\r') ^ line_feed) | (line_feed & (*after == b'.'));
        any_line_feed |= line_feed;
        highest |= octet;
        lowest = lowest.min(*octet);
    }
    let sound = !wrong & (lowest > 0) & (HIGH | (highest < 128));
    sound.then_some(Nothing {
        line_feed: any_line_feed,
    })
}

/// Finds the first CR, LF, NUL or other control under 14, or unless `HIGH` allows them the first
/// octet over 127.
#[inline]
pub(super) fn find_mark<const HIGH: bool>(bytes: &[u8]) -> Option<usize> {
    let (vectors, tail) = bytes.as_chunks::<VECTOR>();
    let mut base = 0_usize;
    for octets in vectors {
        if any_mark::<HIGH>(octets) {
            return Some(base.saturating_add(first_mark::<HIGH>(octets)));
        }
        base = base.saturating_add(VECTOR);
    }
    let octets = padded(tail);
    any_mark::<HIGH>(&octets).then(|| base.saturating_add(first_mark::<HIGH>(&octets)))
}

/// Octets that the smallest usual vector registers hold.
const VECTOR: usize = 16;

/// Whether [`find_mark`] finds something among the octets.
#[inline]
fn any_mark<const HIGH: bool>(octets: &[u8; VECTOR]) -> bool {
    // As signed numbers, octets over 127 are less than all others.
    let marked = |octet: u8| {
        if HIGH {
            octet < 14
        } else {
            octet.cast_signed() < 14
        }
    };
    octets.iter().fold(false, |any, octet| any | marked(*octet))
}

/// Which of the octets [`find_mark`] finds first, if any.
#[inline]
fn first_mark<const HIGH: bool>(octets: &[u8; VECTOR]) -> usize {
    let octets = u128::from_le_bytes(*octets);
    // The top bit of each sum says whether the seven bits below are 14 or more; none carries over.
    let printable = (octets & !TOP).wrapping_add(EACH * (128 - 14));
    let marks = TOP
        & if HIGH {
            !(printable | octets)
        } else {
            !printable | octets
        };
    usize::try_from(marks.trailing_zeros() / u8::BITS).unwrap_or(VECTOR)
}

/// The tail of a text as a vector; what is added bears no mark.
#[inline]
fn padded(tail: &[u8]) -> [u8; VECTOR] {
    let mut octets = [b' '; VECTOR];
    octets
        .iter_mut()
        .zip(tail)
        .for_each(|(to, from)| *to = *from);
    octets
}

const EACH: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;
const TOP: u128 = EACH << 7;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn every_mark_is_found_at_every_place() {
        for octet in 0..=255 {
            for place in 0..2 * VECTOR {
                for filler in [b'x', 127, 14] {
                    let mut bytes = [filler; 2 * VECTOR];
                    bytes[place] = octet;
                    for bytes in [&bytes[..], &bytes[..=place]] {
                        let found = |marked: bool| marked.then_some(place);
                        assert_eq!(find_mark::<true>(bytes), found(octet < 14));
                        assert_eq!(
                            find_mark::<false>(bytes),
                            found(!(14..128).contains(&octet))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_marks_is_found() {
        let bytes = [14, 127, 255, 128, 0, 13, 255, 0];
        assert_eq!(
            (find_mark::<false>(&bytes), find_mark::<true>(&bytes)),
            (Some(2), Some(4))
        );
        assert_eq!(
            (find_mark::<false>(&[]), find_mark::<true>(&[])),
            (None, None)
        );
    }

    #[test]
    fn a_block_needs_something_wherever_it_is_in_it() {
        let sound = |bytes: &[u8]| {
            (
                find_nothing::<true>(bytes).is_some(),
                find_nothing::<false>(bytes).is_some(),
            )
        };
        for at in 0..BLOCK {
            for (text, expected) in [
                (&b"\r\nx"[..], (true, true)),
                (b".\r\n", (true, true)),
                (b"\r\n.", (false, false)),
                (b"x\0x", (at == BLOCK - 1, at == BLOCK - 1)),
                (b"\rx\n", (false, false)),
                (b"x\nx", (false, false)),
                (b"\xe9xx", (true, false)),
            ] {
                let mut bytes = vec![b'x'; BLOCK + 2];
                bytes[at..at + 3].copy_from_slice(text);
                assert_eq!(sound(&bytes), expected, "{text:?} at {at}");
                assert_eq!(sound(&bytes[..BLOCK + 1]), (false, false));
            }
        }
    }
}
