//! Whether the peer of a TLS connection is verified.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind};
use smtp_proto::{UnverifiedReason, Verification};

use crate::gate::Gate;
use crate::tls::{Level, Proof};
use crate::watch::{Seen, Watched, watch};

/// Decides whether the peer of one TLS connection is verified.
pub(super) struct PeerCheck {
    source: Source,
    /// The verifier's findings in this handshake, if it was asked.
    seen: Option<Seen>,
}

/// What the decision is based on.
enum Source {
    /// The handshake, which fails if the peer does not verify.
    Handshake,
    /// Nothing: the peer is never verified.
    Nothing,
    /// The verifier's findings. In a resumed session it is asked again, about the certificates of
    /// the first handshake.
    Verifier {
        verifier: Arc<Watched>,
        name: ServerName<'static>,
        gate: Arc<Gate>,
    },
}

impl PeerCheck {
    /// The check for a connection at this level of trust, and the configuration for its handshake.
    pub(super) fn new(level: &Level, name: &ServerName<'static>) -> (Self, Arc<ClientConfig>) {
        let mut config = Arc::clone(&level.config);
        let source = match &level.proof {
            Proof::Enforced => Source::Handshake,
            Proof::NotChecked => Source::Nothing,
            Proof::Recorded { verifier, sessions } => {
                let gate = Arc::new(Gate::new(Arc::clone(sessions)));
                let mut own = (*config).clone();
                own.resumption = Resumption::store(Arc::clone(&gate) as _);
                config = Arc::new(own);
                Source::Verifier {
                    verifier: Arc::clone(verifier),
                    name: name.clone(),
                    gate,
                }
            }
        };
        (Self { source, seen: None }, config)
    }

    /// Runs `work`, in which rustls may ask the verifier, and keeps the findings.
    ///
    /// The session is cached only if the server has proven that it holds the private key.
    pub(super) fn watch<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (done, seen) = watch(work);
        if let Some(seen) = seen {
            if let Source::Verifier { gate, .. } = &self.source
                && seen.is_signed()
            {
                gate.open();
            }
            self.seen = Some(seen);
        }
        done
    }

    /// The verifier's findings in this handshake, if it was asked.
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Whether the peer is verified, once the handshake is done. Drops the findings.
    pub(super) fn finish(
        &mut self,
        rustls: &ClientConnection,
        config: &ClientConfig,
    ) -> Verification {
        let seen = self.seen.take();
        match &self.source {
            Source::Handshake => Verification::Verified,
            Source::Nothing => NOT_CHECKED,
            Source::Verifier {
                verifier,
                name,
                gate,
            } if rustls.handshake_kind() == Some(HandshakeKind::Resumed) => {
                // Only a server that has proven its key can resume a session that the gate let in.
                gate.open();
                let now = config.time_provider.current_time();
                let (Some([own, others @ ..]), Some(now)) = (rustls.peer_certificates(), now)
                else {
                    return NOT_CHECKED;
                };
                let (_, seen) = watch(|| verifier.verify_server_cert(own, others, name, &[], now));
                seen.as_ref().map_or(NOT_CHECKED, Seen::verification)
            }
            Source::Verifier { .. } => seen.as_ref().map_or(NOT_CHECKED, Seen::verification),
        }
    }
}

/// The result where no verifier was asked.
const NOT_CHECKED: Verification = Verification::Unverified(UnverifiedReason::NotChecked);
