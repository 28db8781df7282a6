//! Percent-encoding (RFC 3986, section 2.1).

use std::fmt;

use smtp_proto::Secret;

use super::error::{UrlError, UrlErrorKind, UrlPart};
use super::split::Slice;

/// Bytes, percent-encoded except for unreserved characters and those of `safe`.
pub(in crate::endpoint) struct Encoded<'a> {
    pub(in crate::endpoint) bytes: &'a [u8],
    pub(in crate::endpoint) safe: &'a str,
}

/// The decoded part. It may be a password, so it leaves no copy in freed memory.
pub(super) fn decode(slice: Slice<'_>, part: UrlPart) -> Result<Secret, UrlError> {
    let bytes = slice.text.as_bytes();
    let invalid = bytes
        .iter()
        .enumerate()
        .find(|&(at, &byte)| byte == b'%' && escaped(bytes.get(at..)).is_none());
    if let Some((at, _)) = invalid {
        return Err(slice.error_at(at, UrlErrorKind::Escape(part)));
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let escape = escaped(Some(rest));
        decoded.push(escape.unwrap_or(first));
        rest = match escape {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    let decoded = Secret::from(decoded);
    match str::from_utf8(decoded.expose()) {
        Err(_) => Err(slice.error(UrlErrorKind::NotUtf8(part))),
        Ok(text) if text.contains(char::is_control) => {
            Err(slice.error(UrlErrorKind::Control(part)))
        }
        Ok(_) => Ok(decoded),
    }
}

/// The decoded part as text, which is no secret.
pub(super) fn decode_text(slice: Slice<'_>, part: UrlPart) -> Result<String, UrlError> {
    let bytes = decode(slice, part)?.expose().to_vec();
    String::from_utf8(bytes).map_err(|_| slice.error(UrlErrorKind::NotUtf8(part)))
}

/// The byte that an escape at the beginning of these bytes stands for.
fn escaped(bytes: Option<&[u8]>) -> Option<u8> {
    match bytes? {
        [b'%', high, low, ..] => hex_byte(*high, *low),
        _ => None,
    }
}

/// The byte of two hexadecimal digits.
pub(super) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(value).ok()
}

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.bytes {
            let letter = char::from(byte);
            let unreserved = letter.is_ascii_alphanumeric() || "-._~".contains(letter);
            if unreserved || self.safe.contains(letter) {
                write!(f, "{letter}")?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}
