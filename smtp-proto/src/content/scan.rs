//! The scan of a whole message for errors and required extensions.

use super::line_scanner::{Dots, Line, State as Ending};
use super::{BareLineEnds, ContentError, ContentErrorKind, byte_len, header_len};

/// Scans a whole message. Returns a summary with the extensions that it requires.
///
/// # Errors
/// The [`ContentError`] with the lowest offset. A byte that is not allowed is reported as such,
/// even where it also makes its line too long.
// Inlining is forced: with several callers the compiler stops inlining, and small messages then pay
// for moving the summary.
#[inline(always)]
pub fn scan(body: &[u8], rules: &LineRules) -> Result<ScanSummary, ContentError> {
    let mut line = Line::new(&rules.eight_bit(false), Dots::Counted);
    let (mut converted, mut high) = (0_u64, false);
    let mut rest = body;
    while !rest.is_empty() {
        let before = line;
        let (run, insert) = match line.advance(rest) {
            // Nearly all messages are ASCII, so the scan begins without 8-bit bytes allowed.
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

/// The rules for lines of content.
///
/// The default rejects bare line ends, lines over 998 bytes and 8-bit bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRules {
    pub(super) line_ends: BareLineEnds,
    pub(super) max_line: Option<usize>,
    pub(super) eight_bit: bool,
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

    /// Sets how a CR or LF that is not part of a CRLF is handled.
    #[must_use = "the rules are returned, not changed in place"]
    pub const fn line_ends(mut self, line_ends: BareLineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Sets the maximum line length in bytes, without CRLF and dot-stuffing, or removes the limit.
    ///
    /// The default is 998 (RFC 5321, section 4.5.3.1.6).
    #[must_use = "the rules are returned, not changed in place"]
    pub const fn max_line_len(mut self, max_line: Option<usize>) -> Self {
        self.max_line = max_line;
        self
    }

    /// Sets whether 8-bit bytes are allowed (`BODY=8BITMIME`).
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

/// The result of [`scan`] for content that obeys the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanSummary {
    pub(super) rules: LineRules,
    pub(super) len: u64,
    pub(super) dots: u64,
    /// The number of converted line ends; each adds one byte.
    pub(super) converted: u64,
    pub(super) ending: Ending,
    pub(super) ends_with_crlf: bool,
    high: High,
}

/// Where the content contains 8-bit bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct High {
    pub(super) header: bool,
    /// Whether the header section is not UTF-8.
    pub(super) header_other: bool,
    pub(super) body: bool,
}

impl High {
    #[cold]
    pub(super) fn of(body: &[u8]) -> Self {
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
    /// The summary of content for BINARYMIME (RFC 3030, section 3). Only its header section is
    /// scanned.
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

    /// The size of the message with converted line ends and a complete last line, without
    /// dot-stuffing.
    ///
    /// This is the value of `SIZE=` (RFC 1870, section 5).
    pub const fn message_len(&self) -> u64 {
        let completion = match self.ending {
            Ending::Within => 2,
            Ending::Start | Ending::AfterCr => 0,
        };
        self.len
            .saturating_add(self.converted)
            .saturating_add(completion)
    }

    /// The number of bytes that DATA sends before the final `.` CRLF:
    /// [`message_len`](Self::message_len) plus dot-stuffing.
    pub const fn wire_len(&self) -> u64 {
        self.message_len().saturating_add(self.dots)
    }

    /// The number of dots that dot-stuffing adds.
    pub const fn dots(&self) -> u64 {
        self.dots
    }

    /// Whether any bare line end was converted.
    pub const fn is_converted(&self) -> bool {
        self.converted != 0
    }

    /// Whether the content ends with a CRLF.
    pub const fn ends_with_crlf(&self) -> bool {
        self.ends_with_crlf
    }

    /// Whether the header section contains 8-bit bytes (RFC 6532).
    pub const fn header_eight_bit(&self) -> bool {
        self.high.header
    }

    /// Whether the header section is UTF-8. ASCII is UTF-8.
    pub const fn header_is_utf8(&self) -> bool {
        !self.high.header_other
    }

    /// Whether the body contains 8-bit bytes (RFC 6152).
    pub const fn body_eight_bit(&self) -> bool {
        self.high.body
    }
}

/// RFC 5321, section 4.5.3.1.6: 1000 bytes including the CRLF. A doubled dot does not count.
const MAX_LINE: usize = 998;
