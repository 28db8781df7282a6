//! TLS with whoever answers: what is known of the peer, and that nothing won so serves a policy that demands more.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{HELLO, Wiring, mail, trust, without_key};
use smtp_rustls::proto::{
    Mail, Parameter, Security, TlsInfo, UnverifiedReason as Reason, Verification, Wire,
};
use smtp_rustls::rustls::client::{
    ClientConfig, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
    WebPkiServerVerifier,
};
use smtp_rustls::rustls::pki_types::ServerName;
use smtp_rustls::rustls::server::ServerConfig;
use smtp_rustls::rustls::{NamedGroup, RootCertStore, SignatureScheme, crypto::ring};
use smtp_rustls::{Endpoint, TlsConfig};
use smtp_test::{Config, Defect, Log, Machine, TlsPeer};

use Verification::{Unverified, Verified};

/// Servers of either version.
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

/// Sends a mail on the first attempt, or fails, and gives what is known of TLS.
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

/// The same several times; says whether the later sessions were that of the first, resumed.
fn deliver_again(
    trusted: &TlsConfig,
    server: &smtp_test::Tls,
    config: &Arc<ServerConfig>,
    expected: &Verification,
) -> bool {
    let endpoint = opportunistic(trusted);
    // More often than the first session has tickets for.
    let all = [(); 5].map(|()| deliver(&endpoint, server, config).expect("nobody is turned away"));
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
fn whoever_answers_is_spoken_to_in_tls_and_it_is_told_what_is_wrong() {
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
        // Of the same name as a trusted authority, and with another key.
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
fn what_is_wrong_is_told_in_words() {
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

/// The certificate may be copied from anybody. Only the signature shows that the server has its key.
#[test]
fn who_has_not_the_key_to_its_certificate_is_not_verified_and_not_resumed() {
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
        // What the thief gave to be resumed is not taken for the server's own.
        let facts = deliver(&opportunistic(&trusted), &server, &server.server_config()).unwrap();
        assert!(facts.is_peer_verified() && !facts.is_resumed());
        let facts = deliver(&opportunistic(&trusted), &server, &server.server_config()).unwrap();
        assert!(facts.is_peer_verified() && facts.is_resumed());
        // Nor is it under a policy that verifies, whatever that goes by.
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
fn keys_that_cannot_be_checked_are_no_reason_to_go_on_in_clear() {
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

/// How settings are made for a server; all settings of a user's own share what they resume with, if they can.
type Make = fn(&smtp_test::Tls, &ClientConfig) -> TlsConfig;

/// All that may be demanded of a server, and whether opportunistic connections keep sessions.
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
        "the user's own",
        |_, own| TlsConfig::from(own.clone()),
        false,
    ),
    (
        "the user's own with a verifier",
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

/// rustls does not look at a certificate again when it resumes a session; so no session may pass from one level of trust
/// to another.
#[test]
fn v05_a_session_is_resumed_only_at_the_level_of_trust_where_it_was_begun() {
    let policies = [
        Security::StartTls,
        Security::Implicit,
        Security::Opportunistic,
    ];
    for server in versions() {
        let config = server.server_config();
        let connect = |tls: &TlsConfig, policy| {
            let facts = deliver(&endpoint(tls, policy), &server, &config);
            facts.expect("the server is a good one").is_resumed()
        };
        for (first, make_first, keeps) in MAKES {
            for (second, make_second, _) in MAKES {
                // Settings of one kind are one for both policies, and anew for each pair of policies.
                let pairs = policies.iter().flat_map(|begun| {
                    let resumed = policies.iter().filter(|_| first == second);
                    let others = [&Security::StartTls, &Security::Opportunistic];
                    let others = others.into_iter().filter(|_| first != second);
                    resumed.chain(others).map(move |resumed| (*begun, *resumed))
                });
                for (begun, resumed) in pairs {
                    if first != second && begun == Security::Implicit {
                        continue;
                    }
                    let own = (*server.client_config()).clone();
                    let from = make_first(&server, &own);
                    let to = if first == second {
                        from.clone()
                    } else {
                        make_second(&server, &own)
                    };
                    assert!(!connect(&from, begun));
                    let opportunistic = |policy| policy == Security::Opportunistic;
                    let same = first == second && opportunistic(begun) == opportunistic(resumed);
                    let kept = *keeps || !opportunistic(begun);
                    assert_eq!(
                        connect(&to, resumed),
                        same && kept,
                        "{first}, {begun:?}, then {second}, {resumed:?}"
                    );
                }
            }
        }
    }
}

/// Nobody but rustls knows what it would do with them: they are not to be there.
#[test]
fn v05_opportunistic_connections_do_not_touch_the_store_of_the_users_own_settings() {
    for server in versions() {
        let store = Arc::new(Store::default());
        let mut own = (*server.client_config()).clone();
        own.resumption = Resumption::store(Arc::clone(&store) as _);
        for tls in [
            TlsConfig::from(own.clone()),
            TlsConfig::with_verifier(own.clone(), verifier(&server)),
        ] {
            let config = server.server_config();
            for _ in 0..2 {
                deliver(&opportunistic(&tls), &server, &config).unwrap();
            }
            assert_eq!(store.0.swap(0, Ordering::Relaxed), 0);
            deliver(&endpoint(&tls, Security::StartTls), &server, &config).unwrap();
            assert!(store.0.swap(0, Ordering::Relaxed) > 0);
        }
    }
}

/// Counts how often it is used.
#[derive(Debug, Default)]
struct Store(AtomicUsize);

impl Store {
    fn used(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {
        self.used();
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.used();
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {
        self.used();
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.used();
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.used();
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.used();
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.used();
        None
    }
}

/// Not only does TLS see to it: the sessions are not even looked for in each other's store.
#[test]
fn v05_what_was_begun_without_proof_stands_in_no_store_of_a_policy_that_verifies() {
    for base in versions() {
        let trusted = trust(&base);
        let impostor = base.clone().defect(Defect::SelfSigned);
        let config = impostor.server_config();
        let facts = deliver(&opportunistic(&trusted), &impostor, &config).unwrap();
        assert_eq!(*facts.verification(), Unverified(Reason::SelfSigned));
        for security in [Security::StartTls, Security::Implicit] {
            assert!(deliver(&endpoint(&trusted, security), &impostor, &config).is_none());
        }
        let facts = deliver(&opportunistic(&trusted), &impostor, &config).unwrap();
        assert!(facts.is_resumed(), "nobody else has taken it");
        assert_eq!(*facts.verification(), Unverified(Reason::SelfSigned));
    }
}

#[test]
fn of_settings_whose_verifier_is_not_known_nobody_is_asked() {
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
fn a_pinned_key_is_recorded_like_all_else() {
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
    assert!(
        facts.to_string().contains("none of those that were pinned"),
        "{facts}"
    );
}

#[cfg(feature = "dangerous")]
#[test]
fn where_nobody_is_to_look_nobody_is_verified_under_any_policy() {
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
        // A pinned key is something to look at.
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
