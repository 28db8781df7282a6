//! What is 7-bit data, and the two encodings that turn any data into it (RFC 2045, sections 2.7 and
//! 6).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A content transfer encoding whose output is 7-bit data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    QuotedPrintable,
    Base64,
}

impl Encoding {
    /// The better encoding for a body: text stays legible, unless that makes it longer.
    pub(crate) fn for_part(body: &[u8], is_text: bool) -> Self {
        let escaped = body
            .iter()
            .filter(|byte| !matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n') || **byte == b'=')
            .count();
        // Quoted-printable: three bytes for each escaped one. Base64: four for each three.
        if is_text && escaped * 6 <= body.len() && has_only_crlf(body) {
            Self::QuotedPrintable
        } else {
            Self::Base64
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }

    /// The encoded body, in lines of at most 76 bytes. The last line has no line end, unless
    /// quoted-printable keeps that of the body.
    pub(crate) fn encode(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::QuotedPrintable => quoted_printable(body),
            Self::Base64 => base64(body),
        }
    }
}

/// The position of the first byte that 7-bit data must not have (RFC 2045, section 2.7): an 8-bit
/// byte, a NUL, a bare CR or LF, or the byte that makes its line too long.
pub(crate) fn first_not_7bit(text: &[u8]) -> Option<usize> {
    first_invalid(text, |byte| matches!(byte, 0 | b'\r' | 128..))
}

/// The same, with 8-bit bytes allowed.
pub(crate) fn first_not_8bit(text: &[u8]) -> Option<usize> {
    first_invalid(text, |byte| matches!(byte, 0 | b'\r'))
}

fn first_invalid(text: &[u8], is_invalid: impl Fn(u8) -> bool) -> Option<usize> {
    let mut start = 0;
    while start < text.len() {
        let line = &text[start..];
        let len = memchr::memchr(b'\n', line).unwrap_or(line.len());
        let (content, ended) = match line[..len].strip_suffix(b"\r") {
            Some(content) if len < line.len() => (content, true),
            _ => (&line[..len], false),
        };
        let invalid = content
            .iter()
            .take(LONGEST_LINE + 1)
            .position(|&byte| is_invalid(byte));
        let too_long = (content.len() > LONGEST_LINE).then_some(LONGEST_LINE);
        let bare = (!ended && len < line.len()).then_some(len);
        if let Some(at) = invalid.or(too_long).or(bare) {
            return Some(start + at);
        }
        start += len + 1;
    }
    None
}

/// Whether all line ends are CRLF, which quoted-printable keeps.
fn has_only_crlf(body: &[u8]) -> bool {
    let crs = memchr::memchr_iter(b'\r', body).count();
    let lfs = memchr::memchr_iter(b'\n', body).count();
    let pairs = memchr::memmem::find_iter(body, b"\r\n").count();
    (crs, lfs) == (pairs, pairs)
}

/// Lines with CRLF as quoted-printable (RFC 2045, section 6.7). No line begins with `--`.
///
/// A soft line break before `--` in the middle of a line would create a line that begins with `--`.
/// It could be read as a boundary line of the enclosing multipart, and begin a part that the author
/// never wrote.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 8);
    let mut rest = body;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n");
        let line = &rest[..end.unwrap_or(rest.len())];
        let mut column = 0;
        for (index, &byte) in line.iter().enumerate() {
            let is_last = index + 1 == line.len();
            // One byte is reserved for the `=` of a soft line break, except at the end of the line.
            let room = LONGEST_ENCODED - usize::from(!is_last);
            let at_line_start = |column| column == 0 && line[index..].starts_with(b"--");
            let len = |column| match byte {
                b'-' if at_line_start(column) => 3,
                b' ' | b'\t' if is_last => 3,
                b' '..=b'~' | b'\t' if byte != b'=' => 1,
                _ => 3,
            };
            if column + len(column) > room {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            let len = len(column);
            column += len;
            if len == 1 {
                out.push(byte);
            } else {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
            }
        }
        if end.is_some() {
            out.extend_from_slice(b"\r\n");
        }
        rest = &rest[line.len() + if end.is_some() { 2 } else { 0 }..];
    }
    out
}

fn base64(body: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(body.len() / 3 * 4 + body.len() / BYTES_PER_LINE * 2 + 4);
    for (number, bytes) in body.chunks(BYTES_PER_LINE).enumerate() {
        if number > 0 {
            out.push_str("\r\n");
        }
        BASE64_STANDARD.encode_string(bytes, &mut out);
    }
    out.into()
}

/// The longest line of a message in bytes, without CRLF (RFC 5322, section 2.1.1).
const LONGEST_LINE: usize = 998;

/// The longest encoded line in bytes (RFC 2045, section 6.7, rule 5).
const LONGEST_ENCODED: usize = 76;

/// The bytes that 76 characters of base64 encode (RFC 2045, section 6.8).
const BYTES_PER_LINE: usize = 57;

#[cfg(test)]
mod tests;
