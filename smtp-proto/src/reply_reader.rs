//! Bytes to replies: limits on what is kept, while every line is checked.

use alloc::vec::Vec;
use core::fmt;

use memchr::memchr2;

use crate::parse;
use crate::reply::{CUT, Reply, ReplyCode, ReplyRef};

/// How much of one reply is kept.
///
/// What a server sends beyond is read and checked like the rest, and then dropped: a longer line is cut and ends with
/// `…`, and further lines are left out. [`Reply::is_truncated`] tells. How much a server may send in a whole session is
/// bounded too, and that bound is fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    line: usize,
    reply: usize,
    lines: usize,
}

impl ReplyLimits {
    /// The most bytes that are kept of a line with its line end; 2,048 unless set, and 16 at least.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn line(mut self, bytes: usize) -> Self {
        self.line = if bytes < LINE_MIN { LINE_MIN } else { bytes };
        self
    }

    /// The most bytes that are kept of a reply with its line ends; 32 KiB unless set, and 16 at least.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn reply(mut self, bytes: usize) -> Self {
        self.reply = if bytes < LINE_MIN { LINE_MIN } else { bytes };
        self
    }

    /// The most lines that are kept of a reply; 256 unless set, and one at least.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn lines(mut self, lines: usize) -> Self {
        self.lines = if lines == 0 { 1 } else { lines };
        self
    }

    /// The same for a reply within AUTH: a challenge may be longer than other lines (RFC 4954, section 4).
    pub(crate) fn for_challenge(mut self) -> Self {
        self.line = self.line.max(CHALLENGE_LINE);
        self
    }

    /// How many bytes are kept of a line that begins after so many lines and so many kept bytes; none if it is left out.
    fn of_line(&self, lines: usize, kept: usize) -> usize {
        let left = self.reply.saturating_sub(kept);
        if lines >= self.lines || left < LINE_MIN {
            0
        } else {
            self.line.min(left)
        }
    }
}

impl Default for ReplyLimits {
    fn default() -> Self {
        // RFC 5321, section 4.5.3.1.5, lets a line have 512 bytes; servers print longer ones.
        Self {
            line: 2048,
            reply: 32 * 1024,
            lines: 256,
        }
    }
}

/// Why what the server sent is no reply.
///
/// Nothing after it can be trusted: the connection is of no more use.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line began neither with three digits alone nor with three digits and a space or hyphen.
    Malformed {
        /// Which line of the reply, from 1.
        line: usize,
    },
    /// The first digit of a code was not 2, 3, 4 or 5.
    BadCode {
        /// The code.
        code: u16,
    },
    /// The lines of one reply had different codes.
    MixedCodes {
        /// The code of the lines before.
        first: ReplyCode,
        /// The other code.
        other: ReplyCode,
    },
    /// There was a NUL byte.
    Nul {
        /// Where in the reply as it came, from 0.
        offset: usize,
    },
    /// The server spoke TLS where a reply was due.
    TlsRecord,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Malformed { line } => write!(
                f,
                "line {line} of the reply does not begin with a reply code"
            ),
            Self::BadCode { code } => write!(f, "the reply code {code:03} is of no class"),
            Self::MixedCodes { first, other } => {
                write!(f, "one reply has the codes {first} and {other}")
            }
            Self::Nul { offset } => write!(f, "the reply has a NUL at offset {offset}"),
            Self::TlsRecord => {
                f.write_str("the server speaks TLS where a reply in cleartext was expected")
            }
        }
    }
}

debug_as_display!(ReplyError);

impl core::error::Error for ReplyError {}

impl Reply {
    /// Reads the reply at the front of `input`, kept within the default limits.
    ///
    /// Gives the reply and its length in `input`, or `None` if it is not all there.
    ///
    /// # Errors
    /// If `input` cannot be the beginning of a reply (RFC 5321, section 4.2).
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        let mut reply_reader = ReplyReader::default();
        let mut rest = input;
        let reply = reply_reader.next(&mut rest, &ReplyLimits::default())?;
        let len = input.len().saturating_sub(rest.len());
        Ok(reply.map(|reply| (reply.to_reply(), len)))
    }
}

/// The replies in what arrives, however it is cut.
///
/// A reply that lies whole in one input, and within the limits, is lent from there; any other is buffered, and its
/// buffer is freed when the reply after it is asked for. The first error is kept.
#[derive(Default)]
pub(crate) struct ReplyReader {
    /// What is kept of a reply whose end is not here yet.
    partial: Vec<u8>,
    /// How far that reply was read; of no meaning while `partial` is empty.
    scan: Scan,
    /// The reply that was last lent from `partial`.
    lent: Vec<u8>,
    failed: Option<ReplyError>,
}

impl ReplyReader {
    /// Takes the next whole reply from the front of `input`; else all of it, and gives `None`.
    ///
    /// An error takes the byte at which it shows, or the line that is at fault.
    pub(crate) fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        limits: &ReplyLimits,
    ) -> Result<Option<ReplyRef<'a>>, ReplyError> {
        self.lent = Vec::new();
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.partial.is_empty() {
            if let Some((code, len)) = whole(input, limits) {
                let raw = input.split_off(..len).unwrap_or_default();
                return Ok(Some(ReplyRef::new(code, raw, false)));
            }
            self.scan = Scan::default();
        }
        let verdict = self.scan.read(input, &mut self.partial, limits);
        self.failed = verdict.err();
        let Some(code) = verdict? else {
            return Ok(None);
        };
        self.lent = core::mem::take(&mut self.partial);
        Ok(Some(ReplyRef::new(code, &self.lent, self.scan.truncated)))
    }

    /// What is kept of a reply that is not complete; something as soon as a byte of it is here.
    pub(crate) fn partial_reply(&self) -> &[u8] {
        &self.partial
    }

    /// Forgets the reply that has begun, and an error.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl fmt::Debug for ReplyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("partial", &self.partial.len())
            .field("failed", &self.failed)
            .finish()
    }
}

/// The code and the length of the reply at the front of `input`, if all of it is there, in good order and within the
/// limits: nearly every reply is, and needs no buffer. [`Scan`] says what is wrong with others.
#[inline]
fn whole(input: &[u8], limits: &ReplyLimits) -> Option<(ReplyCode, usize)> {
    let mut codes = Codes::default();
    let mut rest = input;
    loop {
        let kept = input.len().saturating_sub(rest.len());
        let (behind, line) = parse::line(rest).ok()?;
        if line.len() > limits.of_line(codes.lines, kept) {
            return None;
        }
        rest = behind;
        if let Some(code) = codes.judge(line).ok()? {
            return Some((code, input.len().saturating_sub(rest.len())));
        }
    }
}

/// The codes of a reply's lines: all are one.
#[derive(Clone, Copy, Debug, Default)]
struct Codes {
    /// The code of the whole lines, as it came and as it is meant.
    code: Option<([u8; 3], ReplyCode)>,
    /// Whole lines.
    lines: usize,
}

impl Codes {
    /// Judges a line, by its first five bytes if that is all that is left of it; gives the code if it was the last.
    #[inline]
    fn judge(&mut self, line: &[u8]) -> Result<Option<ReplyCode>, ReplyError> {
        self.lines = self.lines.saturating_add(1);
        let malformed = ReplyError::Malformed { line: self.lines };
        // The code of a further line is nearly always the same, and not read again.
        if let Some((first, code)) = self.code
            && let Some(rest) = line.strip_prefix(&first)
        {
            let (_, last) = parse::separator(rest).map_err(|_| malformed)?;
            return Ok(last.then_some(code));
        }
        let (_, (code, last)) = parse::reply_line(line).map_err(|_| malformed)?;
        let Some(code) = ReplyCode::new(code) else {
            return Err(ReplyError::BadCode { code });
        };
        match self.code {
            Some((_, first)) => Err(ReplyError::MixedCodes { first, other: code }),
            None if last => Ok(Some(code)),
            None => {
                self.code = line.first_chunk().map(|digits| (*digits, code));
                Ok(None)
            }
        }
    }
}

/// How far a reply has been read, however it is cut; each byte is looked at once.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    codes: Codes,
    /// Bytes of the reply as it came.
    position: usize,
    /// Bytes of the line that has begun, as it came.
    line: usize,
    /// The first of them: what a line is judged by.
    head: [u8; HEAD],
    /// How many of them are kept at most.
    allowed: usize,
    /// Whether a line was cut or left out.
    truncated: bool,
}

impl Scan {
    /// Reads on in `input` and keeps what the limits allow of it; gives the code at the end of the reply.
    fn read(
        &mut self,
        input: &mut &[u8],
        kept: &mut Vec<u8>,
        limits: &ReplyLimits,
    ) -> Result<Option<ReplyCode>, ReplyError> {
        while let Some(first) = input.first() {
            if self.line == 0 {
                self.allowed = limits.of_line(self.codes.lines, kept.len());
            }
            if self.position == 0 && TLS_RECORDS.contains(first) {
                self.take(input.split_off(..1).unwrap_or_default(), kept);
                return Err(ReplyError::TlsRecord);
            }
            let end = memchr2(b'\n', b'\0', input);
            let len = end.map_or(input.len(), |end| end.saturating_add(1));
            let piece = input.split_off(..len).unwrap_or_default();
            self.take(piece, kept);
            match piece.last() {
                Some(b'\0') => {
                    let offset = self.position.saturating_sub(1);
                    return Err(ReplyError::Nul { offset });
                }
                Some(b'\n') => {
                    if let Some(code) = self.end_line(kept)? {
                        return Ok(Some(code));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Counts in a piece of a line, and keeps what may be kept of it.
    fn take(&mut self, piece: &[u8], kept: &mut Vec<u8>) {
        let head = self.head.get_mut(self.line..).unwrap_or_default();
        head.iter_mut()
            .zip(piece)
            .for_each(|(to, from)| *to = *from);
        let room = self.allowed.saturating_sub(self.line);
        kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
        self.line = self.line.saturating_add(piece.len());
        self.position = self.position.saturating_add(piece.len());
    }

    /// Judges the line that has just ended, and gives it an end of ours if its own was beyond the limit.
    fn end_line(&mut self, kept: &mut Vec<u8>) -> Result<Option<ReplyCode>, ReplyError> {
        let line = core::mem::take(&mut self.line);
        if line > self.allowed {
            self.truncated = true;
            // The mark makes sure that a part of a word is not taken for the whole.
            if self.allowed > 0 {
                let end = [CUT, "\r\n"];
                let len = end.iter().map(|part| part.len()).sum();
                kept.truncate(kept.len().saturating_sub(len));
                end.iter()
                    .for_each(|part| kept.extend_from_slice(part.as_bytes()));
            }
        }
        self.codes
            .judge(self.head.get(..line).unwrap_or(&self.head))
    }
}

/// The first byte of a TLS record that a server may begin with: an alert or a handshake (RFC 8446, section 5.1).
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// Bytes of a line that carries a challenge, with its line end.
const CHALLENGE_LINE: usize = 12_288;

/// The least that can be kept of a line: its code and separator, a word of its text, and an end.
const LINE_MIN: usize = 16;

/// The code, the separator, and where that is a bare CR the LF after it.
const HEAD: usize = 5;

#[cfg(test)]
mod tests;
