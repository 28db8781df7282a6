//! Errors of the transport.

use alloc::string::ToString as _;
use alloc::sync::Arc;
use core::fmt::{self, Write as _};

use crate::reply::Escaping;

/// An error of the transport: an I/O error, a TLS alert.
///
/// The error may quote the peer, so its text is escaped and cut when printed.
/// [`get_ref`](Self::get_ref) returns the error itself.
///
/// # Examples
/// ```
/// use smtp_proto::{Error, TransportError};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = TransportError::new(refused).with_hint("start the server first");
/// assert_eq!(Error::connect(error).hint(), Some("start the server first"));
/// ```
#[derive(Clone)]
pub struct TransportError {
    pub(super) error: Arc<dyn core::error::Error + Send + Sync>,
    pub(super) hint: Option<&'static str>,
    pub(super) transient: bool,
}

impl TransportError {
    /// Wraps the error of the transport.
    pub fn new(error: impl core::error::Error + Send + Sync + 'static) -> Self {
        Self {
            error: Arc::new(error),
            hint: None,
            transient: true,
        }
    }

    /// Adds the likely remedy, for [`Error::hint`](crate::Error::hint).
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Declares that a retry fails in the same way, for
    /// [`Error::is_transient`](crate::Error::is_transient).
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Error, TransportError};
    ///
    /// let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    /// assert!(!Error::proxy(TransportError::new(denied).permanent()).is_transient());
    /// ```
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.transient = false;
        self
    }

    /// The error of the transport.
    pub fn get_ref(&self) -> &(dyn core::error::Error + Send + Sync + 'static) {
        &*self.error
    }
}

/// Two are equal if they are clones of one, or print the same: the wrapped error need not be
/// comparable.
impl PartialEq for TransportError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.error, &other.error) || self.error.to_string() == other.error.to_string()
    }
}

impl Eq for TransportError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping::new(f, SHOWN), "{}", self.error)
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prints the text of the wrapped error, so `source` begins with what caused that one.
impl core::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.error.source()
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for TransportError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}

/// Bytes of the error's text that are shown.
const SHOWN: usize = 500;

#[cfg(test)]
mod tests;
