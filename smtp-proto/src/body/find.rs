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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

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
