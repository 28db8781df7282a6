//! Logging in (RFC 4954): what each mechanism says, what each answer means, and that it always comes to an end.

mod common;

use std::sync::{Arc, Mutex};

use common::invariants::check_secret;
use common::rig::Rig;
use smtp_proto::sasl::{Context, Exchange, Failure, Login, Mechanism, Name, Plain, XOAuth2};
use smtp_proto::{
    AuthenticationError, Command, Config, Credentials, Error, ErrorKind, Event, Fate, Mail,
    ProtocolError, ReplyError, Secret, Security, Stage,
};

const CANARY: &str = "tweety-and-sylvester";

/// A connection that has said AUTH, and everything that was shown of it.
struct Attempt {
    rig: Rig,
    shown: Arc<Mutex<String>>,
    /// What the connection said to the reply that offers AUTH.
    said: String,
}

impl Attempt {
    fn begin(credentials: Credentials, offered: &str) -> Self {
        let shown = Arc::new(Mutex::new(String::new()));
        let observer = Arc::clone(&shown);
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Implicit)
            .credentials(credentials)
            .transcript(move |entry| *observer.lock().unwrap() += &format!("{entry}\n{entry:?}\n"))
            .build()
            .unwrap();
        let mut rig = Rig::new(config);
        let said = rig.secure(offered);
        Self { rig, shown, said }
    }

    /// Says one line, and gives the line that comes back.
    fn ask(&mut self, reply: &str) -> String {
        self.rig.ask(format!("{reply}\r\n"))
    }

    fn is_ready(&mut self) -> bool {
        matches!(self.rig.connection.poll_ready(), Some(Ok(())))
    }

    /// The failure; nothing more is said after it, and nothing that was shown tells a secret.
    fn failure(mut self) -> Error {
        let error = self.rig.failure();
        assert_eq!(self.rig.listen(), "", "said after {error}");
        assert_eq!(error.stage(), Stage::Auth);
        let auths = self
            .rig
            .sent
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"AUTH "))
            .count();
        assert!(auths <= 1, "a second mechanism was tried");
        let shown = self.shown.lock().unwrap();
        check_secret(CANARY, &shown);
        check_secret(
            CANARY,
            &format!("{error} {error:?} {error:#?} {:?}", self.rig.connection),
        );
        error
    }
}

fn plain() -> Credentials {
    Credentials::mechanisms(vec![Arc::new(Plain::new("alice", CANARY).unwrap())])
}

fn login() -> Credentials {
    Credentials::mechanisms(vec![Arc::new(Login::new("alice", CANARY).unwrap())])
}

fn xoauth2() -> Credentials {
    Credentials::xoauth2("alice", CANARY).unwrap()
}

const PLAIN: &str = "AUTH PLAIN AGFsaWNlAHR3ZWV0eS1hbmQtc3lsdmVzdGVy\r\n";
const USER: &str = "YWxpY2U=\r\n";
const PASSWORD: &str = "dHdlZXR5LWFuZC1zeWx2ZXN0ZXI=\r\n";
const XOAUTH2: &str =
    "AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0d2VldHktYW5kLXN5bHZlc3RlcgEB\r\n";

/// A mechanism of a user's own: it says what it is told to.
#[derive(Clone, Debug, Default)]
struct Own {
    initial: Option<&'static str>,
    /// How often its response is the same.
    steps: usize,
    response: &'static str,
    refuses: bool,
    believes_nothing: bool,
    detail: Option<&'static [u8]>,
    long: Option<usize>,
}

impl Mechanism for Own {
    fn name(&self) -> Name {
        Name::new("X-OWN").unwrap()
    }

    fn start(&self, context: &Context<'_>) -> Box<dyn Exchange> {
        assert!(context.secure());
        assert_eq!(context.nonce(), &[7; 32]);
        Box::new(self.clone())
    }
}

impl Exchange for Own {
    fn initial_response(&mut self) -> Result<Option<Secret>, Failure> {
        Ok(self.initial.map(Secret::from))
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, Failure> {
        match self.long {
            _ if self.refuses => Err(Failure::Mechanism("the server is not the one it was")),
            Some(octets) => Ok(vec![b'r'; octets].into()),
            None => Ok(self.response.into()),
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.believes_nothing {
            return Err(Failure::Mechanism("the server has not proved itself"));
        }
        Ok(())
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn server_detail(&self) -> Option<&[u8]> {
        self.detail
    }
}

fn own(own: Own) -> Credentials {
    Credentials::mechanisms(vec![Arc::new(own)])
}

#[test]
fn each_mechanism_goes_as_it_is_written() {
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
        // Prompts are answered by their order, whatever they say.
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
        // RFC 4954, section 4: an empty initial response is an equals sign, an empty continuation an empty line.
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
        assert_eq!(attempt.rig.connection.mechanism(), Some(name));
        check_secret(CANARY, &attempt.shown.lock().unwrap());
    }
}

#[test]
fn each_refusal_is_told_apart() {
    // Code, whether trying again later makes sense, and a word of the hint.
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
        assert_eq!(attempt.ask(&format!("{code}-no,\r\n{code} not so")), "");
        let error = attempt.failure();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Authentication(AuthenticationError::Rejected { detail: None })
            ),
            "{error}"
        );
        assert_eq!(error.reply().unwrap().code(), code);
        assert_eq!(error.is_transient(), transient, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!(
            "at AUTH: the server refused the login; the server said: {code} no, / not so"
        )));
        match hint {
            Some(word) => assert!(error.hint().unwrap().contains(word), "{error}"),
            None => assert_eq!(error.hint(), None, "{error}"),
        }
        texts.extend(error.hint());
    }
    texts.sort_unstable();
    let count = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), count, "two refusals have one hint");
}

#[test]
fn a_server_that_closes_says_nothing_of_the_credentials() {
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
        assert!(matches!(error.kind(), ErrorKind::Refused), "{error}");
        assert!(error.is_transient());
    }
    let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
    attempt.rig.connection.handle_eof(attempt.rig.now);
    assert!(matches!(attempt.failure().kind(), ErrorKind::Closed));
}

#[test]
fn replies_of_other_kinds_make_no_sense() {
    // RFC 4954, section 4: 334 and no other 3yz; 221 is a server that closes.
    for reply in ["221 bye", "300", "354 go ahead", "399 more"] {
        let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
        assert_eq!(attempt.ask(reply), "");
        let error = attempt.failure();
        assert!(
            matches!(error.kind(), ErrorKind::Protocol(ProtocolError::WrongClass)),
            "{error}"
        );
    }
}

#[test]
fn without_a_mechanism_in_common_nothing_is_said() {
    let attempt = Attempt::begin(
        Credentials::password("alice", CANARY).unwrap(),
        "AUTH CRAM-MD5 GSSAPI,AUTH=NTLM",
    );
    assert_eq!(attempt.said, "");
    let error = attempt.failure();
    match error.kind() {
        ErrorKind::Authentication(AuthenticationError::NoCommonMechanism { offered, ours }) => {
            assert_eq!(*offered, ["CRAM-MD5", "GSSAPI", "NTLM"]);
            assert_eq!(*ours, ["PLAIN", "LOGIN"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        error.to_string(),
        "at AUTH: no mechanism in common: the server offers CRAM-MD5 GSSAPI NTLM, the credentials serve PLAIN LOGIN"
    );
    assert!(!error.is_transient());

    let many = (0..30)
        .map(|number| format!(" X-{number}-{}", "LONG".repeat(10)))
        .collect::<String>();
    let error = Attempt::begin(plain(), &format!("AUTH{many} \x1b[2J")).failure();
    let text = error.to_string();
    assert!(
        text.len() < 1024 && !text.contains(|c: char| c.is_control()),
        "{text}"
    );
}

#[test]
fn a_server_that_offers_no_authentication() {
    for offered in ["", "AUTH", "AUTHX PLAIN", "X-AUTH PLAIN", "PLAIN"] {
        let attempt = Attempt::begin(plain(), offered);
        assert_eq!(attempt.said, "");
        let error = attempt.failure();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Authentication(AuthenticationError::NotOffered)
            ),
            "{offered:?}: {error}"
        );
        assert!(error.hint().unwrap().contains("587"));
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
        let mut attempt = Attempt::begin(Credentials::mechanisms(list), "AUTH PLAIN,AUTH LOGIN");
        assert_eq!(attempt.said, mechanisms[order[0]].1);
        assert_eq!(attempt.ask("504 not this one"), "");
        attempt.failure();
    }
}

/// Cancels with an asterisk, reads the reply to it, and fails with `failure` (RFC 4954, section 4).
fn check_cancelled(credentials: Credentials, offered: &str, replies: &[&str], failure: Failure) {
    let replies_to_cancel = [
        ("501 cancelled", true),
        ("435 later", true),
        // Success after a cancellation is none.
        ("235 welcome", true),
        ("334 more", false),
        ("354 go ahead", false),
    ];
    for (reply_to_cancel, is_answer) in replies_to_cancel {
        let mut attempt = Attempt::begin(credentials.clone(), offered);
        let (last, others) = replies.split_last().unwrap();
        for reply in others {
            assert_ne!(attempt.ask(reply), "*\r\n", "{reply}");
        }
        assert_eq!(attempt.ask(last), "*\r\n", "{offered}: to {last:?}");
        assert!(
            attempt.rig.connection.poll_ready().is_none(),
            "the reply to the asterisk is not awaited"
        );
        assert_eq!(attempt.ask(reply_to_cancel), "");
        let error = attempt.failure();
        match error.kind() {
            ErrorKind::Authentication(AuthenticationError::Exchange(found)) if is_answer => {
                assert_eq!(*found, failure)
            }
            ErrorKind::Protocol(ProtocolError::WrongClass) if !is_answer => {}
            _ => panic!("{reply_to_cancel}: {error}"),
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
        // Whatever a mechanism says of itself, sixteen are enough.
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
        check_cancelled(credentials, offered, replies, Failure::TooManyChallenges);
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
        for (credentials, offered) in [
            (plain(), "AUTH PLAIN"),
            (login(), "AUTH LOGIN"),
            (xoauth2(), "AUTH XOAUTH2"),
            (
                own(Own {
                    steps: 9,
                    ..Own::default()
                }),
                "AUTH X-OWN",
            ),
        ] {
            check_cancelled(credentials, offered, &[challenge], Failure::Encoding);
        }
    }
}

#[test]
fn a_mechanism_of_ones_own_may_refuse_to_go_on() {
    let refusing = own(Own {
        steps: 3,
        refuses: true,
        ..Own::default()
    });
    let failure = Failure::Mechanism("the server is not the one it was");
    check_cancelled(refusing, "AUTH X-OWN", &["334"], failure);

    // The server says yes, and the mechanism does not believe it.
    let doubting = own(Own {
        initial: Some("hi"),
        believes_nothing: true,
        ..Own::default()
    });
    let mut attempt = Attempt::begin(doubting, "AUTH X-OWN");
    assert_eq!(attempt.ask("235 welcome"), "");
    assert_eq!(
        attempt.failure().to_string(),
        "at AUTH: the server has not proved itself; the server said: 235 welcome"
    );

    // What the server told of its refusal, in the mechanism's own words, is shown with care.
    let telling = own(Own {
        initial: Some("hi"),
        detail: Some(b"no\x1b[2J"),
        ..Own::default()
    });
    let mut attempt = Attempt::begin(telling, "AUTH X-OWN");
    attempt.ask("535 no");
    let error = attempt.failure();
    assert!(error.to_string().starts_with(
        "at AUTH: the server refused the login with no\\x1b[2J; the server said: 535 no"
    ));
}

#[test]
fn success_before_the_end_of_an_exchange_is_none() {
    let long = || {
        Credentials::mechanisms(vec![
            Arc::new(Plain::new("alice", CANARY.repeat(40)).unwrap()) as Arc<dyn Mechanism>,
        ])
    };
    for (credentials, offered, replies) in [
        (login(), "AUTH LOGIN", &["235 welcome"][..]),
        (login(), "AUTH LOGIN", &["334", "235 welcome"]),
        // Its response has not been sent.
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
                ErrorKind::Authentication(AuthenticationError::Exchange(Failure::Premature))
            ),
            "{error}"
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
        // Of a reason without end, 4 KiB are kept.
        (format!("334 {}", "AAAA".repeat(3000)), vec![0; 4096]),
    ] {
        let mut attempt = Attempt::begin(xoauth2(), "AUTH XOAUTH2");
        assert_eq!(attempt.said, XOAUTH2);
        assert_eq!(attempt.ask(&reason), "\r\n");
        assert_eq!(attempt.ask("535 no"), "");
        let error = attempt.failure();
        match error.kind() {
            ErrorKind::Authentication(AuthenticationError::Rejected {
                detail: Some(detail),
            }) => assert_eq!(*detail, kept),
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().len() < 1024);
    }
    // A server that contradicts itself has not logged anybody in.
    let mut attempt = Attempt::begin(xoauth2(), "AUTH XOAUTH2");
    attempt.ask("334 e30=");
    attempt.ask("235 welcome");
    let error = attempt.failure();
    assert!(matches!(
        error.kind(),
        ErrorKind::Authentication(AuthenticationError::Exchange(Failure::Contradiction))
    ));
}

#[test]
fn v12_an_initial_response_waits_if_the_line_would_be_over_512_octets() {
    // `AUTH PLAIN `, CRLF, and base64 of two NULs, the user and the password: 513 octets cannot be, 516 are the next.
    let longest = (512 - 13) / 4 * 3 - 2 - "alice".len();
    for (len, fits) in [(longest, true), (longest + 1, false), (7140, false)] {
        let password = CANARY.repeat(400)[..len].to_owned();
        let credentials =
            Credentials::mechanisms(vec![Arc::new(Plain::new("alice", password).unwrap())]);
        // The challenge that asks for it is empty, or ought to be.
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
fn v12_lines_of_12288_octets_go_both_ways_and_no_longer_ones() {
    let longest = (12288 - 2) / 4 * 3;
    let answering = |octets| {
        own(Own {
            steps: 1,
            long: Some(octets),
            ..Own::default()
        })
    };
    let mut attempt = Attempt::begin(answering(longest), "AUTH X-OWN");
    assert_eq!(attempt.ask("334").len(), 12286, "base64 comes in fours");
    check_cancelled(
        answering(longest + 1),
        "AUTH X-OWN",
        &["334"],
        Failure::TooLong,
    );

    let challenge = |octets: usize| format!("334 {}", "A".repeat(octets - "334 \r\n".len()));
    let mut attempt = Attempt::begin(answering(1), "AUTH X-OWN");
    assert_eq!(attempt.ask(&challenge(12286)), "cg==\r\n");
    let mut attempt = Attempt::begin(answering(1), "AUTH X-OWN");
    assert_eq!(attempt.ask(&challenge(12289)), "");
    let error = attempt.failure();
    let expected = ProtocolError::Reply(ReplyError::LineTooLong { limit: 12288 });
    assert!(
        matches!(error.kind(), ErrorKind::Protocol(found) if *found == expected),
        "{error}"
    );
}

#[test]
fn an_initial_response_that_no_line_can_hold_is_not_begun() {
    /// Cannot be said.
    #[derive(Debug)]
    struct Endless;

    impl Mechanism for Endless {
        fn name(&self) -> Name {
            Name::new("X-OWN").unwrap()
        }

        fn start(&self, _: &Context<'_>) -> Box<dyn Exchange> {
            Box::new(Self)
        }
    }

    impl Exchange for Endless {
        fn initial_response(&mut self) -> Result<Option<Secret>, Failure> {
            Ok(Some(vec![b'r'; 10_000].into()))
        }

        fn respond(&mut self, _: &[u8]) -> Result<Secret, Failure> {
            Ok(Secret::default())
        }

        fn finish(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        fn steps(&self) -> usize {
            1
        }
    }

    let attempt = Attempt::begin(
        Credentials::mechanisms(vec![Arc::new(Endless)]),
        "AUTH X-OWN",
    );
    assert_eq!(attempt.said, "");
    assert_eq!(
        attempt.failure().to_string(),
        "at AUTH: challenge or response over 12288 octets"
    );
}

#[test]
fn v36_a_235_that_nobody_waits_for_logs_nobody_in() {
    // Behind the reply to EHLO, before AUTH was sent.
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Implicit)
        .credentials(plain());
    let mut rig = Rig::new(config.build().unwrap());
    rig.listen();
    rig.upgrade();
    rig.ask("220 mx.test\r\n");
    rig.say("250-mx.test\r\n250 AUTH PLAIN\r\n235 welcome\r\n");
    let error = rig.failure();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::UnexpectedReply)
        ),
        "{error}"
    );
    assert_eq!(rig.sent, b"EHLO client.test\r\n");

    // Once more, after the login.
    let mut attempt = Attempt::begin(plain(), "AUTH PLAIN");
    attempt.ask("235 welcome\r\n235 welcome");
    let error = attempt.rig.failure();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol(ProtocolError::UnexpectedReply)
        ),
        "{error}"
    );
}

#[test]
fn v36_a_session_logs_in_once() {
    // What a server says later of a login is the reply to a command, and never leads to another AUTH.
    for reply in [
        "530 5.7.0 log in first",
        "503 5.5.1 again",
        "454 4.7.0 the login has expired",
    ] {
        let mut attempt = Attempt::begin(plain(), "AUTH PLAIN LOGIN");
        attempt.ask("235 welcome");
        let mail = Mail::new("a@x.test", ["b@x.test"], "hello\r\n").unwrap();
        attempt.rig.connection.submit(mail);
        assert!(attempt.rig.listen().starts_with("MAIL FROM:"));
        assert_eq!(attempt.ask(reply), "");
        let mut fates = Vec::new();
        while let Some(event) = attempt.rig.connection.poll_event() {
            if let Event::Outcome(_, outcome) = event.unwrap() {
                fates.push(outcome.deliveries()[0].fate().clone());
            }
        }
        let [
            Fate::Refused {
                stage: Stage::Mail,
                reply: heard,
            },
        ] = fates.as_slice()
        else {
            panic!("{reply}: {fates:?}");
        };
        assert_eq!(heard.to_string(), reply);
        assert!(attempt.is_ready());
    }
    for verb in ["AUTH", "auth", "Auth"] {
        assert!(Command::custom(verb, Some("PLAIN AGE=")).is_err());
    }
}
