//! Which certificates a session accepts.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

mod client;
mod pinned;

use crate::common;

use std::sync::Arc;

use common::{HELLO, Wiring, mail, session, trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::CertificateError;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use smtp_rustls::proto::{Error, ErrorKind, Security, Stage, Wire};
use smtp_rustls::{Endpoint, TlsConfig, TlsError, rustls};
use smtp_test::{Config, Defect, Log};

/// Connects by STARTTLS and by implicit TLS, and returns the result, which must be the same. A
/// failure must come before anything is sent inside TLS.
fn connect(host: &str, tls: &smtp_test::Tls, trusted: &TlsConfig) -> Result<(), Error> {
    let mut results = [Security::StartTls, Security::Implicit].map(|security| {
        let mut config = Config::new().tls(tls.clone());
        if security == Security::Implicit {
            config = config.implicit_tls();
        }
        let log = Log::new();
        let endpoint = Endpoint::builder(host)
            .security(security)
            .tls(trusted.clone());
        let mut wiring = Wiring::new(session(endpoint), &config, tls, &log);
        let result = wiring.ready();
        wiring.settle();
        match &result {
            Ok(()) => assert!(log.session().tls().is_some()),
            Err(error) => {
                assert_eq!(error.stage(), Stage::TlsHandshake, "{error:#}");
                let commands = log.session().commands().len();
                assert_eq!(
                    commands,
                    if security == Security::StartTls { 2 } else { 0 },
                    "{error:#}"
                );
                let received = log.session().tls_error().map(str::to_owned);
                assert!(
                    received.as_deref().unwrap_or_default().contains("alert"),
                    "{received:?} for {error:#}"
                );
                assert!(wiring.session.smtp_mut().tls().is_none());
            }
        }
        result
    });
    let [starttls, implicit] = &mut results;
    assert_eq!(starttls.is_ok(), implicit.is_ok());
    results.into_iter().next().unwrap()
}

fn cause(error: &Error) -> CertificateError {
    let ErrorKind::Transport(error) = error.kind() else {
        panic!("{error:#}");
    };
    match error.get_ref().downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(cause)) => cause.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn v05_a_bad_certificate_fails_the_handshake_with_an_alert_and_a_hint() {
    use CertificateError as C;
    type Expected = fn(&C) -> bool;
    let matrix: [(Defect, Expected, &str); 10] = [
        (
            Defect::Expired,
            |c| matches!(c, C::ExpiredContext { .. }),
            "clock",
        ),
        (
            Defect::NotYetValid,
            |c| matches!(c, C::NotValidYetContext { .. }),
            "clock",
        ),
        (
            Defect::WrongName,
            |c| matches!(c, C::NotValidForNameContext { .. }),
            "another name",
        ),
        (
            Defect::CommonNameOnly,
            |c| matches!(c, C::NotValidForNameContext { .. }),
            "subjectAltName",
        ),
        (
            Defect::SelfSigned,
            |c| matches!(c, C::UnknownIssuer),
            "trust_pinned_keys_only().pin_key",
        ),
        (
            Defect::UnknownAuthority,
            |c| matches!(c, C::UnknownIssuer),
            "add_root_pem",
        ),
        (
            Defect::ClientOnly,
            |c| matches!(c, C::InvalidPurposeContext { .. }),
            "not for servers",
        ),
        (Defect::NameConstraint, |_| true, ""),
        (Defect::LongChain(8), |_| true, ""),
        (Defect::LongChain(100), |_| true, ""),
    ];
    for (defect, expected, cure) in matrix {
        for base in [
            smtp_test::Tls::new().only_tls12(),
            smtp_test::Tls::new().only_tls13(),
        ] {
            let trusted = trust(&base);
            let error = connect("localhost", &base.defect(defect), &trusted)
                .expect_err(&format!("{defect:?}"));
            assert!(expected(&cause(&error)), "{defect:?}: {error:#}");
            assert!(
                error.hint().unwrap_or_default().contains(cure),
                "{defect:?}: {error:#}"
            );
            assert!(format!("{error:#}").len() < 1024);
        }
    }
}

#[test]
fn v05_the_name_must_match_the_certificate() {
    let accepted = [
        ("localhost", "localhost"),
        ("LocalHost", "localhost"),
        ("localhost.", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("a.example.org", "*.example.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ];
    let rejected = [
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "localhost"),
        ("::1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("a.b.example.org", "*.example.org"),
        ("example.org", "*.example.org"),
        ("a.example.org", "*.org"),
        ("ab.example.org", "a*.example.org"),
        ("localhost", "*"),
        ("localhost", "localhost\0.example.org"),
        ("example.org", "localhost"),
        ("localhost", ""),
    ];
    for (host, certified) in accepted {
        let tls = smtp_test::Tls::for_names([certified]);
        connect(host, &tls, &trust(&tls))
            .unwrap_or_else(|error| panic!("{host} is not {certified}: {error:#}"));
    }
    for (host, certified) in rejected {
        let tls = smtp_test::Tls::for_names([certified]);
        connect(host, &tls, &trust(&tls)).expect_err(&format!("{host} is no {certified:?}"));
    }
}

#[cfg(feature = "idna")]
#[test]
fn v05_a_non_ascii_name_is_certified_by_its_a_labels() {
    let tls = smtp_test::Tls::for_names(["mail.xn--bcher-kva.example"]);
    for host in ["mail.b\u{fc}cher.example", "Mail.B\u{dc}CHER.Example."] {
        connect(host, &tls, &trust(&tls)).unwrap();
    }
    for host in ["mail.bucher.example", "mail.b\u{16f}cher.example"] {
        let error = connect(host, &tls, &trust(&tls)).unwrap_err();
        assert!(matches!(
            cause(&error),
            CertificateError::NotValidForNameContext { .. }
        ));
    }
}

#[test]
fn v05_a_trusted_ca_certificate_is_rejected_as_that_of_a_server() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let trusted = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(certificate.to_vec())
        .build()
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = smtp_test::Tls::new().certificate(vec![certificate], key);
    let error = connect("localhost", &tls, &trusted).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("trust_pinned_keys_only().pin_key"),
        "{error:#}"
    );
}

#[test]
fn v05_no_reference_name_comes_from_the_server() {
    let tls = smtp_test::Tls::for_names(["evil.example"]);
    let config = Config::new()
        .tls(tls.clone())
        .host("evil.example")
        .greeting("evil.example ESMTP");
    let log = Log::new();
    let mut wiring = Wiring::new(session(common::starttls(&tls)), &config, &tls, &log);
    assert!(matches!(
        cause(&wiring.ready().unwrap_err()),
        CertificateError::NotValidForNameContext { .. }
    ));
}

#[test]
fn roots_are_accepted_in_der_and_in_pem_only() {
    let tls = smtp_test::Tls::new();
    let der = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(tls.authority_der().to_vec());
    connect("localhost", &tls, &der.build().unwrap()).unwrap();
    let stranger = smtp_test::Tls::new().authority_pem();
    let pem = TlsConfig::builder()
        .no_default_roots()
        .add_root_pem(stranger + &tls.authority_pem());
    connect("localhost", &tls, &pem.build().unwrap()).unwrap();

    let failure =
        |builder: smtp_rustls::TlsConfigBuilder| builder.no_default_roots().build().unwrap_err();
    let garbled = tls.authority_pem().replace("M", "!");
    assert!(matches!(failure(TlsConfig::builder()), TlsError::NoRoots));
    assert!(matches!(
        failure(TlsConfig::builder().add_root_pem("no certificate")),
        TlsError::Pem(_)
    ));
    assert!(matches!(
        failure(TlsConfig::builder().add_root_pem(garbled)),
        TlsError::Pem(_)
    ));
    assert!(matches!(
        failure(TlsConfig::builder().add_root_der(b"no certificate")),
        TlsError::Root(_)
    ));
}

#[test]
fn a_rustls_configuration_is_used_unchanged() {
    let tls = smtp_test::Tls::new().only_tls12();
    let own: Arc<rustls::ClientConfig> = tls.client_config();
    connect("localhost", &tls, &TlsConfig::from(Arc::clone(&own))).unwrap();
    assert!(Arc::ptr_eq(
        TlsConfig::from(Arc::clone(&own)).config(),
        &own
    ));
}

#[test]
fn no_common_version_is_reported_as_such() {
    let server = smtp_test::Tls::new().only_tls13();
    let client = server.clone().only_tls12().client_config();
    let config = Config::new().tls(server.clone()).implicit_tls();
    let endpoint = Endpoint::implicit("localhost").tls(client);
    let mut wiring = Wiring::new(session(endpoint), &config, &server, &Log::new());
    let error = wiring.ready().unwrap_err();
    assert!(error.hint().unwrap().contains("in common"), "{error:#}");
    assert!(
        error
            .to_string()
            .starts_with("localhost:465: in the TLS handshake: "),
        "{error:#}"
    );
}

#[cfg(feature = "platform-verifier")]
#[test]
fn the_platform_verifier_trusts_a_private_authority_once_it_is_added() {
    let tls = smtp_test::Tls::new();
    let added = TlsConfig::builder()
        .add_root_pem(tls.authority_pem())
        .build()
        .unwrap();
    connect("localhost", &tls, &added).unwrap();
    let stranger = smtp_test::Tls::new().authority_pem();
    let other = TlsConfig::builder().add_root_pem(stranger).build().unwrap();
    let error = connect("localhost", &tls, &other).unwrap_err();
    // An authority of the same name with another key.
    assert!(
        matches!(cause(&error), CertificateError::BadSignature),
        "{error:#}"
    );
    assert!(error.hint().unwrap().contains("another key"), "{error:#}");
    let broken = TlsConfig::builder().add_root_der(b"no certificate").build();
    assert!(matches!(broken.unwrap_err(), TlsError::Root(_)));
}

#[cfg(feature = "webpki-roots")]
#[test]
fn webpki_roots_trust_a_private_authority_once_it_is_added() {
    let tls = smtp_test::Tls::new();
    let added = TlsConfig::builder()
        .webpki_roots()
        .add_root_pem(tls.authority_pem())
        .build()
        .unwrap();
    connect("localhost", &tls, &added).unwrap();
    let plain = TlsConfig::builder().webpki_roots().build().unwrap();
    assert!(matches!(
        cause(&connect("localhost", &tls, &plain).unwrap_err()),
        CertificateError::UnknownIssuer
    ));
}

#[cfg(feature = "dangerous")]
#[test]
fn dangerous_no_verification_accepts_any_certificate() {
    let tls = smtp_test::Tls::new().defect(Defect::SelfSigned);
    let careless = TlsConfig::builder()
        .dangerous_no_verification()
        .build()
        .unwrap();
    connect("example.org", &tls, &careless).unwrap();
}

/// RFC 8689, section 2.
#[cfg(feature = "dangerous")]
#[test]
fn requiretls_is_not_sent_to_an_unverified_server() {
    use smtp_rustls::proto::{Mail, Parameter};

    let accepted = |trust: TlsConfig, tls: &smtp_test::Tls| {
        let config = Config::new().tls(tls.clone()).with("REQUIRETLS");
        let log = Log::new();
        let endpoint = Endpoint::starttls("localhost").tls(trust).build().unwrap();
        let session = endpoint.session();
        let mut wiring = Wiring::new(session, &config, tls, &log);
        let mail = Mail::builder().sender("a@x.test").recipient("b@x.test");
        let mail = mail
            .parameter(Parameter::require_tls())
            .message(HELLO)
            .build();
        let outcome = wiring.send(mail.unwrap());
        log.assert_clean();
        outcome.is_accepted()
    };
    let tls = smtp_test::Tls::new();
    assert!(accepted(trust(&tls), &tls));
    let careless = TlsConfig::builder()
        .dangerous_no_verification()
        .build()
        .unwrap();
    assert!(!accepted(careless, &tls));
}

/// V30.
#[test]
fn the_error_for_a_certificate_with_hundreds_of_names_is_short() {
    let names = (0..400).map(|at| format!("host-number-{at}.example.org"));
    let tls = smtp_test::Tls::for_names(names);
    let error = connect("localhost", &tls, &trust(&tls)).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.len() < 1024, "{}: {text}", text.len());
    assert!(text.contains("host-number-4.example.org"), "{text}");
    assert!(text.contains("395 more"), "{text}");
    assert!(text.contains("connect by a name"), "{text}");
    assert!(format!("{error:?}").len() < 2048, "{error:?}");
    // The source as well.
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().len() < 512, "{source}");
}

#[test]
fn nothing_of_a_message_is_sent_to_an_unverified_server() {
    let tls = smtp_test::Tls::new().defect(Defect::UnknownAuthority);
    let log = Log::new();
    let mut wiring = common::wiring(true, &tls, &log);
    let outcome = wiring.send(mail(HELLO));
    assert!(outcome.recipients()[0].status().is_safe_to_retry());
    assert!(!outcome.is_in_doubt());
    assert_eq!(log.session().bytes_in(), 0);
}
