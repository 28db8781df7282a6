//! Whom to trust, and by which cryptography.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{
    ClientConfig, ClientSessionMemoryCache, ClientSessionStore, Resumption, WebPkiServerVerifier,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};

use crate::pinned::Pinned;
use crate::unverified::Unverified;
use crate::watch::Watched;

/// Whom to trust, and by which cryptography: settings that any number of connections share.
///
/// Cheap to clone. Connections that share one can resume each other's TLS sessions, so make one and keep it.
/// TLS does not look at certificates again when it resumes a session. So each level of trust has sessions of its own: what
/// was begun under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic), where whoever answers is let in, is
/// never resumed under a policy that demands TLS, nor the other way round.
///
/// ```
/// # #[cfg(all(feature = "ring", feature = "platform-verifier"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let authority = rcgen::generate_simple_self_signed(Vec::new())?.cert.pem();
/// use smtp_rustls::{Endpoint, TlsConfig};
///
/// let tls = TlsConfig::builder().add_root_pem(authority).build()?;
/// let endpoint = Endpoint::starttls("mail.example.org").tls(tls).build()?;
/// # let _ = endpoint;
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "ring", feature = "platform-verifier")))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct TlsConfig(Arc<Levels>);

/// What is demanded of the server, by policy. Nothing is shared between the two that a session could be resumed with.
struct Levels {
    /// For the policies that demand TLS.
    demanding: Level,
    /// For the policy that takes TLS from whoever answers.
    opportunistic: Level,
}

/// How to do TLS, and what is known of the server then.
pub(crate) struct Level {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) proof: Proof,
}

/// What a handshake that succeeded proves of the server.
pub(crate) enum Proof {
    /// That it is the right one.
    Enforced,
    /// Nothing, and nobody looked.
    NotChecked,
    /// Nothing, but a verifier that lets everybody in says what it thinks.
    Recorded {
        verifier: Arc<Watched>,
        /// Where sessions are kept; those of the configuration come by a gate of the connection's own.
        sessions: Arc<dyn ClientSessionStore>,
    },
}

/// Makes a [`TlsConfig`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct TlsConfigBuilder {
    provider: Option<Arc<CryptoProvider>>,
    trust: Trust,
    roots: Result<Vec<CertificateDer<'static>>, TlsError>,
    keys: Vec<[u8; 32]>,
    client: Option<Result<Client, TlsError>>,
}

/// What the client shows of itself: a chain of certificates, its own first, and the key to that.
type Client = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Why a [`TlsConfig`] cannot be.
#[derive(Clone)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no cryptography: neither the feature `ring` nor `aws-lc-rs` is on, and no provider was given.
    NoProvider,
    /// There is nobody to trust.
    NoRoots,
    /// Only keys that are pinned are to be taken, and there is none.
    NoKeys,
    /// Keys cannot be pinned: the cryptography has no SHA-256.
    NoSha256,
    /// What was given as the PEM text of a root certificate is none.
    Pem(Arc<pem::Error>),
    /// What was given as the PEM text of the client's certificate or key is none.
    ClientPem(Arc<pem::Error>),
    /// The client's key is no key, or not the one to its certificate.
    Client(rustls::Error),
    /// A root certificate is no certificate.
    Root(rustls::Error),
    /// The operating system's verifier cannot be had.
    Platform(rustls::Error),
    /// rustls does not accept the settings.
    Rustls(rustls::Error),
}

/// Whom to trust, beside the roots that the user adds.
#[derive(Clone, Copy, Debug)]
enum Trust {
    #[cfg(feature = "platform-verifier")]
    Platform,
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    Added,
    Pinned,
    #[cfg(feature = "dangerous")]
    Anyone,
}

impl TlsConfig {
    /// Begins settings that trust whom the operating system trusts.
    ///
    /// Without the feature `platform-verifier` it is Mozilla's list, if `webpki-roots` is on; else nobody but the roots
    /// that are added.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder {
            provider: None,
            trust: Trust::default(),
            roots: Ok(Vec::new()),
            keys: Vec::new(),
            client: None,
        }
    }

    /// The settings as rustls knows them, for the policies that demand TLS.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0.demanding.config
    }

    /// Settings that were made by other means, with this verifier in place of theirs.
    ///
    /// The policies that demand TLS end a handshake to which `verifier` does not agree. Under
    /// [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) it is asked too, and what it says stands in
    /// [`TlsInfo::verification`](smtp_proto::TlsInfo::verification); of settings without it, rustls does not tell which
    /// verifier they have, and nobody is asked.
    pub fn with_verifier(mut config: ClientConfig, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let enforcing = Arc::new(Watched::enforcing(Arc::clone(&verifier)));
        config.dangerous().set_certificate_verifier(enforcing);
        Self::new(Proof::Enforced, config, Some(verifier))
    }

    /// What is demanded of the server where TLS is demanded, or where it is not.
    pub(crate) fn level(&self, demanded: bool) -> &Level {
        if demanded {
            &self.0.demanding
        } else {
            &self.0.opportunistic
        }
    }

    /// `verifier` is asked by opportunistic connections what it thinks.
    fn new(
        proof: Proof,
        config: impl Into<Arc<ClientConfig>>,
        verifier: Option<Arc<dyn ServerCertVerifier>>,
    ) -> Self {
        let config = config.into();
        let mut lenient = (*config).clone();
        // By no means the store of the other level; and a user's own settings may have meant to have none.
        lenient.resumption = Resumption::disabled();
        let asked = verifier.is_some();
        let verifier = verifier
            .unwrap_or_else(|| Arc::new(Unverified::new(Arc::clone(config.crypto_provider()))));
        let verifier = Arc::new(Watched::recording(verifier));
        let watched: Arc<dyn ServerCertVerifier> = Arc::clone(&verifier) as _;
        lenient.dangerous().set_certificate_verifier(watched);
        let opportunistic = Level {
            config: Arc::new(lenient),
            proof: if asked {
                Proof::Recorded {
                    verifier,
                    sessions: Arc::new(ClientSessionMemoryCache::new(SESSIONS)),
                }
            } else {
                Proof::NotChecked
            },
        };
        Self(Arc::new(Levels {
            demanding: Level { config, proof },
            opportunistic,
        }))
    }
}

/// Takes settings that were made by other means, such as ones with a verifier of the user's own, as they are.
///
/// Under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) their verifier is not asked, since it is not known, and
/// sessions are not resumed; see [`TlsConfig::with_verifier`].
impl From<Arc<ClientConfig>> for TlsConfig {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::new(Proof::Enforced, config, None)
    }
}

/// Takes settings that were made by other means, such as ones with a verifier of the user's own, as they are.
///
/// Under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) their verifier is not asked, since it is not known, and
/// sessions are not resumed; see [`TlsConfig::with_verifier`].
impl From<ClientConfig> for TlsConfig {
    fn from(config: ClientConfig) -> Self {
        Arc::new(config).into()
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl TlsConfigBuilder {
    /// Trusts this authority too; its certificate is in DER.
    pub fn add_root_der(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        if let Ok(roots) = &mut self.roots {
            roots.push(CertificateDer::from(certificate.into()));
        }
        self
    }

    /// Trusts these authorities too; their certificates are in PEM, at least one.
    pub fn add_root_pem(mut self, certificates: impl AsRef<[u8]>) -> Self {
        if let Ok(roots) = &mut self.roots
            && let Err(error) = parse_pem(certificates.as_ref(), roots)
        {
            self.roots = Err(TlsError::Pem(Arc::new(error)));
        }
        self
    }

    /// Demands that the server has this key, or another that is pinned, beside all else that is demanded of it.
    ///
    /// `sha256` is the hash of the key as it stands in a certificate (SubjectPublicKeyInfo in DER), as in a TLSA record
    /// `3 1 1` (RFC 6698, section 2.1). Pin the next key, too, before the server gets it.
    pub fn pin_key(mut self, sha256: [u8; 32]) -> Self {
        self.keys.push(sha256);
        self
    }

    /// Takes a key that is pinned for all the proof it needs, and no other: authorities, names and dates do not count, as in
    /// RFC 7672, section 3.1.1.
    pub fn trust_pinned_keys_only(mut self) -> Self {
        self.trust = Trust::Pinned;
        self
    }

    /// Shows the server this certificate, if it asks for one, for [`External`](smtp_proto::sasl::External) or for a server that
    /// wants to know its clients. `chain` begins with it, and goes on with the authorities between it and a root.
    pub fn client_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.client = Some(Ok((chain, key)));
        self
    }

    /// The same of PEM texts, which may be the same text.
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

    /// Trusts the authorities that are added, and nobody else.
    pub fn no_default_roots(mut self) -> Self {
        self.trust = Trust::Added;
        self
    }

    /// Trusts Mozilla's list as it is compiled in, whatever the operating system trusts.
    #[cfg(feature = "webpki-roots")]
    pub fn webpki_roots(mut self) -> Self {
        self.trust = Trust::Mozilla;
        self
    }

    /// Takes whatever certificate the server has, for whatever name: **anybody on the path can read all and pretend to be
    /// the server.**
    ///
    /// For experiments on one's own machine; a private server is better served by [`add_root_pem`](Self::add_root_pem).
    #[cfg(feature = "dangerous")]
    pub fn dangerous_no_verification(mut self) -> Self {
        self.trust = Trust::Anyone;
        self
    }

    /// Uses this cryptography; by default aws-lc-rs or ring, whose feature is on.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The settings: TLS 1.2 and 1.3, and an own store of sessions to resume.
    ///
    /// # Errors
    /// If there is no cryptography or nobody to trust, or a certificate or key is none.
    pub fn build(self) -> Result<TlsConfig, TlsError> {
        let verifies = self.trust.verifies_peer() || !self.keys.is_empty();
        let provider = self.provider.map_or_else(default_provider, Ok)?;
        let mut verifier = self.trust.verifier(self.roots?, &provider)?;
        if !self.keys.is_empty() {
            let pinned = Pinned::new(self.keys, &provider, verifier).ok_or(TlsError::NoSha256)?;
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
            TlsConfig::new(Proof::Enforced, config, Some(verifier))
        } else {
            TlsConfig::new(Proof::NotChecked, config, None)
        })
    }
}

impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("trust", &self.trust)
            .field("roots", &self.roots.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

impl Trust {
    /// Whether there is anybody whom it does not trust.
    fn verifies_peer(self) -> bool {
        #[cfg(feature = "dangerous")]
        if matches!(self, Self::Anyone) {
            return false;
        }
        true
    }

    /// Who looks at the server's certificate.
    fn verifier(
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

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProvider => f.write_str(
                "no cryptography: turn on the feature `ring` or `aws-lc-rs` of smtp-rustls, or bring a `ClientConfig`",
            ),
            Self::NoRoots => f.write_str(
                "nobody to trust: add a root certificate, or turn on the feature `platform-verifier` or `webpki-roots`",
            ),
            Self::NoKeys => f.write_str("no key is pinned, and no other is to be taken: pin one"),
            Self::NoSha256 => f.write_str("keys cannot be pinned: the cryptography has no SHA-256"),
            Self::Pem(_) => f.write_str("a root certificate is not in PEM"),
            Self::ClientPem(_) => f.write_str("the client's certificate or key is not in PEM"),
            Self::Client(_) => f.write_str("invalid client certificate or key"),
            Self::Root(_) => f.write_str("invalid root certificate"),
            Self::Platform(_) => f.write_str("no verifier of the operating system"),
            Self::Rustls(_) => f.write_str("invalid TLS settings"),
        }?;
        match std::error::Error::source(self) {
            Some(error) if f.alternate() => write!(f, ": {error}"),
            _ => Ok(()),
        }
    }
}

debug_as_display!(TlsError);

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoProvider | Self::NoRoots | Self::NoKeys | Self::NoSha256 => None,
            Self::Pem(error) | Self::ClientPem(error) => Some(&**error),
            Self::Client(error)
            | Self::Root(error)
            | Self::Platform(error)
            | Self::Rustls(error) => Some(error),
        }
    }
}

/// The cryptography whose feature is on; the process-wide default of rustls plays no part.
pub(crate) fn default_provider() -> Result<Arc<CryptoProvider>, TlsError> {
    #[cfg(feature = "aws-lc-rs")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    Err(TlsError::NoProvider)
}

fn parse_pem(text: &[u8], roots: &mut Vec<CertificateDer<'static>>) -> Result<(), pem::Error> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(text) {
        roots.push(certificate?);
    }
    if roots.len() == before {
        return Err(pem::Error::NoItemsFound);
    }
    Ok(())
}

fn webpki(
    roots: Vec<TrustAnchor<'static>>,
    added: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let roots = Arc::new(store(roots, added)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        // There are roots, and no lists of revoked certificates that could be malformed.
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

    // Beforehand, so that a fault of one is told from a fault of the platform.
    if !roots.is_empty() {
        store(Vec::new(), roots.clone())?;
    }
    let provider = Arc::clone(provider);
    #[cfg(not(target_os = "android"))]
    let verifier = Verifier::new_with_extra_roots(roots, provider);
    // Android's verifier takes no other roots: its system settings are the place for them.
    #[cfg(target_os = "android")]
    let verifier = if roots.is_empty() {
        Verifier::new(provider)
    } else {
        Err(rustls::Error::General(
            "it takes no further roots on Android".into(),
        ))
    };
    Ok(Arc::new(verifier.map_err(TlsError::Platform)?))
}

/// How many sessions are kept for opportunistic connections: as many as rustls keeps by default.
const SESSIONS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_settings_come_about_without_cryptography_or_without_trust() {
        let built = TlsConfig::builder().no_default_roots().build();
        if cfg!(any(feature = "ring", feature = "aws-lc-rs")) {
            assert!(matches!(built, Err(TlsError::NoRoots)));
        } else {
            assert!(matches!(built, Err(TlsError::NoProvider)));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let given = TlsConfig::builder().provider(provider).no_default_roots();
        assert!(matches!(given.build(), Err(TlsError::NoRoots)));
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_reported() {
        let text = "-----BEGIN CERTIFICATE-----\nAA\n";
        let builder = TlsConfig::builder()
            .add_root_pem(text)
            .add_root_der([])
            .add_root_pem("");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let error = builder.provider(provider).build().unwrap_err();
        assert!(matches!(error, TlsError::Pem(_)));
        assert!(error.to_string().contains("PEM"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}
