//! Secret bytes.

use alloc::{string::String, vec::Vec};
use core::fmt;

use zeroize::Zeroizing;

/// A secret, such as a password or a token: never shown by `Debug`, and wiped when dropped.
///
/// It has neither `Display` nor equality, so it can be neither printed nor compared in variable
/// time. A `String` or `Vec<u8>` is taken over without leaving a copy; a `&str` is copied, and the
/// caller must wipe the original.
///
/// # Examples
/// ```
/// use smtp_proto::Secret;
///
/// let secret = Secret::from("correct horse");
/// assert_eq!(secret.expose(), b"correct horse");
/// assert!(!format!("{secret:?}").contains("horse"));
/// ```
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes in cleartext.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Joins `parts` in one allocation, so that no shorter buffer is left unwiped.
    pub(crate) fn concat(parts: &[&[u8]]) -> Self {
        Self::from(parts.concat())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests;
