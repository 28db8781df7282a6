//! The positions of the parts of a multipart (RFC 2046, section 5.1.1).

use std::ops::Range;

/// The positions of the parts between the boundary lines, or `None` if readers may differ on which
/// lines are boundary lines.
///
/// A boundary line contains nothing else except blanks at its end. Some readers also accept a line
/// that only begins like one.
pub(crate) fn parts(text: &[u8], body: Range<usize>, boundary: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    // The beginning of the part that has not ended.
    let mut open: Option<usize> = None;
    let mut closed = false;
    let mut start = body.start;
    while start < body.end {
        let rest = &text[start..body.end];
        let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let after = rest[..len]
            .strip_prefix(b"--")
            .and_then(|line| line.strip_prefix(boundary));
        if let Some(after) = after {
            let closes = match after.trim_ascii() {
                b"" => false,
                b"--" => true,
                _ => return None,
            };
            if closed {
                return None;
            }
            if let Some(begun) = open.take() {
                found.push(begun..before_line_end(text, begun, start));
            }
            closed = closes;
            open = (!closes).then_some(start + len);
        }
        start += len;
    }
    if let Some(begun) = open {
        found.push(begun..body.end);
    }
    Some(found)
}

/// The position of the line end before a boundary line, which belongs to that line.
fn before_line_end(text: &[u8], start: usize, end: usize) -> usize {
    let part = &text[start..end];
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    start + part.strip_suffix(b"\r").unwrap_or(part).len()
}
