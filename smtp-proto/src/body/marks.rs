//! Which octets of a body must be looked at one by one.
//!
//! Text has two of them a line, so the time of a scan is the time of finding them. As one bit an octet they are found
//! and skipped with single instructions.

/// Octets looked at in one go: as many as a word has bits.
pub(super) const BLOCK: usize = 64;

pub(super) type Block = [u8; BLOCK];

/// Marks CR, LF, NUL and the other controls under 14: the lowest bit is for the first octet.
#[inline]
pub(super) fn low(block: &Block) -> u64 {
    marks(block, |low, _| low)
}

/// Marks what [`low`] marks, and the octets over 127.
#[inline]
pub(super) fn low_or_high(block: &Block) -> u64 {
    marks(block, |low, high| low | high)
}

#[inline]
fn marks(block: &Block, choose: impl Fn(u64, u64) -> u64) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    words.iter().rev().fold(0, |marks, word| {
        let word = u64::from_le_bytes(*word);
        // The top bit of each octet says whether its other seven are 14 or more; no sum carries into the next octet.
        let printable = (word & !TOP).wrapping_add(EACH * (128 - 14));
        let marked = choose(!(printable | word), word) & TOP;
        // The product moves bit 8 n to bit 56 + n.
        marks << 8 | (marked >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

const EACH: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = EACH << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_marked_at_every_place() {
        for octet in 0..=255 {
            for place in 0..BLOCK {
                let mut block = [b'x'; BLOCK];
                block[place] = octet;
                let bit = |marked: bool| u64::from(marked) << place;
                assert_eq!(low(&block), bit(octet < 14));
                assert_eq!(low_or_high(&block), bit(octet < 14 || octet > 127));
            }
        }
    }

    #[test]
    fn neighbours_do_not_disturb_each_other() {
        let block = core::array::from_fn(|place| [0, 255, 14, 13, 128, 127][place % 6]);
        let expected = |high: bool| {
            (0..BLOCK).map(|place| match place % 6 {
            0 | 3 => 1,
            1 | 4 => u64::from(high),
            _ => 0,
        } << place).sum::<u64>()
        };
        assert_eq!(low(&block), expected(false));
        assert_eq!(low_or_high(&block), expected(true));
    }
}
