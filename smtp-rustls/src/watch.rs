//! Records what a verifier finds wrong with the server's certificate, for the connection concerned.
//!
//! rustls resumes a session only between connections that share one verifier, so all connections of
//! one level of trust do. A shared verifier does not know which connection asks, and its answer is
//! only yes or no. But rustls asks it during `ClientConnection::process_new_packets`, on the same
//! thread. The findings are therefore kept in a thread-local until that call returns, and [`watch`]
//! takes them from there.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, SignatureScheme};
use smtp_proto::{UnverifiedReason, Verification};

use crate::certificate::Certificate;
use crate::names;
use crate::verifier::{Review, Reviewed};

/// A verifier whose findings [`watch`] returns.
pub(crate) type Watched = Reviewed<Mode>;

/// What follows when the watched verifier rejects a certificate or a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The handshake fails.
    Enforcing,
    /// Nothing but the record of it: the handshake succeeds.
    Recording,
}

/// What the verifier found in one handshake.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The server's certificates as it sent them, if something is wrong with them.
    chain: Vec<CertificateDer<'static>>,
    /// Why the certificate does not identify the server.
    certificate: Option<Error>,
    /// Why the signature does not prove that the server holds the private key.
    signature: Option<Error>,
}

thread_local! {
    /// The findings since the last call of [`watch`] began.
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Runs `work`, and returns what a [`Watched`] verifier found meanwhile, if it was asked.
pub(crate) fn watch<T>(work: impl FnOnce() -> T) -> (T, Option<Seen>) {
    SEEN.take();
    let done = work();
    (done, SEEN.take())
}

impl Watched {
    /// Handshakes that `verifier` rejects fail.
    pub(crate) fn enforcing(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self::new(verifier, Mode::Enforcing)
    }

    /// Every handshake succeeds; what `verifier` finds is recorded only.
    pub(crate) fn recording(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self::new(verifier, Mode::Recording)
    }
}

impl Review for Mode {
    fn certificate(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        result: Result<ServerCertVerified, Error>,
    ) -> Result<ServerCertVerified, Error> {
        let mut seen = Seen::default();
        if let Err(error) = &result {
            let chain = [own].into_iter().chain(intermediates);
            seen.chain = chain.map(|each| each.clone().into_owned()).collect();
            seen.certificate = Some(error.clone());
        }
        SEEN.set(Some(seen));
        match self {
            Self::Enforcing => result,
            Self::Recording => Ok(ServerCertVerified::assertion()),
        }
    }

    fn signature(
        &self,
        certificate: &CertificateDer<'_>,
        result: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if let Err(error) = &result {
            SEEN.with_borrow_mut(|seen| {
                let seen = seen.get_or_insert_default();
                if seen.chain.is_empty() {
                    seen.chain.push(certificate.clone().into_owned());
                }
                seen.signature = Some(error.clone());
            });
        }
        match self {
            Self::Enforcing => result,
            Self::Recording => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn schemes(&self, mut schemes: Vec<SignatureScheme>) -> Vec<SignatureScheme> {
        // Where no valid signature is required, one that cannot be checked is better than no TLS.
        // It comes last, as the least preferred.
        let unchecked = SignatureScheme::ECDSA_NISTP521_SHA512;
        if *self == Self::Recording && !schemes.contains(&unchecked) {
            schemes.push(unchecked);
        }
        schemes
    }
}

impl Seen {
    /// The server's certificates, if something is wrong with them.
    pub(crate) fn chain(&self) -> impl Iterator<Item = Certificate> {
        self.chain.iter().filter_map(|each| Certificate::read(each))
    }

    /// Whether the server has proven that it holds the private key.
    pub(crate) fn is_signed(&self) -> bool {
        self.signature.is_none()
    }

    /// The findings as a [`TlsInfo`](smtp_proto::TlsInfo) reports them.
    pub(crate) fn verification(&self) -> Verification {
        let Some(error) = self.certificate.as_ref().or(self.signature.as_ref()) else {
            return Verification::Verified;
        };
        Verification::Unverified(match error {
            Error::InvalidCertificate(fault) => self.reason(fault),
            other => UnverifiedReason::Other(names::bounded(other.clone()).to_string()),
        })
    }

    fn reason(&self, fault: &CertificateError) -> UnverifiedReason {
        use CertificateError as C;
        let own = self.chain().next();
        let is_self_signed = own.is_some_and(|own| own.is_self_signed && !own.is_version_1);
        match fault {
            C::Expired | C::ExpiredContext { .. } => UnverifiedReason::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => UnverifiedReason::NotYetValid,
            C::NotValidForName => UnverifiedReason::OtherName { names: Vec::new() },
            C::NotValidForNameContext { presented, .. } => UnverifiedReason::OtherName {
                names: presented.iter().map(|name| names::plain(name)).collect(),
            },
            // webpki has no error of its own for a CA certificate that a server presents as its
            // own.
            C::UnknownIssuer | C::Other(_) if is_self_signed => UnverifiedReason::SelfSigned,
            C::UnknownIssuer => UnverifiedReason::UnknownIssuer,
            C::BadSignature => UnverifiedReason::BadSignature,
            other => {
                let error = names::bounded(other.clone().into());
                UnverifiedReason::Other(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests;
