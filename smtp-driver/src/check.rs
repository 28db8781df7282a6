//! What a test of connecting has found.

use std::fmt;

use smtp_proto::{Capabilities, Connection, Peer, TlsInfo};

/// What a test of connecting has found: the server is ready for messages.
///
/// It prints as a few lines, for people:
///
/// ```
/// use smtp_driver::Check;
/// # use std::sync::Arc;
/// # use smtp_driver::proto::{Config, Connection, Peer, Security, Seed, Time, Wire};
/// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// # let mut connection = Connection::new(Arc::new(config), Seed::random());
/// # connection.set_peer(Peer::host("mail.example.org", 25).at("192.0.2.1:25".parse()?));
/// # let now = Time::ORIGIN;
/// # for reply in ["220 ready\r\n", "250-mx1.example.org\r\n250-PIPELINING\r\n250 SIZE 1000\r\n"] {
/// #     let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
/// #     connection.handle_sent(now, count);
/// #     connection.handle_input(now, reply.as_bytes());
/// # }
///
/// let check = Check::new(&connection);
/// assert_eq!(
///     check.to_string(),
///     "\
/// server: mail.example.org:25 (192.0.2.1)
/// name: mx1.example.org
/// TLS: none
/// authentication: none
/// extensions: PIPELINING, SIZE 1000"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Check {
    peer: Option<Peer>,
    tls: Option<TlsInfo>,
    mechanism: Option<&'static str>,
    capabilities: Capabilities,
}

impl Check {
    /// What this connection has found. It is ready for messages.
    pub fn new(connection: &Connection) -> Self {
        Self {
            peer: connection.peer().cloned(),
            tls: connection.tls().cloned(),
            mechanism: connection.mechanism(),
            capabilities: connection.capabilities().clone(),
        }
    }

    /// The server: its host and port, with the address that was reached, or its path.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// The TLS connection; `None` in cleartext.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// The SASL mechanism that authenticated the client; `None` without credentials.
    pub fn mechanism(&self) -> Option<&'static str> {
        self.mechanism
    }

    /// The extensions that the server advertises, and its name.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.peer {
            writeln!(f, "server: {peer}")?;
        }
        writeln!(
            f,
            "name: {}",
            self.capabilities.server_name().escape_ascii()
        )?;
        match &self.tls {
            Some(tls) => writeln!(f, "TLS: {tls}")?,
            None => writeln!(f, "TLS: none")?,
        }
        writeln!(f, "authentication: {}", self.mechanism.unwrap_or("none"))?;
        f.write_str("extensions:")?;
        let mut separator = " ";
        for (keyword, arguments) in self.capabilities.iter() {
            write!(f, "{separator}{keyword}")?;
            if !arguments.is_empty() {
                write!(f, " {}", arguments.escape_ascii())?;
            }
            separator = ", ";
        }
        match separator {
            " " => f.write_str(" none"),
            _ => Ok(()),
        }
    }
}

/// As `Display`.
impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
