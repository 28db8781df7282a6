//! Extensions that a message requires.

use alloc::string::String;
use core::fmt;

use crate::extension::parameter::Keyword;

/// An extension that a message requires and the server does not advertise.
///
/// # Examples
/// ```
/// use smtp_proto::{ErrorKind, MissingExtension, RecipientStatus};
///
/// /// Whether the message can be sent after encoding its content in 7 bits.
/// fn wants_encoding(status: &RecipientStatus) -> bool {
///     matches!(status, RecipientStatus::NotSent(error)
///         if matches!(error.kind(), ErrorKind::Unsupported(MissingExtension::EightBitMime)))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingExtension {
    /// 8BITMIME, for 8-bit content (RFC 6152).
    EightBitMime,
    /// BINARYMIME and CHUNKING, for binary content (RFC 3030).
    BinaryMime,
    /// SMTPUTF8, for a non-ASCII header field, parameter or local part (RFC 6531).
    SmtpUtf8,
    /// SMTPUTF8 for a non-ASCII domain (RFC 6531), or the feature `idna`, which converts it to
    /// A-labels.
    ALabels,
    /// XCLIENT, with this attribute.
    Xclient {
        /// The attribute, such as `ADDR`.
        attribute: &'static str,
    },
    /// XFORWARD, with one of the attributes.
    Xforward,
    /// The extension of a parameter that the caller added.
    Parameter {
        /// The parameter's keyword.
        keyword: Keyword,
        /// The extension's EHLO keyword.
        extension: String,
        /// The index of the recipient for RCPT; `None` for MAIL.
        recipient: Option<usize>,
    },
}

impl fmt::Display for MissingExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EightBitMime => f.write_str("8-bit content needs 8BITMIME"),
            Self::BinaryMime => f.write_str("binary content needs BINARYMIME and CHUNKING"),
            Self::SmtpUtf8 => f.write_str("non-ASCII characters need SMTPUTF8"),
            Self::ALabels => f.write_str("a non-ASCII domain needs the feature `idna` or SMTPUTF8"),
            Self::Xclient { attribute } => {
                write!(
                    f,
                    "acting for another client needs XCLIENT with {attribute}"
                )
            }
            Self::Xforward => f.write_str("the origin of a message needs XFORWARD"),
            Self::Parameter {
                keyword,
                extension,
                recipient,
            } => {
                write!(f, "the parameter {keyword}")?;
                if let Some(index) = recipient {
                    write!(f, " of recipient {index}")?;
                }
                write!(f, " needs {extension}")
            }
        }?;
        f.write_str(", which the server does not advertise")
    }
}
