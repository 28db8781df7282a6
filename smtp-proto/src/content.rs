//! The content of a message (RFC 5321, section 2.3.9), and the errors found in it.
//!
//! The rules are the same for content given to [`Mail`](crate::Mail) and for streamed content, and
//! errors do not depend on how the content is cut into pieces. A carriage return or line feed is
//! sent only as part of a CRLF, and NUL is never sent: servers disagree about other line ends,
//! which allows SMTP smuggling.
//!
//! ```
//! use smtp_proto::content::ContentErrorKind;
//! use smtp_proto::{Mail, MailErrorKind};
//!
//! let message = "From: alice@example.org\r\n\r\nHello,\nBob\r\n";
//! let error = Mail::new("alice@example.org", ["bob@example.net"], message).unwrap_err();
//! let MailErrorKind::Content(error) = error.kind() else { unreachable!() };
//! assert_eq!(error.kind(), ContentErrorKind::BareLf);
//! assert_eq!(error.offset(), 33);
//! ```

mod block_scan;
mod encoder;
mod fields;
mod header_scanner;
mod line_scanner;
mod scan;

use core::{error::Error, fmt};

pub(crate) use self::encoder::{Encoder, Framing, Room};
pub(crate) use self::fields::{Field, fields};
pub(crate) use self::header_scanner::{HeaderRules, HeaderWatch, High as HeaderHigh};
pub(crate) use self::scan::{LineRules, ScanSummary, scan};

/// Exposes the scanner and the encoder for fuzzing and benchmarks. Not part of the public
/// interface.
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

/// The treatment of a CR or LF that is not part of a CRLF.
///
/// # Examples
/// ```
/// use smtp_proto::Mail;
/// use smtp_proto::content::BareLineEnds;
///
/// let built = Mail::builder()
///     .sender("alice@example.org")
///     .recipient("bob@example.net")
///     .message("From: alice@example.org\n\nHello Bob!\n")
///     .bare_line_ends(BareLineEnds::Convert)
///     .build();
/// assert!(built.is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BareLineEnds {
    /// Reports a [`ContentError`].
    #[default]
    Reject,
    /// Replaces it with a CRLF.
    ///
    /// Each is converted by itself: `CR CR LF` is a bare CR and a CRLF, thus two line ends. A DKIM
    /// signature made before this conversion may fail to verify after it.
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

    /// The kind of error.
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

/// The kind of a [`ContentError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentErrorKind {
    /// A CR that no LF follows.
    BareCr,
    /// An LF that follows no CR.
    BareLf,
    /// A NUL, which is never allowed (RFC 5322, section 3.5): some servers cut a line there.
    Nul,
    /// The first byte of a line beyond the maximum line length.
    LineTooLong,
    /// An 8-bit byte in content declared to be 7-bit.
    EightBit,
    /// An 8-bit byte in the header section of streamed content that is declared 8-bit only for the
    /// body.
    HeaderEightBit,
    /// A byte of the header section that is not UTF-8 (RFC 6532, section 3).
    HeaderNotUtf8,
    /// An 8-bit byte before the header section, usually from a byte order mark (U+FEFF).
    ByteOrderMark,
    /// The first byte of content that does not begin with a header field (RFC 5322, section 3.5).
    NoHeader,
    /// The end of a header section without a `From` field (RFC 5322, section 3.6).
    NoFrom,
    /// The first byte of a header section line that neither begins nor continues a field.
    NotAField,
    /// Content whose length differs from that of the scanned content.
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

/// The first error in the structure of the header section.
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

/// The first byte of the header section that is not valid UTF-8.
pub(crate) fn header_not_utf8(body: &[u8]) -> Option<ContentError> {
    let header = body.get(..header_len(body)).unwrap_or_default();
    let error = str::from_utf8(header).err()?;
    Some(ContentError {
        offset: byte_len(error.valid_up_to()),
        reason: ContentErrorKind::HeaderNotUtf8,
    })
}

/// The length of the header section: everything before the first empty line, with any line ends.
/// Zero if the content does not begin with a field name.
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

/// The length of the first line, including its line end of any kind.
fn line_len(body: &[u8]) -> usize {
    let Some(end) = memchr::memchr2(b'\r', b'\n', body) else {
        return body.len();
    };
    let crlf = body.get(end..).is_some_and(|end| end.starts_with(b"\r\n"));
    end.saturating_add(if crlf { 2 } else { 1 })
}

/// Converts a length to a position in the content.
fn byte_len(len: usize) -> u64 {
    // No platform has a usize wider than this.
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
