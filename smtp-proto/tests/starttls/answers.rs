//! Every reply at every step before TLS, under every security setting.

use std::task::Poll;

use super::*;

/// The step that is replied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    EhloInTls,
    HeloInTls,
}

/// The action of the server.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Sends a whole reply.
    Reply(u16),
    /// Sends a whole 250 that lists STARTTLS.
    Offer,
    /// Sends these bytes.
    Says(&'static str),
    Closes,
    /// Sends these bytes and closes.
    Breaks(&'static str),
    Resets,
    /// Sends these bytes and nothing more.
    Sleeps(&'static str),
}

/// What may happen next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Says(&'static str),
    Tls,
    /// The connection is ready for messages.
    Ready,
    Fails,
}

const ANSWERS: [Answer; 31] = [
    Answer::Reply(220),
    Answer::Reply(221),
    Answer::Reply(235),
    Answer::Reply(250),
    Answer::Reply(299),
    Answer::Reply(334),
    Answer::Reply(354),
    Answer::Reply(421),
    Answer::Reply(450),
    Answer::Reply(454),
    Answer::Reply(500),
    Answer::Reply(501),
    Answer::Reply(502),
    Answer::Reply(503),
    Answer::Reply(504),
    Answer::Reply(530),
    Answer::Reply(550),
    Answer::Reply(554),
    Answer::Offer,
    Answer::Says("hello there\r\n"),
    Answer::Says("\r\n"),
    Answer::Says("150 wait\r\n"),
    Answer::Says("600 no\r\n"),
    Answer::Says("220-go\r\n250 no\r\n"),
    Answer::Says("\x16\x03\x01"),
    Answer::Closes,
    Answer::Breaks("220 g"),
    Answer::Breaks("220-go\r\n"),
    Answer::Resets,
    Answer::Sleeps(""),
    Answer::Sleeps("220 g"),
];

/// What RFC 3207 and the setting allow, stated without regard to the code.
fn allowed(policy: Security, at: At, answer: Answer) -> Next {
    let in_tls = policy == Security::Implicit || matches!(at, At::EhloInTls | At::HeloInTls);
    let (code, offered) = match answer {
        Answer::Reply(code) => (code, false),
        Answer::Offer => (250, true),
        _ => return Next::Fails,
    };
    let welcome = (200..300).contains(&code) && code != 221;
    match at {
        At::Greeting if welcome => Next::Says("EHLO client.test\r\n"),
        At::Ehlo | At::EhloInTls if code == 250 && in_tls => Next::Ready,
        At::Ehlo if code == 250 => match policy {
            Security::StartTls if offered => Next::Says("STARTTLS\r\n"),
            Security::Opportunistic if offered => Next::Says("STARTTLS\r\n"),
            Security::Opportunistic | Security::Cleartext => Next::Ready,
            _ => Next::Fails,
        },
        At::Ehlo | At::EhloInTls if [500, 502].contains(&code) => {
            if in_tls || policy != Security::StartTls {
                Next::Says("HELO client.test\r\n")
            } else {
                Next::Fails
            }
        }
        At::Helo | At::HeloInTls if welcome && ![211, 214, 220, 235].contains(&code) => Next::Ready,
        At::StartTls if code == 220 => Next::Tls,
        At::StartTls if policy == Security::Opportunistic && code >= 400 && code != 421 => {
            Next::Ready
        }
        _ => Next::Fails,
    }
}

/// Brings a connection to the step; `None` if it never gets there.
fn bring(policy: Security, at: At, login: bool) -> Option<Harness> {
    let mut config = builder(policy);
    if login {
        config = config.credentials(Credentials::password("alice", "canary").unwrap());
    }
    let mut harness = Harness::new(config.build().ok()?);
    harness.connection.submit(mail());
    harness.connection.quit();
    harness.listen();
    if policy == Security::Implicit {
        harness.upgrade();
        assert_eq!(harness.listen(), "");
    }
    let starttls = matches!(policy, Security::StartTls | Security::Opportunistic);
    let way: &[&str] = match at {
        At::Greeting => &[],
        At::Ehlo => &["220 mx.test\r\n"],
        At::Helo if policy != Security::StartTls => &["220 mx.test\r\n", "500 what\r\n"],
        At::StartTls if starttls => &["220 mx.test\r\n", "250-mx.test\r\n250 STARTTLS\r\n"],
        At::EhloInTls if starttls => &[
            "220 mx.test\r\n",
            "250-mx.test\r\n250 STARTTLS\r\n",
            "220 go\r\n",
        ],
        At::HeloInTls if starttls => &[
            "220 mx.test\r\n",
            "250-mx.test\r\n250 STARTTLS\r\n",
            "220 go\r\n",
            "502 what\r\n",
        ],
        _ => return None,
    };
    for (index, reply) in way.iter().enumerate() {
        harness.ask(reply);
        if index == 2 {
            harness.upgrade();
            harness.listen();
        }
    }
    Some(harness)
}

fn give(harness: &mut Harness, answer: Answer) {
    match answer {
        Answer::Reply(code) => harness.say(format!("{code} text\r\n")),
        Answer::Offer => harness.say(ehlo("STARTTLS")),
        Answer::Says(text) => harness.say(text),
        Answer::Closes => harness.connection.handle_eof(harness.now),
        Answer::Breaks(text) => {
            harness.say(text);
            harness.connection.handle_eof(harness.now);
        }
        Answer::Resets => {
            let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            harness
                .connection
                .handle_read_error(harness.now, reset.into());
        }
        Answer::Sleeps(text) => {
            harness.say(text);
            harness.now = harness
                .connection
                .poll_timeout()
                .expect("a deadline for a silent server");
            harness.tick();
        }
    }
}

fn check(policy: Security, at: At, answer: Answer, login: bool) {
    let Some(mut harness) = bring(policy, at, login) else {
        return;
    };
    let case = format!("{policy:?}, {at:?}, {answer:?}, login {login}");
    let mut expected = allowed(policy, at, answer);
    if login && expected == Next::Ready {
        // None of these replies advertises AUTH, and without a login nothing is sent.
        expected = Next::Fails;
    }
    give(&mut harness, answer);
    let said = harness.listen();
    let tls = harness.connection.wants_tls();
    let next = match harness.connection.poll_ready() {
        _ if tls => Next::Tls,
        Poll::Ready(Err(error)) => {
            // Where the session is in order, QUIT is sent.
            let in_order = match answer {
                Answer::Reply(code) => {
                    let own = [211, 214, 220, 221, 235, 421].contains(&code);
                    !matches!(error.kind(), ErrorKind::Protocol(_))
                        && (error.stage() == Stage::Auth || !own && !(300..400).contains(&code))
                }
                Answer::Offer => !matches!(error.kind(), ErrorKind::Protocol(_)),
                _ => false,
            };
            let last_word = if in_order { "QUIT\r\n" } else { "" };
            assert_eq!(said, last_word, "{case}: said after {error:#}");
            check_error(&case, policy, at, answer, &error);
            let Some(Ok(smtp_proto::Event::Outcome(_, outcome))) = harness.connection.poll_event()
            else {
                panic!("{case}: the mail has no outcome");
            };
            let fate = outcome.recipients()[0].status();
            assert!(
                matches!(fate, RecipientStatus::NotSent(_)) && fate.is_safe_to_retry(),
                "{case}: {fate:#}"
            );
            Next::Fails
        }
        _ if said.starts_with("MAIL FROM:") => Next::Ready,
        _ => Next::Says(
            [
                "EHLO client.test\r\n",
                "HELO client.test\r\n",
                "STARTTLS\r\n",
            ]
            .into_iter()
            .find(|line| *line == said)
            .unwrap_or_else(|| panic!("{case}: said {said:?}")),
        ),
    };
    assert_eq!(next, expected, "{case}");
    check_leaving(policy, &harness.sent, harness.sent_in_cleartext);
}

fn check_error(case: &str, policy: Security, at: At, answer: Answer, error: &smtp_proto::Error) {
    if let Answer::Reply(code) = answer
        && error.stage() != Stage::Auth
    {
        assert_eq!(
            error.reply().unwrap().code(),
            code,
            "{case}: the error keeps what the server said"
        );
    }
    let declined = match (at, answer) {
        (At::Ehlo, Answer::Reply(code)) => [250, 500, 502].contains(&code),
        // A server that sends 221 closes.
        (At::StartTls, Answer::Reply(code)) => ![220, 221].contains(&code),
        (At::StartTls, Answer::Offer) => true,
        _ => false,
    };
    if policy == Security::StartTls && declined {
        assert!(
            matches!(error.kind(), ErrorKind::TlsUnavailable),
            "{case}: {error:#}"
        );
    }
}

#[test]
fn v01_every_reply_before_tls_leads_only_where_the_security_setting_allows() {
    for policy in POLICIES {
        for at in [
            At::Greeting,
            At::Ehlo,
            At::Helo,
            At::StartTls,
            At::EhloInTls,
            At::HeloInTls,
        ] {
            for answer in ANSWERS {
                for login in [false, true] {
                    check(policy, at, answer, login);
                }
            }
        }
    }
}
