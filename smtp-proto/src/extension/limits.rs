//! LIMITS (RFC 9422): transactions in a session, recipients and domains in a transaction.

use core::num::NonZeroU32;

use super::Extension;
use crate::parse;

pub(crate) const EXTENSION: Extension = Extension::new(&[]);

/// Limits of a server for a session and a transaction (RFC 9422). `None`: it names no such limit.
///
/// # Examples
/// ```
/// use smtp_proto::{Capabilities, Reply};
///
/// let (reply, _) = Reply::parse(b"250-mx.example.net\r\n250 LIMITS MAILMAX=50\r\n")?.unwrap();
/// let limits = Capabilities::parse(&reply).limits();
/// assert_eq!(limits.mail_max().map(|max| max.get()), Some(50));
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLimits {
    mail_max: Option<NonZeroU32>,
    rcpt_max: Option<NonZeroU32>,
    rcpt_domain_max: Option<NonZeroU32>,
}

impl ServerLimits {
    /// MAILMAX: transactions in a session.
    pub fn mail_max(&self) -> Option<NonZeroU32> {
        self.mail_max
    }

    /// RCPTMAX: recipients in a transaction.
    pub fn rcpt_max(&self) -> Option<NonZeroU32> {
        self.rcpt_max
    }

    /// RCPTDOMAINMAX: different recipient domains in a transaction.
    pub fn rcpt_domain_max(&self) -> Option<NonZeroU32> {
        self.rcpt_domain_max
    }
}

/// The arguments of the EHLO keyword; invalid ones are ignored.
pub(crate) fn parse(arguments: &[u8]) -> ServerLimits {
    let mut limits = ServerLimits::default();
    let pairs = parse::ehlo_params(arguments);
    for (name, value) in pairs.filter_map(|pair| Some(parse::limit_name_value(pair).ok()?.1)) {
        let known = [
            ("MAILMAX", &mut limits.mail_max),
            ("RCPTMAX", &mut limits.rcpt_max),
            ("RCPTDOMAINMAX", &mut limits.rcpt_domain_max),
        ];
        if let Some((_, limit)) = known
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            *limit = limit.or_else(|| number(value?));
        }
    }
    limits
}

/// RFC 9422, section 4: a number of at most six digits, not 0. More digits do no harm.
fn number(value: &[u8]) -> Option<NonZeroU32> {
    let (_, number) = parse::size_param(value).ok()?;
    NonZeroU32::new(u32::try_from(number?).ok()?)
}
