use alloc::{boxed::Box, string::String};
use core::{fmt, fmt::Write};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::{
    ConnectionInfo, CredentialsError, Exchange, ExchangeError, Mechanism, Name,
    credentials::{Part, check},
};
use crate::Secret;

/// The CRAM-MD5 mechanism (RFC 2195), for servers that support nothing better.
///
/// The password is not sent, but an eavesdropper can quickly try passwords against the exchange.
/// The server does not prove its identity, and must store data equivalent to the password. Inside
/// TLS, PLAIN is no worse.
#[derive(Clone)]
pub struct CramMd5 {
    user: String,
    password: Secret,
}

impl CramMd5 {
    /// Logs in as `user`.
    ///
    /// # Errors
    /// If a part is empty, contains a NUL, or is too long.
    pub fn new(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let password = password.into();
        check(Part::User, user.as_bytes(), |byte| byte != 0)?;
        check(Part::Password, password.expose(), |byte| byte != 0)?;
        Ok(Self {
            user: user.into(),
            password,
        })
    }
}

impl Mechanism for CramMd5 {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        Box::new(State::ExpectChallenge(self.clone()))
    }
}

impl fmt::Debug for CramMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CramMd5").finish_non_exhaustive()
    }
}

enum State {
    ExpectChallenge(CramMd5),
    ExpectVerdict,
}

impl Exchange for State {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        Ok(None)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        let Self::ExpectChallenge(own) = core::mem::replace(self, Self::ExpectVerdict) else {
            return Err(ExchangeError::TooManyChallenges);
        };
        // An empty challenge would make every digest the same.
        if challenge.is_empty() {
            return Err(ExchangeError::Mechanism("the challenge is empty"));
        }
        Ok(answer(&own.user, &own.password, challenge).into())
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        match self {
            Self::ExpectVerdict => Ok(()),
            Self::ExpectChallenge(_) => Err(ExchangeError::Premature),
        }
    }

    fn max_challenges(&self) -> usize {
        1
    }
}

/// The user, a space, and the keyed digest of the challenge in lower-case hexadecimal.
fn answer(user: &str, password: &Secret, challenge: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "a key of an HMAC has any length")]
    let mac = Hmac::<Md5>::new_from_slice(password.expose()).expect("a key of any length");
    let digest = mac.chain_update(challenge).finalize().into_bytes();
    let mut out = String::with_capacity(user.len().saturating_add(33));
    out.push_str(user);
    out.push(' ');
    for byte in digest {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

const NAME: Name = Name("CRAM-MD5");
