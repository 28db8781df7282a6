//! A verifier that wants to know the server's key beforehand.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    SupportedCipherSuite,
};

/// Takes a certificate that another verifier takes, if its key is one of these.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// SHA-256 of each SubjectPublicKeyInfo.
    keys: Vec<[u8; 32]>,
    sha256: Sha256,
    verifier: Arc<dyn ServerCertVerifier>,
}

/// That the server's key is none of those that were pinned.
pub(crate) struct NotPinned;

impl Pinned {
    /// `None` if the provider has no SHA-256.
    pub(crate) fn new(
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
        Some(Self {
            keys,
            sha256: Sha256(sha256),
            verifier,
        })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        // That the server has the key to it is proven by the signatures below.
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let hash = self.sha256.0.hash(&key);
        if self.keys.iter().any(|pinned| pinned == hash.as_ref()) {
            Ok(verified)
        } else {
            let error = OtherError(Arc::new(NotPinned));
            Err(CertificateError::Other(error).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's key is none of those that were pinned")
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
