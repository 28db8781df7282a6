use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem;

/// Why building a [`TlsConfig`](super::TlsConfig) failed.
///
/// ```
/// use smtp_rustls::{TlsConfig, TlsError};
///
/// let built = TlsConfig::builder().no_default_roots().build();
/// match built {
///     Err(TlsError::NoRoots) => println!("add a root certificate"),
///     Err(error) => println!("{error:#}"),
///     Ok(_) => unreachable!("no authority is trusted"),
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum TlsError {
    /// No crypto provider: neither the feature `ring` nor `aws-lc-rs` is on, and no provider was
    /// given.
    NoProvider,
    /// No trusted authority: there is no root certificate.
    NoRoots,
    /// Only pinned keys are trusted, and none is pinned.
    NoKeys,
    /// Keys cannot be pinned: the crypto provider has no SHA-256.
    NoSha256,
    /// The PEM text of a root certificate is invalid.
    Pem(Arc<pem::Error>),
    /// The PEM text of the client's certificate or key is invalid.
    ClientPem(Arc<pem::Error>),
    /// The client's key is invalid, or does not belong to the client's certificate.
    Client(rustls::Error),
    /// A root certificate is invalid.
    Root(rustls::Error),
    /// The operating system's verifier is not available.
    Platform(rustls::Error),
    /// rustls rejected the configuration.
    Rustls(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProvider => f.write_str(
                "no crypto provider: enable the feature `ring` or `aws-lc-rs` of smtp-rustls, or give a \
                 provider or a `ClientConfig`",
            ),
            Self::NoRoots => f.write_str(
                "no trusted authority: add a root certificate, or enable the feature `platform-verifier` or \
                 `webpki-roots`",
            ),
            Self::NoKeys => f.write_str("only pinned keys are trusted, and none is pinned: pin one"),
            Self::NoSha256 => f.write_str("keys cannot be pinned: the crypto provider has no SHA-256"),
            Self::Pem(_) => f.write_str("invalid PEM text of a root certificate"),
            Self::ClientPem(_) => f.write_str("invalid PEM text of the client certificate or key"),
            Self::Client(_) => f.write_str("invalid client certificate or key"),
            Self::Root(_) => f.write_str("invalid root certificate"),
            Self::Platform(_) => f.write_str("the operating system's verifier is not available"),
            Self::Rustls(_) => f.write_str("rustls rejected the configuration"),
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
