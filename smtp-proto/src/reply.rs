//! What a server answered: a code that is valid by construction, and its text.

mod escape;

use alloc::sync::Arc;
use core::fmt;

use crate::parse;

pub(crate) use escape::{Escaped, Escaping};

/// A server's reply: its code and the text of one or more lines.
///
/// A clone shares the text. `Display` shows it in one line of at most 1 KiB, or as many bytes as the format's precision
/// says, with everything escaped that could act on a terminal or a log; [`lines`](Self::lines) has the bytes as they
/// came.
///
/// ```
/// use smtp_proto::Reply;
///
/// let (reply, length) = Reply::parse(b"550-5.1.1 no such user\r\n550 5.1.1 ask postmaster\r\n")?.unwrap();
/// assert_eq!(length, 50);
/// assert_eq!(reply.code(), 550);
/// assert!(reply.is_permanent());
/// assert_eq!(reply.enhanced().unwrap().to_string(), "5.1.1");
/// assert_eq!(reply.to_string(), "550 5.1.1 no such user / ask postmaster");
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Clone)]
pub struct Reply {
    code: ReplyCode,
    raw: Arc<[u8]>,
    truncated: bool,
}

impl Reply {
    /// The three digits.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code at the front of the first line, if its class is the code's (RFC 2034).
    ///
    /// `None` for a 3yz reply, which has none, and when it is not of the form of RFC 3463.
    pub fn enhanced(&self) -> Option<EnhancedStatusCode> {
        self.as_ref().enhanced()
    }

    /// The text of each line as it came, without code, separator and line end; at least one line.
    ///
    /// An enhanced status code is left in. The text may be empty, and need not be UTF-8. A line that was cut ends with
    /// `…`, in UTF-8.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.as_ref().lines()
    }

    /// Whether it was longer than the [`ReplyLimits`](crate::ReplyLimits) allow, so that a line was cut or left out.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether the server did what was asked: 2yz.
    pub fn is_completion(&self) -> bool {
        self.code.severity() == Severity::Completion
    }

    /// Whether the server said no for now: 4yz.
    pub fn is_transient(&self) -> bool {
        self.code.severity() == Severity::Transient
    }

    /// Whether the server said no for good: 5yz.
    pub fn is_permanent(&self) -> bool {
        self.code.severity() == Severity::Permanent
    }

    pub(crate) fn as_ref(&self) -> ReplyRef<'_> {
        ReplyRef {
            code: self.code,
            raw: &self.raw,
            truncated: self.truncated,
        }
    }

    /// The reply as it came, as far as it was kept, shared.
    pub(crate) fn raw(&self) -> &Arc<[u8]> {
        &self.raw
    }
}

/// Two replies are equal if their codes and the text of their lines are; the kind of line end is no part of it.
impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
            && self.truncated == other.truncated
            && self.lines().eq(other.lines())
    }
}

impl Eq for Reply {}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

/// A reply where it lies in the input; see [`Reply`].
#[derive(Clone, Copy)]
pub(crate) struct ReplyRef<'a> {
    code: ReplyCode,
    /// Whole lines of the grammar, at least one, all with this code.
    raw: &'a [u8],
    truncated: bool,
}

impl<'a> ReplyRef<'a> {
    /// Of `raw`, which the reply_reader found to be the whole lines of one reply, or what is kept of them.
    pub(crate) fn new(code: ReplyCode, raw: &'a [u8], truncated: bool) -> Self {
        Self {
            code,
            raw,
            truncated,
        }
    }

    pub(crate) fn is_truncated(self) -> bool {
        self.truncated
    }

    pub(crate) fn code(self) -> ReplyCode {
        self.code
    }

    pub(crate) fn enhanced(self) -> Option<EnhancedStatusCode> {
        self.lines()
            .next()
            .and_then(|text| EnhancedStatusCode::split(self.code, text))
            .map(|(enhanced, _)| enhanced)
    }

    pub(crate) fn lines(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        parse::lines(self.raw).map(parse::text)
    }

    pub(crate) fn raw(self) -> &'a [u8] {
        self.raw
    }

    pub(crate) fn to_reply(self) -> Reply {
        Reply {
            code: self.code,
            raw: Arc::from(self.raw),
            truncated: self.truncated,
        }
    }
}

impl fmt::Display for ReplyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = f
            .precision()
            .map_or(DISPLAY_LIMIT, |limit| limit.min(DISPLAY_LIMIT));
        let mut out = Escaping::new(f, limit);
        out.text(self.code.digits().as_slice())?;
        let first = self.enhanced();
        let mut separator = " ";
        let mut says_so = false;
        for text in self.lines() {
            says_so |= text.ends_with(CUT.as_bytes());
            // The same enhanced code again on each further line tells nothing.
            let text = match EnhancedStatusCode::split(self.code, text) {
                Some((enhanced, rest)) if separator == " / " && Some(enhanced) == first => rest,
                _ => text,
            };
            let text = text.trim_ascii();
            if !text.is_empty() {
                out.text(separator.as_bytes())?;
                out.text(text)?;
                separator = " / ";
            }
        }
        if self.truncated && !says_so {
            out.text(separator.as_bytes())?;
            out.text(CUT.as_bytes())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ReplyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyRef({self})")
    }
}

/// The three digits of a reply, the first of which decides (RFC 5321, section 4.2.1).
///
/// The first digit is always 2, 3, 4 or 5. Compares with numbers: `reply.code() == 250`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// A code from 200 to 599; `None` for any other number.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            200..=599 => Some(Self(code)),
            _ => None,
        }
    }

    /// The code as a number from 200 to 599.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// What the first digit says.
    pub const fn severity(self) -> Severity {
        match self.0 {
            ..=299 => Severity::Completion,
            300..=399 => Severity::Intermediate,
            400..=499 => Severity::Transient,
            500.. => Severity::Permanent,
        }
    }

    /// Whether it says that a command is done that has no code of its own: the first digit decides, but for the codes that have
    /// a meaning of their own.
    pub(crate) const fn completes(self) -> bool {
        matches!(self.severity(), Severity::Completion)
            && !matches!(self.0, 211 | 214 | 220 | 221 | 235)
    }

    /// Whether it says no.
    pub(crate) const fn is_rejection(self) -> bool {
        matches!(self.severity(), Severity::Transient | Severity::Permanent)
    }

    fn digits(self) -> [u8; 3] {
        let digit = |value: u16| u8::try_from(value % 10).unwrap_or_default() | b'0';
        [digit(self.0 / 100), digit(self.0 / 10), digit(self.0)]
    }
}

impl PartialEq<u16> for ReplyCode {
    fn eq(&self, other: &u16) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The meaning of a code's first digit (RFC 5321, section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "RFC 5321 has four, and a reply of another class is a protocol error"
)]
pub enum Severity {
    /// 2yz: done.
    Completion,
    /// 3yz: go on with what belongs to it.
    Intermediate,
    /// 4yz: not done; the same may succeed later.
    Transient,
    /// 5yz: not done, and it would fail again.
    Permanent,
}

/// An enhanced status code, such as 5.1.1 (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatusCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatusCode {
    /// 2, 4 or 5: the first digit of the reply's code.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// What the status is about: 0 to 999, of which RFC 3463 names 0 to 7.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The precise condition: 0 to 999.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// The code at the front of `text`, if it agrees with `code`, and what follows.
    fn split(code: ReplyCode, text: &[u8]) -> Option<(Self, &[u8])> {
        let (rest, (class, subject, detail)) = parse::status_code(text).ok()?;
        (u16::from(class) == code.0 / 100).then_some((
            Self {
                class,
                subject,
                detail,
            },
            rest,
        ))
    }
}

impl fmt::Display for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Bytes of a reply in its `Display`; enough for what a server has to say, and a bounded line in a log.
const DISPLAY_LIMIT: usize = 1024;

/// What stands for text that was not kept.
pub(crate) const CUT: &str = "…";

#[cfg(test)]
mod tests;
