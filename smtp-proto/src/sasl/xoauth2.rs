use alloc::{boxed::Box, format};
use core::fmt;

use super::{
    ConnectionInfo, CredentialsError, Exchange, Mechanism, Name, TokenRequest,
    bearer::{Bearer, check_user},
};
use crate::Secret;

/// The XOAUTH2 mechanism of large mail providers: a user and an OAuth 2.0 bearer token.
///
/// A server that rejects the token first sends its reason in JSON as a challenge. The client
/// responds with an empty response, and the server then rejects the AUTH command; see
/// [`Exchange::server_error`].
#[derive(Clone)]
pub struct XOAuth2(Bearer);

impl XOAuth2 {
    /// Logs in as `user` with an access token that is valid now.
    ///
    /// # Errors
    /// If a part is empty, contains a control character, or is too long, or the token is not
    /// visible ASCII (RFC 6750, section 2.1).
    pub fn new(user: &str, token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        check_user(user)?;
        Bearer::new(format!("user={user}"), token.into()).map(Self)
    }

    /// Logs in as `user` with the token that `source` returns; see
    /// [`Credentials::token_provider`](super::Credentials::token_provider).
    ///
    /// # Errors
    /// If the user is empty, contains a control character, or is too long.
    pub fn from_source(
        user: &str,
        source: impl Fn(TokenRequest) -> Option<Secret> + Send + Sync + 'static,
    ) -> Result<Self, CredentialsError> {
        check_user(user)?;
        Ok(Self(Bearer::from_source(format!("user={user}"), source)))
    }

    /// Logs in as `user` with the token that the caller fetches; see
    /// [`Credentials::fetched_token`](super::Credentials::fetched_token).
    ///
    /// # Errors
    /// If the user is empty, contains a control character, or is too long.
    pub fn fetched(user: &str) -> Result<Self, CredentialsError> {
        check_user(user)?;
        Ok(Self(Bearer::fetched(format!("user={user}"))))
    }
}

impl Mechanism for XOAuth2 {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        self.0.start(context, b"")
    }

    fn wants_token(&self) -> bool {
        self.0.wants_token()
    }

    fn can_refresh(&self) -> bool {
        self.0.can_refresh()
    }
}

impl fmt::Debug for XOAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XOAuth2").finish_non_exhaustive()
    }
}

const NAME: Name = Name("XOAUTH2");
