//! A message of lettre as a [`Mail`].

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use bytes::Bytes;
use lettre::Address;
use lettre::address::Envelope;
use smtp_proto::content::BareLineEnds;
use smtp_proto::{Mail, MailBuilder, MailError};

/// What the caller adds to every message.
#[derive(Clone, Default)]
pub(crate) struct MailOptions(Option<Arc<Change>>);

type Change = dyn Fn(MailBuilder) -> MailBuilder + Send + Sync;

impl MailOptions {
    pub(crate) fn new(change: impl Fn(MailBuilder) -> MailBuilder + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(change)))
    }

    /// Builds the message. Line ends other than CRLF are converted.
    pub(crate) fn build(&self, envelope: &Envelope, message: Bytes) -> Result<Mail, MailError> {
        let sender = envelope.from().map_or(Cow::Borrowed(""), mailbox);
        let builder = Mail::builder()
            .sender(&*sender)
            .recipients(envelope.to().iter().map(mailbox))
            .message(message)
            .bare_line_ends(BareLineEnds::Convert);
        let builder = match &self.0 {
            Some(change) => change(builder),
            None => builder,
        };
        builder.build()
    }
}

impl fmt::Debug for MailOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

/// The address in the syntax of RFC 5321, section 4.1.3: lettre also takes an IPv6 address without
/// its tag or its brackets.
fn mailbox(address: &Address) -> Cow<'_, str> {
    let domain = address.domain();
    let literal = domain
        .strip_prefix('[')
        .and_then(|domain| domain.strip_suffix(']'))
        .unwrap_or(domain);
    match literal.parse::<Ipv6Addr>() {
        Ok(ip) => format!("{}@[IPv6:{ip}]", address.user()).into(),
        Err(_) => Cow::Borrowed(address.as_ref()),
    }
}
