//! What a transport says when it fails.

use alloc::sync::Arc;
use core::fmt;

/// What a transport reports when it fails: an I/O error, a TLS alert.
#[derive(Clone)]
pub struct TransportError {
    pub(super) error: Arc<dyn core::error::Error + Send + Sync>,
    pub(super) hint: Option<&'static str>,
}

impl TransportError {
    /// Wraps the error that the transport gave.
    pub fn new(error: impl core::error::Error + Send + Sync + 'static) -> Self {
        Self {
            error: Arc::new(error),
            hint: None,
        }
    }

    /// Adds the likely cure, for [`Error::hint`](crate::Error::hint).
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The error that the transport gave.
    pub fn get_ref(&self) -> &(dyn core::error::Error + Send + Sync + 'static) {
        &*self.error
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.error, f)
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for TransportError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
