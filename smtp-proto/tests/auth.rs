//! Authentication (RFC 4954): the messages of each mechanism, the meaning of each reply, and that
//! every exchange ends.

use crate::common;
use crate::common::raw_mail;

#[path = "auth/attempt.rs"]
mod attempt;
#[path = "auth/bounds.rs"]
mod bounds;

use std::sync::Arc;
use std::task::Poll;

use attempt::{
    Attempt, CANARY, Own, PASSWORD, PLAIN, QUIT, USER, XOAUTH2, login, own, plain, xoauth2,
};
use common::harness::Harness;
use common::invariants::check_secret;
use smtp_proto::sasl::{Login, Mechanism, Plain};
use smtp_proto::{
    AuthenticationError, Command, Config, Credentials, ErrorKind, Event, ProtocolError,
    RecipientStatus, Security, Stage,
};

#[test]
fn each_mechanism_sends_the_messages_of_its_standard() {
    let answering = |response, steps| {
        own(Own {
            steps,
            response,
            ..Own::default()
        })
    };
    let initially = |initial| {
        own(Own {
            initial: Some(initial),
            ..Own::default()
        })
    };
    type Turns = &'static [(&'static str, &'static str)];
    let rows: [(Credentials, &str, &str, Turns); 11] = [
        (plain(), "AUTH PLAIN", PLAIN, &[("235 welcome", "")]),
        (
            plain(),
            "auth=plain",
            PLAIN,
            &[("235-welcome\r\n235-dear\r\n235 alice", "")],
        ),
        // The first digit decides.
        (plain(), "AUTH PLAIN", PLAIN, &[("250", "")]),
        (
            login(),
            "AUTH LOGIN",
            "AUTH LOGIN\r\n",
            &[
                ("334 VXNlcm5hbWU6", USER),
                ("334 UGFzc3dvcmQ6", PASSWORD),
                ("235 welcome", ""),
            ],
        ),
        // Prompts are answered by their order, whatever their text.
        (
            login(),
            "AUTH LOGIN",
            "AUTH LOGIN\r\n",
            &[
                ("334 UGFzc3dvcmQ6", USER),
                ("334 VXNlcm5hbWU6", PASSWORD),
                ("235 welcome", ""),
            ],
        ),
        (
            login(),
            "AUTH LOGIN",
            "AUTH LOGIN\r\n",
            &[("334", USER), ("334 =", PASSWORD), ("235 welcome", "")],
        ),
        (xoauth2(), "AUTH XOAUTH2", XOAUTH2, &[("235 welcome", "")]),
        // RFC 4954, section 4: an empty initial response is an equals sign, an empty continuation
        // an empty line.
        (
            initially(""),
            "AUTH X-OWN",
            "AUTH X-OWN =\r\n",
            &[("235 welcome", "")],
        ),
        (
            initially("hi"),
            "AUTH X-OWN",
            "AUTH X-OWN aGk=\r\n",
            &[("235 welcome", "")],
        ),
        (
            answering("", 1),
            "AUTH X-OWN",
            "AUTH X-OWN\r\n",
            &[("334 Pw==", "\r\n"), ("235 welcome", "")],
        ),
        (
            answering("yes", 2),
            "AUTH X-OWN",
            "AUTH X-OWN\r\n",
            &[
                ("334 Pw==", "eWVz\r\n"),
                ("334 ", "eWVz\r\n"),
                ("235 welcome", ""),
            ],
        ),
    ];
    for (credentials, offered, first, turns) in rows {
        let name = credentials.names().next().unwrap();
        let mut attempt = Attempt::begin(credentials, offered);
        assert_eq!(attempt.said, first);
        for (reply, response) in turns {
            assert!(!attempt.is_ready(), "{name}: ready before {reply}");
            assert_eq!(attempt.ask(reply), *response, "{name}: to {reply}");
        }
        assert!(attempt.is_ready(), "{name}");
        assert_eq!(attempt.harness.connection.mechanism(), Some(name));
        check_secret(CANARY, &attempt.shown.lock().unwrap());
    }
}

#[test]
fn each_rejection_has_its_own_hint() {
    // The code, whether a retry makes sense, and a word of the hint.
    let rows: [(u16, bool, Option<&str>); 13] = [
        (432, true, Some("changed")),
        (454, true, Some("try again later")),
        (450, true, None),
        (500, false, None),
        (501, false, None),
        (503, false, None),
        (504, false, Some("mechanism")),
        (530, false, Some("TLS first")),
        (534, false, Some("application password")),
        (535, false, Some("password is wrong")),
        (538, false, Some("encryption")),
        (550, false, None),
        (554, false, None),
    ];
    let mut texts = Vec::new();
    for (code, transient, hint) in rows {
        let mut attempt = Attempt::begin(plain(), "AUTH PLAIN LOGIN");
        assert_eq!(attempt.ask(&format!("{code}-no,\r\n{code} not so")), QUIT);
        let error = attempt.failure();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Authentication(AuthenticationError::Rejected { detail: None })
            ),
            "{error:#}"
        );
        assert_eq!(error.reply().unwrap().code(), code);
        assert_eq!(error.is_transient(), transient, "{error:#}");
        let text = format!("{error:#}");
        assert!(text.starts_with(&format!(
            "at AUTH: the server rejected the login; the server said: {code} no, / not so"
        )));
        match hint {
            Some(word) => assert!(error.hint().unwrap().contains(word), "{error:#}"),
            None => assert_eq!(error.hint(), None, "{error:#}"),
        }
        texts.extend(error.hint());
    }
    texts.sort_unstable();
    let count = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), count, "two rejections have one hint");
}

#[test]
fn a_421_to_auth_is_not_a_rejected_login() {
    for (credentials, offered, replies) in [
        (plain(), "AUTH PLAIN", &["421 busy"][..]),
        (login(), "AUTH LOGIN", &["334", "421 busy"]),
        (login(), "AUTH LOGIN", &["334", "334", "421 busy"]),
    ] {
        let mut attempt = Attempt::begin(credentials, offered);
        for reply in replies {
            attempt.ask(reply);
        }
        let error = attempt.failure();
        assert!(matches!(error.kind(), ErrorKind::Rejected), "{error:#}");
        assert!(error.is_transient());
    }
    let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
    attempt.harness.connection.handle_eof(attempt.harness.now);
    assert!(matches!(
        attempt.failure().kind(),
        ErrorKind::ConnectionLost
    ));
}

#[test]
fn replies_of_other_classes_to_auth_are_errors() {
    // RFC 4954, section 4: 334 is the only 3yz.
    for reply in [
        "211 status",
        "214 help",
        "220 hello again",
        "300",
        "354 go ahead",
        "399 more",
    ] {
        let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
        assert_eq!(attempt.ask(reply), "");
        let error = attempt.failure();
        assert!(
            matches!(error.kind(), ErrorKind::Protocol(ProtocolError::WrongClass)),
            "{error:#}"
        );
    }
    // A server that sends 221 closes.
    let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
    assert_eq!(attempt.ask("221 bye"), "");
    let error = attempt.failure();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionLost),
        "{error:#}"
    );
    assert_eq!(error.reply().unwrap().code(), 221);
}

#[test]
fn without_a_common_mechanism_auth_is_not_sent() {
    let attempt = Attempt::begin(
        Credentials::password("alice", CANARY)
            .unwrap()
            .restrict_to(["PLAIN", "LOGIN"]),
        "AUTH CRAM-MD5 GSSAPI,AUTH=NTLM",
    );
    assert_eq!(attempt.said, QUIT);
    let error = attempt.failure();
    match error.kind() {
        ErrorKind::Authentication(AuthenticationError::NoCommonMechanism { offered, ours }) => {
            assert_eq!(*offered, ["CRAM-MD5", "GSSAPI", "NTLM"]);
            assert_eq!(*ours, ["PLAIN", "LOGIN"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        format!("{error:#}"),
        "at AUTH: no mechanism in common: the server advertises CRAM-MD5 GSSAPI NTLM, the credentials support PLAIN LOGIN"
    );
    assert!(!error.is_transient());

    for (offered, hint) in [
        (
            "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS",
            Some("channel binding"),
        ),
        ("AUTH XOAUTH2 OAUTHBEARER", Some("token")),
        ("AUTH XOAUTH2 SCRAM-SHA-1-PLUS", None),
    ] {
        let error = Attempt::begin(plain(), offered).failure();
        match hint {
            Some(word) => assert!(error.hint().unwrap().contains(word), "{error:#}"),
            None => assert_eq!(error.hint(), None),
        }
    }

    let many = (0..30)
        .map(|number| format!(" X-{number}-{}", "LONG".repeat(10)))
        .collect::<String>();
    let error = Attempt::begin(plain(), &format!("AUTH{many} \x1b[2J")).failure();
    let text = format!("{error:#}");
    assert!(
        text.len() < 1024 && !text.contains(|c: char| c.is_control()),
        "{text}"
    );
}

#[test]
fn no_authentication_advertised_is_an_error_of_its_own() {
    for offered in ["", "AUTH", "AUTHX PLAIN", "X-AUTH PLAIN", "PLAIN"] {
        let attempt = Attempt::begin(plain(), offered);
        assert_eq!(attempt.said, QUIT);
        let error = attempt.failure();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Authentication(AuthenticationError::NotAdvertised)
            ),
            "{offered:?}: {error:#}"
        );
        assert!(error.hint().unwrap().contains("587"));
    }
}

#[test]
fn authentication_advertised_in_tls_only_is_an_error_of_its_own() {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .credentials(plain())
        .dangerous_credentials_in_cleartext();
    for (offered, in_tls) in [
        ("STARTTLS", true),
        ("", false),
        ("STARTTLS,AUTH PLAIN", false),
    ] {
        let mut harness = Harness::new(config.clone().build().unwrap());
        harness.ask("220 mx.test\r\n");
        let said = harness.ask(common::harness::ehlo(offered));
        assert_eq!(said.starts_with("AUTH"), offered.contains("AUTH"));
        let Poll::Ready(Err(error)) = harness.connection.poll_ready() else {
            assert!(offered.contains("AUTH"));
            continue;
        };
        let ErrorKind::Authentication(kind) = error.kind() else {
            panic!("{error:#}");
        };
        let found = matches!(kind, AuthenticationError::NotAdvertisedInCleartext);
        assert_eq!(found, in_tls, "{error:#}");
        assert_eq!(
            error.hint().unwrap().contains("STARTTLS"),
            in_tls,
            "{error:#}"
        );
    }
}

#[test]
fn the_callers_order_decides_and_one_mechanism_is_tried() {
    let mechanisms: [(Arc<dyn Mechanism>, &str); 2] = [
        (
            Arc::new(Login::new("alice", CANARY).unwrap()),
            "AUTH LOGIN\r\n",
        ),
        (Arc::new(Plain::new("alice", CANARY).unwrap()), PLAIN),
    ];
    for order in [[0, 1], [1, 0]] {
        let list = order.map(|index| Arc::clone(&mechanisms[index].0)).to_vec();
        let mut attempt =
            Attempt::begin(Credentials::from_mechanisms(list), "AUTH PLAIN,AUTH LOGIN");
        assert_eq!(attempt.said, mechanisms[order[0]].1);
        assert_eq!(attempt.ask("504 not this one"), QUIT);
        attempt.failure();
    }
}

#[test]
fn v36_an_unexpected_235_is_no_login() {
    // After the reply to EHLO, before AUTH is sent.
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Implicit)
        .credentials(plain());
    let mut harness = Harness::new(config.build().unwrap());
    harness.listen();
    harness.upgrade();
    harness.ask("220 mx.test\r\n");
    harness.say("250-mx.test\r\n250 AUTH PLAIN\r\n235 welcome\r\n");
    let error = harness.failure();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::UnexpectedReply)
        ),
        "{error:#}"
    );
    assert_eq!(harness.sent, b"EHLO client.test\r\n");

    // Once more, after the login.
    let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
    attempt.ask("235 welcome\r\n235 welcome");
    let error = attempt.harness.failure();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::UnexpectedReply)
        ),
        "{error:#}"
    );
}

#[test]
fn v36_a_session_logs_in_once() {
    // A later reply about the login is the reply to a command, and never leads to another AUTH.
    for reply in [
        "530 5.7.0 log in first",
        "503 5.5.1 again",
        "454 4.7.0 the login has expired",
    ] {
        let mut attempt = Attempt::begin(plain(), "AUTH PLAIN LOGIN");
        attempt.ask("235 welcome");
        let mail = raw_mail("a@x.test", ["b@x.test"], "hello\r\n").unwrap();
        attempt.harness.connection.submit(mail);
        assert!(attempt.harness.listen().starts_with("MAIL FROM:"));
        assert_eq!(attempt.ask(reply), "");
        let mut statuses = Vec::new();
        while let Some(event) = attempt.harness.connection.poll_event() {
            if let Event::Outcome(_, outcome) = event.unwrap() {
                statuses.push(outcome.recipients()[0].status().clone());
            }
        }
        let [
            RecipientStatus::Rejected {
                stage: Stage::Mail,
                reply: heard,
                ..
            },
        ] = statuses.as_slice()
        else {
            panic!("{reply}: {statuses:?}");
        };
        assert_eq!(heard.to_string(), reply);
        assert!(attempt.is_ready());
    }
    for verb in ["AUTH", "auth", "Auth"] {
        assert!(Command::custom(verb, Some("PLAIN AGE=")).is_err());
    }
}

#[test]
fn v37_a_transcript_shows_no_challenge_and_every_other_reply() {
    let mut attempt = Attempt::begin(login(), "AUTH LOGIN");
    attempt.ask("334 c2VjcmV0");
    attempt.ask("535 5.7.8 wrong");
    let shown = attempt.shown.lock().unwrap().clone();
    assert!(!shown.contains("c2VjcmV0"), "{shown}");
    assert!(shown.contains("S: 535 5.7.8 wrong"), "{shown}");

    // Outside of a login, 334 has no meaning.
    let shown = Arc::new(std::sync::Mutex::new(String::new()));
    let observer = Arc::clone(&shown);
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .transcript(move |entry| *observer.lock().unwrap() += &format!("{entry}\n"))
        .build()
        .unwrap();
    let mut harness = Harness::new(config);
    harness.listen();
    harness.ask("334 c2VjcmV0\r\n");
    assert!(shown.lock().unwrap().contains("S: 334 c2VjcmV0"));
}
