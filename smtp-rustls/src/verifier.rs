//! One certificate verifier around another: the only place that hands on the methods of
//! [`ServerCertVerifier`].

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// A verifier that asks another one, and returns what a [`Review`] makes of the result.
#[derive(Debug)]
pub(crate) struct Reviewed<R> {
    verifier: Arc<dyn ServerCertVerifier>,
    review: R,
}

/// What to make of the results of another verifier. Signatures and schemes are returned unchanged
/// by default.
pub(crate) trait Review: fmt::Debug + Send + Sync {
    /// Reviews the result for a certificate chain, which begins with the server's own certificate.
    fn certificate(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        result: Result<ServerCertVerified, Error>,
    ) -> Result<ServerCertVerified, Error>;

    /// Reviews the result for a handshake signature, made with the key of `certificate`.
    fn signature(
        &self,
        _certificate: &CertificateDer<'_>,
        result: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        result
    }

    /// Reviews the signature schemes that the client advertises, the preferred one first.
    fn schemes(&self, schemes: Vec<SignatureScheme>) -> Vec<SignatureScheme> {
        schemes
    }
}

impl<R> Reviewed<R> {
    pub(crate) fn new(verifier: Arc<dyn ServerCertVerifier>, review: R) -> Self {
        Self { verifier, review }
    }
}

impl<R: Review> ServerCertVerifier for Reviewed<R> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        self.review.certificate(end_entity, intermediates, result)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = (self.verifier).verify_tls12_signature(message, certificate, signature);
        self.review.signature(certificate, result)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = (self.verifier).verify_tls13_signature(message, certificate, signature);
        self.review.signature(certificate, result)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.review
            .schemes(self.verifier.supported_verify_schemes())
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }
}
