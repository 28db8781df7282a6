//! Client certificates.

use std::sync::Arc;

use crate::common::{Wiring, session, trust};
use rcgen::{CertificateParams, KeyPair};
use smtp_rustls::proto::Credentials;
use smtp_rustls::proto::sasl::External;
use smtp_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use smtp_rustls::{Endpoint, TlsConfig, TlsError};
use smtp_test::{Config, Log};

#[test]
fn a_client_certificate_is_presented_to_a_server_that_requests_one() {
    for tls in [
        smtp_test::Tls::new().only_tls12(),
        smtp_test::Tls::new().only_tls13(),
    ] {
        let tls = tls.require_client_certificate();
        let with = |(chain, key)| {
            TlsConfig::builder()
                .no_default_roots()
                .add_root_der(tls.authority_der().to_vec())
                .client_certificate(chain, key)
        };
        let certified = with(tls.client_certificate("alice")).build().unwrap();
        let login = |trusted: &TlsConfig| {
            let config = Config::new().tls(tls.clone()).external("alice");
            let log = Log::new();
            let endpoint = Endpoint::starttls("localhost")
                .tls(trusted.clone())
                .credentials(Credentials::from_mechanisms(vec![
                    Arc::new(External::new()),
                ]));
            let mut wiring = Wiring::new(session(endpoint), &config, &tls, &log);
            let result = wiring.ready();
            wiring.settle();
            (result, log.session())
        };
        let (result, seen) = login(&certified);
        result.unwrap();
        assert_eq!(seen.authenticated_as(), Some("alice"));

        // Without a certificate, or with one of an unknown authority, the login fails.
        let stranger = smtp_test::Tls::new().client_certificate("alice");
        for (client, hint) in [
            (trust(&tls), "client_certificate_pem"),
            (with(stranger).build().unwrap(), ""),
        ] {
            let (result, seen) = login(&client);
            let error = result.unwrap_err();
            assert!(error.hint().unwrap_or_default().contains(hint), "{error:#}");
            assert_eq!(seen.commands().len(), 2, "{:?}", seen.commands());
            assert_eq!(seen.authenticated_as(), None);
        }
    }
}

#[test]
fn a_client_certificate_and_its_key_are_checked_by_build() {
    let tls = smtp_test::Tls::new();
    let builder = || {
        TlsConfig::builder()
            .no_default_roots()
            .add_root_pem(tls.authority_pem())
    };
    let (chain, _) = tls.client_certificate("alice");
    let (_, other) = tls.client_certificate("bob");
    let mismatch = builder().client_certificate(chain.clone(), other);
    let error = mismatch.build().unwrap_err();
    assert!(matches!(error, TlsError::Client(_)), "{error:#}");
    let no_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(vec![0; 9]));
    let error = builder()
        .client_certificate(chain, no_key)
        .build()
        .unwrap_err();
    assert!(matches!(error, TlsError::Client(_)), "{error:#}");

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default()
        .self_signed(&key)
        .unwrap()
        .pem();
    let (key, both) = (
        key.serialize_pem(),
        certificate.clone() + &key.serialize_pem(),
    );
    for (chain, key) in [(&certificate, &key), (&both, &both)] {
        assert!(builder().client_certificate_pem(chain, key).build().is_ok());
    }
    for (chain, key) in [(&key, &key), (&certificate, &certificate)] {
        let error = builder()
            .client_certificate_pem(chain, key)
            .build()
            .unwrap_err();
        assert!(matches!(error, TlsError::ClientPem(_)), "{error:#}");
        assert!(std::error::Error::source(&error).is_some());
    }
    let shown = format!("{:?}", builder().client_certificate_pem(&both, &both));
    assert!(!shown.contains("key"), "{shown}");
}
