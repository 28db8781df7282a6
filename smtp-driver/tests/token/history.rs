//! Any history of a keeper, beside a model that computes everything anew from a list of all that
//! happened.

use std::io;
use std::time::Duration;

use proptest::prelude::*;
use smtp_driver::proto::sasl::TokenRequest;
use smtp_driver::proto::{Time, TransportError};
use smtp_driver::token::{Answer, Fetch, Token, TokenError, TokenId, TokenKeeper};

/// What a connection, or the source, does. Tokens are named by their number.
#[derive(Clone, Debug)]
enum Step {
    Ask(Option<usize>),
    Finish(&'static str, Option<u64>),
    Fail,
    Abandon,
    Reject(usize),
    Accept(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let secret = prop::sample::select(vec!["one", "two", "three", "four", "not sendable", ""]);
    let lifetime = prop::option::of(prop::sample::select(vec![0, 1, 30, 119, 120, 121, 3600]));
    prop_oneof![
        8 => prop::option::weighted(0.3, 0..6_usize).prop_map(Step::Ask),
        6 => (secret, lifetime).prop_map(|(secret, lifetime)| Step::Finish(secret, lifetime)),
        1 => Just(Step::Fail),
        1 => Just(Step::Abandon),
        3 => (0..6_usize).prop_map(Step::Reject),
        2 => (0..6_usize).prop_map(Step::Accept),
        4 => prop::sample::select(vec![0, 1, 2, 30, 59, 60, 61, 3539, 3540, 3600]).prop_map(Step::Pass),
    ]
}

/// What happened, and when.
#[derive(Clone, Debug)]
enum Event {
    Fetched {
        token: usize,
        secret: &'static str,
        began: u64,
        lifetime: Option<u64>,
        replaces: bool,
    },
    Failed(u64),
    /// Only of the token that was kept.
    Rejected(u64, usize),
    Accepted(usize),
}

#[derive(Default)]
struct Model {
    events: Vec<Event>,
}

/// The answer that is expected.
#[derive(Debug, PartialEq)]
enum Expected {
    Token(usize),
    Fetch(TokenRequest),
    Wait,
    Failed,
}

impl Model {
    /// The token that is kept: its number, its start and its lifetime.
    fn kept(&self) -> Option<(usize, u64, Option<u64>)> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Fetched {
                token,
                began,
                lifetime,
                ..
            } => Some((*token, *began, *lifetime)),
            _ => None,
        })
    }

    fn is_rejected(&self, token: usize) -> bool {
        let of = |event: &Event| matches!(event, Event::Rejected(_, other) if *other == token);
        self.events.iter().any(of)
    }

    /// The token that replaced a rejected one, and has not been accepted.
    fn unproved(&self) -> Option<usize> {
        let mut unproved = None;
        for event in &self.events {
            match event {
                Event::Fetched {
                    token, replaces, ..
                } => unproved = replaces.then_some(*token),
                Event::Accepted(token) if unproved == Some(*token) => unproved = None,
                _ => {}
            }
        }
        unproved
    }

    fn secret_of(&self, number: usize) -> &'static str {
        let of = |event: &Event| match event {
            Event::Fetched { token, secret, .. } if *token == number => Some(*secret),
            _ => None,
        };
        self.events.iter().find_map(of).unwrap()
    }

    /// The secret that was rejected last.
    fn last_rejected(&self) -> Option<&'static str> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Rejected(_, token) => Some(self.secret_of(*token)),
            _ => None,
        })
    }

    /// The end of the pause, if there is one.
    fn pause(&self) -> Option<u64> {
        let (mut in_a_row, mut until) = (0_u32, None);
        let mut unproved = None;
        for event in &self.events {
            let failed = match event {
                Event::Fetched {
                    token, replaces, ..
                } => {
                    until = None;
                    unproved = replaces.then_some(*token);
                    if !replaces {
                        in_a_row = 0;
                    }
                    None
                }
                Event::Failed(at) => Some(*at),
                Event::Rejected(at, token) => (unproved == Some(*token)).then_some(*at),
                Event::Accepted(token) => {
                    if unproved == Some(*token) {
                        unproved = None;
                        in_a_row = 0;
                    }
                    None
                }
            };
            if let Some(at) = failed {
                let pause = [1, 2, 4, 8, 16, 32].get(in_a_row as usize);
                until = Some(at + pause.unwrap_or(&60));
                in_a_row += 1;
            }
        }
        until
    }

    fn reject(&mut self, now: u64, token: usize) {
        if self.kept().is_some_and(|(kept, ..)| kept == token) && !self.is_rejected(token) {
            self.events.push(Event::Rejected(now, token));
        }
    }

    fn ask(&mut self, now: u64, after: Option<usize>, is_fetching: bool) -> Expected {
        if let Some(token) = after {
            self.reject(now, token);
        }
        let kept = self.kept();
        let rejected = kept.is_some_and(|(token, ..)| self.is_rejected(token));
        let good = kept.filter(|_| !rejected);
        let fresh = good.filter(|(_, began, lifetime)| {
            // In half seconds, so that half of an odd lifetime is exact.
            let renewal = |lifetime: u64| 2 * (began + lifetime) - lifetime.min(120);
            lifetime.is_none_or(|lifetime| 2 * now < renewal(lifetime))
        });
        let valid = good
            .filter(|(_, began, lifetime)| lifetime.is_none_or(|lifetime| now < began + lifetime));
        let is_paused = self.pause().is_some_and(|until| now < until);
        match (fresh, valid) {
            (Some((token, ..)), _) => Expected::Token(token),
            _ if is_fetching => Expected::Wait,
            (None, Some((token, ..))) if is_paused => Expected::Token(token),
            _ if is_paused => Expected::Failed,
            _ if rejected => Expected::Fetch(TokenRequest::Refreshed),
            _ => Expected::Fetch(TokenRequest::Cached),
        }
    }
}

/// A keeper, the fetch in progress, and the ids of all tokens that it gave.
struct World {
    keeper: TokenKeeper,
    model: Model,
    fetch: Option<(Fetch, u64)>,
    ids: Vec<TokenId>,
    now: u64,
}

impl World {
    fn perform(&mut self, step: &Step) {
        let (now, time) = (self.now, at(self.now));
        match step {
            Step::Ask(after) => {
                let after = after.filter(|token| *token < self.ids.len());
                let expected = self.model.ask(now, after, self.fetch.is_some());
                let answer = self.keeper.ask(time, after.map(|token| self.ids[token]));
                self.check(answer, expected);
            }
            Step::Finish(secret, lifetime) => self.finish(secret, *lifetime),
            Step::Fail => {
                if let Some((fetch, _)) = self.fetch.take() {
                    self.model.events.push(Event::Failed(now));
                    let error = io::Error::other("out of order");
                    let result = self.keeper.finish(time, fetch, Err(error.into()));
                    self.check_fallback(result);
                }
            }
            Step::Abandon => {
                if let Some((fetch, _)) = self.fetch.take() {
                    self.keeper.abandon(&fetch);
                }
            }
            Step::Reject(token) => {
                if let Some(id) = self.ids.get(*token) {
                    self.model.reject(now, *token);
                    self.keeper.reject(time, *id);
                }
            }
            Step::Accept(token) => {
                if let Some(id) = self.ids.get(*token) {
                    self.model.events.push(Event::Accepted(*token));
                    self.keeper.accept(*id);
                }
            }
            Step::Pass(seconds) => self.now += seconds,
        }
        assert!(!format!("{:?}", self.keeper).contains("three"));
    }

    fn check(&mut self, answer: Answer, expected: Expected) {
        let got = match answer {
            Answer::Token(id, secret) => {
                let token = self.ids.iter().position(|other| *other == id).unwrap();
                assert_eq!(secret.expose(), self.model.secret_of(token).as_bytes());
                assert!(!self.model.is_rejected(token), "a rejected token");
                Expected::Token(token)
            }
            Answer::Fetch(fetch) => {
                let request = fetch.request();
                assert!(
                    self.fetch.replace((fetch, self.now)).is_none(),
                    "two fetches"
                );
                Expected::Fetch(request)
            }
            Answer::Wait => Expected::Wait,
            Answer::Failed(_) => Expected::Failed,
        };
        assert_eq!(got, expected, "{:#?}", self.model.events);
    }

    fn finish(&mut self, secret: &'static str, lifetime: Option<u64>) {
        let Some((fetch, began)) = self.fetch.take() else {
            return;
        };
        let replaces = fetch.request() == TokenRequest::Refreshed;
        let mut token = Token::new(secret);
        if let Some(seconds) = lifetime {
            token = token.with_lifetime(Duration::from_secs(seconds));
        }
        let result = self.keeper.finish(at(self.now), fetch, Ok(token));
        let is_same = self.model.last_rejected() == Some(secret);
        let kept = self.model.kept().map(|(token, ..)| token);
        if secret.is_empty() || secret.contains(' ') || is_same {
            let is_rejected = kept.is_some_and(|token| self.model.is_rejected(token));
            // The source was asked before the rejection.
            if !(is_same && is_rejected && !replaces) {
                self.model.events.push(Event::Failed(self.now));
            }
            if let Err(error) = &result {
                let is_reported = error.get_ref().downcast_ref() == Some(&TokenError::SameToken);
                assert_eq!(is_reported, is_same, "{error}");
            }
            return self.check_fallback(result);
        }
        let (id, got) = result.expect("a good token");
        assert_eq!(got.expose(), secret.as_bytes());
        let again = kept.filter(|token| self.model.secret_of(*token) == secret);
        let token = again.unwrap_or(self.ids.len());
        let replaces = replaces || (again.is_some() && self.model.unproved() == again);
        if again.is_none() {
            assert!(!self.ids.contains(&id));
            self.ids.push(id);
        }
        assert_eq!(id, self.ids[token]);
        self.model.events.push(Event::Fetched {
            token,
            secret,
            began,
            lifetime,
            replaces,
        });
    }

    /// After a failure, a token that is still valid is used.
    fn check_fallback(
        &self,
        result: Result<(TokenId, smtp_driver::proto::Secret), TransportError>,
    ) {
        let valid = self.model.kept().filter(|(token, began, lifetime)| {
            let ends = lifetime.map(|lifetime| began + lifetime);
            !self.model.is_rejected(*token) && ends.is_none_or(|end| self.now < end)
        });
        let got = result.ok().map(|(id, _)| id);
        assert_eq!(got, valid.map(|(token, ..)| self.ids[token]));
    }
}

fn at(seconds: u64) -> Time {
    Time::from_origin(Duration::from_secs(seconds))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_history_of_a_keeper_is_that_of_the_model(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World {
            keeper: TokenKeeper::new(),
            model: Model::default(),
            fetch: None,
            ids: Vec::new(),
            now: 0,
        };
        for step in &steps {
            world.perform(step);
        }
    }
}
