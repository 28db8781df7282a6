//! Octets to replies: limits that hold while buffering, and no octet looked at anew.

use alloc::vec::Vec;
use core::fmt;

use memchr::memchr;

use crate::parse::{self, ReplyLine};
use crate::reply::{Code, Reply, ReplyRef};

/// How much a server may say in one reply.
///
/// An octet beyond a limit is fatal when it arrives: nothing is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    line: usize,
    reply: usize,
    lines: usize,
}

impl ReplyLimits {
    /// The most octets of a line with its line end; 2,048 unless set.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn line(mut self, octets: usize) -> Self {
        self.line = octets;
        self
    }

    /// The most octets of a reply with its line ends; 32 KiB unless set.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn reply(mut self, octets: usize) -> Self {
        self.reply = octets;
        self
    }

    /// The most lines of a reply; 256 unless set.
    #[must_use = "the limits are changed in the returned value"]
    pub const fn lines(mut self, lines: usize) -> Self {
        self.lines = lines;
        self
    }
}

impl ReplyLimits {
    /// The same for a reply within AUTH: a challenge may be longer than other lines (RFC 4954, section 4).
    pub(crate) fn for_challenge(mut self) -> Self {
        self.line = self.line.max(CHALLENGE_LINE);
        self
    }
}

impl Default for ReplyLimits {
    fn default() -> Self {
        // RFC 5321, section 4.5.3.1.5, lets a line have 512 octets; servers print longer ones.
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
    /// A line had more octets than allowed.
    LineTooLong {
        /// Octets allowed.
        limit: usize,
    },
    /// A reply had more octets than allowed.
    ReplyTooLong {
        /// Octets allowed.
        limit: usize,
    },
    /// A reply had more lines than allowed.
    TooManyLines {
        /// Lines allowed.
        limit: usize,
    },
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
        first: Code,
        /// The other code.
        other: Code,
    },
    /// There was a NUL octet.
    Nul {
        /// Where in the reply, from 0.
        offset: usize,
    },
    /// The server spoke TLS where a reply was due.
    TlsRecord,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LineTooLong { limit } => {
                write!(f, "a line of the reply is longer than {limit} octets")
            }
            Self::ReplyTooLong { limit } => write!(f, "the reply is longer than {limit} octets"),
            Self::TooManyLines { limit } => write!(f, "the reply has more than {limit} lines"),
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
                f.write_str("the server speaks TLS where a reply in clear was expected")
            }
        }
    }
}

debug_as_display!(ReplyError);

impl core::error::Error for ReplyError {}

impl Reply {
    /// Reads the reply at the front of `input`, under the default limits.
    ///
    /// Gives the reply and its length in octets, or `None` if it is not all there.
    ///
    /// # Errors
    /// If `input` cannot be the beginning of a reply (RFC 5321, section 4.2).
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ReplyError> {
        let mut scan = Scan::default();
        let verdict = scan.read(input, &ReplyLimits::default())?;
        let raw = input.get(..scan.position).unwrap_or_default();
        Ok(verdict.map(|code| (ReplyRef::new(code, raw).to_reply(), raw.len())))
    }
}

/// The replies in what arrives, however it is cut.
///
/// A reply that lies whole in one input is lent from there; only one that does not is buffered, and its
/// buffer is freed when the reply after it is asked for. The first error is kept.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The octets of a reply whose end is not here yet.
    partial: Vec<u8>,
    /// How far `partial` was read; of no meaning while that is empty.
    scan: Scan,
    /// The reply that was last lent from `partial`.
    lent: Vec<u8>,
    failed: Option<ReplyError>,
}

impl Inbox {
    /// Takes the next whole reply from the front of `input`; else all of it, and gives `None`.
    ///
    /// An error takes the octet at which it shows: the last of [`fragment`](Self::fragment).
    pub(crate) fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        limits: &ReplyLimits,
    ) -> Result<Option<ReplyRef<'a>>, ReplyError> {
        self.lent = Vec::new();
        match self.failed {
            Some(error) => Err(error),
            None if self.partial.is_empty() => self.next_in_place(input, limits),
            None => self.next_buffered(input, limits),
        }
    }

    /// What is here of a reply that is not complete.
    pub(crate) fn fragment(&self) -> &[u8] {
        &self.partial
    }

    /// Forgets the reply that has begun, and an error.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn next_in_place<'i>(
        &mut self,
        input: &mut &'i [u8],
        limits: &ReplyLimits,
    ) -> Result<Option<ReplyRef<'i>>, ReplyError> {
        let mut scan = Scan::default();
        let verdict = scan.read(input, limits);
        let raw = input.split_off(..scan.position).unwrap_or_default();
        if let Ok(Some(code)) = verdict {
            return Ok(Some(ReplyRef::new(code, raw)));
        }
        self.partial.extend_from_slice(raw);
        self.scan = scan;
        self.failed = verdict.err();
        verdict.map(|_| None)
    }

    fn next_buffered(
        &mut self,
        input: &mut &[u8],
        limits: &ReplyLimits,
    ) -> Result<Option<ReplyRef<'_>>, ReplyError> {
        // Perhaps more than belongs to this reply, which is taken back below; that happens at most
        // once an input, and one octet beyond the limit is enough to refuse. The limits may be narrower
        // than they were for what is here: then it is the next octet that is one too many.
        let before = self.partial.len();
        let room = limits.reply.saturating_sub(before).saturating_add(1);
        self.partial
            .extend_from_slice(input.get(..room).unwrap_or(input));
        let verdict = self.scan.read(&self.partial, limits);
        self.partial.truncate(self.scan.position);
        let taken = self.scan.position.saturating_sub(before);
        *input = input.get(taken..).unwrap_or_default();
        self.failed = verdict.err();
        let Some(code) = verdict? else {
            return Ok(None);
        };
        self.lent = core::mem::take(&mut self.partial);
        Ok(Some(ReplyRef::new(code, &self.lent)))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("partial", &self.partial.len())
            .field("failed", &self.failed)
            .finish()
    }
}

/// How far a reply has been read.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// The code of the whole lines, as it came and as it is meant.
    code: Option<([u8; 3], Code)>,
    /// Whole lines.
    lines: usize,
    /// Where the line after them begins.
    line_start: usize,
    /// What was looked at: to the end of the reply, to the last octet that is here, or up to and with
    /// the octet that was refused.
    position: usize,
}

impl Scan {
    /// Reads on in `reply`, which begins with a reply; gives its code if all of it is there.
    fn read(&mut self, reply: &[u8], limits: &ReplyLimits) -> Result<Option<Code>, ReplyError> {
        let allowed = reply.get(..limits.reply).unwrap_or(reply);
        let mut rest = allowed.get(self.line_start..).unwrap_or_default();
        loop {
            if self.position == self.line_start {
                self.check_line_start(reply, limits)?;
            }
            let line = rest.get(..limits.line).unwrap_or(rest);
            let seen = self.position.saturating_sub(self.line_start);
            let window = line.get(seen..).unwrap_or_default();
            let Ok((behind, _)) = parse::line(window) else {
                return self.stop(window, reply, limits);
            };
            let len = line.len().saturating_sub(behind.len());
            self.position = self.line_start.saturating_add(len);
            let (line, behind) = rest.split_at_checked(len).unwrap_or_default();
            rest = behind;
            if let Some(code) = self.judge(line)? {
                return Ok(Some(code));
            }
        }
    }

    fn check_line_start(&mut self, reply: &[u8], limits: &ReplyLimits) -> Result<(), ReplyError> {
        let error = match reply.get(self.position) {
            Some(first) if self.lines == 0 && TLS_RECORDS.contains(first) => ReplyError::TlsRecord,
            Some(_) if self.lines >= limits.lines => ReplyError::TooManyLines {
                limit: limits.lines,
            },
            _ => return Ok(()),
        };
        self.position = self.position.saturating_add(1);
        Err(error)
    }

    /// Judges the line that has just ended; gives the code if it was the last.
    fn judge(&mut self, line: &[u8]) -> Result<Option<Code>, ReplyError> {
        self.lines = self.lines.saturating_add(1);
        self.line_start = self.position;
        let malformed = ReplyError::Malformed { line: self.lines };
        // The code of a further line is nearly always the same, and not read again.
        if let Some((first, code)) = self.code
            && let Some(rest) = line.strip_prefix(&first)
        {
            let (_, last) = parse::separator(rest).map_err(|_| malformed)?;
            return Ok(last.then_some(code));
        }
        let (_, ReplyLine { code, last, .. }) = parse::reply_line(line).map_err(|_| malformed)?;
        let Some(code) = Code::new(code) else {
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

    /// There is no line end in `window`, which is what may still be read: why?
    #[cold]
    fn stop(
        &mut self,
        window: &[u8],
        reply: &[u8],
        limits: &ReplyLimits,
    ) -> Result<Option<Code>, ReplyError> {
        if let Some(before) = memchr(b'\0', window) {
            let offset = self.position.saturating_add(before);
            self.position = offset.saturating_add(1);
            return Err(ReplyError::Nul { offset });
        }
        self.position = self.position.saturating_add(window.len());
        if self.position >= reply.len() {
            return Ok(None);
        }
        let in_line = self.position.saturating_sub(self.line_start);
        self.position = self.position.saturating_add(1);
        if in_line >= limits.line {
            Err(ReplyError::LineTooLong { limit: limits.line })
        } else {
            Err(ReplyError::ReplyTooLong {
                limit: limits.reply,
            })
        }
    }
}

/// The first octet of a TLS record that a server may begin with: an alert or a handshake (RFC 8446, section 5.1).
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// Octets of a line that carries a challenge, with its line end.
const CHALLENGE_LINE: usize = 12_288;

#[cfg(test)]
mod tests;
