//! Plain addresses, which nearly all are: ASCII, without quotes and address literals.
//!
//! A shorter way to the result of the [grammar](super::grammar), which has the last word on every
//! other text, and every error.

use super::grammar::{self, LABEL_MAX, MAILBOX_MAX};

/// The offset of the `@` of a plain mailbox within the limits of length; `None` for any other text.
pub(super) fn mailbox(text: &str) -> Option<usize> {
    if text.len() > MAILBOX_MAX {
        return None;
    }
    let at = local_part(text.as_bytes())?;
    let host = text.as_bytes().get(at.saturating_add(1)..)?;
    is_domain(host).then_some(at)
}

/// The offset of the `@` after a `Dot-string`.
fn local_part(text: &[u8]) -> Option<usize> {
    let mut after_dot = true;
    for (offset, byte) in text.iter().enumerate() {
        let class = class_of(*byte);
        if class & ATEXT != 0 {
            after_dot = false;
        } else if after_dot {
            return None;
        } else if *byte == b'@' {
            return Some(offset);
        } else if *byte == b'.' {
            after_dot = true;
        } else {
            return None;
        }
    }
    None
}

/// Whether this is a `Domain` of A-labels.
fn is_domain(text: &[u8]) -> bool {
    let mut before = b'.';
    let mut label = 0_usize;
    for byte in text {
        label = label.saturating_add(1);
        if class_of(*byte) & LET_DIG == 0 {
            match *byte {
                b'-' if before != b'.' => {}
                b'.' if before != b'.' && before != b'-' => label = 0,
                _ => return false,
            }
        }
        if label > LABEL_MAX {
            return false;
        }
        before = *byte;
    }
    before != b'.' && before != b'-'
}

fn class_of(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

/// `atext` of RFC 5322, section 3.2.3.
const ATEXT: u8 = 1;
/// `Let-dig`
const LET_DIG: u8 = 2;

const CLASSES: [u8; 256] = classes();

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "evaluated by the compiler"
)]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        if byte.is_ascii_alphanumeric() {
            classes[byte as usize] |= LET_DIG;
        }
        if grammar::is_atext(byte as char) {
            classes[byte as usize] |= ATEXT;
        }
        byte += 1;
    }
    classes
}
