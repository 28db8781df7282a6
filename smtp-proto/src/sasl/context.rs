use core::fmt;

/// What an exchange may know of the connection it runs on.
#[derive(Clone, Copy)]
pub struct ConnectionInfo<'a> {
    secure: bool,
    bindings: &'a [(&'a str, &'a [u8])],
    offered: &'a [&'a str],
    needs_refresh: bool,
    defers_initial_response: bool,
    nonce: [u8; 32],
}

impl<'a> ConnectionInfo<'a> {
    /// A connection in cleartext, to a server that offers nothing; `nonce` is random, and for this one exchange.
    #[must_use]
    pub const fn new(nonce: [u8; 32]) -> Self {
        Self {
            secure: false,
            bindings: &[],
            offered: &[],
            needs_refresh: false,
            defers_initial_response: false,
            nonce,
        }
    }

    /// The same over TLS, with the channel bindings (RFC 5056) that are known, by name.
    #[must_use]
    pub const fn over_tls(self, bindings: &'a [(&'a str, &'a [u8])]) -> Self {
        Self {
            secure: true,
            bindings,
            ..self
        }
    }

    /// The same with a server that offers the mechanisms of these names.
    #[must_use]
    pub const fn advertising(self, mechanisms: &'a [&'a str]) -> Self {
        Self {
            offered: mechanisms,
            ..self
        }
    }

    /// The same after the server rejected the token of the last connection.
    #[must_use]
    pub const fn after_rejected_token(self) -> Self {
        Self {
            needs_refresh: true,
            ..self
        }
    }

    /// The same for a server that takes no initial response with AUTH.
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

    /// The names of the mechanisms that the server offers, inside TLS if there is TLS.
    pub fn advertised(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.offered.iter().copied()
    }

    /// Whether the server offers the mechanism of this name, whose case does not matter.
    #[must_use]
    pub fn advertises(&self, name: &str) -> bool {
        self.advertised()
            .any(|offered| offered.eq_ignore_ascii_case(name))
    }

    /// Whether the token of the last connection was rejected, so that it takes a new one.
    #[must_use]
    pub const fn needs_refresh(&self) -> bool {
        self.needs_refresh
    }

    /// Random bytes for this one exchange.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }
}

/// Shows neither the nonce nor the bindings' data.
impl fmt::Debug for ConnectionInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("secure", &self.secure)
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}
