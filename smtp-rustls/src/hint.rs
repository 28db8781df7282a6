//! Hints: the likely remedy for a TLS failure whose cause is a usual mistake.

use rustls::{AlertDescription, CertificateError, Error};

use crate::certificate::{Certificate, Key};
use crate::pinned::NotPinned;
use crate::watch::Seen;

/// How TLS began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsStart {
    /// Implicitly, from the first byte.
    Implicit,
    /// With the reply to STARTTLS.
    StartTls,
    /// Implicitly, to a proxy.
    Proxy,
}

/// What is known when TLS fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) start: TlsStart,
    /// The first byte that the server sent as TLS.
    pub(crate) first: Option<u8>,
    /// The verifier's findings about the server's certificate, if the handshake came that far.
    pub(crate) seen: Option<&'a Seen>,
    /// Whether the client has a certificate.
    pub(crate) shows_certificate: bool,
    /// Whether the crypto provider can check signatures on the curve P-521.
    pub(crate) knows_p521: bool,
}

/// The hint for an error of rustls.
pub(crate) fn for_error(error: &Error, known: &Circumstances<'_>) -> Option<&'static str> {
    match error {
        Error::InvalidCertificate(fault) => (known.seen.into_iter().flat_map(Seen::chain))
            .enumerate()
            .find_map(|(at, certificate)| of_certificate(certificate, at == 0, fault, known))
            .or_else(|| match known.start {
                TlsStart::Proxy => for_certificate_of_proxy(fault),
                _ => None,
            })
            .or_else(|| for_certificate(fault)),
        Error::AlertReceived(alert) => for_alert(*alert, known),
        Error::PeerIncompatible(_) => Some(NOTHING_IN_COMMON),
        Error::InvalidMessage(_) if known.first.is_some_and(is_text) => Some(match known.start {
            TlsStart::Implicit => CLEARTEXT_PORT,
            TlsStart::StartTls => {
                "the server continued in cleartext after its reply to STARTTLS: it is broken, or an \
                 attacker is tampering with the connection"
            }
            TlsStart::Proxy => {
                "the proxy speaks cleartext on this port: use `ProxyServer::http`, or http://"
            }
        }),
        _ => None,
    }
}

/// The hint about this certificate of the chain, if it may be the cause of `fault`.
fn of_certificate(
    certificate: Certificate,
    is_own: bool,
    fault: &CertificateError,
    known: &Circumstances<'_>,
) -> Option<&'static str> {
    use CertificateError as C;
    let unusable = !matches!(
        fault,
        C::ExpiredContext { .. } | C::NotValidYetContext { .. } | C::NotValidForNameContext { .. }
    );
    match certificate.key {
        _ if !unusable => None,
        _ if certificate.is_version_1 && is_own => Some(
            "the certificate is of X.509 version 1, which has no host names: the server needs one of \
             version 3",
        ),
        Key::P521 if !known.knows_p521 => Some(
            "the server has a key on the curve P-521, which the crypto provider does not support: \
             enable the feature `aws-lc-rs` of smtp-rustls",
        ),
        Key::Rsa(bits) if bits < RSA_BITS && matches!(fault, C::BadSignature) => Some(
            "the server or its authority has an RSA key of less than 2048 bits, which is too weak: it \
             needs a new key",
        ),
        _ if certificate.is_self_signed
            && is_own
            && matches!(fault, C::UnknownIssuer | C::Other(_)) =>
        {
            Some(
                "the certificate is self-signed: to trust its key, and no authority, pin it by \
                 `TlsConfig::builder().trust_pinned_keys_only().pin_key`",
            )
        }
        _ => None,
    }
}

/// The hint if the server closes the connection during the handshake.
pub(crate) fn for_truncation(start: TlsStart) -> &'static str {
    match start {
        TlsStart::Implicit => {
            "check the port: 465 is for implicit TLS, 587 begins in cleartext and needs STARTTLS; the \
             server may also be rejecting this client"
        }
        TlsStart::StartTls => {
            "the server may have a problem with its own certificate: check its log"
        }
        TlsStart::Proxy => {
            "the proxy may speak cleartext on this port: if so, use `ProxyServer::http`, or http://"
        }
    }
}

/// The hint for the certificate of a proxy, where that for the certificate of a server misleads.
fn for_certificate_of_proxy(fault: &CertificateError) -> Option<&'static str> {
    use CertificateError as C;
    match fault {
        C::UnknownIssuer | C::BadSignature => Some(
            "no trusted authority signed the proxy's certificate: add a private authority to a `TlsConfig`, \
             and pass it to `EndpointBuilder::proxy_tls`",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => Some(
            "the proxy's certificate is for another name: name the proxy by one in its certificate",
        ),
        _ => None,
    }
}

#[expect(
    deprecated,
    reason = "older versions of rustls that this crate supports report these errors"
)]
fn for_certificate(fault: &CertificateError) -> Option<&'static str> {
    use CertificateError as C;
    match fault {
        C::UnknownIssuer => Some(
            "no trusted authority signed the certificate: add a private authority by \
             `TlsConfig::builder().add_root_pem`; or the server does not send its intermediate \
             certificates",
        ),
        C::BadSignature => Some(
            "a trusted authority has the same name as the one that signed the certificate, but another \
             key: add the right one by `TlsConfig::builder().add_root_pem`",
        ),
        C::NotValidForNameContext { presented, .. } if presented.is_empty() => Some(
            "the certificate has no subjectAltName, and the name in its subject does not count: the \
             server needs a new one, or pin its key by \
             `TlsConfig::builder().trust_pinned_keys_only().pin_key`",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            Some("the certificate is for another name: connect by a name in the certificate")
        }
        C::Expired | C::ExpiredContext { .. } => {
            Some("the server needs a new certificate, unless this machine's clock is wrong")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => {
            Some("the clock of this machine or of the server is wrong")
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            Some("the certificate is not for servers: its extended key usage lacks serverAuth")
        }
        C::Revoked => Some("the authority has revoked the certificate: the server needs a new one"),
        C::UnsupportedSignatureAlgorithm
        | C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Some("the signature algorithm of the certificate is too old or not supported")
        }
        C::Other(other) if other.0.is::<NotPinned>() => Some(
            "the server has a new key, which must be pinned, or an attacker pretends to be the server",
        ),
        _ => None,
    }
}

fn for_alert(alert: AlertDescription, known: &Circumstances<'_>) -> Option<&'static str> {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => Some(CERTIFICATE_REQUIRED),
        // The server has sent its certificate already, so it rejects that of the client.
        A::HandshakeFailure if known.seen.is_some() => Some(if known.shows_certificate {
            CERTIFICATE_REJECTED
        } else {
            CERTIFICATE_REQUIRED
        }),
        A::HandshakeFailure if !known.knows_p521 => Some(
            "no version, cipher suite or signature scheme in common: the server may support nothing \
             newer than TLS 1.1, or have a key on the curve P-521, for which smtp-rustls needs the \
             feature `aws-lc-rs`",
        ),
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => {
            Some(NOTHING_IN_COMMON)
        }
        A::UnrecognisedName => Some("the server is not configured for this host name"),
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => Some(if known.shows_certificate {
            CERTIFICATE_REJECTED
        } else {
            CERTIFICATE_REQUIRED
        }),
        _ => None,
    }
}

/// Whether this byte may begin a line of text and cannot begin a TLS record.
fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

const CLEARTEXT_PORT: &str = "the server speaks cleartext on this port: use STARTTLS (port 587), or \
                              the port for implicit TLS (465)";

const NOTHING_IN_COMMON: &str = "no version or cipher suite in common: the server may support nothing \
                                 newer than TLS 1.1, or too few cipher suites";

const CERTIFICATE_REQUIRED: &str = "the server requires a client certificate: set one by \
                                    `TlsConfig::builder().client_certificate_pem`";

const CERTIFICATE_REJECTED: &str = "the server does not accept the client's certificate: it must be for \
                                    clients, valid now, and signed by an authority that the server trusts";

/// The shortest RSA key that the crypto provider accepts, in bits.
const RSA_BITS: usize = 2048;
