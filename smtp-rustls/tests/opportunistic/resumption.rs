//! Sessions are resumed only at the level of trust at which they began.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::trust;
use smtp_rustls::TlsConfig;
use smtp_rustls::proto::{Security, UnverifiedReason as Reason, Verification::Unverified};
use smtp_rustls::rustls::NamedGroup;
use smtp_rustls::rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use smtp_rustls::rustls::pki_types::ServerName;
use smtp_test::Defect;

use super::{MAKES, deliver, endpoint, opportunistic, verifier, versions};

/// rustls does not verify a certificate again when it resumes a session, so no session may pass
/// from one level of trust to another.
#[test]
fn v05_a_session_is_resumed_only_at_the_level_of_trust_at_which_it_began() {
    let securities = [
        Security::StartTls,
        Security::Implicit,
        Security::Opportunistic,
    ];
    for server in versions() {
        let config = server.server_config();
        let connect = |tls: &TlsConfig, security| {
            let facts = deliver(&endpoint(tls, security), &server, &config);
            facts.expect("the certificate is valid").is_resumed()
        };
        for (first, make_first, keeps) in MAKES {
            for (second, make_second, _) in MAKES {
                // One `TlsConfig` for both connections if the kind is the same; a new one for each
                // pair.
                let pairs = securities.iter().flat_map(|begun| {
                    let resumed = securities.iter().filter(|_| first == second);
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
                    let opportunistic = |security| security == Security::Opportunistic;
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

/// What rustls does with cached sessions is not visible here, so opportunistic ones must not be in
/// that cache.
#[test]
fn v05_opportunistic_connections_do_not_use_the_session_cache_of_a_custom_configuration() {
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

/// A session cache that counts its uses.
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

/// The session would not be accepted anyway, but it is not even looked up in the other cache.
#[test]
fn v05_an_opportunistic_session_is_in_no_cache_of_required_tls() {
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
        assert!(facts.is_resumed(), "the session is still in its cache");
        assert_eq!(*facts.verification(), Unverified(Reason::SelfSigned));
    }
}
