//! What a TLS connection carries.

use smtp_proto::{Connection, Time, TlsInfo, Wire};

/// A wire inside TLS: an SMTP connection, or the tunnel of a proxy that is reached by TLS.
pub(crate) trait Carried: Wire {
    /// Reports that the handshake is done. `info` describes the TLS connection.
    fn handle_secured(&mut self, now: Time, info: impl FnOnce() -> TlsInfo);

    /// Whether nothing more is to be sent.
    fn is_done(&mut self, now: Time) -> bool;
}

impl Carried for Connection {
    /// Completes the upgrade.
    fn handle_secured(&mut self, now: Time, info: impl FnOnce() -> TlsInfo) {
        if let Ok(upgrade) = self.begin_tls(now) {
            upgrade.complete(now, info());
        }
    }

    fn is_done(&mut self, _: Time) -> bool {
        self.is_closed()
    }
}
