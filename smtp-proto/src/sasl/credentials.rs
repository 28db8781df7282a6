use alloc::{sync::Arc, vec, vec::Vec};
use core::fmt;

use super::{Login, Mechanism, Plain, XOAuth2};
use crate::Secret;

/// What is needed to log in: mechanisms with their secrets, the one to be preferred first.
///
/// The first that the server offers is used, and no other after it: a failure never leads to a
/// weaker mechanism.
#[derive(Clone)]
pub struct Credentials {
    mechanisms: Arc<[Arc<dyn Mechanism>]>,
}

impl Credentials {
    /// A user and a password, by PLAIN or else LOGIN.
    ///
    /// # Errors
    /// If a part is empty, holds a NUL, or is too long.
    pub fn password(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let password = password.into();
        Ok(Self::mechanisms(vec![
            Arc::new(Plain::new(user, password.clone())?),
            Arc::new(Login::new(user, password)?),
        ]))
    }

    /// A user and an OAuth 2.0 access token, by XOAUTH2.
    ///
    /// # Errors
    /// As [`XOAuth2::new`].
    pub fn xoauth2(user: &str, token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        Ok(Self::mechanisms(vec![Arc::new(XOAuth2::new(user, token)?)]))
    }

    /// Mechanisms of one's own choice and order.
    #[must_use]
    pub fn mechanisms(mechanisms: Vec<Arc<dyn Mechanism>>) -> Self {
        Self {
            mechanisms: mechanisms.into(),
        }
    }

    /// The first of these mechanisms that is among those offered, whose case does not matter.
    #[must_use]
    pub fn select<'a>(
        &self,
        offered: impl IntoIterator<Item = &'a str>,
    ) -> Option<Arc<dyn Mechanism>> {
        let place = |offer: &str| {
            self.mechanisms
                .iter()
                .position(|mechanism| mechanism.name().as_str().eq_ignore_ascii_case(offer))
        };
        let first = offered.into_iter().filter_map(place).min()?;
        self.mechanisms.get(first).cloned()
    }

    /// The mechanisms' names, the one to be preferred first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.mechanisms
            .iter()
            .map(|mechanism| mechanism.name().as_str())
    }
}

/// Shows the names of the mechanisms.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials ")?;
        f.debug_list().entries(self.names()).finish()
    }
}

/// Why a user name, password or token cannot be sent.
///
/// It tells nothing of the part but its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialsError {
    part: Part,
    reason: CredentialsFault,
}

impl CredentialsError {
    /// What is wrong.
    #[must_use]
    pub const fn reason(&self) -> CredentialsFault {
        self.reason
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.part {
            Part::User => "user name ",
            Part::Password => "password ",
            Part::Identity => "identity to act as ",
            Part::Token => "token ",
        })?;
        f.write_str(match self.reason {
            CredentialsFault::Empty => "is empty",
            CredentialsFault::Character => "holds a character that the mechanism cannot carry",
            CredentialsFault::TooLong => "is too long",
        })
    }
}

impl core::error::Error for CredentialsError {}

/// What can be wrong with a user name, password or token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsFault {
    /// Nothing there.
    Empty,
    /// A character that the mechanism cannot carry, such as NUL.
    Character,
    /// A user name or identity over 1020 octets, a password or token over 7140.
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    User,
    Password,
    Identity,
    Token,
}

impl Part {
    /// Bounds that together keep every message within a line of 12288 octets of base64.
    const fn max(self) -> usize {
        match self {
            Self::User | Self::Identity => 1020,
            Self::Password | Self::Token => 7140,
        }
    }
}

pub(super) fn check(
    part: Part,
    octets: &[u8],
    allowed: impl Fn(u8) -> bool,
) -> Result<(), CredentialsError> {
    let reason = if octets.is_empty() {
        CredentialsFault::Empty
    } else if octets.len() > part.max() {
        CredentialsFault::TooLong
    } else if !octets.iter().all(|&octet| allowed(octet)) {
        CredentialsFault::Character
    } else {
        return Ok(());
    };
    Err(CredentialsError { part, reason })
}
