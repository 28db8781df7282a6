use alloc::boxed::Box;
use core::{fmt, mem};

use super::{
    ConnectionInfo, CredentialsError, Exchange, ExchangeError, Mechanism, Name,
    credentials::{Part, check},
};
use crate::Secret;

/// The LOGIN mechanism: user name, then password, for servers that support nothing better.
///
/// No standard describes it. The texts of the server's two prompts vary, and some are not base64,
/// so the order of the prompts decides the response.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::Login;
///
/// let login = Login::new("alice", "correct horse")?;
/// let credentials = Credentials::from_mechanisms(vec![Arc::new(login)]);
/// assert!(credentials.names().eq(["LOGIN"]));
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Login {
    user: Secret,
    password: Secret,
}

impl Login {
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

impl Mechanism for Login {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        Box::new(State::ExpectUserPrompt {
            user: self.user.clone(),
            password: self.password.clone(),
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

#[expect(clippy::enum_variant_names, reason = "a state says what it expects")]
enum State {
    ExpectUserPrompt { user: Secret, password: Secret },
    ExpectPasswordPrompt { password: Secret },
    ExpectVerdict,
}

impl Exchange for State {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        Ok(None)
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
        let (next, response) = match mem::replace(self, Self::ExpectVerdict) {
            Self::ExpectUserPrompt { user, password } => {
                (Self::ExpectPasswordPrompt { password }, user)
            }
            Self::ExpectPasswordPrompt { password } => (Self::ExpectVerdict, password),
            Self::ExpectVerdict => return Err(ExchangeError::TooManyChallenges),
        };
        *self = next;
        Ok(response)
    }

    fn reads_challenges(&self) -> bool {
        false
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        match self {
            Self::ExpectVerdict => Ok(()),
            _ => Err(ExchangeError::Premature),
        }
    }

    fn max_challenges(&self) -> usize {
        2
    }
}

const NAME: Name = Name("LOGIN");
