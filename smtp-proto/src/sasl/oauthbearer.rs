use alloc::{boxed::Box, format, string::String};
use core::fmt;

use super::{
    ConnectionInfo, CredentialsError, Exchange, Mechanism, Name, TokenRequest,
    bearer::{Bearer, check_user},
    escape_name,
};
use crate::Secret;

/// The OAUTHBEARER mechanism (RFC 7628): a user and an OAuth 2.0 bearer token.
///
/// A server that rejects the token first sends its reason in JSON as a challenge. The client
/// responds with a lone 0x01, and the server then rejects the AUTH command; see
/// [`Exchange::server_error`].
#[derive(Clone)]
pub struct OAuthBearer(Bearer);

impl OAuthBearer {
    /// Logs in as `user` with an access token that is valid now.
    ///
    /// # Errors
    /// If a part is empty, contains a control character, or is too long, or the token is not
    /// visible ASCII (RFC 6750, section 2.1).
    pub fn new(user: &str, token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        Bearer::new(header(user)?, token.into()).map(Self)
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
        Ok(Self(Bearer::from_source(header(user)?, source)))
    }

    /// Logs in as `user` with the token that the caller fetches; see
    /// [`Credentials::fetched_token`](super::Credentials::fetched_token).
    ///
    /// # Errors
    /// If the user is empty, contains a control character, or is too long.
    pub fn fetched(user: &str) -> Result<Self, CredentialsError> {
        Ok(Self(Bearer::fetched(header(user)?)))
    }
}

impl Mechanism for OAuthBearer {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        self.0.start(context, b"\x01")
    }

    fn wants_token(&self) -> bool {
        self.0.wants_token()
    }

    fn can_refresh(&self) -> bool {
        self.0.can_refresh()
    }
}

impl fmt::Debug for OAuthBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearer").finish_non_exhaustive()
    }
}

/// The `gs2-header` (RFC 5801, section 4), without channel binding.
fn header(user: &str) -> Result<String, CredentialsError> {
    let name = escape_name(user);
    check_user(&name)?;
    Ok(format!("n,a={name},"))
}

const NAME: Name = Name("OAUTHBEARER");
