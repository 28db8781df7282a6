use alloc::boxed::Box;
use core::fmt;

use super::{
    ConnectionInfo, CredentialsError, CredentialsErrorKind, Exchange, Mechanism, Name,
    credentials::{Part, check},
    single::SingleMessage,
};
use crate::Secret;

/// The ANONYMOUS mechanism (RFC 4505): anonymous access, with optional trace information.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::Anonymous;
///
/// let anonymous = Anonymous::new().with_trace("build-17@ci.example.org")?;
/// let credentials = Credentials::from_mechanisms(vec![Arc::new(anonymous)]);
/// assert!(credentials.names().eq(["ANONYMOUS"]));
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone, Default)]
pub struct Anonymous {
    trace: Secret,
}

impl Anonymous {
    /// Anonymous access without trace information.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds trace information: an email address, or a string with a meaning to the administrator of
    /// the client's domain.
    ///
    /// Send a user's address only with the user's permission.
    ///
    /// # Errors
    /// If the trace is empty, has more than 255 characters, or contains a control character.
    pub fn with_trace(self, trace: &str) -> Result<Self, CredentialsError> {
        check(Part::Trace, trace.as_bytes(), |_| true)?;
        if trace.chars().count() > TRACE_MAX {
            return Err(CredentialsError::new(
                Part::Trace,
                CredentialsErrorKind::TooLong,
            ));
        }
        if trace.chars().any(char::is_control) {
            return Err(CredentialsError::new(
                Part::Trace,
                CredentialsErrorKind::Character,
            ));
        }
        Ok(Self {
            trace: trace.into(),
        })
    }
}

impl Mechanism for Anonymous {
    fn name(&self) -> Name {
        NAME
    }

    fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        Box::new(SingleMessage::new(self.trace.clone()))
    }
}

impl fmt::Debug for Anonymous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anonymous").finish_non_exhaustive()
    }
}

const NAME: Name = Name("ANONYMOUS");
/// RFC 4505, section 2; characters, not bytes.
const TRACE_MAX: usize = 255;
