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

/// Looks whether the first [`BLOCK`] octets of `bytes` and the next can be sent as they are: no NUL,
/// every CR before an LF, every LF but the first octet behind a CR and not before a dot, and octets
/// over 127 only if `HIGH` allows them.
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
    let (words, tail) = bytes.as_chunks::<WORD>();
    let mut base = 0_usize;
    for word in words {
        let marks = marks::<HIGH>(*word);
        if marks != 0 {
            return Some(base.saturating_add(first(marks)));
        }
        base = base.saturating_add(WORD);
    }
    let mut word = [b' '; WORD];
    word.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    let marks = marks::<HIGH>(word);
    (marks != 0).then(|| base.saturating_add(first(marks)))
}

const WORD: usize = size_of::<u64>();

/// Marks by the top bit of each octet, the first one being the lowest, what [`find_mark`] finds.
#[inline]
const fn marks<const HIGH: bool>(word: [u8; WORD]) -> u64 {
    let word = u64::from_le_bytes(word);
    // The top bit of each sum says whether the seven bits below are 14 or more; none carries over.
    let printable = (word & !TOP).wrapping_add(EACH * (128 - 14));
    TOP & if HIGH {
        !(printable | word)
    } else {
        !printable | word
    }
}

/// The octet of the first mark.
#[inline]
fn first(marks: u64) -> usize {
    usize::try_from(marks.trailing_zeros() / 8).unwrap_or(WORD)
}

const EACH: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = EACH << 7;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn every_octet_is_marked_at_every_place() {
        for octet in 0..=255 {
            for place in 0..WORD {
                for filler in [b'x', 127, 14] {
                    let mut word = [filler; WORD];
                    word[place] = octet;
                    let bit = |marked: bool| u64::from(marked) << (8 * place + 7);
                    assert_eq!(marks::<true>(word), bit(octet < 14));
                    assert_eq!(marks::<false>(word), bit(!(14..128).contains(&octet)));
                }
            }
        }
    }

    #[test]
    fn neighbours_do_not_disturb_each_other() {
        let word = [0, 255, 14, 13, 128, 127, 10, 32];
        assert_eq!(
            marks::<true>(word).to_le_bytes(),
            [128, 0, 0, 128, 0, 0, 128, 0]
        );
        assert_eq!(
            marks::<false>(word).to_le_bytes(),
            [128, 128, 0, 128, 128, 0, 128, 0]
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
