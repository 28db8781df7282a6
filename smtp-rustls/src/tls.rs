//! The TLS configuration: which servers are trusted, and which crypto provider is used.

mod builder;
mod error;
mod trust;

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::crypto::CryptoProvider;

use crate::unverified::Unverified;
use crate::watch::Watched;

pub use self::builder::TlsConfigBuilder;
pub use self::error::TlsError;

/// Which servers are trusted, and which crypto provider is used, for any number of connections.
///
/// Cheap to clone. Connections that share a `TlsConfig` can resume each other's TLS sessions, so
/// build one and keep it. Certificates are not verified again when a TLS session is resumed, so
/// each level of trust has sessions of its own. A session that began under
/// [`Security::Opportunistic`](smtp_proto::Security::Opportunistic), where no certificate is
/// rejected, is never resumed under a [`Security`](smtp_proto::Security) that requires TLS, and
/// vice versa.
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

/// The two levels of trust. They share nothing by which a session could be resumed.
struct Levels {
    /// TLS is required: a certificate that does not verify is an error.
    required: Level,
    /// TLS is opportunistic: no certificate is an error.
    opportunistic: Level,
    /// SHA-256 of the SubjectPublicKeyInfo of each pinned key.
    pinned_keys: Vec<[u8; 32]>,
}

/// The rustls configuration of a level of trust, and what its handshakes prove.
pub(crate) struct Level {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) proof: Proof,
}

/// What a successful handshake proves about the server.
pub(crate) enum Proof {
    /// That it is the right one: otherwise the handshake fails.
    Enforced,
    /// Nothing: there is no verifier.
    NotChecked,
    /// Nothing, but the findings of a verifier are recorded.
    Recorded {
        verifier: Arc<Watched>,
        /// The cache of sessions. The connection reaches it through a [`Gate`](crate::gate::Gate)
        /// of its own.
        sessions: Arc<dyn ClientSessionStore>,
    },
}

impl TlsConfig {
    /// The configuration of rustls for connections that require TLS.
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::TlsError> {
    /// use smtp_rustls::TlsConfig;
    ///
    /// let tls = TlsConfig::builder().build()?;
    /// assert!(tls.config().alpn_protocols.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0.required.config
    }

    /// A configuration of rustls that was built by other means, with this verifier in place of its
    /// own.
    ///
    /// If TLS is required, a handshake that `verifier` rejects fails. Under
    /// [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) its findings are reported
    /// by [`TlsInfo::verification`](smtp_proto::TlsInfo::verification). Without a `verifier`, as in
    /// `TlsConfig::from`, nothing is verified there: rustls does not show which verifier a
    /// configuration has.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let authority = rcgen::generate_simple_self_signed(Vec::new())?.cert.der().clone();
    /// use std::sync::Arc;
    /// use smtp_rustls::TlsConfig;
    /// use smtp_rustls::rustls::client::WebPkiServerVerifier;
    /// use smtp_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
    ///
    /// let mut roots = RootCertStore::empty();
    /// roots.add(authority)?;
    /// let (roots, provider) = (Arc::new(roots), Arc::new(ring::default_provider()));
    /// let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
    ///     .with_safe_default_protocol_versions()?
    ///     .with_root_certificates(Arc::clone(&roots))
    ///     .with_no_client_auth();
    /// let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build()?;
    /// let tls = TlsConfig::with_verifier(config, verifier);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_verifier(mut config: ClientConfig, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let enforcing = Arc::new(Watched::enforcing(Arc::clone(&verifier)));
        config.dangerous().set_certificate_verifier(enforcing);
        Self::new(Proof::Enforced, config, Some(verifier), Vec::new())
    }

    /// The level of trust for required or for opportunistic TLS.
    pub(crate) fn level(&self, is_required: bool) -> &Level {
        if is_required {
            &self.0.required
        } else {
            &self.0.opportunistic
        }
    }

    /// The keys of which the server must have one, as [`TlsConfigBuilder::pin_key`] takes them.
    pub(crate) fn pinned_keys(&self) -> &[[u8; 32]] {
        &self.0.pinned_keys
    }

    /// `verifier` is the one whose findings are recorded for opportunistic connections.
    fn new(
        proof: Proof,
        config: impl Into<Arc<ClientConfig>>,
        verifier: Option<Arc<dyn ServerCertVerifier>>,
        pinned_keys: Vec<[u8; 32]>,
    ) -> Self {
        let config = config.into();
        let mut lenient = (*config).clone();
        // Never the cache of the other level; and a user's configuration may have disabled
        // resumption.
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
            required: Level { config, proof },
            opportunistic,
            pinned_keys,
        }))
    }
}

/// Uses a configuration of rustls that was built by other means unchanged, with its own verifier.
///
/// Under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) that verifier is not
/// asked, and sessions are not resumed. See [`TlsConfig::with_verifier`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use smtp_rustls::Endpoint;
/// use smtp_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
///
/// let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(RootCertStore::empty())
///     .with_no_client_auth();
/// let endpoint = Endpoint::starttls("mail.example.org").tls(config).build()?;
/// # Ok(())
/// # }
/// ```
impl From<ClientConfig> for TlsConfig {
    fn from(config: ClientConfig) -> Self {
        Arc::new(config).into()
    }
}

/// The same as `TlsConfig::from` of a [`ClientConfig`].
impl From<Arc<ClientConfig>> for TlsConfig {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::new(Proof::Enforced, config, None, Vec::new())
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}

/// The crypto provider whose feature is on. The process-wide default of rustls is not used.
pub(crate) fn default_provider() -> Result<Arc<CryptoProvider>, TlsError> {
    #[cfg(feature = "aws-lc-rs")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    Err(TlsError::NoProvider)
}

/// The number of sessions kept for opportunistic connections: the default of rustls.
const SESSIONS: usize = 256;
