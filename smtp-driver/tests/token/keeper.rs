//! The rules of a keeper, one at a time.

use std::io;
use std::time::Duration;

use smtp_driver::proto::sasl::TokenRequest;
use smtp_driver::proto::{Time, TransportError};
use smtp_driver::token::{Answer, Fetch, Token, TokenError, TokenId, TokenKeeper};

const SECOND: Duration = Duration::from_secs(1);
const NANOSECOND: Duration = Duration::from_nanos(1);

fn fetch(keeper: &mut TokenKeeper, now: Time) -> Fetch {
    match keeper.ask(now, None) {
        Answer::Fetch(fetch) => fetch,
        other => panic!("no fetch but {other:?}"),
    }
}

fn fetched(keeper: &mut TokenKeeper, now: Time, token: impl Into<Token>) -> TokenId {
    let fetch = fetch(keeper, now);
    keeper.finish(now, fetch, Ok(token.into())).unwrap().0
}

fn has_token(keeper: &mut TokenKeeper, now: Time) -> bool {
    match keeper.ask(now, None) {
        Answer::Token(..) => true,
        Answer::Fetch(fetch) => {
            keeper.abandon(&fetch);
            false
        }
        other => panic!("{other:?}"),
    }
}

fn failure(keeper: &mut TokenKeeper, now: Time) -> Option<String> {
    match keeper.ask(now, None) {
        Answer::Failed(error) => Some(error.to_string()),
        Answer::Fetch(fetch) => {
            keeper.abandon(&fetch);
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_is_renewed_a_minute_before_its_end() {
    for (lifetime, renewal) in [
        (3600, Duration::from_secs(3540)),
        (121, Duration::from_secs(61)),
        (120, Duration::from_secs(60)),
        // Half of a short lifetime.
        (119, Duration::from_millis(59_500)),
        (2, SECOND),
    ] {
        let mut keeper = TokenKeeper::new();
        let began = Time::ORIGIN + SECOND;
        let token = Token::new("t0k3n").with_lifetime(Duration::from_secs(lifetime));
        fetched(&mut keeper, began, token);
        for (before, has) in [(SECOND, true), (NANOSECOND, true), (Duration::ZERO, false)] {
            let now = Time::from_origin((SECOND + renewal).saturating_sub(before));
            assert_eq!(
                has_token(&mut keeper, now),
                has,
                "{lifetime} s, {before:?} before"
            );
        }
        assert!(!has_token(&mut keeper, began + renewal + SECOND));
    }
}

#[test]
fn the_lifetime_counts_from_the_request() {
    let mut keeper = TokenKeeper::new();
    let fetch = fetch(&mut keeper, Time::ORIGIN);
    let token = Token::new("t0k3n").with_lifetime(Duration::from_secs(600));
    let answered = Time::ORIGIN + Duration::from_secs(20);
    keeper.finish(answered, fetch, Ok(token)).unwrap();
    let renewal = Time::ORIGIN + Duration::from_secs(540);
    assert!(!has_token(&mut keeper, renewal));
}

#[test]
fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let mut keeper = TokenKeeper::new();
    let token = Token::new("t0k3n").with_lifetime(Duration::from_secs(600));
    let id = fetched(&mut keeper, Time::ORIGIN, token);
    let late = Time::ORIGIN + (Duration::from_secs(600) - 2 * NANOSECOND);
    let renewal = fetch(&mut keeper, late);
    assert_eq!(renewal.request(), TokenRequest::Cached);
    let (used, _) = keeper.finish(late, renewal, Err(down())).unwrap();
    assert_eq!(used, id);
    assert!(has_token(&mut keeper, late + NANOSECOND));
    assert_eq!(failure(&mut keeper, late + 2 * NANOSECOND).unwrap(), "down");
}

#[test]
fn ten_reports_of_one_rejected_token_refresh_it_once() {
    let mut keeper = TokenKeeper::new();
    let now = Time::ORIGIN;
    let first = fetched(&mut keeper, now, "first");
    let mut fetches = Vec::new();
    for _ in 0..10 {
        match keeper.ask(now, Some(first)) {
            Answer::Fetch(fetch) => fetches.push(fetch),
            Answer::Wait => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fetches.len(), 1);
    let fetch = fetches.pop().unwrap();
    assert_eq!(fetch.request(), TokenRequest::Refreshed);
    let (second, _) = keeper.finish(now, fetch, Ok("second".into())).unwrap();
    // Those that report it late get the second one.
    for _ in 0..10 {
        let answer = keeper.ask(now, Some(first));
        assert!(matches!(answer, Answer::Token(id, _) if id == second));
    }
}

#[test]
fn a_token_that_the_source_returns_again_is_the_same_one() {
    let mut keeper = TokenKeeper::new();
    let token = || Token::new("t0k3n").with_lifetime(Duration::from_secs(600));
    let first = fetched(&mut keeper, Time::ORIGIN, token());
    let late = Time::ORIGIN + Duration::from_secs(540);
    let second = fetched(&mut keeper, late, token());
    assert_eq!(second, first);
    // The one who reports the first does not get it again.
    let Answer::Fetch(fetch) = keeper.ask(late, Some(first)) else {
        panic!("no other token is fetched");
    };
    assert_eq!(fetch.request(), TokenRequest::Refreshed);
}

#[test]
fn a_token_that_is_rejected_while_the_source_returns_it_again_is_refreshed_at_once() {
    let mut keeper = TokenKeeper::new();
    let token = || Token::new("t0k3n").with_lifetime(Duration::from_secs(600));
    let first = fetched(&mut keeper, Time::ORIGIN, token());
    let late = Time::ORIGIN + Duration::from_secs(540);
    let renewal = fetch(&mut keeper, late);
    assert_eq!(renewal.request(), TokenRequest::Cached);
    keeper.reject(late, first);
    // The source could not know.
    let error = keeper.finish(late, renewal, Ok(token())).unwrap_err();
    assert_eq!(error.get_ref().downcast_ref(), Some(&TokenError::SameToken));
    let refresh = fetch(&mut keeper, late);
    assert_eq!(refresh.request(), TokenRequest::Refreshed);
}

#[test]
fn the_rejected_token_is_never_used_again() {
    let mut keeper = TokenKeeper::new();
    let now = Time::ORIGIN;
    let first = fetched(&mut keeper, now, "first");
    keeper.reject(now, first);
    let refresh = fetch(&mut keeper, now);
    let error = keeper.finish(now, refresh, Ok("first".into())).unwrap_err();
    assert_eq!(error.get_ref().downcast_ref(), Some(&TokenError::SameToken));
    assert_eq!(
        failure(&mut keeper, now).unwrap(),
        "it returned the token that the server has rejected"
    );
    // After the pause, the source is asked again.
    let later = now + SECOND;
    let refresh = fetch(&mut keeper, later);
    assert_eq!(refresh.request(), TokenRequest::Refreshed);
    assert!(keeper.finish(later, refresh, Ok("second".into())).is_ok());
}

#[test]
fn a_source_whose_tokens_are_all_rejected_is_left_alone() {
    let mut keeper = TokenKeeper::new();
    let mut now = Time::ORIGIN;
    let mut id = fetched(&mut keeper, now, "token-0");
    keeper.reject(now, id);
    for (round, pause) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        id = fetched(&mut keeper, now, &*format!("token-{}", round + 1));
        keeper.reject(now, id);
        let pause = Duration::from_secs(pause);
        let text = failure(&mut keeper, now + (pause - NANOSECOND)).unwrap();
        assert_eq!(
            text,
            "the server has rejected its token and the one that replaced it"
        );
        now = now + pause;
    }
    // One that is accepted ends it.
    id = fetched(&mut keeper, now, "good");
    keeper.accept(id);
    keeper.reject(now, id);
    id = fetched(&mut keeper, now, "better");
    keeper.reject(now, id);
    assert!(failure(&mut keeper, now + (SECOND - NANOSECOND)).is_some());
    assert!(failure(&mut keeper, now + SECOND).is_none());
}

#[test]
fn the_pause_doubles_up_to_a_minute_and_ends_with_a_token() {
    let mut keeper = TokenKeeper::new();
    let mut now = Time::ORIGIN;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let fetch = fetch(&mut keeper, now);
        keeper.finish(now, fetch, Err(down())).unwrap_err();
        let pause = Duration::from_secs(pause);
        assert_eq!(
            failure(&mut keeper, now + (pause - NANOSECOND)).unwrap(),
            "down"
        );
        now = now + pause;
    }
    let token = Token::new("t0k3n").with_lifetime(SECOND);
    fetched(&mut keeper, now, token);
    now = now + 2 * SECOND;
    let fetch = fetch(&mut keeper, now);
    keeper.finish(now, fetch, Err(down())).unwrap_err();
    assert!(failure(&mut keeper, now + SECOND).is_none());
}

#[test]
fn a_token_that_cannot_be_sent_is_an_error_of_the_source() {
    for token in ["", "two words", "l\u{f6}ng"] {
        let mut keeper = TokenKeeper::new();
        let fetch = fetch(&mut keeper, Time::ORIGIN);
        let result = keeper.finish(Time::ORIGIN, fetch, Ok(token.into()));
        let error = result.unwrap_err();
        assert!(error.to_string().starts_with("token "), "{error}");
    }
}

#[test]
fn an_abandoned_fetch_is_begun_by_another() {
    let mut keeper = TokenKeeper::new();
    let now = Time::ORIGIN;
    let first = fetch(&mut keeper, now);
    assert!(matches!(keeper.ask(now, None), Answer::Wait));
    keeper.abandon(&first);
    let second = fetch(&mut keeper, now);
    // The first has no say any more.
    keeper.abandon(&first);
    assert!(matches!(keeper.ask(now, None), Answer::Wait));
    assert!(keeper.finish(now, second, Ok("t0k3n".into())).is_ok());
}

fn down() -> TransportError {
    io::Error::other("down").into()
}
