//! SCRAM: each hash, with and without channel binding, and servers with defects.

use smtp_proto::sasl::Scram;
use smtp_test::ScramDefect;

use super::*;

type Make = fn(&str, &str) -> Scram;

fn makers() -> [(Make, &'static str, &'static str); 3] {
    [
        (
            |user, password| Scram::sha1(user, password).unwrap(),
            "SCRAM-SHA-1",
            "SCRAM-SHA-1-PLUS",
        ),
        (
            |user, password| Scram::sha256(user, password).unwrap(),
            "SCRAM-SHA-256",
            "SCRAM-SHA-256-PLUS",
        ),
        (
            |user, password| Scram::sha512(user, password).unwrap(),
            "SCRAM-SHA-512",
            "SCRAM-SHA-512-PLUS",
        ),
    ]
}

#[test]
fn each_hash_logs_in_bound_and_unbound_with_the_right_password_only() {
    for (make, name, bound) in makers() {
        check(
            name,
            &of(make("alice", PASSWORD)),
            Some(&of(make("alice", "wrong"))),
            "alice",
        );
        check(
            bound,
            &of(make("alice", PASSWORD).plus()),
            Some(&of(make("mallory", PASSWORD).plus())),
            "alice",
        );
    }
    let server = server("SCRAM-SHA-256").user("b,o=b", PASSWORD);
    let bob = Scram::sha256("b,o=b", PASSWORD).unwrap();
    let bob = of(bob.authorize_as("b,o=b").unwrap());
    let (result, log) = log_in(config(&bob), facts(), &server);
    assert!(result.is_ok());
    assert_eq!(log.session().authenticated_as(), Some("b,o=b"));
}

#[test]
fn v32_a_server_detects_that_its_mechanisms_were_stripped() {
    let (make, name, bound) = makers()[1];
    let server = server(name).mechanisms([name, bound]);
    let credentials = of(make("alice", PASSWORD));
    let (result, log) = log_in(config(&credentials), facts(), &server);
    assert!(result.is_ok(), "a client that could and does not want to");
    log.assert_clean();

    let cut = |said: String| said.replace(" SCRAM-SHA-256-PLUS", "");
    let (result, log) = log_in_past(config(&credentials), facts(), &server, cut);
    assert!(result.is_err());
    assert_eq!(log.session().authenticated_as(), None);
    let violations = log.violations();
    assert!(
        violations
            .iter()
            .any(|each| each.detail().contains("removed it")),
        "{violations:?}"
    );
}

#[test]
fn v32_a_binding_to_another_channel_is_rejected() {
    let (make, _, bound) = makers()[1];
    let credentials = of(make("alice", PASSWORD).plus());
    let elsewhere = TlsInfo::new().with_exporter(b"another connection".to_vec());
    let (result, log) = log_in(config(&credentials), elsewhere, &server(bound));
    let error = result.unwrap_err();
    let ErrorKind::Authentication(AuthenticationError::Rejected { .. }) = error.kind() else {
        panic!("{error:#}");
    };
    assert_eq!(log.session().authenticated_as(), None);
}

#[test]
fn an_unsupported_channel_binding_differs_from_a_wrong_password() {
    let (make, name, bound) = makers()[1];
    // The reply to AUTH, or the error in the last SCRAM message; whether the binding is the reason,
    // and a word of the hint.
    let rows = [
        (Err("501 5.5.4 bad protocol"), true, "tls-unique"),
        (Err("554 5.7.0 no"), true, "tls-unique"),
        (Err("535 5.7.8 no"), false, "password is wrong"),
        (Err("504 5.5.4 no"), false, "mechanism"),
        // unsupported-channel-binding-type, channel-bindings-dont-match, invalid-proof
        (
            Ok("ZT11bnN1cHBvcnRlZC1jaGFubmVsLWJpbmRpbmctdHlwZQ=="),
            true,
            "tls-unique",
        ),
        (
            Ok("ZT1jaGFubmVsLWJpbmRpbmdzLWRvbnQtbWF0Y2g="),
            true,
            "proxy",
        ),
        (Ok("ZT1pbnZhbGlkLXByb29m"), false, "password is wrong"),
    ];
    for (answer, to_blame, hint) in rows {
        for (mechanism, scram) in [
            (bound, make("alice", PASSWORD).plus()),
            (name, make("alice", PASSWORD)),
        ] {
            let mut server = server(mechanism);
            if let Err(reply) = answer {
                server = server.on(Stage::Auth, Action::reply(reply));
            }
            let reject = |said: String| match answer {
                // The signature, `v=`, and the text after it.
                Ok(error) if said.starts_with("334 dj") => format!("334 {error:#}\r\n"),
                Ok(_) if said.starts_with("235") => "535 5.7.8 no\r\n".to_owned(),
                _ => said,
            };
            let (result, _) = log_in_past(config(&of(scram)), facts(), &server, reject);
            let error = result.unwrap_err();
            assert!(!error.is_transient());
            let ErrorKind::Authentication(kind) = error.kind() else {
                panic!("{error:#}");
            };
            let blamed = matches!(kind, AuthenticationError::BindingRejected { .. });
            assert_eq!(
                blamed,
                to_blame && mechanism == bound,
                "{mechanism}: {error:#}"
            );
            if blamed || !to_blame {
                assert!(
                    error.hint().unwrap().contains(hint),
                    "{mechanism}: {error:#}"
                );
            } else {
                let hint = error.hint().unwrap_or_default();
                assert!(
                    !hint.contains("PLUS") && !hint.contains("proxy"),
                    "{error:#}"
                );
            }
        }
    }
}

#[test]
fn without_a_channel_binding_the_unbound_mechanism_is_used() {
    let password = Credentials::password("alice", PASSWORD).unwrap();
    let offer = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"];
    let server = server("PLAIN").mechanisms(offer);
    for (facts, expected) in [
        (facts(), "SCRAM-SHA-256-PLUS"),
        (TlsInfo::new(), "SCRAM-SHA-256"),
        (TlsInfo::asserted(), "SCRAM-SHA-256"),
    ] {
        let (result, log) = log_in(config(&password), facts, &server);
        assert!(result.is_ok());
        let auth = log.session().commands().iter().any(|command| {
            command.split(' ').nth(1) == Some(expected) && command.starts_with("AUTH")
        });
        assert!(auth, "{}", log.session().transcript());
        log.assert_clean();
    }
}

#[test]
fn v34_a_server_with_a_defect_is_not_authenticated() {
    for (make, name, bound) in makers() {
        for (name, scram) in [
            (name, make("alice", PASSWORD)),
            (bound, make("alice", PASSWORD).plus()),
        ] {
            for defect in [
                ScramDefect::WrongSignature,
                ScramDefect::NoSignature,
                ScramDefect::EmptyFinal,
                ScramDefect::ErrorThenSuccess,
                ScramDefect::ForeignNonce,
                ScramDefect::SameNonce,
                ScramDefect::MandatoryExtension,
            ] {
                let server = server(name).scram(smtp_test::Scram::new().defect(defect));
                let config = config(&of(scram.clone()));
                let (result, log) = log_in(config, facts(), &server);
                let error = result.expect_err("a server that is not believed");
                let ErrorKind::Authentication(AuthenticationError::Exchange(_)) = error.kind()
                else {
                    panic!("{name}, {defect:?}: {error:#}");
                };
                assert_eq!(auths(&log), 1);
                log.assert_clean();
            }
        }
    }
}

#[test]
fn v34_too_many_or_too_few_iterations_are_rejected() {
    for iterations in [0, 1, 4095, 600_001, u32::MAX] {
        let scram = smtp_test::Scram::new().iterations(iterations);
        let server = server("SCRAM-SHA-256").scram(scram);
        let credentials = of(Scram::sha256("alice", PASSWORD).unwrap());
        let (result, log) = log_in(config(&credentials), facts(), &server);
        let ErrorKind::Authentication(AuthenticationError::Exchange(failure)) =
            result.as_ref().unwrap_err().kind()
        else {
            panic!("{iterations}: {result:?}");
        };
        assert!(format!("{failure:#}").contains("iterations"), "{failure:#}");
        assert!(log.session().transcript().contains("\nC: *"));
    }
}

#[test]
fn v34_a_replayed_exchange_is_rejected() {
    // A replay of the whole exchange; only the client's nonce differs.
    let scram = Scram::sha256("alice", PASSWORD).unwrap();
    let credentials = of(scram);
    let config = config(&credentials);
    let replay = |seed: u8, first: Option<&str>| {
        let mut harness = crate::common::harness::Harness::new(config.clone());
        harness.connection =
            Connection::new(Arc::new(config.clone()), Seed::from_bytes([seed; 32]));
        let said = harness.secure("AUTH SCRAM-SHA-256");
        match first {
            Some(first) => harness.ask(format!("334 {first}\r\n")),
            None => said,
        }
    };
    let base64 = |text: &str| {
        use base64::{Engine, prelude::BASE64_STANDARD};
        BASE64_STANDARD.encode(text)
    };
    let nonce = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let first = base64(&format!("r={nonce}srv,s=c21hbGwgc2FsdA==,i=4096"));
    assert_eq!(
        replay(7, None),
        format!(
            "AUTH SCRAM-SHA-256 {}\r\n",
            base64(&format!("n,,n=alice,r={nonce}"))
        )
    );
    assert!(replay(7, Some(&first)).len() > 40);
    assert_eq!(replay(8, Some(&first)), "*\r\n");
}
