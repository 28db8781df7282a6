//! Reads replies from bytes. Limits bound what is kept; every line is checked.

use alloc::vec::Vec;
use core::fmt;

use memchr::memchr2;

use crate::parse;
use crate::reply::{CUT, Reply, ReplyCode, ReplyRef};

/// The limits on what is kept of one reply.
///
/// Bytes beyond them are read and checked like the rest, and then dropped: a longer line is cut and
/// ends with `…`, and further lines are left out. [`Reply::is_truncated`] reports it. The number of
/// bytes that a server may send in a session has a limit of its own, which is fatal.
///
/// # Examples
/// ```
/// use smtp_proto::{Config, ReplyLimits};
///
/// let limits = ReplyLimits::default().line(512).lines(16);
/// assert_ne!(limits, ReplyLimits::default());
/// let config = Config::builder("client.example.org".parse()?).reply_limits(limits).build();
/// # Ok::<(), smtp_proto::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    line: usize,
    reply: usize,
    lines: usize,
}

impl ReplyLimits {
    /// Sets how many bytes of a line are kept, including its line end. The default is 2,048, the
    /// minimum 16.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn line(mut self, bytes: usize) -> Self {
        self.line = if bytes < LINE_MIN { LINE_MIN } else { bytes };
        self
    }

    /// Sets how many bytes of a reply are kept, including its line ends. The default is 32 KiB, the
    /// minimum 16.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn reply(mut self, bytes: usize) -> Self {
        self.reply = if bytes < LINE_MIN { LINE_MIN } else { bytes };
        self
    }

    /// Sets how many lines of a reply are kept. The default is 256, the minimum one.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn lines(mut self, lines: usize) -> Self {
        self.lines = if lines == 0 { 1 } else { lines };
        self
    }

    /// The limits for a reply to AUTH: a challenge may be longer than other lines (RFC 4954,
    /// section 4).
    pub(crate) fn for_challenge(mut self) -> Self {
        self.line = self.line.max(CHALLENGE_LINE);
        self
    }

    /// How many bytes are kept of a line after `lines` lines with `kept` bytes; zero if it is left
    /// out.
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
        // RFC 5321, section 4.5.3.1.5, limits a line to 512 bytes; servers send longer ones.
        Self {
            line: 2048,
            reply: 32 * 1024,
            lines: 256,
        }
    }
}

/// The reasons why input is not a valid reply.
///
/// Nothing after it can be trusted: the connection has failed.
///
/// # Examples
/// ```
/// use smtp_proto::{Reply, ReplyError};
///
/// let error = Reply::parse(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err();
/// assert_eq!(error, ReplyError::Malformed { line: 1 });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line begins neither with three digits alone nor with three digits and a space or hyphen.
    Malformed {
        /// The number of the line in the reply, from 1.
        line: usize,
    },
    /// The first digit of the code is not 2, 3, 4 or 5.
    BadCode {
        /// The code.
        code: u16,
    },
    /// The lines of one reply have different codes.
    MixedCodes {
        /// The code of the lines before.
        first: ReplyCode,
        /// The other code.
        other: ReplyCode,
    },
    /// The reply contains a NUL byte.
    Nul {
        /// The offset in the reply as received, from 0.
        offset: usize,
    },
    /// The server sent a TLS record instead of a reply.
    TlsRecord,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Malformed { line } => write!(
                f,
                "line {line} of the reply does not begin with a reply code"
            ),
            Self::BadCode { code } => write!(
                f,
                "invalid reply code {code:03}: the first digit must be 2 to 5"
            ),
            Self::MixedCodes { first, other } => {
                write!(
                    f,
                    "the lines of one reply have the codes {first} and {other}"
                )
            }
            Self::Nul { offset } => write!(f, "NUL byte at offset {offset} of the reply"),
            Self::TlsRecord => {
                f.write_str("the server sent a TLS record instead of a reply in cleartext")
            }
        }
    }
}

debug_as_display!(ReplyError);

impl core::error::Error for ReplyError {}

impl Reply {
    /// Parses the reply at the start of `input`, with the default limits.
    ///
    /// Returns the reply and its length in `input`, or `None` if the reply is incomplete.
    ///
    /// # Errors
    /// If `input` cannot be the start of a reply (RFC 5321, section 4.2).
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Reply;
    ///
    /// assert_eq!(Reply::parse(b"250-mx.example.net\r\n250 SI")?, None);
    /// let (reply, length) = Reply::parse(b"221 Bye\r\n")?.unwrap();
    /// assert_eq!((reply.code().as_u16(), length), (221, 9));
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        let mut reply_reader = ReplyReader::default();
        let mut rest = input;
        let reply = reply_reader.next(&mut rest, &ReplyLimits::default())?;
        let len = input.len().saturating_sub(rest.len());
        Ok(reply.map(|reply| (reply.to_reply(), len)))
    }
}

/// Splits input into replies, however it is cut.
///
/// A reply that is complete in one input and within the limits is lent from there. Any other is
/// buffered, and its buffer is freed when the next reply is requested. The first error is kept.
#[derive(Default)]
pub(crate) struct ReplyReader {
    /// The kept bytes of an incomplete reply.
    partial: Vec<u8>,
    /// The progress through that reply; meaningless while `partial` is empty.
    scan: Scan,
    /// The last reply that was lent from `partial`.
    lent: Vec<u8>,
    failed: Option<ReplyError>,
}

impl ReplyReader {
    /// Takes the next complete reply from the start of `input`. Otherwise takes all of it and
    /// returns `None`.
    ///
    /// On an error, the byte or the line at fault is taken too.
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

    /// The kept bytes of an incomplete reply; not empty once its first byte has arrived.
    pub(crate) fn partial_reply(&self) -> &[u8] {
        &self.partial
    }

    /// Discards an incomplete reply and an error.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The code and the length of the reply at the start of `input`, if it is complete, valid and
/// within the limits. Nearly every reply is, and needs no buffer. [`Scan`] finds the error of any
/// other.
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

/// The code of a reply's lines, which all share it.
#[derive(Clone, Copy, Debug, Default)]
struct Codes {
    /// The code of the complete lines, as received and parsed.
    code: Option<([u8; 3], ReplyCode)>,
    /// The number of complete lines.
    lines: usize,
}

impl Codes {
    /// Checks a line; its first five bytes suffice. Returns the code if the line is the last.
    #[inline]
    fn judge(&mut self, line: &[u8]) -> Result<Option<ReplyCode>, ReplyError> {
        self.lines = self.lines.saturating_add(1);
        let malformed = ReplyError::Malformed { line: self.lines };
        // A further line nearly always has the same code, which need not be parsed again.
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

/// The progress through a reply, however it is cut. Each byte is read once.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    codes: Codes,
    /// Bytes of the reply as received.
    position: usize,
    /// Bytes of the current line as received.
    line: usize,
    /// The first bytes of the current line: all that checking it takes.
    head: [u8; HEAD],
    /// The maximum number of its bytes to keep.
    allowed: usize,
    /// Whether a line was cut or left out.
    truncated: bool,
}

impl Scan {
    /// Reads on in `input` and keeps what the limits allow. Returns the code at the end of the
    /// reply.
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

    /// Counts a piece of a line and keeps what the limits allow.
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

    /// Checks the complete line. If its line end was cut off, adds one.
    fn end_line(&mut self, kept: &mut Vec<u8>) -> Result<Option<ReplyCode>, ReplyError> {
        let line = core::mem::take(&mut self.line);
        if line > self.allowed {
            self.truncated = true;
            // The mark prevents part of a word from being read as the whole.
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

/// The first byte of a TLS record that a server may begin with: an alert or a handshake (RFC 8446,
/// section 5.1).
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// The maximum length of a line with a challenge, including its line end.
const CHALLENGE_LINE: usize = 12_288;

/// The minimum to keep of a line: its code and separator, a word of its text, and a line end.
const LINE_MIN: usize = 16;

/// The code, the separator, and if that is a bare CR the LF after it.
const HEAD: usize = 5;

#[cfg(test)]
mod tests;
