//! What is known of the TLS connection under the protocol.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// What the TLS layer reports when its handshake is done.
///
/// The protocol machine does no TLS. Whoever does it says here what came of it: the version and the cipher suite for
/// the user to read, the channel bindings for SASL mechanisms that want them (RFC 5056), the peer's certificates.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsFacts(Arc<Inner>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Inner {
    asserted: bool,
    unverified: bool,
    version: Option<&'static str>,
    cipher_suite: Option<&'static str>,
    key_exchange_group: Option<&'static str>,
    resumed: bool,
    round_trips: u64,
    peer_certificates: Box<[Box<[u8]>]>,
    exporter: Option<Box<[u8]>>,
    server_end_point: Option<Box<[u8]>>,
}

impl TlsFacts {
    /// Facts about a handshake that a TLS layer has completed.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// No facts but the caller's word that the transport is private and that its peer is the right one.
    ///
    /// Passwords will be sent over it.
    pub fn asserted() -> Self {
        Self(Arc::new(Inner {
            asserted: true,
            ..Inner::default()
        }))
    }

    /// Says that nobody has checked who the peer is.
    #[must_use]
    pub fn with_unverified_peer(mut self) -> Self {
        self.edit().unverified = true;
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

    /// Says whether an earlier session was resumed.
    #[must_use]
    pub fn with_resumed(mut self, resumed: bool) -> Self {
        self.edit().resumed = resumed;
        self
    }

    /// Sets how many round trips the handshake took.
    #[must_use]
    pub fn with_round_trips(mut self, round_trips: u64) -> Self {
        self.edit().round_trips = round_trips;
        self
    }

    /// Sets the peer's certificates, each in DER, its own first.
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

    /// Whether these are no facts but the caller's word.
    pub fn is_asserted(&self) -> bool {
        self.0.asserted
    }

    /// Whether somebody has checked who the peer is: REQUIRETLS counts only then (RFC 8689, section 2).
    pub fn is_peer_verified(&self) -> bool {
        !self.0.unverified
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

    /// How many round trips the handshake took.
    pub fn round_trips(&self) -> u64 {
        self.0.round_trips
    }

    /// The peer's certificates, each in DER, its own first.
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

    /// All channel bindings that are known, by name.
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

impl Default for TlsFacts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TlsFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFacts")
            .field("asserted", &self.0.asserted)
            .field("version", &self.0.version)
            .field("cipher_suite", &self.0.cipher_suite)
            .field("key_exchange_group", &self.0.key_exchange_group)
            .field("resumed", &self.0.resumed)
            .field("peer_certificates", &self.0.peer_certificates.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TlsFacts {
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
        Ok(())
    }
}
