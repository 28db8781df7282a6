use super::capabilities::Capabilities;
use crate::TlsInfo;

/// What is known of the client, and what was advertised to it.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// The TLS connection, once it is established.
    pub(super) tls: Option<TlsInfo>,
    /// Whether EHLO or HELO was accepted: since the beginning, the begin of TLS, or XCLIENT.
    pub(super) greeted: bool,
    pub(super) capabilities: Capabilities,
    /// MAIL commands so far.
    pub(super) mails: usize,
    /// The user as which it is authenticated.
    pub(super) user: Option<String>,
}

impl Client {
    /// The client at the begin of TLS: nothing from before counts, except the number of its messages.
    pub(super) fn over_tls(&self, tls: TlsInfo) -> Self {
        Self {
            tls: Some(tls),
            mails: self.mails,
            ..Self::default()
        }
    }

    pub(super) fn is_in_tls(&self) -> bool {
        self.tls.is_some()
    }
}
