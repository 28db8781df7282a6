//! The common part of the two mechanisms for OAuth 2.0 bearer tokens.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::mem;

use super::{
    ConnectionInfo, CredentialsError, Exchange, ExchangeError,
    credentials::{Part, check},
};
use crate::Secret;

/// The token that is requested from a [provider](super::Credentials::token_provider), or from the
/// caller that [fetches](super::Credentials::fetched_token) it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRequest {
    /// The current token, which may come from a cache.
    Cached,
    /// A token other than the one that the server has just rejected. That one may have expired
    /// early.
    Refreshed,
}

/// A user with a token, a token provider, or a token that the caller fetches.
#[derive(Clone)]
pub(super) struct Bearer {
    /// The message up to the first 0x01.
    front: String,
    token: Token,
}

#[derive(Clone)]
enum Token {
    Fixed(Secret),
    Source(Arc<Source>),
    Fetched,
}

type Source = dyn Fn(TokenRequest) -> Option<Secret> + Send + Sync;

impl Bearer {
    pub(super) fn new(front: String, token: Secret) -> Result<Self, CredentialsError> {
        check_token(&token)?;
        Ok(Self {
            front,
            token: Token::Fixed(token),
        })
    }

    pub(super) fn from_source(
        front: String,
        source: impl Fn(TokenRequest) -> Option<Secret> + Send + Sync + 'static,
    ) -> Self {
        Self {
            front,
            token: Token::Source(Arc::new(source)),
        }
    }

    pub(super) const fn fetched(front: String) -> Self {
        Self {
            front,
            token: Token::Fetched,
        }
    }

    pub(super) fn wants_token(&self) -> bool {
        matches!(self.token, Token::Fetched)
    }

    pub(super) fn can_refresh(&self) -> bool {
        matches!(self.token, Token::Source(_) | Token::Fetched)
    }

    /// Begins an exchange that answers the server's error with `error_response`.
    pub(super) fn start(
        &self,
        context: &ConnectionInfo<'_>,
        error_response: &'static [u8],
    ) -> Box<dyn Exchange> {
        Box::new(BearerExchange {
            state: State::Start(self.message(context)),
            error_response,
        })
    }

    fn message(&self, context: &ConnectionInfo<'_>) -> Result<Secret, ExchangeError> {
        let token = match &self.token {
            Token::Fixed(token) => token.clone(),
            Token::Source(source) => {
                let request = if context.needs_refresh() {
                    TokenRequest::Refreshed
                } else {
                    TokenRequest::Cached
                };
                let token = source(request).ok_or(NO_TOKEN)?;
                check_token(&token).map_err(|_| BAD_TOKEN)?;
                token
            }
            Token::Fetched => context.token().cloned().ok_or(NOT_FETCHED)?,
        };
        Ok(Secret::concat(&[
            self.front.as_bytes(),
            b"\x01auth=Bearer ",
            token.expose(),
            b"\x01\x01",
        ]))
    }
}

/// Checks a user name that stands before a 0x01.
pub(super) fn check_user(user: &str) -> Result<(), CredentialsError> {
    check(Part::User, user.as_bytes(), |byte| {
        byte >= b' ' && byte != 0x7f
    })
}

/// Checks that a token is visible ASCII (RFC 6750, section 2.1), and not too long.
pub(crate) fn check_token(token: &Secret) -> Result<(), CredentialsError> {
    check(Part::Token, token.expose(), |byte| byte.is_ascii_graphic())
}

struct BearerExchange {
    state: State,
    error_response: &'static [u8],
}

enum State {
    Start(Result<Secret, ExchangeError>),
    ExpectVerdict,
    ExpectRejection { detail: Vec<u8> },
}

impl Exchange for BearerExchange {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        match mem::replace(&mut self.state, State::ExpectVerdict) {
            State::Start(message) => message.map(Some),
            other => {
                self.state = other;
                Ok(None)
            }
        }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        match self.state {
            State::ExpectVerdict => {
                let kept = challenge.get(..DETAIL_MAX).unwrap_or(challenge);
                self.state = State::ExpectRejection {
                    detail: kept.to_vec(),
                };
                Ok(self.error_response.to_vec().into())
            }
            State::Start(_) | State::ExpectRejection { .. } => {
                Err(ExchangeError::TooManyChallenges)
            }
        }
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        match self.state {
            State::ExpectVerdict => Ok(()),
            State::Start(_) => Err(ExchangeError::Premature),
            State::ExpectRejection { .. } => Err(ExchangeError::Contradiction),
        }
    }

    fn max_challenges(&self) -> usize {
        1
    }

    fn server_error(&self) -> Option<&[u8]> {
        match &self.state {
            State::ExpectRejection { detail } => Some(detail),
            _ => None,
        }
    }
}

/// Far more than any provider's error. The rest is cut off.
const DETAIL_MAX: usize = 4096;

const NO_TOKEN: ExchangeError = ExchangeError::Mechanism("the token provider returned no token");
const NOT_FETCHED: ExchangeError = ExchangeError::Mechanism("the token was not fetched");
const BAD_TOKEN: ExchangeError = ExchangeError::Mechanism(
    "the token provider returned a token that is empty, too long, or not visible ASCII",
);
