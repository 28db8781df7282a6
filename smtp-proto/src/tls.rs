//! Facts about the TLS connection under SMTP.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::reply::Escaped;

/// The facts that a TLS layer reports after its handshake.
///
/// They include the version and the cipher suite for people to read, the channel bindings for SASL
/// mechanisms (RFC 5056), and the peer's certificates. Cheap to clone.
///
/// # Examples
/// ```
/// use smtp_proto::{TlsInfo, UnverifiedReason, Verification};
///
/// let info = TlsInfo::new()
///     .with_version("TLSv1.3")
///     .with_cipher_suite("TLS13_AES_256_GCM_SHA384")
///     .with_verification(Verification::Unverified(UnverifiedReason::Expired));
/// assert_eq!(info.version(), Some("TLSv1.3"));
/// assert!(!info.is_peer_verified());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TlsInfo(Arc<Inner>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Inner {
    asserted: bool,
    verification: Verification,
    version: Option<&'static str>,
    cipher_suite: Option<&'static str>,
    key_exchange_group: Option<&'static str>,
    resumed: bool,
    round_trips: u64,
    peer_certificates: Box<[Box<[u8]>]>,
    exporter: Option<Box<[u8]>>,
    server_end_point: Option<Box<[u8]>>,
}

/// Whether the identity of the peer is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Verification {
    /// The certificate was verified, or the caller vouches for the peer.
    #[default]
    Verified,
    /// The connection is encrypted, but the identity of the peer is unknown.
    Unverified(UnverifiedReason),
}

/// The reasons why a peer is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnverifiedReason {
    /// Verification was not attempted.
    NotChecked,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for names other than the server's.
    OtherName {
        /// The names in the certificate, if known.
        names: Vec<String>,
    },
    /// No trusted authority signed the certificate.
    UnknownIssuer,
    /// The certificate is signed with its own key.
    SelfSigned,
    /// A signature is invalid: that of an authority, or the peer's proof that it has the key.
    BadSignature,
    /// Any other reason, in the words of the TLS layer.
    Other(String),
}

impl TlsInfo {
    /// Creates the facts of a completed handshake, with a verified peer.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// The caller asserts that the transport is private and that its peer is the right one. There
    /// are no other facts.
    ///
    /// Passwords will be sent over it.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::TlsInfo;
    ///
    /// // The server is on the other end of a Unix socket.
    /// let info = TlsInfo::asserted();
    /// assert!(info.is_asserted() && info.is_peer_verified());
    /// ```
    pub fn asserted() -> Self {
        Self(Arc::new(Inner {
            asserted: true,
            ..Inner::default()
        }))
    }

    /// Records that the identity of the peer was not checked.
    #[must_use]
    pub fn with_unverified_peer(self) -> Self {
        self.with_verification(Verification::Unverified(UnverifiedReason::NotChecked))
    }

    /// Sets whether the identity of the peer is verified. The default is verified.
    #[must_use]
    pub fn with_verification(mut self, verification: Verification) -> Self {
        self.edit().verification = verification;
        self
    }

    /// Sets the name of the protocol version, such as `TLSv1.3`.
    #[must_use]
    pub fn with_version(mut self, version: &'static str) -> Self {
        self.edit().version = Some(version);
        self
    }

    /// Sets the name of the cipher suite.
    #[must_use]
    pub fn with_cipher_suite(mut self, suite: &'static str) -> Self {
        self.edit().cipher_suite = Some(suite);
        self
    }

    /// Sets the name of the key exchange group.
    #[must_use]
    pub fn with_key_exchange_group(mut self, group: &'static str) -> Self {
        self.edit().key_exchange_group = Some(group);
        self
    }

    /// Sets whether an earlier session was resumed.
    #[must_use]
    pub fn with_resumed(mut self, resumed: bool) -> Self {
        self.edit().resumed = resumed;
        self
    }

    /// Sets the number of round trips of the handshake.
    #[must_use]
    pub fn with_round_trips(mut self, round_trips: u64) -> Self {
        self.edit().round_trips = round_trips;
        self
    }

    /// Sets the peer's certificates in DER, its own first.
    #[must_use]
    pub fn with_peer_certificates(mut self, certificates: Vec<Vec<u8>>) -> Self {
        let certificates = certificates.into_iter().map(Vec::into_boxed_slice);
        self.edit().peer_certificates = certificates.collect();
        self
    }

    /// Sets the channel binding `tls-exporter` (RFC 9266).
    #[must_use]
    pub fn with_exporter(mut self, binding: Vec<u8>) -> Self {
        self.edit().exporter = Some(binding.into());
        self
    }

    /// Sets the channel binding `tls-server-end-point` (RFC 5929).
    #[must_use]
    pub fn with_server_end_point(mut self, binding: Vec<u8>) -> Self {
        self.edit().server_end_point = Some(binding.into());
        self
    }

    /// Whether these are not facts but the caller's assertion.
    pub fn is_asserted(&self) -> bool {
        self.0.asserted
    }

    /// Whether the identity of the peer is verified, as REQUIRETLS demands (RFC 8689, section 2).
    pub fn is_peer_verified(&self) -> bool {
        self.0.verification == Verification::Verified
    }

    /// Whether the identity of the peer is verified, with the reason if it is not.
    ///
    /// It is always [`Verified`](Verification::Verified) under a configuration that requires TLS,
    /// unless the TLS layer was configured not to verify. Under
    /// [`Security::Opportunistic`](crate::Security::Opportunistic) it may be either.
    pub fn verification(&self) -> &Verification {
        &self.0.verification
    }

    /// The name of the protocol version, such as `TLSv1.3`.
    pub fn version(&self) -> Option<&'static str> {
        self.0.version
    }

    /// The name of the cipher suite.
    pub fn cipher_suite(&self) -> Option<&'static str> {
        self.0.cipher_suite
    }

    /// The name of the key exchange group.
    pub fn key_exchange_group(&self) -> Option<&'static str> {
        self.0.key_exchange_group
    }

    /// Whether an earlier session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.0.resumed
    }

    /// The number of round trips of the handshake.
    pub fn round_trips(&self) -> u64 {
        self.0.round_trips
    }

    /// The peer's certificates in DER, its own first.
    pub fn peer_certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.peer_certificates.iter().map(|each| &**each)
    }

    /// The channel binding of this name: `tls-exporter` or `tls-server-end-point`.
    pub fn channel_binding(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.0.exporter.as_deref(),
            "tls-server-end-point" => self.0.server_end_point.as_deref(),
            _ => None,
        }
    }

    /// The available channel bindings, by name.
    pub fn channel_bindings(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let known = |name| self.channel_binding(name).map(|data| (name, data));
        ["tls-exporter", "tls-server-end-point"]
            .into_iter()
            .filter_map(known)
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl Default for TlsInfo {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("asserted", &self.0.asserted)
            .field("verification", &self.0.verification)
            .field("version", &self.0.version)
            .field("cipher_suite", &self.0.cipher_suite)
            .field("key_exchange_group", &self.0.key_exchange_group)
            .field("resumed", &self.0.resumed)
            .field("peer_certificates", &self.0.peer_certificates.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.asserted {
            return f.write_str("private by the caller's word");
        }
        f.write_str(self.0.version.unwrap_or("TLS"))?;
        for fact in [self.0.cipher_suite, self.0.key_exchange_group]
            .into_iter()
            .flatten()
        {
            write!(f, " {fact}")?;
        }
        if self.0.resumed {
            f.write_str(" resumed")?;
        }
        match &self.0.verification {
            Verification::Verified => Ok(()),
            Verification::Unverified(reason) => write!(f, ", peer not verified: {reason}"),
        }
    }
}

impl fmt::Display for UnverifiedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotChecked => "verification was not attempted",
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::OtherName { names } => return other_names(f, names),
            Self::UnknownIssuer => "no trusted authority signed its certificate",
            Self::SelfSigned => "its certificate is signed with its own key",
            Self::BadSignature => "a signature is wrong",
            Self::Other(text) => return Escaped::new(text.as_bytes(), TEXT_SHOWN).fmt(f),
        })
    }
}

fn other_names(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    f.write_str("its certificate is for ")?;
    if names.is_empty() {
        return f.write_str("no name of a host");
    }
    for (at, name) in names.iter().take(NAMES_SHOWN).enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        write!(
            f,
            "{separator}{}",
            Escaped::new(name.as_bytes(), NAME_SHOWN)
        )?;
    }
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// How many of a certificate's names are shown, and how many bytes of each.
const NAMES_SHOWN: usize = 5;
const NAME_SHOWN: usize = 64;

/// How many bytes of another reason are shown.
const TEXT_SHOWN: usize = 200;

#[cfg(test)]
mod tests;
