//! The first octet that matters, eight at a time: in text and in replies few do, and they are control characters.

/// Where the first octet below `LOW` is, or unless `HIGH` passes over them over 127. `LOW` is at most 128.
#[inline]
pub(crate) fn find<const LOW: u8, const HIGH: bool>(octets: &[u8]) -> Option<usize> {
    let (words, tail) = octets.as_chunks();
    let mut before = 0_usize;
    for word in words {
        if let Some(at) = first::<LOW, HIGH>(word) {
            return Some(before.saturating_add(at));
        }
        before = before.saturating_add(WORD);
    }
    match octets.last_chunk() {
        // Those of its octets that were looked at already are looked at in vain.
        Some(word) => {
            let before = octets.len().saturating_sub(WORD);
            Some(before.saturating_add(first::<LOW, HIGH>(word)?))
        }
        None => tail
            .iter()
            .position(|octet| *octet < LOW || (!HIGH && *octet > 127)),
    }
}

/// Which of the octets it is, if one is.
#[inline]
fn first<const LOW: u8, const HIGH: bool>(octets: &[u8; WORD]) -> Option<usize> {
    let octets = u64::from_le_bytes(*octets);
    // The top bit of each difference says whether the octet is less. What is borrowed spoils only those behind the first.
    let below = octets.wrapping_sub(u64::from_le_bytes([LOW; WORD]));
    let marks = TOP
        & if HIGH {
            below & !octets
        } else {
            below | octets
        };
    match marks {
        0 => None,
        _ => usize::try_from(marks.trailing_zeros() / u8::BITS).ok(),
    }
}

const WORD: usize = 8;

const TOP: u64 = u64::from_le_bytes([0x80; WORD]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_octet_that_matters_is_found_at_every_place() {
        for octet in 0..=255 {
            for place in 0..3 * WORD {
                for filler in [b'x', 127, 14] {
                    let mut octets = [filler; 3 * WORD];
                    octets[place] = octet;
                    for octets in [&octets[..], &octets[..=place]] {
                        let found = |matters: bool| matters.then_some(place);
                        assert_eq!(find::<14, true>(octets), found(octet < 14));
                        assert_eq!(
                            find::<14, false>(octets),
                            found(!(14..128).contains(&octet))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        let octets = [14, 127, 255, 128, 0, 13, 255, 0].repeat(4);
        for len in 6..octets.len() {
            let octets = &octets[..len];
            assert_eq!(
                (find::<14, false>(octets), find::<14, true>(octets)),
                (Some(2), Some(4))
            );
        }
        assert_eq!(
            (find::<14, false>(&[]), find::<14, true>(&[])),
            (None, None)
        );
    }
}
