//! Authentication: SASL mechanisms (RFC 4422) in the AUTH command (RFC 4954).
//!
//! [`Credentials`] contain mechanisms with their secrets, in order of preference. A mechanism of
//! your own implements [`Mechanism`] and [`Exchange`]. It handles only the bytes of its own
//! messages: base64, line limits, cancelling and the number of challenges are handled for it.
//!
//! User names and passwords are used byte by byte as given; SASLprep (RFC 4013) is not applied.
//! This makes no difference for ASCII. Non-ASCII text should be in composed form (NFC), without
//! compatibility characters such as ligatures and full-width letters, or else in the form that the
//! server stores.
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
//! Security layers are never negotiated: TLS is the security layer.

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
pub(crate) use bearer::check_token;
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

/// A mechanism with the secrets that it needs.
///
/// Its `Debug` must not show a secret; a field of type [`Secret`] does not.
///
/// ```
/// use std::sync::Arc;
///
/// use smtp_proto::sasl::{ConnectionInfo, Exchange, ExchangeError, Mechanism, Name};
/// use smtp_proto::{Credentials, Secret};
///
/// /// Sends a ticket; the server has no challenge.
/// #[derive(Debug)]
/// struct Ticket(Secret);
///
/// struct TicketExchange(Option<Secret>);
///
/// impl Mechanism for Ticket {
///     fn name(&self) -> Name {
///         const { Name::new("X-TICKET").unwrap() }
///     }
///
///     fn start(&self, _: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
///         Box::new(TicketExchange(Some(self.0.clone())))
///     }
/// }
///
/// impl Exchange for TicketExchange {
///     fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
///         Ok(self.0.take())
///     }
///
///     fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
///         Err(ExchangeError::TooManyChallenges)
///     }
///
///     fn finish(&mut self) -> Result<(), ExchangeError> {
///         Ok(())
///     }
///
///     fn max_challenges(&self) -> usize {
///         0
///     }
/// }
///
/// let credentials = Credentials::from_mechanisms(vec![Arc::new(Ticket("sesame".into()))]);
/// ```
pub trait Mechanism: fmt::Debug + Send + Sync {
    /// The name that servers advertise.
    fn name(&self) -> Name;

    /// Begins an exchange with one server.
    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange>;

    /// Whether the mechanism can be used on this connection if the server advertises it; `true` by
    /// default.
    ///
    /// An unusable mechanism is skipped for the next in order.
    fn is_usable(&self, context: &ConnectionInfo<'_>) -> bool {
        let _ = context;
        true
    }

    /// Whether the caller fetches a token before the exchange [starts](Self::start); `false` by
    /// default.
    ///
    /// If so, the connection asks for it by
    /// [`Event::TokenWanted`](crate::Event::TokenWanted), and [`ConnectionInfo::token`] returns it.
    /// It is visible ASCII, and not longer than the token of [`OAuthBearer`].
    fn wants_token(&self) -> bool {
        false
    }

    /// Whether the mechanism can get new secrets after a rejection; `false` by default.
    ///
    /// If it can, the first rejection is an [`Expired`](crate::AuthenticationError::Expired) error,
    /// and [`ConnectionInfo::needs_refresh`] is `true` on the next connection.
    fn can_refresh(&self) -> bool {
        false
    }
}

/// The client's side of one authentication.
///
/// # Examples
/// A client runs an exchange of [`Plain`] in a single step:
/// ```
/// use smtp_proto::sasl::{ConnectionInfo, Mechanism, Plain};
///
/// let mechanism = Plain::new("tim", "tanstaaftanstaaf")?;
/// let mut exchange = mechanism.start(&ConnectionInfo::new([0; 32]));
/// let initial = exchange.initial_response()?.unwrap();
/// assert_eq!(initial.expose(), b"\0tim\0tanstaaftanstaaf");
/// assert_eq!(exchange.max_challenges(), 0);
/// exchange.finish()?; // after reply 235
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Exchange: Send + Sync {
    /// The initial response, if the client speaks first; it may be empty.
    ///
    /// Called once, before anything else. `None` means that the server speaks first.
    ///
    /// # Errors
    /// If the exchange cannot begin, for example without a channel binding.
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError>;

    /// Responds to a challenge, decoded from base64. The response may be empty.
    ///
    /// # Errors
    /// If the challenge is not acceptable. The exchange is then cancelled.
    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError>;

    /// Whether the content of challenges matters; `true` by default.
    ///
    /// If not, [`respond`](Self::respond) receives an empty challenge for anything that the server
    /// sends, base64 or not.
    fn reads_challenges(&self) -> bool {
        true
    }

    /// Checks that the exchange may succeed. Called after the server replied with success.
    ///
    /// # Errors
    /// If the exchange is incomplete, or the server has not proved its identity.
    fn finish(&mut self) -> Result<(), ExchangeError>;

    /// The maximum number of challenges, without the one that only asks for the initial response.
    /// One more is an [`ExchangeError`]. At most 16 challenges are answered.
    fn max_challenges(&self) -> usize;

    /// The server's reason for a rejection, in the form that the mechanism defines.
    fn server_error(&self) -> Option<&[u8]> {
        None
    }
}

/// The name of a mechanism (RFC 4422, section 3.1): 1 to 20 of `A`–`Z`, `0`–`9`, `-`, `_`.
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
    /// Creates a name. `None` if it is invalid.
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

    /// The name as sent.
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

/// The reasons why an exchange failed before the server rejected it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExchangeError {
    /// A challenge that is not base64 (RFC 4954, section 4).
    Encoding,
    /// A challenge or a response whose line would exceed 12288 bytes (RFC 4954, section 4), or a
    /// challenge beyond the [`ReplyLimits`](crate::ReplyLimits).
    TooLong,
    /// More challenges than the mechanism defines.
    TooManyChallenges,
    /// Success before the end of the exchange.
    Premature,
    /// Success after the server reported a failure.
    Contradiction,
    /// A reason specific to the mechanism.
    Mechanism(&'static str),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "challenge is not base64",
            Self::TooLong => "challenge or response over 12288 bytes",
            Self::TooManyChallenges => "more challenges than the mechanism defines",
            Self::Premature => "success before the end of the exchange",
            Self::Contradiction => "success after the server reported a failure",
            Self::Mechanism(reason) => reason,
        })
    }
}

debug_as_display!(ExchangeError);

impl core::error::Error for ExchangeError {}

/// Escapes a name as `saslname` (RFC 5802, section 7): without commas and equals signs.
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
/// No text, and a lone `=` as in an initial response, mean the empty challenge. Anything but strict
/// base64 is an error; RFC 4954, section 4, requires cancelling such an exchange.
pub(crate) fn decode_challenge(text: &[u8]) -> Result<Vec<u8>, ExchangeError> {
    if text.len() > LINE_MAX {
        return Err(ExchangeError::TooLong);
    }
    match text {
        b"=" => Ok(Vec::new()),
        _ => STANDARD.decode(text).map_err(|_| ExchangeError::Encoding),
    }
}

/// Appends `raw` in base64, without line breaks and without a temporary buffer.
pub(crate) fn encode_base64(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // With capacity for a CRLF: a vector that grows after a secret leaves an unwiped copy.
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

/// The length of `raw` in base64.
pub(crate) fn base64_len(raw: &[u8]) -> usize {
    raw.len().div_ceil(3).saturating_mul(4)
}

/// Whether an AUTH command with this initial response fits into the 512 bytes of a command line.
///
/// If not, the response must wait for an empty challenge (RFC 4954, section 4).
pub(crate) fn initial_response_fits(name: Name, response: &[u8]) -> bool {
    // An empty response is sent as `=` and fits after any name.
    let rest = "AUTH  \r\n".len().saturating_add(name.as_str().len());
    base64_len(response).saturating_add(rest) <= COMMAND_LINE_MAX
}

/// RFC 4422, section 3.1.
const NAME_MAX: usize = 20;
/// RFC 5321, section 4.5.3.1.4, including the CRLF.
const COMMAND_LINE_MAX: usize = 512;
/// RFC 4954, section 4, here including the CRLF.
const LINE_MAX: usize = 12288;

#[cfg(test)]
mod tests;
