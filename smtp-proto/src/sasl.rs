//! Authentication: SASL mechanisms (RFC 4422) as the AUTH command carries them (RFC 4954).
//!
//! [`Credentials`] hold what is needed to log in, in the order in which it is to be tried against
//! the server's offer. A mechanism of one's own implements [`Mechanism`] and [`Exchange`]; it deals
//! in the bytes of its own messages only: base64, the limits on lines, cancelling and counting the
//! server's challenges are done for it.
//!
//! Names and passwords are used as they are given, byte by byte; they are not prepared by SASLprep (RFC 4013). For
//! ASCII this is the same. Beyond ASCII it is the same for all that has its composed form (NFC) and no letters of mere
//! compatibility, such as ligatures and full-width ones; what has them should be given in the form that the server stores.
//!
//! | mechanism | type | feature |
//! | --- | --- | --- |
//! | SCRAM-SHA-512, -256, -1, each with and without -PLUS | `Scram` | `scram` |
//! | PLAIN, LOGIN | [`Plain`], [`Login`] | |
//! | OAUTHBEARER, XOAUTH2 | [`OAuthBearer`], [`XOAuth2`] | |
//! | EXTERNAL | [`External`] | |
//! | ANONYMOUS | [`Anonymous`] | |
//! | CRAM-MD5 | `CramMd5` | `legacy` |
//!
//! Security layers are never negotiated: that is for TLS.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::Secret;

mod anonymous;
mod bearer;
mod context;
#[cfg(feature = "legacy")]
mod cram_md5;
mod credentials;
mod driver;
mod external;
mod login;
mod oauthbearer;
mod plain;
#[cfg(feature = "scram")]
mod scram;
mod single;
mod xoauth2;

pub use anonymous::Anonymous;
pub use bearer::TokenRequest;
pub use context::ConnectionInfo;
#[cfg(feature = "legacy")]
pub use cram_md5::CramMd5;
pub use credentials::{Credentials, CredentialsError, CredentialsErrorKind};
pub(crate) use driver::Driver;
pub use external::External;
pub use login::Login;
pub use oauthbearer::OAuthBearer;
pub use plain::Plain;
#[cfg(feature = "scram")]
pub use scram::{ChannelBinding, Scram};
pub use xoauth2::XOAuth2;

/// A way to authenticate, together with the secrets that it needs.
///
/// Its `Debug` must not show a secret; a field of type [`Secret`] does not.
pub trait Mechanism: fmt::Debug + Send + Sync {
    /// The name under which servers offer it.
    fn name(&self) -> Name;

    /// Begins an exchange with one server.
    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange>;

    /// Whether it could be used on this connection, if the server offers it; by default, it could.
    ///
    /// One that says no is passed over, and the next in order has its turn.
    fn is_usable(&self, context: &ConnectionInfo<'_>) -> bool {
        let _ = context;
        true
    }

    /// Whether it can do with new secrets what it could not do with the last ones; by default, it cannot.
    ///
    /// If it can, a rejection is an [`Expired`](crate::AuthenticationError::Expired), once: on the next connection
    /// [`ConnectionInfo::needs_refresh`] tells that the last token was rejected.
    fn can_refresh(&self) -> bool {
        false
    }
}

/// The client's side of one authentication.
pub trait Exchange: Send + Sync {
    /// The first response, if the client speaks first; it may be empty.
    ///
    /// Called once, before anything else. `None` means that the server speaks first.
    ///
    /// # Errors
    /// If the exchange cannot begin, say because no channel binding is there.
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError>;

    /// Answers a challenge, which is already decoded from base64; the answer may be empty.
    ///
    /// # Errors
    /// If the challenge is not acceptable: then the exchange is cancelled.
    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError>;

    /// Whether a challenge means anything; by default, it does.
    ///
    /// If not, whatever the server sends is answered, base64 or not, and [`respond`](Self::respond) gets nothing of it.
    fn reads_challenges(&self) -> bool {
        true
    }

    /// Judges the server's word that the client is authenticated.
    ///
    /// # Errors
    /// If the exchange is not at an end that allows success, or the server has not proved itself.
    fn finish(&mut self) -> Result<(), ExchangeError>;

    /// How many challenges the server may send in all, besides the one that only asks for the
    /// initial response; one more is a [`ExchangeError`]. At most 16 are ever answered.
    fn max_challenges(&self) -> usize;

    /// What the server told of the reason for its rejection, in the mechanism's own words.
    fn server_error(&self) -> Option<&[u8]> {
        None
    }
}

/// The name of a mechanism (RFC 4422, section 3.1): up to 20 of `A`–`Z`, `0`–`9`, `-`, `_`.
///
/// ```
/// use smtp_proto::sasl::Name;
///
/// const EXTERNAL: Option<Name> = Name::new("EXTERNAL");
/// assert!(EXTERNAL.is_some());
/// assert!(Name::new("EXTERNAL\r\nNOOP").is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(&'static str);

impl Name {
    /// The name, if it is one.
    #[must_use]
    pub const fn new(name: &'static str) -> Option<Self> {
        let mut rest = name.as_bytes();
        if rest.is_empty() || rest.len() > NAME_MAX {
            return None;
        }
        while let Some((first, others)) = rest.split_first() {
            if !matches!(first, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_') {
                return None;
            }
            rest = others;
        }
        Some(Self(name))
    }

    /// The name as it goes on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Why an exchange came to nothing before the server rejected it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExchangeError {
    /// A challenge that is not base64 (RFC 4954, section 4).
    Encoding,
    /// A challenge or a response whose line would be over 12288 bytes (RFC 4954, section 4), or a challenge beyond the
    /// [`ReplyLimits`](crate::ReplyLimits).
    TooLong,
    /// A challenge more than the mechanism has.
    TooManyChallenges,
    /// Success before the exchange was at its end.
    Premature,
    /// Success after the server had told of its rejection.
    Contradiction,
    /// A reason of the mechanism's own.
    Mechanism(&'static str),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "challenge is not base64",
            Self::TooLong => "challenge or response over 12288 bytes",
            Self::TooManyChallenges => "one challenge too many for the mechanism",
            Self::Premature => "success before the exchange was at its end",
            Self::Contradiction => "success after the server had told of its rejection",
            Self::Mechanism(reason) => reason,
        })
    }
}

debug_as_display!(ExchangeError);

impl core::error::Error for ExchangeError {}

/// A name as `saslname` (RFC 5802, section 7): without commas and equals signs.
pub(crate) fn escape_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            ',' => out.push_str("=2C"),
            '=' => out.push_str("=3D"),
            other => out.push(other),
        }
    }
    out
}

/// Decodes the text of a 334 reply.
///
/// No text, and a lone `=` as in an initial response, are the empty challenge. Anything but strict
/// base64 is an error: RFC 4954, section 4, wants such an exchange cancelled.
pub(crate) fn decode_challenge(text: &[u8]) -> Result<Vec<u8>, ExchangeError> {
    if text.len() > LINE_MAX {
        return Err(ExchangeError::TooLong);
    }
    match text {
        b"=" => Ok(Vec::new()),
        _ => STANDARD.decode(text).map_err(|_| ExchangeError::Encoding),
    }
}

/// Appends `raw` in base64, without line breaks and without an allocation of its own.
pub(crate) fn encode_base64(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // With room for a CRLF: a vector that grows after a secret leaves a copy of it unwiped.
    out.reserve(base64_len(raw).saturating_add("\r\n".len()));
    out.resize(start.saturating_add(base64_len(raw)), b'=');
    let room = out.get_mut(start..).unwrap_or_default();
    let written = STANDARD.encode_slice(raw, room);
    debug_assert_eq!(
        written,
        Ok(base64_len(raw)),
        "room and encoding are of one length"
    );
}

/// Bytes of `raw` in base64.
pub(crate) fn base64_len(raw: &[u8]) -> usize {
    raw.len().div_ceil(3).saturating_mul(4)
}

/// Whether an AUTH command with this initial response keeps to the 512 bytes of a command line.
///
/// If not, the response has to wait for an empty challenge (RFC 4954, section 4).
pub(crate) fn initial_response_fits(name: Name, response: &[u8]) -> bool {
    // An empty response, which is sent as `=`, fits after any name.
    let rest = "AUTH  \r\n".len().saturating_add(name.as_str().len());
    base64_len(response).saturating_add(rest) <= COMMAND_LINE_MAX
}

/// RFC 4422, section 3.1.
const NAME_MAX: usize = 20;
/// RFC 5321, section 4.5.3.1.4, with the CRLF.
const COMMAND_LINE_MAX: usize = 512;
/// RFC 4954, section 4; here with the CRLF.
const LINE_MAX: usize = 12288;

#[cfg(test)]
mod tests;
