use alloc::boxed::Box;
use core::fmt;

use super::{
    ConnectionInfo, CredentialsError, Exchange, Mechanism, Name,
    credentials::{Part, check},
    single::SingleMessage,
};
use crate::Secret;

/// The EXTERNAL mechanism (RFC 4422, appendix A): who logs in is known from elsewhere, most often from the client's
/// certificate in TLS.
#[derive(Clone, Default)]
pub struct External {
    /// Who to act as; empty for whom the server takes the client to be.
    identity: Secret,
}

impl External {
    /// Logs in as whom the server takes the client to be.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to act as `identity`.
    ///
    /// # Errors
    /// If the identity is empty, holds a NUL, or is too long.
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
