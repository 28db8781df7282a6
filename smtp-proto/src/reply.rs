//! Replies: a code that is valid by construction, and its text.

mod escape;

use alloc::sync::Arc;
use core::fmt;

use crate::parse;

pub(crate) use escape::{Escaped, Escaping};

/// A server's reply: a code and the text of one or more lines.
///
/// A clone shares the text. `Display` prints it on one line of at most 1 KiB, or as many bytes as
/// the precision of the format says, and escapes everything that could affect a terminal or a log.
/// [`lines`](Self::lines) returns the bytes as received.
///
/// # Examples
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
    /// The three-digit code.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code at the start of the first line (RFC 2034).
    ///
    /// `None` if the class is not the first digit of the code, the form is not that of RFC 3463, or
    /// the code is 3yz.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Reply;
    ///
    /// let (reply, _) = Reply::parse(b"250 2.1.5 Recipient ok\r\n")?.unwrap();
    /// let enhanced = reply.enhanced().unwrap();
    /// assert_eq!((enhanced.class(), enhanced.subject(), enhanced.detail()), (2, 1, 5));
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    pub fn enhanced(&self) -> Option<EnhancedStatusCode> {
        self.as_ref().enhanced()
    }

    /// The text of each line as received, without code, separator and line end. There is at least
    /// one line.
    ///
    /// An enhanced status code is part of the text. The text may be empty, and need not be UTF-8. A
    /// truncated line ends with `…` in UTF-8.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Reply;
    ///
    /// let (reply, _) = Reply::parse(b"250-mx.example.net\r\n250 PIPELINING\r\n")?.unwrap();
    /// let lines: Vec<_> = reply.lines().collect();
    /// assert_eq!(lines, [&b"mx.example.net"[..], b"PIPELINING"]);
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.as_ref().lines()
    }

    /// Whether lines were cut or left out because of the [`ReplyLimits`](crate::ReplyLimits).
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether the code is 2yz: the command was completed.
    pub fn is_completion(&self) -> bool {
        self.code.severity() == Severity::Completion
    }

    /// Whether the code is 4yz: the command failed, and may succeed later.
    pub fn is_transient(&self) -> bool {
        self.code.severity() == Severity::Transient
    }

    /// Whether the code is 5yz: the command failed permanently.
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

    /// The kept bytes of the reply as received, shared.
    pub(crate) fn raw(&self) -> &Arc<[u8]> {
        &self.raw
    }
}

/// Two replies are equal if their codes and the text of their lines are equal. Line ends do not
/// count.
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

/// A reply that borrows from the input; see [`Reply`].
#[derive(Clone, Copy)]
pub(crate) struct ReplyRef<'a> {
    code: ReplyCode,
    /// Complete lines, at least one, all with this code.
    raw: &'a [u8],
    truncated: bool,
}

impl<'a> ReplyRef<'a> {
    /// `raw` holds the lines of one reply that [`ReplyReader`](crate::reply_reader::ReplyReader)
    /// checked, or what is kept of them.
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
            // Print the same enhanced status code only once.
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

/// A reply code (RFC 5321, section 4.2.1).
///
/// The first digit is always 2, 3, 4 or 5. Codes compare with numbers.
///
/// # Examples
/// ```
/// use smtp_proto::{ReplyCode, Severity};
///
/// let code = ReplyCode::new(421).unwrap();
/// assert!(code == 421);
/// assert_eq!(code.severity(), Severity::Transient);
/// assert_eq!(ReplyCode::new(600), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// Creates a code from 200 to 599. `None` for any other number.
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

    /// The meaning of the first digit.
    pub const fn severity(self) -> Severity {
        match self.0 {
            ..=299 => Severity::Completion,
            300..=399 => Severity::Intermediate,
            400..=499 => Severity::Transient,
            500.. => Severity::Permanent,
        }
    }

    /// Whether the code completes a command that has no code of its own. Any 2yz does, except the
    /// codes with another meaning.
    pub(crate) const fn completes(self) -> bool {
        matches!(self.severity(), Severity::Completion)
            && !matches!(self.0, 211 | 214 | 220 | 221 | 235)
    }

    /// Whether the code is 4yz or 5yz.
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
    /// 2yz: completed.
    Completion,
    /// 3yz: the command waits for more from the client.
    Intermediate,
    /// 4yz: failed; the same command may succeed later.
    Transient,
    /// 5yz: failed permanently.
    Permanent,
}

/// An enhanced status code such as 5.1.1 (RFC 3463).
///
/// # Examples
/// ```
/// use smtp_proto::Reply;
///
/// let (reply, _) = Reply::parse(b"452 4.2.2 Mailbox full\r\n")?.unwrap();
/// let status = reply.enhanced().unwrap();
/// assert_eq!(status.to_string(), "4.2.2");
/// assert_eq!(status.subject(), 2); // the mailbox
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatusCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatusCode {
    /// The class: 2, 4 or 5, as the first digit of the reply code.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The subject: 0 to 999. RFC 3463 defines 0 to 7.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The detail: 0 to 999.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// The code at the start of `text` if its class agrees with `code`, and the text after it.
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

/// The maximum length of a reply in `Display`: room for what servers write, in a log line of
/// bounded length.
const DISPLAY_LIMIT: usize = 1024;

/// Marks the place of text that was not kept.
pub(crate) const CUT: &str = "…";

#[cfg(test)]
mod tests;
