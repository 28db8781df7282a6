use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::{
    Context, CredentialsError, Exchange, Failure, Mechanism, Name,
    credentials::{Part, check},
};
use crate::Secret;

/// The XOAUTH2 mechanism of large mail providers: a user and an OAuth 2.0 bearer token.
///
/// A server that refuses the token first says why, in JSON, as a challenge. The exchange then goes
/// on with an empty response until the server's refusal proper; see [`Exchange::server_detail`].
#[derive(Clone)]
pub struct XOAuth2 {
    /// `user=… ^A auth=Bearer … ^A ^A`
    message: Secret,
}

impl XOAuth2 {
    /// Logs in as `user` with an access token that is valid now; tokens are not refreshed here.
    ///
    /// # Errors
    /// If a part is empty, holds a control character, or is too long, or the token is not visible
    /// ASCII (RFC 6750, section 2.1).
    pub fn new(user: &str, token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let token = token.into();
        check(Part::User, user.as_bytes(), |octet| {
            octet >= b' ' && octet != 0x7f
        })?;
        check(Part::Token, token.expose(), |octet| {
            octet.is_ascii_graphic()
        })?;
        let message = Secret::concat(&[
            b"user=",
            user.as_bytes(),
            b"\x01auth=Bearer ",
            token.expose(),
            b"\x01\x01",
        ]);
        Ok(Self { message })
    }
}

impl Mechanism for XOAuth2 {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, _: &Context<'_>) -> Box<dyn Exchange> {
        Box::new(State::Start {
            message: self.message.clone(),
        })
    }
}

impl fmt::Debug for XOAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XOAuth2").finish_non_exhaustive()
    }
}

enum State {
    Start { message: Secret },
    ExpectVerdict,
    ExpectRefusal { detail: Vec<u8> },
}

impl Exchange for State {
    fn initial_response(&mut self) -> Result<Option<Secret>, Failure> {
        match core::mem::replace(self, Self::ExpectVerdict) {
            Self::Start { message } => Ok(Some(message)),
            other => {
                *self = other;
                Ok(None)
            }
        }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, Failure> {
        match self {
            Self::ExpectVerdict => {
                let kept = challenge.get(..DETAIL_MAX).unwrap_or(challenge);
                *self = Self::ExpectRefusal {
                    detail: kept.to_vec(),
                };
                Ok(Secret::default())
            }
            Self::Start { .. } | Self::ExpectRefusal { .. } => Err(Failure::TooManyChallenges),
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::ExpectVerdict => Ok(()),
            Self::Start { .. } => Err(Failure::Premature),
            Self::ExpectRefusal { .. } => Err(Failure::Contradiction),
        }
    }

    fn steps(&self) -> usize {
        1
    }

    fn server_detail(&self) -> Option<&[u8]> {
        match self {
            Self::ExpectRefusal { detail } => Some(detail),
            _ => None,
        }
    }
}

const NAME: Name = Name("XOAUTH2");
/// Far more than any provider's error; the rest is cut off.
const DETAIL_MAX: usize = 4096;
