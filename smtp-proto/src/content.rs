//! The content of a message (RFC 5321, section 2.3.9): what may be wrong with it.
//!
//! Content that a [`Mail`](crate::Mail) is built from, or that is streamed, obeys the same rules at
//! the same byte, however it is cut into pieces. No carriage return and no line feed is sent except
//! as CRLF, and NUL is never sent: some servers take other line ends for one and some do not, which
//! lets content smuggle in a second message.
//!
//! ```
//! use smtp_proto::content::ContentErrorKind;
//! use smtp_proto::{Mail, MailErrorKind};
//!
//! let message = "From: alice@example.org\r\n\r\nHello,\nBob\r\n";
//! let error = Mail::new("alice@example.org", ["bob@example.net"], message).unwrap_err();
//! let MailErrorKind::Text(error) = error.kind() else { unreachable!() };
//! assert_eq!(error.kind(), ContentErrorKind::BareLf);
//! assert_eq!(error.offset(), 33);
//! ```

mod block_scan;
mod encoder;
mod header_scanner;
mod line_scanner;
mod scan;

use core::{error::Error, fmt};

pub(crate) use self::encoder::{Encoder, Framing, Room};
pub(crate) use self::header_scanner::{HeaderRules, HeaderWatch, High as HeaderHigh};
pub(crate) use self::scan::{LineRules, ScanSummary, scan};

/// The scanner and the encoder by themselves, for fuzzing and benchmarks; no part of the interface.
///
/// ```
/// use bytes::Bytes;
/// use smtp_proto::content::internals::{Encoder, LineRules, Room, scan};
///
/// let mut body = Bytes::from_static(b"Subject: list\r\n\r\n.config\r\n.profile");
/// let summary = scan(&body, &LineRules::new())?;
/// assert_eq!((summary.message_len(), summary.wire_len()), (36, 38));
///
/// let mut wire = Vec::new();
/// let mut encoder = Encoder::verified(&summary);
/// while !body.is_empty() {
///     encoder.encode(&mut body, Room::new(64 * 1024, 64), &mut |piece| wire.extend(piece))?;
/// }
/// wire.extend(encoder.finish()?);
/// assert_eq!(wire, b"Subject: list\r\n\r\n..config\r\n..profile\r\n.\r\n");
/// # Ok::<(), smtp_proto::content::ContentError>(())
/// ```
#[doc(hidden)]
pub mod internals {
    pub use super::encoder::{Encoder, Room};
    pub use super::scan::{LineRules, ScanSummary, scan};
}

/// What becomes of a CR or LF that is not part of a CRLF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BareLineEnds {
    /// It is a [`ContentError`].
    #[default]
    Reject,
    /// It becomes a CRLF.
    ///
    /// Each by itself: `CR CR LF` is a bare CR and a CRLF, thus two line ends. What was signed
    /// before this conversion (DKIM) may no longer verify after it.
    Convert,
}

/// The first byte of the content that may not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentError {
    offset: u64,
    reason: ContentErrorKind,
}

impl ContentError {
    /// The offset of the byte from the start of the content, before any conversion.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What is wrong with it.
    pub const fn kind(&self) -> ContentErrorKind {
        self.reason
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.reason, self.offset)
    }
}

debug_as_display!(ContentError);

impl Error for ContentError {}

/// What is wrong with a byte of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentErrorKind {
    /// A CR that no LF follows.
    BareCr,
    /// An LF that follows no CR.
    BareLf,
    /// A NUL, which is never allowed (RFC 5322, section 3.5): some servers cut a line there.
    Nul,
    /// The first byte over the longest line allowed.
    LineTooLong,
    /// An 8-bit byte in content declared to be 7-bit.
    EightBit,
    /// An 8-bit byte in the header section of streamed content that declares them for the body only.
    HeaderEightBit,
    /// A byte of the header section that is not UTF-8 (RFC 6532, section 3).
    HeaderNotUtf8,
    /// An 8-bit byte before the header section, most likely of a byte order mark (U+FEFF).
    ByteOrderMark,
    /// The first byte of content that begins with no header field (RFC 5322, section 3.5).
    NoHeader,
    /// The end of a header section that has no field `From` (RFC 5322, section 3.6).
    NoFrom,
    /// The first byte of a line of the header section that neither begins nor continues a field.
    NotAField,
    /// Content that is longer or shorter than what was scanned.
    NotAsScanned,
}

impl fmt::Display for ContentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareCr => "carriage return without line feed",
            Self::BareLf => "line feed without carriage return",
            Self::Nul => "NUL byte",
            Self::LineTooLong => "line too long",
            Self::EightBit => "8-bit byte in 7-bit content",
            Self::HeaderEightBit => "8-bit byte in a 7-bit header section",
            Self::HeaderNotUtf8 => "byte that is not UTF-8 in a header field",
            Self::ByteOrderMark => "byte order mark before the header section",
            Self::NoHeader => "no header section",
            Self::NoFrom => "no From field in the header section",
            Self::NotAField => "line in the header section that is not a field",
            Self::NotAsScanned => "length differs from the scanned content",
        })
    }
}

/// The offset of the first 8-bit byte.
pub(crate) fn first_eight_bit(body: &[u8]) -> Option<u64> {
    body.iter().position(|byte| !byte.is_ascii()).map(byte_len)
}

/// Whether the body begins with a header section, and what is wrong with that.
pub(crate) fn section_fault(body: &[u8]) -> Option<ContentError> {
    let (mut start, mut has_from) = (0_usize, false);
    let fault = |start, reason| {
        Some(ContentError {
            offset: byte_len(start),
            reason,
        })
    };
    loop {
        let line = body.get(start..).unwrap_or_default();
        match line.first() {
            None | Some(b'\r' | b'\n') if start == 0 => {
                return fault(0, ContentErrorKind::NoHeader);
            }
            None | Some(b'\r' | b'\n') if has_from => return None,
            None | Some(b'\r' | b'\n') => return fault(start, ContentErrorKind::NoFrom),
            Some(b' ' | b'\t') if start > 0 => {}
            Some(_) => match header_scanner::field_name(line) {
                Some(name) => has_from |= name.eq_ignore_ascii_case(header_scanner::FROM),
                None if start == 0 && line.first().is_some_and(|byte| *byte > 127) => {
                    return fault(0, ContentErrorKind::ByteOrderMark);
                }
                None if start == 0 => return fault(0, ContentErrorKind::NoHeader),
                None => return fault(start, ContentErrorKind::NotAField),
            },
        }
        start = start.saturating_add(line_len(line));
    }
}

/// The first byte of the header section that is no part of UTF-8.
pub(crate) fn header_not_utf8(body: &[u8]) -> Option<ContentError> {
    let header = body.get(..header_len(body)).unwrap_or_default();
    let error = str::from_utf8(header).err()?;
    Some(ContentError {
        offset: byte_len(error.valid_up_to()),
        reason: ContentErrorKind::HeaderNotUtf8,
    })
}

/// The bytes up to the first empty line, whatever the line ends; none, if they do not begin with the name of a field.
fn header_len(body: &[u8]) -> usize {
    if header_scanner::field_name(body).is_none() {
        return 0;
    }
    let mut start = 0_usize;
    loop {
        let line = body.get(start..).unwrap_or_default();
        if matches!(line.first(), None | Some(b'\r' | b'\n')) {
            return start;
        }
        start = start.saturating_add(line_len(line));
    }
}

/// The bytes of the first line with its line end, whatever that is.
fn line_len(body: &[u8]) -> usize {
    let Some(end) = memchr::memchr2(b'\r', b'\n', body) else {
        return body.len();
    };
    let crlf = body.get(end..).is_some_and(|end| end.starts_with(b"\r\n"));
    end.saturating_add(if crlf { 2 } else { 1 })
}

/// A length as a position in a body.
fn byte_len(len: usize) -> u64 {
    // No platform has a usize wider than this.
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
