//! Finds the first control or 8-bit byte, eight bytes at a time.

/// The index of the first byte below `LOW`, or, unless `HIGH` allows them, of the first 8-bit byte.
/// `LOW` is at most 128.
#[inline]
pub(crate) fn find<const LOW: u8, const HIGH: bool>(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks();
    let mut before = 0_usize;
    for word in words {
        if let Some(at) = first::<LOW, HIGH>(word) {
            return Some(before.saturating_add(at));
        }
        before = before.saturating_add(WORD);
    }
    match bytes.last_chunk() {
        // Bytes already checked are harmlessly checked again.
        Some(word) => {
            let before = bytes.len().saturating_sub(WORD);
            Some(before.saturating_add(first::<LOW, HIGH>(word)?))
        }
        None => tail
            .iter()
            .position(|byte| *byte < LOW || (!HIGH && *byte > 127)),
    }
}

/// The index of the first match.
#[inline]
fn first<const LOW: u8, const HIGH: bool>(bytes: &[u8; WORD]) -> Option<usize> {
    let bytes = u64::from_le_bytes(*bytes);
    // The top bit of each difference marks a byte below `LOW`. A borrow corrupts only the bytes
    // after the first match.
    let below = bytes.wrapping_sub(u64::from_le_bytes([LOW; WORD]));
    let marks = TOP & if HIGH { below & !bytes } else { below | bytes };
    match marks {
        0 => None,
        _ => usize::try_from(marks.trailing_zeros() / u8::BITS).ok(),
    }
}

const WORD: usize = 8;

const TOP: u64 = u64::from_le_bytes([0x80; WORD]);

#[cfg(test)]
mod tests;
