//! What a message may need of a server.

use alloc::string::String;
use core::fmt;

use crate::parameter::{DateTime, Keyword};

/// What a message needs and the server does not offer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingExtension {
    /// Bytes above 127 in the text of the message (RFC 6152).
    EightBitMime,
    /// Bytes of any kind (RFC 3030).
    BinaryMime,
    /// Bytes above 127 in the headers, in a parameter or in a local part (RFC 6531).
    SmtpUtf8,
    /// A domain beyond ASCII: SMTPUTF8 (RFC 6531), or the feature `idna`, with which it is told as A-labels.
    ALabels,
    /// XCLIENT, with an attribute that the server is to be told.
    Xclient {
        /// The attribute, such as `ADDR`.
        attribute: &'static str,
    },
    /// XFORWARD, with any of the attributes that the server is to be told.
    Xforward,
    /// The extension that a parameter of the caller's belongs to.
    Parameter {
        /// The parameter's keyword.
        keyword: Keyword,
        /// The extension's EHLO keyword.
        extension: String,
        /// The index of the recipient with whose RCPT it belongs; `None` if it belongs with MAIL.
        recipient: Option<usize>,
    },
    /// A message to be delivered or returned sooner than the server does that (RFC 2852, section 4).
    DeliverBy {
        /// Seconds that were asked for.
        seconds: u64,
        /// The fewest that the server takes.
        least: u64,
    },
    /// A message to be held for longer than the server does (RFC 4865, section 4).
    HoldFor {
        /// Seconds that were asked for.
        seconds: u64,
        /// The most that the server takes.
        most: u64,
    },
    /// A message to be held until later than the server does (RFC 4865, section 4).
    HoldUntil {
        /// What was asked for.
        time: DateTime,
        /// The latest that the server takes.
        latest: DateTime,
    },
}

impl fmt::Display for MissingExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EightBitMime => f.write_str("bytes above 127 in the text need 8BITMIME"),
            Self::BinaryMime => f.write_str("a binary text needs BINARYMIME and CHUNKING"),
            Self::SmtpUtf8 => f.write_str("characters beyond ASCII need SMTPUTF8"),
            Self::ALabels => {
                f.write_str("a domain beyond ASCII needs the feature `idna`, or SMTPUTF8")
            }
            Self::Xclient { attribute } => {
                write!(
                    f,
                    "to speak for another client needs XCLIENT with {attribute}"
                )
            }
            Self::Xforward => f.write_str("to tell where a message comes from needs XFORWARD"),
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
            Self::DeliverBy { seconds, least } => {
                return write!(
                    f,
                    "delivery within {seconds} seconds, of which the server takes {least} at least"
                );
            }
            Self::HoldFor { seconds, most } => {
                return write!(
                    f,
                    "to be held for {seconds} seconds, of which the server takes {most} at most"
                );
            }
            Self::HoldUntil { time, latest } => {
                return write!(
                    f,
                    "to be held until {time}, of which the server takes {latest} at the latest"
                );
            }
        }?;
        f.write_str(", which the server does not offer")
    }
}
