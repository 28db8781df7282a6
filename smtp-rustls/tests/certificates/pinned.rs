//! Pinned keys.

use smtp_rustls::rustls::CertificateError;
use smtp_rustls::{TlsConfig, TlsError};
use smtp_test::Defect;

use super::{cause, connect};

#[test]
fn v05_a_pinned_key_is_required_in_addition() {
    for tls in [
        smtp_test::Tls::new().only_tls12(),
        smtp_test::Tls::new().only_tls13(),
    ] {
        let pinning = |tls: &smtp_test::Tls| {
            TlsConfig::builder()
                .no_default_roots()
                .add_root_der(tls.authority_der().to_vec())
        };
        let key = tls.key_sha256();
        connect(
            "localhost",
            &tls,
            &pinning(&tls).pin_key(key).build().unwrap(),
        )
        .unwrap();
        let next = pinning(&tls).pin_key([0; 32]).pin_key(key).build();
        connect("localhost", &tls, &next.unwrap()).unwrap();
        // The same name from the same authority, with another key.
        let other = tls.sibling(["localhost"]);
        let error = connect(
            "localhost",
            &other,
            &pinning(&tls).pin_key(key).build().unwrap(),
        )
        .unwrap_err();
        assert!(error.hint().unwrap().contains("pinned"), "{error:#}");
        assert!(
            format!("{error:#}").contains("key is not pinned"),
            "{error:#}"
        );
        // A pinned key does not excuse an expired certificate.
        let expired = tls.defect(Defect::Expired);
        let known = pinning(&expired).pin_key(expired.key_sha256()).build();
        let error = connect("localhost", &expired, &known.unwrap()).unwrap_err();
        assert!(matches!(
            cause(&error),
            CertificateError::ExpiredContext { .. }
        ));
    }
}

#[test]
fn v05_if_only_pinned_keys_are_trusted_nothing_else_counts() {
    use Defect::{Expired, LongChain, NameConstraint, SelfSigned, UnknownAuthority, WrongName};
    for defect in [
        Expired,
        WrongName,
        SelfSigned,
        UnknownAuthority,
        NameConstraint,
        LongChain(8),
    ] {
        for base in [
            smtp_test::Tls::new().only_tls12(),
            smtp_test::Tls::new().only_tls13(),
        ] {
            let tls = base.clone().defect(defect);
            let only = |key| {
                TlsConfig::builder()
                    .trust_pinned_keys_only()
                    .pin_key(key)
                    .build()
            };
            connect("mx.example.org", &tls, &only(tls.key_sha256()).unwrap()).unwrap();
            // A valid certificate with another key.
            let error = connect("localhost", &base, &only(tls.key_sha256()).unwrap());
            assert!(error.unwrap_err().hint().unwrap().contains("pinned"));
        }
    }
    let nothing = TlsConfig::builder()
        .trust_pinned_keys_only()
        .build()
        .unwrap_err();
    assert!(matches!(nothing, TlsError::NoKeys));
    assert!(nothing.to_string().contains("pin one"));
}
