//! The hint of an error fits its cause.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::io;
use std::sync::Arc;

use crate::common::answered::Answered as _;
use crate::common::{NOW, Wiring, session, without_key};
use smtp_rustls::proto::{Error, Stage, TransportError, Wire};
use smtp_rustls::rustls::pki_types::CertificateDer;
use smtp_rustls::rustls::{self, SignatureScheme};
use smtp_rustls::{Endpoint, Session, TlsConfig};
use smtp_test::{Config, Log, Machine, Output, TlsPeer};

const AUTHORITY: &[u8] = include_bytes!("data/authority.der");
const P521_AUTHORITY: &[u8] = include_bytes!("data/p521-authority.der");
const VERSION_1: &[u8] = include_bytes!("data/version1.der");
const RSA_1024: &[u8] = include_bytes!("data/rsa1024.der");
const P521: &[u8] = include_bytes!("data/p521.der");
const P521_SIGNED: &[u8] = include_bytes!("data/p521-signed.der");

/// Trusts the authorities in `data`.
fn trust() -> TlsConfig {
    let builder = TlsConfig::builder().no_default_roots();
    let builder = builder.add_root_der(AUTHORITY).add_root_der(P521_AUTHORITY);
    builder.build().unwrap()
}

/// The error of a handshake with a server that presents this certificate.
fn failure(server: &smtp_test::Tls, certificate: &[u8], scheme: SignatureScheme) -> Error {
    let config = Config::new().tls(server.clone()).implicit_tls();
    let log = Log::new();
    let machine = Machine::with_log(&config, &log);
    let peer = TlsPeer::new(machine, without_key(server, certificate, scheme));
    let endpoint = Endpoint::implicit("localhost").tls(trust());
    let mut wiring = Wiring::with_peer(session(endpoint), peer);
    let error = wiring.ready().unwrap_err();
    assert_eq!(error.stage(), Stage::TlsHandshake, "{error:#}");
    error
}

#[test]
fn the_hint_for_an_unusable_certificate_names_the_reason() {
    let ecdsa = SignatureScheme::ECDSA_NISTP256_SHA256;
    let rsa = SignatureScheme::RSA_PSS_SHA256;
    for server in [
        smtp_test::Tls::new().only_tls12(),
        smtp_test::Tls::new().only_tls13(),
    ] {
        for (certificate, scheme, cure) in [
            (VERSION_1, ecdsa, "X.509 version 1"),
            (RSA_1024, rsa, "less than 2048 bits"),
            (P521, ecdsa, "`aws-lc-rs`"),
            (P521_SIGNED, ecdsa, ""),
        ] {
            let error = failure(&server, certificate, scheme);
            assert!(error.hint().unwrap().contains(cure), "{error:#}");
            assert!(format!("{error:#}").len() < 1024, "{error:#}");
        }
    }
}

/// A server with a key on P-521 only fails before it sends its certificate.
#[test]
fn the_hint_before_the_certificate_of_the_server_is_that_nothing_is_in_common() {
    let mut session = session(Endpoint::implicit("localhost").tls(trust()));
    let count = session.poll_transmit(NOW).unwrap().len();
    session.handle_sent(NOW, count);
    session.handle_input(NOW, &[21, 3, 3, 0, 2, 2, 40]);
    let error = failed(&mut session);
    assert!(error.hint().unwrap().contains("in common"), "{error:#}");
    if cfg!(not(feature = "aws-lc-rs")) {
        assert!(error.hint().unwrap().contains("`aws-lc-rs`"), "{error:#}");
    }
}

/// Some servers with TLS 1.2 send handshake_failure for every reason.
#[test]
fn the_hint_after_the_certificate_of_the_server_is_about_that_of_the_client() {
    let tls = smtp_test::Tls::new().only_tls12();
    let with = |show: bool| {
        let builder = TlsConfig::builder().no_default_roots();
        let builder = builder.add_root_der(tls.authority_der().to_vec());
        if show {
            let (chain, key) = smtp_test::Tls::new().client_certificate("alice");
            builder.client_certificate(chain, key).build().unwrap()
        } else {
            builder.build().unwrap()
        }
    };
    for (show, cure) in [
        (false, "requires a client certificate"),
        (true, "does not accept"),
    ] {
        let mut session = session(Endpoint::implicit("localhost").tls(with(show)));
        let log = Log::new();
        let config = Config::new().tls(tls.clone()).implicit_tls();
        let mut server = TlsPeer::new(Machine::with_log(&config, &log), tls.server_config());
        exchange(&mut session, &mut server);
        // handshake_failure, in its own record.
        session.handle_input(NOW, &[21, 3, 3, 0, 2, 2, 40]);
        let error = failed(&mut session);
        assert!(error.hint().unwrap().contains(cure), "{error:#}");
    }
}

#[test]
fn a_rejected_client_certificate_is_told_from_a_missing_one() {
    let tls = smtp_test::Tls::new();
    let builder = || {
        let builder = TlsConfig::builder().no_default_roots();
        builder.add_root_der(tls.authority_der().to_vec())
    };
    let (chain, key) = tls.client_certificate("alice");
    let showing = builder().client_certificate(chain, key).build().unwrap();
    let plain = builder().build().unwrap();
    // bad_certificate, unsupported_certificate, certificate_revoked, certificate_expired,
    // certificate_unknown, unknown_ca, access_denied.
    for alert in [42, 43, 44, 45, 46, 48, 49] {
        for (trust, cure) in [
            (&plain, "requires a client certificate"),
            (&showing, "does not accept"),
        ] {
            let mut session = session(Endpoint::implicit("localhost").tls(trust.clone()));
            let count = session.poll_transmit(NOW).unwrap().len();
            session.handle_sent(NOW, count);
            session.handle_input(NOW, &[21, 3, 3, 0, 2, 2, alert]);
            let error = failed(&mut session);
            assert!(error.hint().unwrap().contains(cure), "{alert}: {error:#}");
        }
    }
}

/// Moves the output of the client to the server, and that of the server back, once.
fn exchange(session: &mut Session, server: &mut TlsPeer<Machine>) {
    use smtp_test::Peer;

    let transmit = session.poll_transmit(NOW).unwrap();
    let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
    session.handle_sent(NOW, bytes.len());
    server.handle_input(&bytes);
    let Some(Output::Write(bytes)) = server.poll_output() else {
        panic!("the server has nothing to say");
    };
    session.handle_input(NOW, &bytes);
    let count = session.poll_transmit(NOW).unwrap().len();
    session.handle_sent(NOW, count);
}

fn failed(session: &mut Session) -> Error {
    while let Some(count) = session.poll_transmit(NOW).map(|transmit| transmit.len()) {
        session.handle_sent(NOW, count);
    }
    session.smtp_mut().poll_ready().answer().unwrap_err()
}

/// V30: an error of a verifier may quote the server.
#[test]
fn v30_the_text_of_an_error_of_a_custom_verifier_is_escaped_and_cut() {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{ServerName, UnixTime};

    #[derive(Debug)]
    struct Chatty;

    impl ServerCertVerifier for Chatty {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Err(rustls::Error::General("\u{1b}[2J".repeat(10_000)))
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }

    let server = smtp_test::Tls::new();
    let config = Config::new().tls(server.clone()).implicit_tls();
    let own = (*server.client_config()).clone();
    let endpoint =
        Endpoint::implicit("localhost").tls(TlsConfig::with_verifier(own, Arc::new(Chatty)));
    let mut wiring = Wiring::new(session(endpoint), &config, &server, &Log::new());
    let error = wiring.ready().unwrap_err();
    for text in [format!("{error:#}"), format!("{error:?}")] {
        assert!(text.len() < 1024, "{}", text.len());
        assert!(
            text.contains("\\x1b[2J") || text.contains("\\u{1b}[2J"),
            "{text}"
        );
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    let error = TransportError::new(rustls::Error::General("\u{1b}".repeat(10_000)));
    assert!(format!("{error:#}").len() <= 500);
    assert!(format!("{error:?}").len() <= 500);
}

#[test]
fn a_reset_during_the_handshake_has_the_hint_of_a_close() {
    let failed_by = |end: fn(&mut Session)| {
        let mut session = session(Endpoint::implicit("localhost").tls(trust()));
        end(&mut session);
        failed(&mut session).hint()
    };
    let closed = failed_by(|session| session.handle_eof(NOW));
    assert!(closed.unwrap().contains("check the port"));
    let reset = failed_by(|session| {
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        session.handle_read_error(NOW, error.into());
    });
    assert_eq!(reset, closed);
}
