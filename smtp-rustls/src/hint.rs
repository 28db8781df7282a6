//! The likely cure for a TLS failure, where the cause is a usual mistake.

use rustls::{AlertDescription, CertificateError, Error};

use crate::pinned::NotPinned;

/// How the connection came to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// From the first byte.
    AtOnce,
    /// By the reply to STARTTLS.
    ByStartTls,
}

/// What may help against `error`; `first` is the first octet that the server sent as TLS.
pub(crate) fn for_error(error: &Error, first: Option<u8>, begun: Begun) -> Option<&'static str> {
    match error {
        Error::InvalidCertificate(fault) => for_certificate(fault),
        Error::AlertReceived(alert) => for_alert(*alert),
        Error::PeerIncompatible(_) => Some(NOTHING_IN_COMMON),
        Error::InvalidMessage(_) if first.is_some_and(is_text) => Some(match begun {
            Begun::AtOnce => SPEAKS_CLEAR_TEXT,
            Begun::ByStartTls => {
                "the server went on in clear text behind its reply to STARTTLS: it is broken, or \
                 somebody on the path is tampering with the connection"
            }
        }),
        _ => None,
    }
}

/// What may help if the server closes in the middle of the handshake.
pub(crate) fn for_truncation(begun: Begun) -> &'static str {
    match begun {
        Begun::AtOnce => {
            "check the port: 465 is TLS from the first byte, 587 begins in clear and needs STARTTLS; the server may \
             also be refusing this client"
        }
        Begun::ByStartTls => {
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
        C::Other(_) => Some(
            "a certificate that signs itself cannot serve as both authority and server: make a private authority, \
             and trust it by `Tls::builder().add_root_pem`",
        ),
        _ => None,
    }
}

fn for_alert(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => Some(NOTHING_IN_COMMON),
        AlertDescription::UnrecognisedName => {
            Some("the server does not go by the name that was asked for")
        }
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => Some(
            "the server wants a certificate of the client's: give one by `Tls::builder().client_certificate_pem`",
        ),
        _ => None,
    }
}

/// Whether a TLS record cannot begin with this octet, and a line of text can.
fn is_text(octet: u8) -> bool {
    octet.is_ascii_graphic() || octet.is_ascii_whitespace()
}

const SPEAKS_CLEAR_TEXT: &str = "the server speaks clear text on this port: use STARTTLS (port 587), or the port for TLS from the first byte (465)";

const NOTHING_IN_COMMON: &str = "no version or cipher suite in common: the server may have nothing newer than TLS 1.1, or too little";
