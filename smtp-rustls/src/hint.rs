//! The likely cure for a TLS failure, where the cause is a usual mistake.

use rustls::{AlertDescription, CertificateError, Error};

use crate::certificate::{Certificate, Key};
use crate::pinned::NotPinned;
use crate::watch::Seen;

/// How the connection came to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsStart {
    /// From the first byte.
    AtOnce,
    /// By the reply to STARTTLS.
    ByStartTls,
}

/// What is known when TLS fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) begun: TlsStart,
    /// The first byte that the server sent as TLS.
    pub(crate) first: Option<u8>,
    /// What the verifier said of the server's certificate, if it came that far.
    pub(crate) seen: Option<&'a Seen>,
    /// Whether this side has a certificate to show.
    pub(crate) shows_certificate: bool,
    /// Whether signatures on the curve P-521 can be checked.
    pub(crate) knows_p521: bool,
}

/// What may help against `error`.
pub(crate) fn for_error(error: &Error, known: &Circumstances<'_>) -> Option<&'static str> {
    match error {
        Error::InvalidCertificate(fault) => (known.seen.into_iter().flat_map(Seen::chain))
            .enumerate()
            .find_map(|(at, certificate)| of_certificate(certificate, at == 0, fault, known))
            .or_else(|| for_certificate(fault)),
        Error::AlertReceived(alert) => for_alert(*alert, known),
        Error::PeerIncompatible(_) => Some(NOTHING_IN_COMMON),
        Error::InvalidMessage(_) if known.first.is_some_and(is_text) => Some(match known.begun {
            TlsStart::AtOnce => SPEAKS_CLEAR_TEXT,
            TlsStart::ByStartTls => {
                "the server went on in clear text behind its reply to STARTTLS: it is broken, or \
                 somebody on the path is tampering with the connection"
            }
        }),
        _ => None,
    }
}

/// What is wrong with this certificate of the chain, if it is what `fault` may come from.
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
            "the certificate is of X.509 version 1, which cannot say for which host it is: the server needs a new one, \
             of version 3",
        ),
        Key::P521 if !known.knows_p521 => Some(
            "the server has a key on the curve P-521, which this cryptography does not know: turn on the feature \
             `aws-lc-rs` of smtp-rustls",
        ),
        Key::Rsa(bits) if bits < RSA_BITS && matches!(fault, C::BadSignature) => Some(
            "the server or its authority has an RSA key of less than 2048 bits, which is too weak to be trusted: it needs a \
             new one",
        ),
        _ if certificate.is_self_signed
            && is_own
            && matches!(fault, C::UnknownIssuer | C::Other(_)) =>
        {
            Some(
                "the certificate is signed with its own key: to trust that key, and no authority, pin it by \
                 `Tls::builder().trust_pinned_keys_only().pin_key`",
            )
        }
        _ => None,
    }
}

/// What may help if the server closes in the middle of the handshake.
pub(crate) fn for_truncation(begun: TlsStart) -> &'static str {
    match begun {
        TlsStart::AtOnce => {
            "check the port: 465 is TLS from the first byte, 587 begins in clear and needs STARTTLS; the server may \
             also be rejecting this client"
        }
        TlsStart::ByStartTls => {
            "the server may have trouble with its own certificate: its log may say more"
        }
    }
}

#[expect(
    deprecated,
    reason = "versions of rustls that this crate admits still report by the older names"
)]
fn for_certificate(fault: &CertificateError) -> Option<&'static str> {
    use CertificateError as C;
    match fault {
        C::UnknownIssuer => Some(
            "no trusted authority signed the certificate: trust a private one by `Tls::builder().add_root_pem`; or \
             the server does not send its intermediate certificates",
        ),
        C::BadSignature => Some(
            "a trusted authority has the same name as the one that signed the certificate, and another key: trust the \
             right one by `Tls::builder().add_root_pem`",
        ),
        C::NotValidForNameContext { presented, .. } if presented.is_empty() => Some(
            "the certificate has no subjectAltName, and a name in its subject does not count: the server needs a new one, \
             or its key may be pinned by `Tls::builder().trust_pinned_keys_only().pin_key`",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            Some("the certificate is for another name: connect by a name that stands in it")
        }
        C::Expired | C::ExpiredContext { .. } => {
            Some("the server needs a new certificate, unless this machine's clock is wrong")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => {
            Some("the clock of this machine or of the server's is wrong")
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            Some("the server uses a certificate that was not made for servers")
        }
        C::Revoked => Some("the server uses a certificate that its authority has withdrawn"),
        C::UnsupportedSignatureAlgorithm
        | C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Some("the certificate is signed in a way too old or too odd to be trusted")
        }
        C::Other(other) if other.0.is::<NotPinned>() => Some(
            "the server has a new key, which has to be pinned, or somebody on the path pretends to be the server",
        ),
        _ => None,
    }
}

fn for_alert(alert: AlertDescription, known: &Circumstances<'_>) -> Option<&'static str> {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => Some(WANTS_A_CERTIFICATE),
        // After a certificate of its own, the server has nothing to object to but that of the client.
        A::HandshakeFailure if known.seen.is_some() => Some(if known.shows_certificate {
            UNTRUSTED
        } else {
            WANTS_A_CERTIFICATE
        }),
        A::HandshakeFailure if !known.knows_p521 => Some(
            "no version, cipher suite or signature in common: the server may have nothing newer than TLS 1.1, or a key on \
             the curve P-521, for which smtp-rustls needs the feature `aws-lc-rs`",
        ),
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => {
            Some(NOTHING_IN_COMMON)
        }
        A::UnrecognisedName => Some("the server does not go by the name that was asked for"),
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => Some(if known.shows_certificate {
            UNTRUSTED
        } else {
            WANTS_A_CERTIFICATE
        }),
        _ => None,
    }
}

/// Whether a TLS record cannot begin with this byte, and a line of text can.
fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

const SPEAKS_CLEAR_TEXT: &str = "the server speaks cleartext on this port: use STARTTLS (port 587), or the port for TLS from the first byte (465)";

const NOTHING_IN_COMMON: &str = "no version or cipher suite in common: the server may have nothing newer than TLS 1.1, or too little";

const WANTS_A_CERTIFICATE: &str = "the server wants a certificate of the client's: give one by `Tls::builder().client_certificate_pem`";

const UNTRUSTED: &str = "the server does not accept the client's certificate: it has to be one by an authority that the server trusts, for clients, and valid now";

/// The shortest RSA key that the cryptography accepts.
const RSA_BITS: usize = 2048;
