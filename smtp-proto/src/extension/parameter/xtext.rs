//! Encodings of a value: `xtext` (RFC 3461, section 4) and the two forms of a non-ASCII address
//! (RFC 6533, section 3).

use alloc::string::String;
use core::fmt::Write;

use super::{ParameterError, ParameterErrorKind};
use crate::address::is_non_ascii_text;

/// Appends the bytes as `xtext`.
///
/// ```abnf
/// xtext   = *( xchar / hexchar )
/// xchar   = %d33-42 / %d44-60 / %d62-126
/// hexchar = "+" 2(DIGIT / "A" / "B" / "C" / "D" / "E" / "F")
/// ```
pub(in crate::extension) fn encode(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        match byte {
            b'+' | b'=' | ..=b' ' | 0x7f.. => {
                let written = write!(out, "+{byte:02X}");
                debug_assert!(written.is_ok(), "appending to a string cannot fail");
            }
            _ => out.push(char::from(byte)),
        }
    }
}

/// The decoded bytes of an `xtext`, or the offset of the first error, which ends the iteration.
pub(in crate::extension) fn decode(text: &str) -> impl Iterator<Item = Result<u8, ParameterError>> {
    let mut rest = text.as_bytes();
    core::iter::from_fn(move || {
        let offset = text.len().saturating_sub(rest.len());
        let (byte, behind) = match *rest {
            [] => return None,
            [b'+', high, low, ref behind @ ..] => (hex(high).zip(hex(low)).map(byte), behind),
            [
                byte @ (b'!'..=b'*' | b','..=b'<' | b'>'..=b'~'),
                ref behind @ ..,
            ] => (Some(byte), behind),
            _ => (None, &[][..]),
        };
        rest = if byte.is_some() { behind } else { &[] };
        Some(byte.ok_or_else(|| ParameterError::new(offset, ParameterErrorKind::Character)))
    })
}

/// Whether non-ASCII characters are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extension) enum Wide {
    /// `utf-8-addr-xtext`: all are, for any server.
    Escaped,
    /// `utf-8-addr-unitext`: none is, for a server that advertises SMTPUTF8.
    Plain,
}

/// Appends an address as `utf-8-addr-xtext` or `utf-8-addr-unitext`.
///
/// ```abnf
/// utf-8-addr-xtext    = 1*(QCHAR / EmbeddedUnicodeChar)
/// utf-8-addr-unitext  = 1*(QUCHAR / EmbeddedUnicodeChar)
/// EmbeddedUnicodeChar = "\x{" HEXPOINT "}"
/// ```
pub(in crate::extension) fn encode_address(address: &str, wide: Wide, out: &mut String) {
    for c in address.chars() {
        if is_qchar(c) || (wide == Wide::Plain && is_non_ascii_text(c)) {
            out.push(c);
        } else {
            let written = write!(out, "\\x{{{:02X}}}", u32::from(c));
            debug_assert!(written.is_ok(), "appending to a string cannot fail");
        }
    }
}

/// The decoded characters of an address in either form, or the offset of the first error, which
/// ends the iteration.
pub(in crate::extension) fn decode_address(
    text: &str,
) -> impl Iterator<Item = Result<char, ParameterError>> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let offset = text.len().saturating_sub(rest.len());
        let first = rest.chars().next()?;
        let taken = match rest.strip_prefix("\\x{") {
            Some(point) => point
                .split_once('}')
                .and_then(|(digits, behind)| Some((hex_point(digits)?, behind))),
            None if is_qchar(first) || is_non_ascii_text(first) => {
                Some((first, rest.get(first.len_utf8()..).unwrap_or_default()))
            }
            None => None,
        };
        rest = taken.map_or("", |(_, behind)| behind);
        Some(match taken {
            Some((c, _)) => Ok(c),
            None => Err(ParameterError::new(offset, ParameterErrorKind::Character)),
        })
    })
}

/// `QCHAR = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e`
fn is_qchar(c: char) -> bool {
    matches!(c, '!'..='*' | ','..='<' | '>'..='[' | ']'..='~')
}

/// `HEXPOINT`: upper case, no leading zero except in two digits, and no character that
/// `utf-8-addr-xtext` contains as it is. No address contains controls, which the grammar permits.
fn hex_point(digits: &str) -> Option<char> {
    let sound = (2..=6).contains(&digits.len()) && digits.bytes().all(|digit| hex(digit).is_some());
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    let shortest = digits.len() == 2 || !digits.starts_with('0');
    let needed = matches!(c, ' ' | '+' | '=' | '\\') || is_non_ascii_text(c);
    (sound && shortest && needed).then_some(c)
}

fn byte((high, low): (u8, u8)) -> u8 {
    (high << 4) | low
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit & 0x0f),
        b'A'..=b'F' => Some((digit & 0x0f).wrapping_add(9)),
        _ => None,
    }
}
