//! A failed exchange is cancelled, an exchange has limits, and success before its end is an error.

use std::sync::Arc;

use smtp_proto::sasl::{ConnectionInfo, Exchange, ExchangeError, Mechanism, Name, Plain};
use smtp_proto::{ApiMisuse, AuthenticationError, Credentials, ErrorKind, Secret};

use super::attempt::{
    Attempt, CANARY, Own, PASSWORD, QUIT, USER, XOAUTH2, login, own, plain, xoauth2,
};
use crate::common::invariants::check_secret;

/// Asserts that the exchange is cancelled by an asterisk, its reply is read, and the error is
/// `failure` (RFC 4954, section 4).
fn check_cancelled(
    credentials: Credentials,
    offered: &str,
    replies: &[&str],
    failure: ExchangeError,
) {
    let replies_to_cancel = [
        ("501 cancelled", QUIT),
        ("435 later", QUIT),
        // Success after a cancellation is not success.
        ("235 welcome", QUIT),
        ("334 more", ""),
        ("354 go ahead", ""),
        ("421 shutting down", ""),
        ("221 bye", ""),
    ];
    for (reply_to_cancel, last_word) in replies_to_cancel {
        let mut attempt = Attempt::begin(credentials.clone(), offered);
        let (last, others) = replies.split_last().unwrap();
        for reply in others {
            assert_ne!(attempt.ask(reply), "*\r\n", "{reply}");
        }
        assert_eq!(attempt.ask(last), "*\r\n", "{offered}: to {last:?}");
        assert!(
            attempt.harness.connection.poll_ready().is_pending(),
            "the reply to the asterisk is not awaited"
        );
        assert_eq!(attempt.ask(reply_to_cancel), last_word);
        let error = attempt.failure();
        match error.kind() {
            ErrorKind::Authentication(AuthenticationError::Exchange(found)) => {
                assert_eq!(*found, failure)
            }
            _ => panic!("{reply_to_cancel}: {error:#}"),
        }
        assert_eq!(
            error.reply().unwrap().code().to_string(),
            reply_to_cancel[..3]
        );
    }
}

#[test]
fn v28_one_challenge_too_many_cancels_each_mechanism() {
    let json = "334 eyJzdGF0dXMiOiI0MDEifQ==";
    let rows: [(Credentials, &str, &[&str]); 6] = [
        (plain(), "AUTH PLAIN", &["334"]),
        (login(), "AUTH LOGIN", &["334", "334", "334"]),
        (xoauth2(), "AUTH XOAUTH2", &[json, json]),
        (own(Own::default()), "AUTH X-OWN", &["334"]),
        (
            own(Own {
                steps: 2,
                ..Own::default()
            }),
            "AUTH X-OWN",
            &["334", "334 Pw==", "334"],
        ),
        // Sixteen challenges are the limit, even if a mechanism declares more.
        (
            own(Own {
                steps: usize::MAX,
                ..Own::default()
            }),
            "AUTH X-OWN",
            &["334"; 17],
        ),
    ];
    for (credentials, offered, replies) in rows {
        check_cancelled(
            credentials,
            offered,
            replies,
            ExchangeError::TooManyChallenges,
        );
    }
}

#[test]
fn v35_a_challenge_that_is_not_base64_cancels_each_mechanism() {
    let challenges = [
        "334 Username:",
        "334 VXNlcm5hbWU6=",
        "334 VXNlcm5hbWU",
        "334 VXNl cm5h",
        "334  ",
        "334 \u{fc}",
        "334-\r\n334 ",
        "334-VXNl\r\n334 cm5h",
        "334 ====",
        "334 A",
    ];
    for challenge in challenges {
        // LOGIN does not read its prompts, but a reply of several lines is not a challenge.
        if challenge.starts_with("334-") {
            check_cancelled(login(), "AUTH LOGIN", &[challenge], ExchangeError::Encoding);
        } else {
            let mut attempt = Attempt::begin(login(), "AUTH LOGIN");
            assert_eq!(attempt.ask(challenge), USER);
            assert_eq!(attempt.ask(challenge), PASSWORD);
            assert_eq!(attempt.ask("235 welcome"), "");
            assert!(attempt.is_ready());
        }
        for (credentials, offered) in [
            (plain(), "AUTH PLAIN"),
            (xoauth2(), "AUTH XOAUTH2"),
            (
                own(Own {
                    steps: 9,
                    ..Own::default()
                }),
                "AUTH X-OWN",
            ),
        ] {
            check_cancelled(credentials, offered, &[challenge], ExchangeError::Encoding);
        }
    }
}

#[test]
fn a_mechanism_of_the_caller_may_fail_the_exchange() {
    let rejecting = own(Own {
        steps: 3,
        rejects: true,
        ..Own::default()
    });
    let failure = ExchangeError::Mechanism("the server is not the one it was");
    check_cancelled(rejecting, "AUTH X-OWN", &["334"], failure);

    // The server accepts the login, and the mechanism has no proof of the server.
    let doubting = own(Own {
        initial: Some("hi"),
        believes_nothing: true,
        ..Own::default()
    });
    let mut attempt = Attempt::begin(doubting, "AUTH X-OWN");
    assert_eq!(attempt.ask("235 welcome"), QUIT);
    assert_eq!(
        attempt.failure().to_string(),
        "at AUTH: the server has not proved itself; the server said: 235 welcome"
    );

    // The server's reason, as the mechanism returns it, is escaped.
    let telling = own(Own {
        initial: Some("hi"),
        detail: Some(b"no\x1b[2J"),
        ..Own::default()
    });
    let mut attempt = Attempt::begin(telling, "AUTH X-OWN");
    attempt.ask("535 no");
    let error = attempt.failure();
    assert!(format!("{error:#}").starts_with(
        "at AUTH: the server rejected the login with no\\x1b[2J; the server said: 535 no"
    ));
}

#[test]
fn success_before_the_end_of_an_exchange_is_an_error() {
    let long = || {
        Credentials::from_mechanisms(vec![
            Arc::new(Plain::new("alice", CANARY.repeat(40)).unwrap()) as Arc<dyn Mechanism>,
        ])
    };
    for (credentials, offered, replies) in [
        (login(), "AUTH LOGIN", &["235 welcome"][..]),
        (login(), "AUTH LOGIN", &["334", "235 welcome"]),
        // The response has not been sent.
        (long(), "AUTH PLAIN", &["235 welcome"]),
    ] {
        let mut attempt = Attempt::begin(credentials, offered);
        for reply in replies {
            attempt.ask(reply);
        }
        let error = attempt.failure();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Authentication(AuthenticationError::Exchange(ExchangeError::Premature))
            ),
            "{error:#}"
        );
    }
}

#[test]
fn v33_the_reason_of_xoauth2_is_kept_for_the_caller() {
    let json = r#"{"status":"401","schemes":"bearer"}"#;
    for (reason, kept) in [
        (
            "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0=".to_owned(),
            json.as_bytes().to_vec(),
        ),
        ("334".to_owned(), Vec::new()),
        // Of a long reason, 4 KiB are kept.
        (format!("334 {}", "AAAA".repeat(3000)), vec![0; 4096]),
    ] {
        let mut attempt = Attempt::begin(xoauth2(), "AUTH XOAUTH2");
        assert_eq!(attempt.said, XOAUTH2);
        assert_eq!(attempt.ask(&reason), "\r\n");
        assert_eq!(attempt.ask("535 no"), QUIT);
        let error = attempt.failure();
        match error.kind() {
            ErrorKind::Authentication(AuthenticationError::Rejected {
                detail: Some(detail),
            }) => assert_eq!(*detail, kept),
            other => panic!("{other:?}"),
        }
        assert!(format!("{error:#}").len() < 1024);
    }
    // A success after the reason is a contradiction, and not a login.
    let mut attempt = Attempt::begin(xoauth2(), "AUTH XOAUTH2");
    attempt.ask("334 e30=");
    attempt.ask("235 welcome");
    let error = attempt.failure();
    assert!(matches!(
        error.kind(),
        ErrorKind::Authentication(AuthenticationError::Exchange(ExchangeError::Contradiction))
    ));
}

#[test]
fn v12_an_initial_response_waits_if_the_line_would_be_over_512_bytes() {
    // `AUTH PLAIN `, CRLF, and base64 of two NULs, the user and the password: 513 bytes are not
    // possible, 516 come next.
    let longest = (512 - 13) / 4 * 3 - 2 - "alice".len();
    for (len, fits) in [(longest, true), (longest + 1, false), (7140, false)] {
        let password = CANARY.repeat(400)[..len].to_owned();
        let credentials =
            Credentials::from_mechanisms(vec![Arc::new(Plain::new("alice", password).unwrap())]);
        // The challenge that asks for it should be empty.
        for challenge in ["334", "334 ", "334 =", "334 Z28gYWhlYWQ="] {
            let mut attempt = Attempt::begin(credentials.clone(), "AUTH PLAIN");
            if fits {
                assert!(
                    attempt.said.len() <= 512 && attempt.said.len() > 508,
                    "{}",
                    attempt.said.len()
                );
                continue;
            }
            assert_eq!(attempt.said, "AUTH PLAIN\r\n");
            let response = attempt.ask(challenge);
            assert_eq!(
                response.len(),
                (len + 2 + "alice".len()).div_ceil(3) * 4 + 2
            );
            assert!(response.starts_with("AGFsaWNlAHR3ZWV0eS1hbmQtc3lsdmVzdGVy"));
            assert_eq!(attempt.ask("235 welcome"), "");
            assert!(attempt.is_ready());
            check_secret(CANARY, &attempt.shown.lock().unwrap());
        }
    }
}

#[test]
fn v12_lines_of_12288_bytes_go_both_ways_and_no_longer_ones() {
    let longest = (12288 - 2) / 4 * 3;
    let answering = |bytes| {
        own(Own {
            steps: 1,
            long: Some(bytes),
            ..Own::default()
        })
    };
    let mut attempt = Attempt::begin(answering(longest), "AUTH X-OWN");
    assert_eq!(attempt.ask("334").len(), 12286, "base64 comes in fours");
    check_cancelled(
        answering(longest + 1),
        "AUTH X-OWN",
        &["334"],
        ExchangeError::TooLong,
    );

    let challenge = |bytes: usize| format!("334 {}", "A".repeat(bytes - "334 \r\n".len()));
    let mut attempt = Attempt::begin(answering(1), "AUTH X-OWN");
    assert_eq!(attempt.ask(&challenge(12286)), "cg==\r\n");
    check_cancelled(
        answering(1),
        "AUTH X-OWN",
        &[&challenge(12289)],
        ExchangeError::TooLong,
    );
}

#[test]
fn an_initial_response_over_the_line_limit_is_not_sent() {
    /// An initial response that exceeds every line.
    #[derive(Debug)]
    struct Endless;

    impl Mechanism for Endless {
        fn name(&self) -> Name {
            Name::new("X-OWN").unwrap()
        }

        fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
            Box::new(Self)
        }
    }

    impl Exchange for Endless {
        fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
            Ok(Some(vec![b'r'; 10_000].into()))
        }

        fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
            Ok(Secret::default())
        }

        fn finish(&mut self) -> Result<(), ExchangeError> {
            Ok(())
        }

        fn max_challenges(&self) -> usize {
            1
        }
    }

    let attempt = Attempt::begin(
        Credentials::from_mechanisms(vec![Arc::new(Endless)]),
        "AUTH X-OWN",
    );
    assert_eq!(attempt.said, QUIT);
    assert_eq!(
        attempt.failure().to_string(),
        "at AUTH: challenge or response over 12288 bytes"
    );
}

#[test]
fn a_misuse_by_the_driver_is_reported_also_after_a_cancelled_exchange() {
    let mut attempt = Attempt::begin(xoauth2(), "AUTH XOAUTH2");
    assert_eq!(attempt.ask("334 ?"), "*\r\n");
    let now = attempt.harness.now;
    attempt.harness.connection.handle_sent(now, 1);
    let error = attempt.failure();
    assert!(
        matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::SentTooMuch)),
        "{error:#}"
    );
}
