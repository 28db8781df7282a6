//! SIZE (RFC 1870): the largest message that a server accepts.

use super::Extension;
use crate::parse;

/// Its parameter follows from the message: see [`Content`](super::Content).
pub(crate) const EXTENSION: Extension = Extension::new(&[]);

/// The maximum size of a message that a server accepts (SIZE; RFC 1870, section 3).
///
/// # Examples
/// ```
/// use smtp_proto::{Capabilities, Reply, SizeLimit};
///
/// let (reply, _) = Reply::parse(b"250-mx.example.net\r\n250 SIZE 0\r\n")?.unwrap();
/// assert_eq!(Capabilities::parse(&reply).size(), Some(SizeLimit::Unlimited));
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeLimit {
    /// There may be a limit: the server advertised no number, or one too large to be true.
    Unknown,
    /// There is no fixed limit.
    Unlimited,
    /// The most bytes of a message, with each CRLF but without dot-stuffing.
    Bytes(u64),
}

/// The argument of the EHLO keyword.
pub(crate) fn parse(arguments: &[u8]) -> Option<SizeLimit> {
    let Some(argument) = parse::ehlo_params(arguments).next() else {
        return Some(SizeLimit::Unknown);
    };
    match parse::size_param(argument).ok()? {
        (_, None) => Some(SizeLimit::Unknown),
        (_, Some(0)) => Some(SizeLimit::Unlimited),
        (_, Some(bytes)) => Some(SizeLimit::Bytes(bytes)),
    }
}
