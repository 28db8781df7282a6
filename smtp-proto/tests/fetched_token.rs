//! A token that the caller fetches: when it is wanted, how the wait ends, and what the caller may
//! do wrong.

use std::io;
use std::task::Poll;
use std::time::Duration;

use crate::common::harness::Harness;
use smtp_proto::sasl::{CredentialsErrorKind, TokenRequest};
use smtp_proto::{
    ApiMisuse, AuthenticationError, Config, Credentials, Error, ErrorKind, Event, ProtocolError,
    Security, Stage, Timeout, Timeouts, TransportError,
};

const TOKEN: &str = "ya29.vF9dft4qmT";

/// `n,a=alice,^Aauth=Bearer ya29.vF9dft4qmT^A^A` in base64.
const AUTH: &str = "AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVQBAQ==\r\n";

const LIMIT: Duration = Duration::from_secs(3);

fn config() -> Config {
    config_with(Timeouts::submission().with_token(LIMIT))
}

fn config_with(timeouts: Timeouts) -> Config {
    Config::builder("client.test".parse().unwrap())
        .security(Security::StartTls)
        .credentials(Credentials::fetched_token("alice").unwrap())
        .timeouts(timeouts)
        .build()
        .unwrap()
}

/// A connection that wants a token.
fn waiting() -> Harness {
    waiting_with(config())
}

fn waiting_with(config: Config) -> Harness {
    let mut harness = Harness::new(config);
    assert_eq!(harness.secure("AUTH PLAIN OAUTHBEARER XOAUTH2"), "");
    harness
}

fn provide(harness: &mut Harness) -> Result<(), Error> {
    harness.connection.provide_token(TOKEN.into())
}

fn wanted(request: TokenRequest) -> Poll<Result<Option<TokenRequest>, Error>> {
    Poll::Ready(Ok(Some(request)))
}

fn misuse(error: &Error) -> Option<ApiMisuse> {
    match error.kind() {
        ErrorKind::Misuse(misuse) => Some(*misuse),
        _ => None,
    }
}

#[test]
fn auth_follows_the_token() {
    let mut harness = waiting();
    for _ in 0..2 {
        assert_eq!(
            harness.connection.poll_token(),
            wanted(TokenRequest::Cached)
        );
    }
    assert!(harness.connection.poll_ready().is_pending());
    assert_eq!(harness.connection.mechanism(), None);
    provide(&mut harness).unwrap();
    assert_eq!(harness.connection.poll_token(), Poll::Ready(Ok(None)));
    assert_eq!(harness.listen(), AUTH);
    assert_eq!(harness.ask("235 welcome\r\n"), "");
    assert_eq!(harness.connection.poll_ready(), Poll::Ready(Ok(())));
    assert_eq!(harness.connection.mechanism(), Some("OAUTHBEARER"));
    assert_eq!(harness.connection.poll_token(), Poll::Ready(Ok(None)));
}

#[test]
fn the_event_comes_once_and_before_that_of_readiness() {
    let mut harness = waiting();
    let event = harness.connection.poll_event();
    assert!(matches!(
        event,
        Some(Ok(Event::TokenWanted(TokenRequest::Cached)))
    ));
    assert!(harness.connection.poll_event().is_none());
    // After the event, other questions wait.
    assert!(harness.connection.poll_ready().is_pending());
    provide(&mut harness).unwrap();
    harness.listen();
    harness.say("235 welcome\r\n");
    assert!(matches!(
        harness.connection.poll_event(),
        Some(Ok(Event::Ready))
    ));
    assert!(harness.connection.poll_event().is_none());
}

#[test]
fn no_question_waits_for_a_token_that_the_caller_does_not_know_of() {
    let mut harness = waiting();
    let mail = crate::common::raw_mail("a@x.test", ["b@x.test"], "\r\n").unwrap();
    let id = harness.connection.submit(mail);
    let answers = [
        harness.connection.poll_ready().map_ok(drop),
        harness.connection.poll_closed().map_ok(drop),
        harness.connection.poll_outcome(id).map_ok(drop),
    ];
    for answer in answers {
        let Poll::Ready(Err(error)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(misuse(&error), Some(ApiMisuse::TokenWanted));
        assert_eq!(error.stage(), Stage::Token);
        assert!(error.hint().unwrap().contains("source of tokens"));
    }
    assert!(!harness.connection.is_closed());
    assert_eq!(
        harness.connection.poll_token(),
        wanted(TokenRequest::Cached)
    );
    assert!(harness.connection.poll_outcome(id).is_pending());
}

#[test]
fn a_token_that_is_not_wanted_is_misuse_and_changes_nothing() {
    let mut harness = Harness::new(config());
    for said in ["", "220 mx.test\r\n"] {
        harness.say(said);
        assert!(harness.connection.poll_token().is_pending());
        let error = provide(&mut harness).unwrap_err();
        assert_eq!(misuse(&error), Some(ApiMisuse::NoTokenWanted));
        harness
            .connection
            .fail_token(io::Error::from(io::ErrorKind::NotFound).into());
    }
    let mut harness = waiting();
    provide(&mut harness).unwrap();
    let error = provide(&mut harness).unwrap_err();
    assert_eq!(misuse(&error), Some(ApiMisuse::NoTokenWanted));
    assert_eq!(harness.listen(), AUTH);
    harness.say("235 welcome\r\n");
    assert_eq!(harness.connection.poll_ready(), Poll::Ready(Ok(())));
    let error = provide(&mut harness).unwrap_err();
    assert_eq!(misuse(&error), Some(ApiMisuse::NoTokenWanted));
    assert_eq!(harness.connection.poll_ready(), Poll::Ready(Ok(())));
}

#[test]
fn the_wait_ends_at_its_limit_and_not_before() {
    let mut harness = waiting();
    assert_eq!(harness.connection.poll_timeout(), Some(harness.now + LIMIT));
    harness.wait(LIMIT - Duration::from_nanos(1));
    harness.tick();
    assert_eq!(
        harness.connection.poll_token(),
        wanted(TokenRequest::Cached)
    );
    harness.wait(Duration::from_nanos(1));
    harness.tick();
    let error = harness.failure();
    assert!(matches!(error.kind(), ErrorKind::Timeout(Timeout::Token)));
    assert_eq!(error.stage(), Stage::Token);
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "before AUTH: timed out waiting for the token"
    );
    // Both sides are in order. A token that comes late finds the failure.
    assert_eq!(provide(&mut harness), Err(error.clone()));
    assert_eq!(harness.connection.poll_token(), Poll::Ready(Err(error)));
    assert_eq!(harness.listen(), "QUIT\r\n");
    harness.say("221 bye\r\n");
    assert!(harness.connection.is_closed());
}

#[test]
fn a_token_ends_its_limit() {
    let mut harness = waiting();
    harness.wait(LIMIT - Duration::from_nanos(1));
    provide(&mut harness).unwrap();
    assert_eq!(harness.listen(), AUTH);
    let auth = Timeouts::submission().auth();
    assert_eq!(harness.connection.poll_timeout(), Some(harness.now + auth));
}

#[test]
fn the_limit_of_the_session_counts() {
    let timeouts = Timeouts::submission().with_session(Duration::from_secs(2));
    let mut harness = waiting_with(config_with(timeouts));
    assert_eq!(
        harness.connection.poll_token(),
        wanted(TokenRequest::Cached)
    );
    harness.wait(Duration::from_secs(2));
    harness.tick();
    let error = harness.failure();
    assert!(matches!(error.kind(), ErrorKind::Timeout(Timeout::Session)));
}

#[test]
fn the_defaults_of_the_limit() {
    assert_eq!(Timeouts::submission().token(), Duration::from_secs(30));
    assert_eq!(Timeouts::rfc5321().token(), Duration::from_secs(5 * 60));
    assert_eq!(Timeouts::rfc5321().at_most(LIMIT).token(), LIMIT);
}

#[test]
fn the_server_may_close_while_the_token_is_fetched() {
    type Act = (fn(&mut Harness), fn(&ErrorKind) -> bool);
    let acts: [Act; 5] = [
        (
            |harness| harness.connection.handle_eof(harness.now),
            |kind| matches!(kind, ErrorKind::ConnectionLost),
        ),
        (
            |harness| harness.say("421 4.4.2 too slow\r\n"),
            |kind| matches!(kind, ErrorKind::ConnectionLost),
        ),
        (
            |harness| {
                let error = io::Error::from(io::ErrorKind::ConnectionReset);
                harness
                    .connection
                    .handle_read_error(harness.now, error.into());
            },
            |kind| matches!(kind, ErrorKind::Transport(_)),
        ),
        (
            |harness| harness.say("235 welcome\r\n"),
            |kind| matches!(kind, ErrorKind::Protocol(ProtocolError::UnexpectedReply)),
        ),
        (
            |harness| harness.say("334 \r\n"),
            |kind| matches!(kind, ErrorKind::Protocol(ProtocolError::UnexpectedReply)),
        ),
    ];
    for is_claimed in [false, true] {
        for (act, is_right) in acts {
            let mut harness = waiting();
            if is_claimed {
                assert!(harness.connection.poll_token().is_ready());
            }
            act(&mut harness);
            let error = harness.failure();
            assert!(is_right(error.kind()), "{error:#}");
            assert_eq!(error.stage(), Stage::Token);
            assert_eq!(provide(&mut harness), Err(error.clone()));
            assert_eq!(harness.connection.poll_token(), Poll::Ready(Err(error)));
            assert_eq!(harness.listen(), "");
            assert!(harness.connection.is_closed());
        }
    }
}

#[test]
fn a_close_that_arrives_with_the_token_is_read_before_the_token_is_sent() {
    let mut harness = waiting();
    assert!(harness.connection.poll_token().is_ready());
    provide(&mut harness).unwrap();
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    harness.say("421 4.4.2 too slow\r\n");
    assert!(matches!(
        harness.failure().kind(),
        ErrorKind::ConnectionLost
    ));
    assert_eq!(harness.listen(), "");
}

#[test]
fn a_source_that_fails_ends_the_session_in_order() {
    for is_permanent in [false, true] {
        let mut harness = waiting();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let mut failure = TransportError::new(refused).with_hint("start the token server");
        if is_permanent {
            failure = failure.permanent();
        }
        harness.connection.fail_token(failure);
        let error = harness.failure();
        let ErrorKind::Authentication(AuthenticationError::TokenSource(_)) = error.kind() else {
            panic!("{error:#}");
        };
        assert_eq!(
            error.to_string(),
            "before AUTH: the source of the token failed"
        );
        assert_eq!(error.hint(), Some("start the token server"));
        assert_eq!(error.is_transient(), !is_permanent);
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.downcast_ref::<io::Error>().is_some());
        assert_eq!(harness.listen(), "QUIT\r\n");
    }
}

#[test]
fn a_token_that_cannot_be_sent_ends_the_session_in_order() {
    let long = "x".repeat(7141);
    for (token, kind) in [
        ("", CredentialsErrorKind::Empty),
        ("with space", CredentialsErrorKind::Character),
        ("line\r\nQUIT", CredentialsErrorKind::Character),
        ("t\u{f6}ken", CredentialsErrorKind::Character),
        (&*long, CredentialsErrorKind::TooLong),
    ] {
        let mut harness = waiting();
        let error = harness.connection.provide_token(token.into()).unwrap_err();
        let ErrorKind::Authentication(AuthenticationError::InvalidToken(reason)) = error.kind()
        else {
            panic!("{error:#}");
        };
        assert_eq!(reason.kind(), kind);
        assert!(token.is_empty() || !format!("{error:#?}").contains(token));
        assert_eq!(harness.failure(), error);
        assert_eq!(harness.listen(), "QUIT\r\n");
    }
    let mut harness = waiting();
    harness
        .connection
        .provide_token("x".repeat(7140).into())
        .unwrap();
    // Too long for the line of a command, so an empty challenge comes first.
    assert_eq!(harness.listen(), "AUTH OAUTHBEARER\r\n");
    assert!(harness.ask("334 \r\n").len() > 7140);
}

#[test]
fn no_token_is_wanted_that_could_not_be_used() {
    for (keywords, is_right) in [
        ("AUTH PLAIN LOGIN", false),
        ("DSN", false),
        ("AUTH XOAUTH2", true),
    ] {
        let mut harness = Harness::new(config());
        harness.secure(keywords);
        assert_eq!(
            harness.connection.poll_token() == wanted(TokenRequest::Cached),
            is_right
        );
    }
}

#[test]
fn a_token_is_refreshed_once_after_a_rejection() {
    let first = config();
    let second = first.with_refreshed_token().unwrap();
    assert!(second.with_refreshed_token().is_none());
    for (config, request, is_last) in [
        (first, TokenRequest::Cached, false),
        (second, TokenRequest::Refreshed, true),
    ] {
        let mut harness = waiting_with(config);
        assert_eq!(harness.connection.poll_token(), wanted(request));
        provide(&mut harness).unwrap();
        harness.listen();
        harness.ask("535 5.7.8 no\r\n");
        let error = harness.failure();
        match error.kind() {
            ErrorKind::Authentication(AuthenticationError::Expired { .. }) => assert!(!is_last),
            ErrorKind::Authentication(AuthenticationError::Rejected { .. }) => assert!(is_last),
            _ => panic!("{error:#}"),
        }
    }
}

#[test]
fn quit_and_messages_wait_for_the_login() {
    let mut harness = waiting();
    assert!(harness.connection.poll_token().is_ready());
    harness.connection.quit();
    assert_eq!(harness.listen(), "");
    assert!(harness.connection.poll_closed().is_pending());
    provide(&mut harness).unwrap();
    assert_eq!(harness.listen(), AUTH);
    assert_eq!(harness.ask("235 welcome\r\n"), "QUIT\r\n");
}
