//! The sources of trust, and the verifier for each.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::error::TlsError;
use crate::unverified::Unverified;

/// What is trusted in addition to the roots that the user adds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust {
    /// The roots of the operating system.
    #[cfg(feature = "platform-verifier")]
    Platform,
    /// The list of Mozilla's roots.
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    /// Nothing.
    Added,
    /// Pinned keys in place of roots.
    Pinned,
    /// Every certificate.
    #[cfg(feature = "dangerous")]
    Anyone,
}

impl Trust {
    /// Whether some certificate is rejected.
    pub(crate) fn verifies_peer(self) -> bool {
        #[cfg(feature = "dangerous")]
        if matches!(self, Self::Anyone) {
            return false;
        }
        true
    }

    /// The verifier of the server's certificate.
    pub(crate) fn verifier(
        self,
        roots: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        match self {
            #[cfg(feature = "platform-verifier")]
            Self::Platform => platform(roots, provider),
            #[cfg(feature = "webpki-roots")]
            Self::Mozilla => webpki(webpki_roots::TLS_SERVER_ROOTS.to_vec(), roots, provider),
            Self::Added => webpki(Vec::new(), roots, provider),
            Self::Pinned => Ok(Arc::new(Unverified::new(Arc::clone(provider)))),
            #[cfg(feature = "dangerous")]
            Self::Anyone => Ok(Arc::new(Unverified::new(Arc::clone(provider)))),
        }
    }
}

#[cfg_attr(
    not(any(feature = "platform-verifier", feature = "webpki-roots")),
    expect(clippy::derivable_impls, reason = "the default depends on features")
)]
impl Default for Trust {
    fn default() -> Self {
        #[cfg(feature = "platform-verifier")]
        return Self::Platform;
        #[cfg(all(feature = "webpki-roots", not(feature = "platform-verifier")))]
        return Self::Mozilla;
        #[cfg(not(any(feature = "webpki-roots", feature = "platform-verifier")))]
        Self::Added
    }
}

fn webpki(
    roots: Vec<TrustAnchor<'static>>,
    added: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let roots = Arc::new(store(roots, added)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        // Cannot fail: there are roots, and no revocation lists that could be malformed.
        .map_err(|error| TlsError::Rustls(rustls::Error::General(error.to_string())))?;
    Ok(verifier)
}

fn store(
    roots: Vec<TrustAnchor<'static>>,
    added: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore { roots };
    for certificate in added {
        store.add(certificate).map_err(TlsError::Root)?;
    }
    if store.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(store)
}

#[cfg(feature = "platform-verifier")]
fn platform(
    roots: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    use rustls_platform_verifier::Verifier;

    // Checked beforehand, so that an invalid root is told from a failure of the platform.
    if !roots.is_empty() {
        store(Vec::new(), roots.clone())?;
    }
    let provider = Arc::clone(provider);
    #[cfg(not(target_os = "android"))]
    let verifier = Verifier::new_with_extra_roots(roots, provider);
    // Android's verifier has no way to add roots: they belong into the system settings.
    #[cfg(target_os = "android")]
    let verifier = if roots.is_empty() {
        Verifier::new(provider)
    } else {
        Err(rustls::Error::General(
            "root certificates cannot be added on Android".into(),
        ))
    };
    Ok(Arc::new(verifier.map_err(TlsError::Platform)?))
}
