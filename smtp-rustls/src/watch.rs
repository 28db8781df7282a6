//! What a verifier says of the server's certificate, told to the connection that it is about.
//!
//! rustls resumes a session only between connections that have the very same verifier, so all connections of one level of
//! trust share one. A shared verifier does not know for which connection it is asked, and only says yes or no. But
//! rustls asks it within [`ClientConnection::process_new_packets`](rustls::client::ClientConnection), on the same
//! thread: what it says there is kept in that thread until the call is over, and [`watch`] hands it out.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use smtp_proto::{UnverifiedReason, Verification};

use crate::certificate::Certificate;
use crate::names;

/// A verifier that tells those who [watch](watch) what another one says.
#[derive(Debug)]
pub(crate) struct Watched {
    verifier: Arc<dyn ServerCertVerifier>,
    /// Whether a handshake ends that the other one does not agree to.
    enforces: bool,
}

/// What the verifier said in one handshake.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The server's certificates as it sent them, if something is wrong with them.
    chain: Vec<CertificateDer<'static>>,
    /// Why the certificate does not show that the server is the right one.
    certificate: Option<Error>,
    /// Why the signature does not show that the server has the certificate's key.
    signature: Option<Error>,
}

thread_local! {
    /// What was said since the last call of [`watch`] began.
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Does this work, and gives what a [`Watched`] verifier said meanwhile, if it was asked.
pub(crate) fn watch<T>(work: impl FnOnce() -> T) -> (T, Option<Seen>) {
    SEEN.take();
    let done = work();
    (done, SEEN.take())
}

impl Watched {
    /// Ends the handshakes that `verifier` does not agree to.
    pub(crate) fn enforcing(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self {
            verifier,
            enforces: true,
        }
    }

    /// Lets everybody in.
    pub(crate) fn recording(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self {
            verifier,
            enforces: false,
        }
    }

    fn signed(
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
        if self.enforces {
            result
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }
}

impl ServerCertVerifier for Watched {
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
        let mut seen = Seen::default();
        if let Err(error) = &result {
            let chain = [end_entity].into_iter().chain(intermediates);
            seen.chain = chain.map(|each| each.clone().into_owned()).collect();
            seen.certificate = Some(error.clone());
        }
        SEEN.set(Some(seen));
        if self.enforces {
            result
        } else {
            Ok(ServerCertVerified::assertion())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = (self.verifier).verify_tls12_signature(message, certificate, signature);
        self.signed(certificate, result)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = (self.verifier).verify_tls13_signature(message, certificate, signature);
        self.signed(certificate, result)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.verifier.supported_verify_schemes();
        // Where no signature is demanded, one that cannot be checked is better than no TLS. It comes last.
        if !self.enforces && !schemes.contains(&SignatureScheme::ECDSA_NISTP521_SHA512) {
            schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
        }
        schemes
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }
}

impl Seen {
    /// The server's certificates, if something is wrong with them.
    pub(crate) fn chain(&self) -> impl Iterator<Item = Certificate> {
        self.chain.iter().filter_map(|each| Certificate::read(each))
    }

    /// Whether the server has shown that it has the certificate's key.
    pub(crate) fn is_signed(&self) -> bool {
        self.signature.is_none()
    }

    /// What it comes to.
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
            // webpki has no error of its own for a certificate that is an authority and a server at once.
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::unverified::Unverified;

    /// Such as a connection that somebody makes of the same settings on the same thread.
    #[test]
    fn what_was_said_of_another_connection_is_not_heard() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Watched::recording(Arc::new(Unverified::new(provider)));
        let certificate = CertificateDer::from(&include_bytes!("../tests/data/p521.der")[..]);
        let name = ServerName::try_from("localhost").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::ZERO);
        let ask = || verifier.verify_server_cert(&certificate, &[], &name, &[], now);
        ask().unwrap();
        let ((), seen) = watch(|| ());
        assert!(seen.is_none());
        let (_, seen) = watch(ask);
        assert_eq!(seen.unwrap().verification(), Verification::Verified);
    }
}
