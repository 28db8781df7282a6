//! Mailboxes, domains and paths (RFC 5321, section 4.1.2; RFC 6531, section 3.3).
//!
//! Each type is validated when it is created, by an allow-list grammar in linear time. None of them
//! can contain a control character, so none can end a command line early. Comments, folding white
//! space, source routes, groups and display names belong to message header fields and are rejected.

mod domain;
mod error;
mod grammar;
mod idna;
mod mailbox;
mod path;
mod plain;

pub use domain::{ClientName, Domain};
pub use error::{AddressError, AddressErrorKind};
pub(crate) use grammar::is_non_ascii_text;
pub use mailbox::Mailbox;
pub use path::{ForwardPath, ReversePath};

/// Gives a type with `FromStr` and `as_str` the conversions of all address types.
macro_rules! textual {
    ($($name:ident),+) => {$(
        impl TryFrom<&str> for $name {
            type Error = AddressError;

            fn try_from(text: &str) -> Result<Self, AddressError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = AddressError;

            fn try_from(text: String) -> Result<Self, AddressError> {
                text.parse()
            }
        }

        impl TryFrom<&String> for $name {
            type Error = AddressError;

            fn try_from(text: &String) -> Result<Self, AddressError> {
                text.parse()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }
    )+};
}
use textual;

#[cfg(test)]
mod tests;
