//! Key pinning: the server's certificate must have a key that the user named beforehand.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, SupportedCipherSuite};

use crate::verifier::{Review, Reviewed};

/// Requires a pinned key in addition to what another verifier requires.
pub(crate) type Pinned = Reviewed<PinnedKeys>;

/// The keys that are accepted.
#[derive(Debug)]
pub(crate) struct PinnedKeys {
    /// SHA-256 of each SubjectPublicKeyInfo.
    keys: Vec<[u8; 32]>,
    sha256: Sha256,
}

/// The server's key is not pinned.
pub(crate) struct NotPinned;

impl Pinned {
    /// Pins `keys`; `None` if the provider has no SHA-256.
    pub(crate) fn pinning(
        keys: Vec<[u8; 32]>,
        provider: &CryptoProvider,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Option<Self> {
        let hashes = provider.cipher_suites.iter().map(|suite| match suite {
            SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
            SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        });
        let sha256 = hashes
            .into_iter()
            .find(|hash| hash.algorithm() == HashAlgorithm::SHA256)?;
        let sha256 = Sha256(sha256);
        Some(Self::new(verifier, PinnedKeys { keys, sha256 }))
    }
}

impl Review for PinnedKeys {
    fn certificate(
        &self,
        own: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        result: Result<ServerCertVerified, Error>,
    ) -> Result<ServerCertVerified, Error> {
        let verified = result?;
        // The handshake signature proves that the server holds the private key.
        let key = ParsedCertificate::try_from(own)?.subject_public_key_info();
        let hash = self.sha256.0.hash(&key);
        if self.keys.iter().any(|pinned| pinned == hash.as_ref()) {
            Ok(verified)
        } else {
            let error = OtherError(Arc::new(NotPinned));
            Err(CertificateError::Other(error).into())
        }
    }
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's key is not pinned")
    }
}

debug_as_display!(NotPinned);

impl std::error::Error for NotPinned {}

struct Sha256(&'static dyn Hash);

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}
