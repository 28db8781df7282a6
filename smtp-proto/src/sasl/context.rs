use core::fmt;

use crate::Secret;

/// The facts of a connection that an exchange may use.
///
/// # Examples
/// A test of a mechanism describes the connection:
/// ```
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::ConnectionInfo;
///
/// let info = ConnectionInfo::new([7; 32]).over_tls(&[]).advertising(&["LOGIN", "PLAIN"]);
/// let credentials = Credentials::password("alice", "correct horse")?;
/// assert_eq!(credentials.select(&info).unwrap().name().as_str(), "PLAIN");
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ConnectionInfo<'a> {
    secure: bool,
    bindings: &'a [(&'a str, &'a [u8])],
    offered: &'a [&'a str],
    needs_refresh: bool,
    token: Option<&'a Secret>,
    defers_initial_response: bool,
    nonce: [u8; 32],
}

impl<'a> ConnectionInfo<'a> {
    /// A connection in cleartext to a server that advertises no mechanism. `nonce` must be random
    /// and used for one exchange only.
    #[must_use]
    pub const fn new(nonce: [u8; 32]) -> Self {
        Self {
            secure: false,
            bindings: &[],
            offered: &[],
            needs_refresh: false,
            token: None,
            defers_initial_response: false,
            nonce,
        }
    }

    /// Adds TLS, with the available channel bindings (RFC 5056) by name.
    #[must_use]
    pub const fn over_tls(self, bindings: &'a [(&'a str, &'a [u8])]) -> Self {
        Self {
            secure: true,
            bindings,
            ..self
        }
    }

    /// Sets the mechanisms that the server advertises.
    #[must_use]
    pub const fn advertising(self, mechanisms: &'a [&'a str]) -> Self {
        Self {
            offered: mechanisms,
            ..self
        }
    }

    /// Records that the server rejected the token of the last connection.
    #[must_use]
    pub const fn after_rejected_token(self) -> Self {
        Self {
            needs_refresh: true,
            ..self
        }
    }

    /// Adds the token that the caller has fetched for a mechanism that
    /// [wants](super::Mechanism::wants_token) it.
    #[must_use]
    pub const fn with_token(self, token: &'a Secret) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// Records that the server accepts no initial response with AUTH.
    pub(crate) const fn deferring_initial_response(self) -> Self {
        Self {
            defers_initial_response: true,
            ..self
        }
    }

    pub(crate) const fn defers_initial_response(&self) -> bool {
        self.defers_initial_response
    }

    /// Whether the connection is protected by TLS.
    #[must_use]
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// The data of a channel binding, such as `tls-exporter` (RFC 9266).
    #[must_use]
    pub fn channel_binding(&self, name: &str) -> Option<&'a [u8]> {
        self.bindings
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, data)| data)
    }

    /// The names of the mechanisms that the server advertises; inside TLS if there is TLS.
    pub fn advertised(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.offered.iter().copied()
    }

    /// Whether the server advertises the mechanism of this name, in any case.
    #[must_use]
    pub fn advertises(&self, name: &str) -> bool {
        self.advertised()
            .any(|offered| offered.eq_ignore_ascii_case(name))
    }

    /// Whether the token of the last connection was rejected, so that a new one is needed.
    #[must_use]
    pub const fn needs_refresh(&self) -> bool {
        self.needs_refresh
    }

    /// The token that the caller has fetched.
    #[must_use]
    pub const fn token(&self) -> Option<&'a Secret> {
        self.token
    }

    /// Random bytes for this exchange.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }
}

/// Shows neither the nonce, nor the token, nor the data of the bindings.
impl fmt::Debug for ConnectionInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("secure", &self.secure)
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}
