//! The text of a message on its way into DATA: what it needs, what it must not hold, and how it is
//! sent.
//!
//! [`scan`] looks at a whole body once and tells what the envelope has to say about it; an
//! [`Encoder`] turns a body, whole or in chunks, into what goes on the wire (RFC 5321, section
//! 4.5.2). Both apply the same [`LineRules`] and find the same [`ContentError`] at the same byte, however the
//! body is cut into chunks.
//!
//! No carriage return and no line feed leaves but as one CRLF, and no NUL ever leaves: anything
//! else is read as a line end by some servers and as text by others, and lets a body smuggle in a
//! second message.
//!
//! ```
//! use bytes::Bytes;
//! use smtp_proto::content::{Encoder, LineRules, Room, scan};
//!
//! let mut body = Bytes::from_static(b"Subject: list\r\n\r\n.config\r\n.profile");
//! let facts = scan(&body, &LineRules::new())?;
//! assert_eq!((facts.message_len(), facts.wire_len()), (36, 38));
//!
//! let mut wire = Vec::new();
//! let mut encoder = Encoder::verified(&facts);
//! while !body.is_empty() {
//!     encoder.encode(&mut body, Room::new(64 * 1024, 64), &mut |piece| wire.extend(piece))?;
//! }
//! wire.extend(encoder.finish()?);
//! assert_eq!(wire, b"Subject: list\r\n\r\n..config\r\n..profile\r\n.\r\n");
//! # Ok::<(), smtp_proto::content::ContentError>(())
//! ```

mod block_scan;
mod encoder;
mod header_scanner;
mod line_scanner;

use core::{error::Error, fmt};

pub(crate) use self::encoder::Framing;
pub use self::encoder::{Encoder, Room};
pub(crate) use self::header_scanner::{HeaderRules, HeaderWatch, High as HeaderHigh};
use self::line_scanner::{Dots, Line, State as Ending};

/// Tells what a whole body needs, or the first byte in it that breaks the rules.
///
/// # Errors
/// The [`ContentError`] with the lowest offset. A byte that is wrong by itself is reported as that, even
/// where it would also make its line too long.
// Left to itself, the compiler inlines it only as long as there is one caller: what small messages pay for is moving the facts.
#[inline(always)]
pub fn scan(body: &[u8], rules: &LineRules) -> Result<ScanSummary, ContentError> {
    let mut line = Line::new(&rules.eight_bit(false), Dots::Counted);
    let (mut converted, mut high) = (0_u64, false);
    let mut rest = body;
    while !rest.is_empty() {
        let before = line;
        let (run, insert) = match line.advance(rest) {
            // Nearly all mail is ASCII; that it is comes out on the way.
            Err(fault) if rules.eight_bit && fault.reason == ContentErrorKind::EightBit => {
                (line, high) = (before.with_eight_bit(), true);
                continue;
            }
            step => step?,
        };
        rest = rest.get(run..).unwrap_or_default();
        if let Some(insert) = insert {
            line.inserted(insert);
            converted = converted.saturating_add(1);
        }
    }
    let ending = line.finish()?;
    if ending == Ending::AfterCr {
        converted = converted.saturating_add(1);
    }
    let high = if high {
        High::of(body)
    } else {
        High::default()
    };
    Ok(ScanSummary {
        rules: *rules,
        len: byte_len(body.len()),
        dots: line.dots(),
        converted,
        ending,
        ends_with_crlf: body.ends_with(b"\r\n"),
        high,
    })
}

/// What a body may hold, and what becomes of the rest.
///
/// The default rejects bare line ends, lines over 998 bytes and bytes over 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRules {
    line_ends: BareLineEnds,
    max_line: Option<usize>,
    eight_bit: bool,
}

impl LineRules {
    /// The default rules.
    pub const fn new() -> Self {
        Self {
            line_ends: BareLineEnds::Reject,
            max_line: Some(MAX_LINE),
            eight_bit: false,
        }
    }

    /// Sets what becomes of a CR or LF that is not part of a CRLF.
    #[must_use = "the rules are returned, not changed in place"]
    pub const fn line_ends(mut self, line_ends: BareLineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Sets the most bytes in a line, its CRLF and a doubled dot not counted, or lifts the limit.
    ///
    /// The default is 998 (RFC 5321, section 4.5.3.1.6).
    #[must_use = "the rules are returned, not changed in place"]
    pub const fn max_line_len(mut self, max_line: Option<usize>) -> Self {
        self.max_line = max_line;
        self
    }

    /// Sets whether bytes over 127 are allowed, as they are once MAIL declares `BODY=8BITMIME`.
    #[must_use = "the rules are returned, not changed in place"]
    pub const fn eight_bit(mut self, eight_bit: bool) -> Self {
        self.eight_bit = eight_bit;
        self
    }
}

impl Default for LineRules {
    fn default() -> Self {
        Self::new()
    }
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

/// What [`scan`] found in a body that keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanSummary {
    rules: LineRules,
    len: u64,
    dots: u64,
    /// Line ends mended, each by one byte.
    converted: u64,
    ending: Ending,
    ends_with_crlf: bool,
    high: High,
}

/// Where a body has bytes over 127.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct High {
    header: bool,
    /// Whether those in the header are not UTF-8.
    header_other: bool,
    body: bool,
}

impl High {
    #[cold]
    fn of(body: &[u8]) -> Self {
        let (header, rest) = body
            .split_at_checked(header_len(body))
            .unwrap_or((body, &[]));
        Self {
            header: !header.is_ascii(),
            header_other: str::from_utf8(header).is_err(),
            body: !rest.is_ascii(),
        }
    }
}

impl ScanSummary {
    /// The facts of a body of any bytes, which BINARYMIME carries as they are (RFC 3030, section 3): only its header is
    /// looked at.
    pub(crate) fn binary(body: &[u8]) -> Self {
        Self {
            rules: LineRules::new(),
            len: byte_len(body.len()),
            dots: 0,
            converted: 0,
            ending: Ending::Start,
            ends_with_crlf: false,
            high: High::of(body.get(..header_len(body)).unwrap_or_default()),
        }
    }

    /// The bytes of the message: its line ends converted and its last line ended, without the dots
    /// doubled for transparency.
    ///
    /// This is what `SIZE=` means (RFC 1870, section 5).
    pub const fn message_len(&self) -> u64 {
        let completion = match self.ending {
            Ending::Within => 2,
            Ending::Start | Ending::AfterCr => 0,
        };
        self.len
            .saturating_add(self.converted)
            .saturating_add(completion)
    }

    /// The bytes that DATA puts on the wire before the final `.` CRLF:
    /// [`message_len`](Self::message_len) and the doubled dots.
    pub const fn wire_len(&self) -> u64 {
        self.message_len().saturating_add(self.dots)
    }

    /// How many dots are doubled.
    pub const fn dots(&self) -> u64 {
        self.dots
    }

    /// Whether any bare line end is converted.
    pub const fn is_converted(&self) -> bool {
        self.converted != 0
    }

    /// Whether the body itself ends with a CRLF.
    pub const fn ends_with_crlf(&self) -> bool {
        self.ends_with_crlf
    }

    /// Whether the header section holds bytes over 127 (RFC 6532): all up to the first empty line, if
    /// the body begins with the name of a field.
    pub const fn header_eight_bit(&self) -> bool {
        self.high.header
    }

    /// Whether the header section is UTF-8, as ASCII is.
    pub const fn header_is_utf8(&self) -> bool {
        !self.high.header_other
    }

    /// Whether anything after the header holds bytes over 127 (RFC 6152).
    pub const fn body_eight_bit(&self) -> bool {
        self.high.body
    }
}

/// The first byte of a body that breaks the [`LineRules`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentError {
    offset: u64,
    reason: ContentErrorKind,
}

impl ContentError {
    /// Where the byte is, counted from the start of the body before any transformation.
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
        write!(f, "{} at offset {} of the body", self.reason, self.offset)
    }
}

debug_as_display!(ContentError);

impl Error for ContentError {}

/// What is wrong with a byte of a body.
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
    /// A byte over 127 in a body declared to have none.
    EightBit,
    /// A byte over 127 in the header of a streamed body, of which that was declared for the rest only.
    HeaderEightBit,
    /// A byte over 127 in the header section that is no part of UTF-8 (RFC 6532, section 3).
    HeaderNotUtf8,
    /// A byte above 127 before the header section, most likely of a byte order mark (U+FEFF).
    ByteOrderMark,
    /// The first byte of content that begins with no header field (RFC 5322, section 3.5).
    NoHeader,
    /// The end of a header section that has no field `From` (RFC 5322, section 3.6).
    NoFrom,
    /// The first byte of a line of the header section that is no field, and no more of one.
    NotAField,
    /// The body given to [`Encoder::verified`] goes on after the end of the scanned one, or ends
    /// before it.
    NotAsScanned,
}

impl fmt::Display for ContentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareCr => "carriage return without line feed",
            Self::BareLf => "line feed without carriage return",
            Self::Nul => "NUL byte",
            Self::LineTooLong => "line too long",
            Self::EightBit => "8-bit byte in a 7-bit body",
            Self::HeaderEightBit => "8-bit byte in a 7-bit header",
            Self::HeaderNotUtf8 => "byte that is not UTF-8 in a header field",
            Self::ByteOrderMark => "byte order mark before the header section",
            Self::NoHeader => "no header section",
            Self::NoFrom => "no From field in the header section",
            Self::NotAField => "line in the header section that is no field",
            Self::NotAsScanned => "other length than the scanned body",
        })
    }
}

/// Where the first byte over 127 is.
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

/// RFC 5321, section 4.5.3.1.6: 1000 bytes with the CRLF, a doubled dot not counted.
const MAX_LINE: usize = 998;

#[cfg(test)]
mod tests;
