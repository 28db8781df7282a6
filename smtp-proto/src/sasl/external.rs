use alloc::boxed::Box;
use core::fmt;

use super::{
    ConnectionInfo, CredentialsError, Exchange, Mechanism, Name,
    credentials::{Part, check},
    single::SingleMessage,
};
use crate::Secret;

/// The EXTERNAL mechanism (RFC 4422, appendix A): the client's identity is known from elsewhere,
/// usually from its TLS certificate.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::External;
///
/// let external = External::new().authorize_as("postmaster")?;
/// let credentials = Credentials::from_mechanisms(vec![Arc::new(external)]);
/// assert!(credentials.names().eq(["EXTERNAL"]));
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone, Default)]
pub struct External {
    /// The authorization identity; empty for the identity that the server derives.
    identity: Secret,
}

impl External {
    /// Logs in with the identity that the server derives, for example from the certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the authorization identity.
    ///
    /// # Errors
    /// If the identity is empty, contains a NUL, or is too long.
    pub fn authorize_as(self, identity: &str) -> Result<Self, CredentialsError> {
        check(Part::Identity, identity.as_bytes(), |byte| byte != 0)?;
        Ok(Self {
            identity: identity.into(),
        })
    }
}

impl Mechanism for External {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        Box::new(SingleMessage::new(self.identity.clone()))
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").finish_non_exhaustive()
    }
}

const NAME: Name = Name("EXTERNAL");
