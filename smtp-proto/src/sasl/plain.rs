use alloc::boxed::Box;
use core::fmt;

use super::{
    ConnectionInfo, CredentialsError, Exchange, Mechanism, Name,
    credentials::{Part, check},
    single::SingleMessage,
};
use crate::Secret;

/// The PLAIN mechanism (RFC 4616): user name and password in one message, protected by TLS alone.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::Plain;
///
/// let plain = Plain::new("admin", "correct horse")?.authorize_as("alice")?;
/// let credentials = Credentials::from_mechanisms(vec![Arc::new(plain)]);
/// assert!(credentials.names().eq(["PLAIN"]));
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Plain {
    /// `[authzid] NUL authcid NUL passwd`
    message: Secret,
}

impl Plain {
    /// Logs in as `user`.
    ///
    /// # Errors
    /// If a part is empty, contains a NUL, or is too long.
    pub fn new(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let password = password.into();
        check(Part::User, user.as_bytes(), |byte| byte != 0)?;
        check(Part::Password, password.expose(), |byte| byte != 0)?;
        let message = Secret::concat(&[b"\0", user.as_bytes(), b"\0", password.expose()]);
        Ok(Self { message })
    }

    /// Sets the authorization identity: the user to act as, with the credentials of another.
    ///
    /// # Errors
    /// If the identity is empty, contains a NUL, or is too long.
    pub fn authorize_as(self, identity: &str) -> Result<Self, CredentialsError> {
        check(Part::Identity, identity.as_bytes(), |byte| byte != 0)?;
        let message = self.message.expose();
        let behind = message
            .iter()
            .position(|&byte| byte == 0)
            .and_then(|nul| message.get(nul..));
        Ok(Self {
            message: Secret::concat(&[identity.as_bytes(), behind.unwrap_or_default()]),
        })
    }
}

impl Mechanism for Plain {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        Box::new(SingleMessage::new(self.message.clone()))
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

const NAME: Name = Name("PLAIN");
