//! Opportunistic TLS: what is reported about the peer, and that its sessions are never resumed
//! where TLS is required.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

mod resumption;

use std::sync::Arc;

use crate::common::{HELLO, Wiring, mail, trust, without_key};
use smtp_rustls::proto::{
    Mail, Parameter, Security, TlsInfo, UnverifiedReason as Reason, Verification, Wire,
};
use smtp_rustls::rustls::client::{ClientConfig, WebPkiServerVerifier};
use smtp_rustls::rustls::server::ServerConfig;
use smtp_rustls::rustls::{RootCertStore, SignatureScheme, crypto::ring};
use smtp_rustls::{Endpoint, TlsConfig};
use smtp_test::{Config, Defect, Log, Machine, TlsPeer};

use Verification::{Unverified, Verified};

/// A server for each version of TLS.
fn versions() -> [smtp_test::Tls; 2] {
    [
        smtp_test::Tls::new().only_tls12(),
        smtp_test::Tls::new().only_tls13(),
    ]
}

fn opportunistic(trusted: &TlsConfig) -> Endpoint {
    endpoint(trusted, Security::Opportunistic)
}

fn endpoint(trusted: &TlsConfig, security: Security) -> Endpoint {
    let builder = Endpoint::builder("localhost").security(security);
    builder.tls(trusted.clone()).build().unwrap()
}

/// Sends a message over one connection, and returns its TLS info; `None` if the connection failed.
fn deliver(
    endpoint: &Endpoint,
    server: &smtp_test::Tls,
    config: &Arc<ServerConfig>,
) -> Option<TlsInfo> {
    let mut settings = Config::new().tls(server.clone()).with("REQUIRETLS");
    if endpoint.security() == Security::Implicit {
        settings = settings.implicit_tls();
    }
    let log = Log::new();
    let peer = TlsPeer::new(Machine::with_log(&settings, &log), Arc::clone(config));
    let mut wiring = Wiring::with_peer(endpoint.session(), peer);
    wiring.ready().ok()?;
    let facts = wiring.session.smtp_mut().tls().unwrap().clone();
    assert!(log.session().tls().is_some());
    assert_eq!(log.session().resumed(), facts.is_resumed());
    assert!(wiring.send(mail(HELLO)).is_accepted());
    // RFC 8689, section 4.2.1.
    let strict = Mail::builder().sender("a@x.test").recipient("b@x.test");
    let strict = strict.parameter(Parameter::require_tls()).message(HELLO);
    let outcome = wiring.send(strict.build().unwrap());
    assert_eq!(outcome.is_accepted(), facts.is_peer_verified());
    assert_eq!(
        facts.is_peer_verified(),
        *facts.verification() == Verified,
        "{facts}"
    );
    log.assert_clean();
    Some(facts)
}

/// Sends messages over several connections; returns whether the later ones resumed the session of
/// the first.
fn deliver_again(
    trusted: &TlsConfig,
    server: &smtp_test::Tls,
    config: &Arc<ServerConfig>,
    expected: &Verification,
) -> bool {
    let endpoint = opportunistic(trusted);
    // More connections than the first session has tickets.
    let all =
        [(); 5].map(|()| deliver(&endpoint, server, config).expect("no certificate is rejected"));
    for facts in &all {
        assert_eq!(facts.verification(), expected, "{facts}");
    }
    let resumed = all.map(|facts| facts.is_resumed());
    assert!(!resumed[0]);
    assert!(
        resumed[1..].iter().all(|each| *each == resumed[1]),
        "{resumed:?}"
    );
    resumed[1]
}

#[test]
fn no_certificate_is_rejected_and_what_is_wrong_is_reported() {
    let other = |names: &[&str]| Reason::OtherName {
        names: names.iter().map(ToString::to_string).collect(),
    };
    for base in versions() {
        let trusted = trust(&base);
        for (defect, reason) in [
            (None, None),
            (Some(Defect::Expired), Some(Reason::Expired)),
            (Some(Defect::NotYetValid), Some(Reason::NotYetValid)),
            (Some(Defect::WrongName), Some(other(&["wrong.invalid"]))),
            (Some(Defect::CommonNameOnly), Some(other(&[]))),
            (Some(Defect::SelfSigned), Some(Reason::SelfSigned)),
            (Some(Defect::UnknownAuthority), Some(Reason::UnknownIssuer)),
        ] {
            let server = defect.map_or_else(|| base.clone(), |defect| base.clone().defect(defect));
            let expected = reason.map_or(Verified, Unverified);
            let resumed = deliver_again(&trusted, &server, &server.server_config(), &expected);
            assert!(resumed, "{defect:?}");
        }
        for defect in [
            Defect::ClientOnly,
            Defect::NameConstraint,
            Defect::LongChain(8),
        ] {
            let server = base.clone().defect(defect);
            let facts = deliver(&opportunistic(&trusted), &server, &server.server_config());
            let Unverified(Reason::Other(text)) = facts.unwrap().verification().clone() else {
                panic!("{defect:?}");
            };
            assert!(!text.is_empty() && text.len() < 2048, "{text}");
        }
        // Its authority has the same name as a trusted one, but another key.
        let stranger = smtp_test::Tls::new();
        let bad_signature = Unverified(Reason::BadSignature);
        deliver_again(
            &trust(&stranger),
            &base,
            &base.server_config(),
            &bad_signature,
        );
    }
}

#[test]
fn the_text_of_tls_info_names_what_is_wrong() {
    let [_, server] = versions();
    let trusted = trust(&server);
    let server = server.defect(Defect::WrongName);
    let facts = deliver(&opportunistic(&trusted), &server, &server.server_config()).unwrap();
    let text = facts.to_string();
    assert!(text.starts_with("TLSv1.3 "), "{text}");
    assert!(
        text.ends_with(", peer not verified: its certificate is for wrong.invalid"),
        "{text}"
    );
}

/// A certificate can be copied. Only the signature proves that the server holds the private key.
#[test]
fn a_server_without_the_private_key_is_not_verified_and_its_session_not_resumed() {
    for server in versions() {
        let good = deliver(
            &opportunistic(&trust(&server)),
            &server,
            &server.server_config(),
        );
        let own = good.unwrap().peer_certificates().next().unwrap().to_vec();
        let thief = without_key(&server, &own, SignatureScheme::ECDSA_NISTP256_SHA256);
        let trusted = trust(&server);
        let expected = Unverified(Reason::BadSignature);
        assert!(!deliver_again(&trusted, &server, &thief, &expected));
        // A session with the thief is not resumed with the server.
        let facts = deliver(&opportunistic(&trusted), &server, &server.server_config()).unwrap();
        assert!(facts.is_peer_verified() && !facts.is_resumed());
        let facts = deliver(&opportunistic(&trusted), &server, &server.server_config()).unwrap();
        assert!(facts.is_peer_verified() && facts.is_resumed());
        // Where TLS is required, each kind of verification rejects the thief.
        let own = (*server.client_config()).clone();
        for (demanded, make, _) in MAKES {
            for security in [Security::StartTls, Security::Implicit] {
                let endpoint = endpoint(&make(&server, &own), security);
                assert!(deliver(&endpoint, &server, &thief).is_none(), "{demanded}");
            }
        }
    }
}

#[test]
fn keys_that_cannot_be_checked_are_no_reason_for_cleartext() {
    let authority = include_bytes!("data/authority.der");
    let trusted = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(authority);
    let trusted = trusted.build().unwrap();
    for server in versions() {
        for (certificate, scheme) in [
            (
                &include_bytes!("data/version1.der")[..],
                SignatureScheme::ECDSA_NISTP256_SHA256,
            ),
            (
                include_bytes!("data/rsa1024.der"),
                SignatureScheme::RSA_PSS_SHA256,
            ),
            (
                include_bytes!("data/p521.der"),
                SignatureScheme::ECDSA_NISTP521_SHA512,
            ),
        ] {
            let config = without_key(&server, certificate, scheme);
            let facts = deliver(&opportunistic(&trusted), &server, &config).unwrap();
            assert!(!facts.is_peer_verified(), "{facts}");
        }
    }
}

/// Builds a `TlsConfig` for a server. Those of a custom `ClientConfig` share its session cache, if
/// possible.
type Make = fn(&smtp_test::Tls, &ClientConfig) -> TlsConfig;

/// Each kind of verification, and whether opportunistic connections cache sessions with it.
const MAKES: &[(&str, Make, bool)] = &[
    ("roots", |server, _| trust(server), true),
    (
        "more roots",
        |server, _| {
            let other = smtp_test::Tls::new();
            let builder = TlsConfig::builder().no_default_roots();
            let builder = builder.add_root_der(server.authority_der().to_vec());
            let builder = builder.add_root_der(other.authority_der().to_vec());
            builder.build().unwrap()
        },
        true,
    ),
    (
        "roots and a pinned key",
        |server, _| {
            let builder = TlsConfig::builder().no_default_roots();
            let builder = builder.add_root_der(server.authority_der().to_vec());
            builder.pin_key(server.key_sha256()).build().unwrap()
        },
        true,
    ),
    (
        "a pinned key",
        |server, _| {
            let builder = TlsConfig::builder().trust_pinned_keys_only();
            builder.pin_key(server.key_sha256()).build().unwrap()
        },
        true,
    ),
    (
        "a custom configuration",
        |_, own| TlsConfig::from(own.clone()),
        false,
    ),
    (
        "a custom configuration with a verifier",
        |server, own| TlsConfig::with_verifier(own.clone(), verifier(server)),
        true,
    ),
    #[cfg(feature = "dangerous")]
    (
        "no verification",
        |_, _| {
            TlsConfig::builder()
                .dangerous_no_verification()
                .build()
                .unwrap()
        },
        false,
    ),
];

#[test]
fn a_verifier_inside_a_custom_configuration_is_not_asked() {
    for server in versions() {
        let own = TlsConfig::from(server.client_config());
        let config = server.server_config();
        let not_checked = Unverified(Reason::NotChecked);
        assert!(!deliver_again(&own, &server, &config, &not_checked));
        let bad = server.clone().defect(Defect::Expired);
        assert!(!deliver_again(
            &own,
            &bad,
            &bad.server_config(),
            &not_checked
        ));
        for security in [Security::StartTls, Security::Implicit] {
            let facts = deliver(&endpoint(&own, security), &server, &config).unwrap();
            assert!(facts.is_peer_verified());
            assert!(deliver(&endpoint(&own, security), &bad, &bad.server_config()).is_none());
        }
        let asked = TlsConfig::with_verifier((*server.client_config()).clone(), verifier(&server));
        assert!(deliver_again(&asked, &server, &config, &Verified));
        let expired = Unverified(Reason::Expired);
        let asked = TlsConfig::with_verifier((*server.client_config()).clone(), verifier(&server));
        assert!(deliver_again(&asked, &bad, &bad.server_config(), &expired));
        for security in [Security::StartTls, Security::Implicit] {
            assert!(deliver(&endpoint(&asked, security), &bad, &bad.server_config()).is_none());
        }
    }
}

#[test]
fn pinned_keys_are_part_of_the_recorded_verification() {
    let [_, server] = versions();
    let pinned = |key| {
        TlsConfig::builder()
            .trust_pinned_keys_only()
            .pin_key(key)
            .build()
            .unwrap()
    };
    let config = server.server_config();
    let facts = deliver(
        &opportunistic(&pinned(server.key_sha256())),
        &server,
        &config,
    )
    .unwrap();
    assert!(facts.is_peer_verified());
    let facts = deliver(&opportunistic(&pinned([0; 32])), &server, &config).unwrap();
    assert!(facts.to_string().contains("key is not pinned"), "{facts}");
}

#[cfg(feature = "dangerous")]
#[test]
fn without_verification_no_server_is_verified_under_any_security() {
    for server in versions() {
        let careless = TlsConfig::builder()
            .dangerous_no_verification()
            .build()
            .unwrap();
        let config = server.server_config();
        for security in [
            Security::StartTls,
            Security::Implicit,
            Security::Opportunistic,
        ] {
            for _ in 0..2 {
                let facts = deliver(&endpoint(&careless, security), &server, &config).unwrap();
                assert_eq!(*facts.verification(), Unverified(Reason::NotChecked));
            }
        }
        // A pinned key is verified.
        let key = server.key_sha256();
        let pinned = TlsConfig::builder()
            .dangerous_no_verification()
            .pin_key(key);
        let facts = deliver(
            &endpoint(&pinned.build().unwrap(), Security::StartTls),
            &server,
            &config,
        );
        assert!(facts.unwrap().is_peer_verified());
    }
}

fn verifier(server: &smtp_test::Tls) -> Arc<WebPkiServerVerifier> {
    let mut roots = RootCertStore::empty();
    roots.add(server.authority_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap()
}
