//! SCRAM with channel binding over a real TLS connection: both ends compute the same binding, and
//! an attacker in the middle is detected.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use crate::common;

use std::sync::Arc;

use common::{HELLO, Wiring, implicit, mail, session, starttls};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SignatureAlgorithm,
};
use smtp_rustls::Endpoint;
use smtp_rustls::proto::sasl::{ChannelBinding, Scram};
use smtp_rustls::proto::{AuthenticationError, Credentials, ErrorKind, Wire};
use smtp_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use smtp_test::{Config, Log, Tls};

const PLUS: [&str; 3] = [
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512-PLUS",
];

fn server(tls: &Tls, mechanisms: &[&str]) -> Config {
    Config::new()
        .tls(tls.clone())
        .user("alice", "secret")
        .mechanisms(mechanisms.iter().copied())
        .require_auth()
}

fn of(scram: Scram) -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(scram)])
}

fn alice() -> Scram {
    Scram::sha256("alice", "secret").unwrap()
}

#[test]
fn both_ends_compute_the_same_bindings() {
    for (tls, exports) in [
        (Tls::new().only_tls13(), true),
        // rustls does not report whether TLS 1.2 has the extended master secret, unless it is
        // required.
        (Tls::new().only_tls12(), false),
    ] {
        for is_implicit in [false, true] {
            let log = Log::new();
            let mut wiring = common::wiring(is_implicit, &tls, &log);
            wiring.ready().unwrap();
            let facts = wiring.session.smtp_mut().tls().unwrap();
            let server = log.session().tls().unwrap().clone();
            let end_point = facts.channel_binding("tls-server-end-point");
            assert_eq!(end_point.map(<[u8]>::to_vec), tls.end_point());
            assert_eq!(end_point.map(<[u8]>::len), Some(32));
            let exported = facts.channel_binding("tls-exporter");
            assert_eq!(exported.is_some(), exports);
            assert!(exported.is_none_or(|data| server.binding("tls-exporter") == Some(data)));
        }
    }
}

#[test]
fn a_password_login_is_bound_in_each_version_of_tls_and_with_each_hash() {
    let credentials = Credentials::password("alice", "secret").unwrap();
    for tls in [Tls::new().only_tls13(), Tls::new().only_tls12()] {
        for name in PLUS {
            let advertised = [name, "SCRAM-SHA-512", "PLAIN", "LOGIN"];
            let log = Log::new();
            let builder = starttls(&tls).credentials(credentials.clone());
            let config = server(&tls, &advertised);
            let mut wiring = Wiring::new(session(builder), &config, &tls, &log);
            assert!(wiring.send(mail(HELLO)).is_accepted());
            assert_eq!(wiring.session.smtp_mut().mechanism(), Some(name));
            assert_eq!(log.session().authenticated_as(), Some("alice"));
            log.assert_clean();
        }
    }
}

#[test]
fn each_binding_can_be_chosen() {
    let tls = Tls::new().only_tls13();
    for binding in [ChannelBinding::Exporter, ChannelBinding::ServerEndPoint] {
        let log = Log::new();
        let builder = implicit(&tls).credentials(of(alice().plus_with(binding)));
        let config = server(&tls, &PLUS).implicit_tls();
        let mut wiring = Wiring::new(session(builder), &config, &tls, &log);
        assert!(wiring.send(mail(HELLO)).is_accepted(), "{binding:?}");
        log.assert_clean();
    }
}

#[test]
fn bindings_hold_on_a_resumed_connection() {
    for tls in [Tls::new().only_tls13(), Tls::new().only_tls12()] {
        let endpoint = implicit(&tls).credentials(of(alice().plus()));
        let endpoint = endpoint.build().unwrap();
        let config = server(&tls, &PLUS).implicit_tls();
        for resumed in [false, true] {
            let log = Log::new();
            let session = endpoint.session();
            let mut wiring = Wiring::new(session, &config, &tls, &log);
            assert!(wiring.send(mail(HELLO)).is_accepted());
            let facts = wiring.session.smtp_mut().tls().unwrap();
            assert_eq!(facts.is_resumed(), resumed);
            log.assert_clean();
        }
    }
}

#[test]
fn v32_an_attacker_in_the_middle_with_a_trusted_certificate_fails() {
    let tls = Tls::new();
    let other = tls.sibling(["localhost"]);
    assert_ne!(tls.end_point(), other.end_point());
    // The server expects its own certificate; the TLS connection ends at an attacker with another.
    let config = server(&tls, &PLUS);
    let log = Log::new();
    let bound = alice().plus_with(ChannelBinding::ServerEndPoint);
    let builder = starttls(&tls).credentials(of(bound));
    let mut wiring = Wiring::new(session(builder), &config, &other, &log);
    let error = wiring.ready().unwrap_err();
    let ErrorKind::Authentication(AuthenticationError::Rejected { .. }) = error.kind() else {
        panic!("{error:#}");
    };
    assert_eq!(log.session().authenticated_as(), None);
}

/// A server whose certificate is signed by an authority of this kind, and an endpoint that trusts
/// it.
fn signed_by(kind: &'static SignatureAlgorithm) -> (Tls, Endpoint) {
    let authority = KeyPair::generate_for(kind).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap().der().to_vec();
    let trusted = smtp_rustls::TlsConfig::builder()
        .no_default_roots()
        .add_root_der(root)
        .build()
        .unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf
        .signed_by(&key, &Issuer::new(params, authority))
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = Tls::new().certificate(vec![leaf.der().clone()], key);
    let endpoint = Endpoint::implicit("localhost")
        .tls(trusted)
        .credentials(of(alice().plus_with(ChannelBinding::ServerEndPoint)))
        .build();
    (tls, endpoint.unwrap())
}

#[test]
fn the_signature_of_the_certificate_decides_the_hash_of_the_binding() {
    for (kind, bytes) in [
        (&PKCS_ECDSA_P384_SHA384, Some(48)),
        // Ed25519 has no hash function: there is no binding, and the mechanism is skipped.
        (&PKCS_ED25519, None),
    ] {
        let (tls, endpoint) = signed_by(kind);
        let log = Log::new();
        let config = server(&tls, &PLUS).implicit_tls();
        let mut wiring = Wiring::new(endpoint.session(), &config, &tls, &log);
        let result = wiring.ready();
        let facts = wiring.session.smtp_mut().tls().unwrap();
        let binding = facts.channel_binding("tls-server-end-point");
        assert_eq!(binding.map(<[u8]>::len), bytes);
        match bytes {
            Some(_) => assert_eq!(log.session().authenticated_as(), Some("alice")),
            None => {
                let error = result.unwrap_err();
                let ErrorKind::Authentication(AuthenticationError::NoCommonMechanism {
                    ours, ..
                }) = error.kind()
                else {
                    panic!("{error:#}");
                };
                assert!(ours.is_empty());
            }
        }
        log.assert_clean();
    }
}
