//! The builder of a [`TlsConfig`].

use std::fmt;
use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;
use super::trust::Trust;
use super::{Proof, TlsConfig, default_provider};
use crate::pinned::Pinned;
use crate::watch::Watched;

/// Builds a [`TlsConfig`].
///
/// By default, the authorities of the operating system are trusted. A private authority is added,
/// or replaces them:
///
/// ```
/// use smtp_rustls::TlsConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let authority = rcgen::generate_simple_self_signed(Vec::new())?.cert.pem();
/// let tls = TlsConfig::builder()
///     .no_default_roots()
///     .add_root_pem(authority)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct TlsConfigBuilder {
    provider: Option<Arc<CryptoProvider>>,
    trust: Trust,
    roots: Result<Vec<CertificateDer<'static>>, TlsError>,
    keys: Vec<[u8; 32]>,
    client: Option<Result<Client, TlsError>>,
}

/// The client's certificate chain, its own certificate first, and the private key.
type Client = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl TlsConfig {
    /// Begins a configuration that trusts the authorities of the operating system.
    ///
    /// Without the feature `platform-verifier`, Mozilla's list is trusted if `webpki-roots` is on,
    /// and otherwise only the roots that are added.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder {
            provider: None,
            trust: Trust::default(),
            roots: Ok(Vec::new()),
            keys: Vec::new(),
            client: None,
        }
    }
}

impl TlsConfigBuilder {
    /// Also trusts this authority, whose certificate is in DER.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let authority = rcgen::generate_simple_self_signed(Vec::new())?.cert.der().to_vec();
    /// use smtp_rustls::TlsConfig;
    ///
    /// let tls = TlsConfig::builder().add_root_der(authority).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_root_der(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        if let Ok(roots) = &mut self.roots {
            roots.push(CertificateDer::from(certificate.into()));
        }
        self
    }

    /// Also trusts these authorities. The PEM text has at least one certificate; other items in it
    /// are ignored.
    ///
    /// ```no_run
    /// use smtp_rustls::TlsConfig;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = TlsConfig::builder()
    ///     .add_root_pem(std::fs::read("/etc/ssl/private-authority.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_root_pem(mut self, certificates: impl AsRef<[u8]>) -> Self {
        if let Ok(roots) = &mut self.roots
            && let Err(error) = parse_pem(certificates.as_ref(), roots)
        {
            self.roots = Err(TlsError::Pem(Arc::new(error)));
        }
        self
    }

    /// Requires that the server has this key or another pinned one, in addition to a valid
    /// certificate.
    ///
    /// `sha256` is the hash of the SubjectPublicKeyInfo in DER, as in a TLSA record `3 1 1` (RFC
    /// 6698, section 2.1). Pin the next key as well before the server changes to it.
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::TlsError> {
    /// use smtp_rustls::TlsConfig;
    ///
    /// let (current, next) = ([0x3a; 32], [0xc5; 32]);
    /// let tls = TlsConfig::builder().pin_key(current).pin_key(next).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pin_key(mut self, sha256: [u8; 32]) -> Self {
        self.keys.push(sha256);
        self
    }

    /// Trusts [pinned keys](Self::pin_key) only, whatever else the certificate says: authorities,
    /// names and validity dates are ignored (RFC 7672, section 3.1.1).
    ///
    /// ```
    /// use smtp_rustls::{TlsConfig, TlsError};
    ///
    /// let only_pinned = || TlsConfig::builder().trust_pinned_keys_only();
    /// assert!(only_pinned().pin_key([0x3a; 32]).build().is_ok());
    /// assert!(matches!(only_pinned().build(), Err(TlsError::NoKeys)));
    /// ```
    pub fn trust_pinned_keys_only(mut self) -> Self {
        self.trust = Trust::Pinned;
        self
    }

    /// Presents this certificate to a server that requests one, with or without the mechanism
    /// [`External`](smtp_proto::sasl::External).
    ///
    /// `chain` begins with the client's certificate. The certificates of the authorities between it
    /// and a root follow.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = rcgen::generate_simple_self_signed(["client.example.org".to_owned()])?;
    /// # let (certificate, key) = (client.cert.der().clone(), client.signing_key.serialize_der());
    /// use smtp_rustls::TlsConfig;
    /// use smtp_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
    ///
    /// let key = PrivatePkcs8KeyDer::from(key);
    /// let tls = TlsConfig::builder()
    ///     .client_certificate(vec![certificate], key.into())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.client = Some(Ok((chain, key)));
        self
    }

    /// The same as [`client_certificate`](Self::client_certificate), from PEM. One text may hold both
    /// the chain and the key; pass it twice.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = rcgen::generate_simple_self_signed(["client.example.org".to_owned()])?;
    /// # let (chain, key) = (client.cert.pem(), client.signing_key.serialize_pem());
    /// use std::sync::Arc;
    /// use smtp_proto::{Credentials, sasl::External};
    /// use smtp_rustls::{Endpoint, TlsConfig};
    ///
    /// let tls = TlsConfig::builder().client_certificate_pem(chain, key).build()?;
    /// let endpoint = Endpoint::starttls("mail.example.org")
    ///     .tls(tls)
    ///     .credentials(Credentials::from_mechanisms(vec![Arc::new(External::new())]))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_certificate_pem(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        let mut certificates = Vec::new();
        let client = parse_pem(chain.as_ref(), &mut certificates)
            .and_then(|()| PrivateKeyDer::from_pem_slice(key.as_ref()))
            .map(|key| (certificates, key))
            .map_err(|error| TlsError::ClientPem(Arc::new(error)));
        self.client = Some(client);
        self
    }

    /// Trusts only the authorities that are added.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let authority = rcgen::generate_simple_self_signed(Vec::new())?.cert.pem();
    /// use smtp_rustls::{TlsConfig, TlsError};
    ///
    /// let private = || TlsConfig::builder().no_default_roots();
    /// assert!(private().add_root_pem(authority).build().is_ok());
    /// assert!(matches!(private().build(), Err(TlsError::NoRoots)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_default_roots(mut self) -> Self {
        self.trust = Trust::Added;
        self
    }

    /// Trusts Mozilla's list, which is compiled in, in place of the authorities of the operating
    /// system.
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::TlsError> {
    /// use smtp_rustls::TlsConfig;
    ///
    /// let tls = TlsConfig::builder().webpki_roots().build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "webpki-roots")]
    pub fn webpki_roots(mut self) -> Self {
        self.trust = Trust::Mozilla;
        self
    }

    /// Accepts every certificate, for every name: **anyone on the path can read everything and
    /// pretend to be the server.**
    ///
    /// For experiments on one's own machine. For a private server, add its authority by
    /// [`add_root_pem`](Self::add_root_pem), or pin its key.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp_rustls::{Endpoint, TlsConfig};
    ///
    /// let tls = TlsConfig::builder().dangerous_no_verification().build()?;
    /// let endpoint = Endpoint::starttls("localhost").tls(tls).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "dangerous")]
    pub fn dangerous_no_verification(mut self) -> Self {
        self.trust = Trust::Anyone;
        self
    }

    /// Sets the crypto provider; by default aws-lc-rs or ring, by the feature that is on.
    ///
    /// The process-wide provider of rustls is neither used nor set.
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::TlsError> {
    /// use std::sync::Arc;
    /// use smtp_rustls::TlsConfig;
    /// use smtp_rustls::rustls::crypto::ring;
    ///
    /// let provider = Arc::new(ring::default_provider());
    /// let tls = TlsConfig::builder().provider(provider).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Builds the configuration: TLS 1.2 and 1.3, with its own cache of sessions to resume.
    ///
    /// # Errors
    /// If there is no crypto provider or nothing is trusted, or if a certificate or key is invalid.
    pub fn build(self) -> Result<TlsConfig, TlsError> {
        let verifies = self.trust.verifies_peer() || !self.keys.is_empty();
        let provider = self.provider.map_or_else(default_provider, Ok)?;
        let mut verifier = self.trust.verifier(self.roots?, &provider)?;
        if !self.keys.is_empty() {
            let pinned = Pinned::pinning(self.keys.clone(), &provider, verifier)
                .ok_or(TlsError::NoSha256)?;
            verifier = Arc::new(pinned);
        } else if matches!(self.trust, Trust::Pinned) {
            return Err(TlsError::NoKeys);
        }
        let enforcing = Arc::new(Watched::enforcing(Arc::clone(&verifier)));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Rustls)?
            .dangerous()
            .with_custom_certificate_verifier(enforcing);
        let config = match self.client.transpose()? {
            Some((chain, key)) => config
                .with_client_auth_cert(chain, key)
                .map_err(TlsError::Client)?,
            None => config.with_no_client_auth(),
        };
        Ok(if verifies {
            TlsConfig::new(Proof::Enforced, config, Some(verifier), self.keys)
        } else {
            TlsConfig::new(Proof::NotChecked, config, None, self.keys)
        })
    }
}

impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigBuilder")
            .field("trust", &self.trust)
            .field("roots", &self.roots.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Appends the certificates of a PEM text, of which there must be at least one.
fn parse_pem(
    text: &[u8],
    certificates: &mut Vec<CertificateDer<'static>>,
) -> Result<(), pem::Error> {
    let before = certificates.len();
    for certificate in CertificateDer::pem_slice_iter(text) {
        certificates.push(certificate?);
    }
    if certificates.len() == before {
        return Err(pem::Error::NoItemsFound);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
