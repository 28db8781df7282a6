//! Configuration of a connection.

mod error;
mod speculation;

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use core::time::Duration;

pub use error::ConfigError;
pub use speculation::SpeculationLimits;

use crate::address::ClientName;
use crate::extension::xclient::Xclient;
use crate::mail::Mail;
use crate::pipelining::{Pipelining, Window};
use crate::reply_reader::ReplyLimits;
use crate::sasl::Credentials;
use crate::timeouts::Timeouts;
use crate::transcript::{Transcript, TranscriptEntry};

/// Configuration of a connection: TLS, credentials, time limits, pipelining.
///
/// Built by [`Config::builder`]. One `Config` serves any number of connections.
///
/// ```
/// use smtp_proto::{Config, Credentials, Security};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("client.example.org".parse()?)
///     .security(Security::StartTls)
///     .credentials(Credentials::password("alice", "correct horse")?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) client_name: ClientName,
    pub(crate) security: Security,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) credentials_in_clear: bool,
    /// Whether this is the attempt with a refreshed token.
    pub(crate) renewing: bool,
    pub(crate) xclient: Option<Xclient>,
    pub(crate) timeouts: Timeouts,
    pub(crate) reply_limits: ReplyLimits,
    pub(crate) protocol: Protocol,
    pub(crate) pipelining: Option<Pipelining>,
    pub(crate) speculation: SpeculationLimits,
    pub(crate) chunk_size: u64,
    pub(crate) window: Option<Window>,
    pub(crate) without: Vec<String>,
    #[cfg(feature = "tracing")]
    pub(crate) host: Option<String>,
    pub(crate) transcript: Transcript,
}

/// Builds a [`Config`].
///
/// ```
/// use std::time::Duration;
/// use smtp_proto::{Config, Pipelining, Security, Timeouts};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("relay.example.org".parse()?)
///     .security(Security::Opportunistic)
///     .pipelining(Pipelining::Envelope)
///     .ignore_extension("CHUNKING")
///     .timeouts(Timeouts::rfc5321().with_greeting(Duration::from_secs(60)))
///     .build()?;
/// assert_eq!(config.security(), Security::Opportunistic);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder {
    config: Config,
    timeouts: Option<Timeouts>,
    port: Option<NonZeroU16>,
}

/// How a connection is secured.
///
/// The first two fail unless TLS is established. The other two may send messages in cleartext, so
/// they must be chosen by name.
///
/// # Examples
/// ```
/// use smtp_proto::{Config, ConfigError, Credentials, Security};
///
/// let config = Config::builder("client.example.org".parse()?)
///     .security(Security::Opportunistic)
///     .credentials(Credentials::password("alice", "correct horse")?)
///     .build();
/// assert_eq!(config.unwrap_err(), ConfigError::CredentialsWithoutTls);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// Requires STARTTLS before credentials and messages are sent (RFC 3207); the usual port is
    /// 587.
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314); the usual port is 465.
    Implicit,
    /// Unauthenticated TLS if STARTTLS is advertised, cleartext otherwise (RFC 7435); customary
    /// between relays on port 25.
    ///
    /// The server's certificate is verified, but the connection does not depend on the result:
    /// [`TlsInfo::verification`](crate::TlsInfo::verification) returns it. An active attacker can
    /// prevent TLS, or impersonate the server. Credentials are never sent.
    Opportunistic,
    /// No TLS at all.
    Cleartext,
}

/// The protocol of a connection.
///
/// # Examples
/// ```
/// use smtp_proto::{Config, Protocol, Security};
///
/// let store = Config::builder("relay.example.org".parse()?)
///     .security(Security::Cleartext)
///     .protocol(Protocol::Lmtp)
///     .build()?;
/// assert_eq!(store.protocol(), Protocol::Lmtp);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033), to a mail store: the server sends a final reply for each recipient.
    Lmtp,
}

impl Config {
    /// Begins a configuration; `client_name` is the name that the client sends in EHLO.
    pub fn builder(client_name: ClientName) -> ConfigBuilder {
        let config = Self {
            client_name,
            security: Security::default(),
            credentials: None,
            credentials_in_clear: false,
            renewing: false,
            xclient: None,
            timeouts: Timeouts::default(),
            reply_limits: ReplyLimits::default(),
            protocol: Protocol::default(),
            pipelining: None,
            speculation: SpeculationLimits::default(),
            chunk_size: CHUNK_SIZE,
            window: None,
            without: Vec::new(),
            #[cfg(feature = "tracing")]
            host: None,
            transcript: Transcript::default(),
        };
        ConfigBuilder {
            config,
            timeouts: None,
            port: None,
        }
    }

    /// How the connection is secured.
    pub fn security(&self) -> Security {
        self.security
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The time limits.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The credentials, if the client logs in.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The client name for EHLO.
    pub fn client_name(&self) -> &ClientName {
        &self.client_name
    }

    /// The same configuration with another client name.
    #[must_use]
    pub fn with_client_name(&self, client_name: ClientName) -> Self {
        Self {
            client_name,
            ..self.clone()
        }
    }

    /// The configuration to try next on a new connection after TLS failed under
    /// [`Security::Opportunistic`]: the same in cleartext.
    ///
    /// `None` under every other [`Security`]: they never fall back to cleartext.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Config, Security};
    ///
    /// let relay = Config::builder("relay.example.org".parse()?)
    ///     .security(Security::Opportunistic)
    ///     .build()?;
    /// assert_eq!(relay.cleartext_fallback().unwrap().security(), Security::Cleartext);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cleartext_fallback(&self) -> Option<Self> {
        (self.security == Security::Opportunistic).then(|| Self {
            security: Security::Cleartext,
            ..self.clone()
        })
    }

    /// The configuration of a connection for this message, if its author does not require TLS: the
    /// same with [`Security::Opportunistic`] in place of [`Security::StartTls`] (RFC 8689, section
    /// 4.2.2).
    ///
    /// `None` if nothing changes: TLS is not [optional](Mail::is_tls_optional) for the message, the
    /// configuration is not `StartTls`, or it has credentials, which are never sent in cleartext; a
    /// submission server reads the header field itself.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Config, Mail, Security};
    ///
    /// let config = Config::builder("relay.example.org".parse()?).build()?;
    /// let mail = Mail::builder()
    ///     .sender("alice@example.org")
    ///     .recipient("bob@example.net")
    ///     .honor_tls_required()
    ///     .message("From: alice@example.org\r\nTLS-Required: No\r\n\r\nHello\r\n")
    ///     .build()?;
    /// let relaxed = config.relaxed_for(&mail).unwrap();
    /// assert_eq!(relaxed.security(), Security::Opportunistic);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relaxed_for(&self, mail: &Mail) -> Option<Self> {
        let relaxed = mail.is_tls_optional()
            && self.security == Security::StartTls
            && self.credentials.is_none();
        relaxed.then(|| Self {
            security: Security::Opportunistic,
            ..self.clone()
        })
    }

    /// The configuration to try next on a new connection after an
    /// [`Expired`](crate::AuthenticationError::Expired) token: the same with a refreshed token.
    ///
    /// `None` if the credentials have no token provider, or if the token was refreshed already.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Config, Credentials};
    ///
    /// let tokens = Credentials::token_provider("alice@example.org", |_| Some("ya29.vF9dft4qmT".into()))?;
    /// let config = Config::builder("client.example.org".parse()?).credentials(tokens).build()?;
    /// let renewed = config.with_refreshed_token().unwrap();
    /// assert!(renewed.with_refreshed_token().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_refreshed_token(&self) -> Option<Self> {
        let renews = self
            .credentials
            .as_ref()
            .is_some_and(Credentials::can_refresh);
        (renews && !self.renewing).then(|| Self {
            renewing: true,
            ..self.clone()
        })
    }

    /// The time limits at this port: those that were set, or the defaults.
    fn limits_at(&self, chosen: Option<Timeouts>, port: Option<NonZeroU16>) -> Timeouts {
        let Some(port) = port.map(NonZeroU16::get) else {
            return chosen.unwrap_or_default();
        };
        let requires_tls = matches!(self.security, Security::StartTls | Security::Implicit);
        let submits = self.credentials.is_some() || (requires_tls && port != PORT_RELAY);
        let limits = chosen.unwrap_or_else(|| match self.protocol {
            Protocol::Smtp if submits => Timeouts::submission(),
            _ => Timeouts::rfc5321(),
        });
        let waits_for_tls = port == PORT_IMPLICIT && self.security != Security::Implicit;
        if waits_for_tls && limits.first_byte().is_none() {
            limits.with_first_byte(SILENCE)
        } else {
            limits
        }
    }
}

impl ConfigBuilder {
    /// Sets how the connection is secured; [`Security::StartTls`] by default.
    pub fn security(mut self, security: Security) -> Self {
        self.config.security = security;
        self
    }

    /// Authenticates with these credentials before the first message (RFC 4954).
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.config.credentials = Some(credentials);
        self
    }

    /// Permits credentials in cleartext under [`Security::Cleartext`].
    ///
    /// Anyone on the network path can read them. Meant for servers on the same machine.
    pub fn dangerous_credentials_in_cleartext(mut self) -> Self {
        self.config.credentials_in_clear = true;
        self
    }

    /// Acts on behalf of another client: XCLIENT is sent before AUTH, and inside TLS where there is
    /// TLS.
    pub fn xclient(mut self, client: Xclient) -> Self {
        self.config.xclient = Some(client);
        self
    }

    /// Sets the time limits.
    ///
    /// By default they are [`Timeouts::rfc5321`]. If the [port](Self::port) is known, they are
    /// [`Timeouts::submission`] for SMTP with credentials, and for SMTP with required TLS on a port
    /// other than 25.
    ///
    /// On port 465, a configuration that begins in cleartext waits 5 seconds for the first byte of
    /// the greeting: a server that is silent there waits for TLS. [`Timeouts::with_first_byte`]
    /// sets another limit.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets the server's TCP port, which decides the default of the [time limits](Self::timeouts).
    pub fn port(mut self, port: NonZeroU16) -> Self {
        self.port = Some(port);
        self
    }

    /// The default port of this protocol and security: 587 for STARTTLS, 465 for implicit TLS, 25
    /// for the two kinds of [`Security`] that may end in cleartext, and 24 for LMTP.
    ///
    /// ```
    /// use smtp_proto::{Config, Security};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Config::builder("client.example.org".parse()?);
    /// assert_eq!(builder.default_port(), 587);
    /// assert_eq!(builder.security(Security::Implicit).default_port(), 465);
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_port(&self) -> u16 {
        match (self.config.protocol, self.config.security) {
            (Protocol::Lmtp, _) => PORT_LMTP,
            (_, Security::StartTls) => PORT_SUBMISSION,
            (_, Security::Implicit) => PORT_IMPLICIT,
            (_, Security::Opportunistic | Security::Cleartext) => PORT_RELAY,
        }
    }

    /// Limits how much of a reply is kept; the rest is cut off.
    pub fn reply_limits(mut self, limits: ReplyLimits) -> Self {
        self.config.reply_limits = limits;
        self
    }

    /// Sets the level of pipelining with a server that advertises PIPELINING.
    ///
    /// [`Pipelining::Envelope`] by default, and [`Pipelining::Transactions`] in a
    /// [`Batch`](crate::Batch).
    pub fn pipelining(mut self, level: Pipelining) -> Self {
        self.config.pipelining = Some(level);
        self
    }

    /// Limits the content that [`Pipelining::Speculative`] sends ahead.
    pub fn speculation(mut self, bounds: SpeculationLimits) -> Self {
        self.config.speculation = bounds;
        self
    }

    /// Sets the most bytes of a chunk with a server that advertises CHUNKING (RFC 3030); 1 MiB by
    /// default. 0 is an error of [`build`](Self::build).
    ///
    /// [`ignore_extension("CHUNKING")`](Self::ignore_extension) sends by DATA instead.
    pub fn chunk_size(mut self, bytes: u64) -> Self {
        self.config.chunk_size = bytes;
        self
    }

    /// Sets the protocol; SMTP by default.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.config.protocol = protocol;
        self
    }

    /// Limits the commands and replies in flight; by default, as the adapter needs it.
    pub fn window(mut self, window: Window) -> Self {
        self.config.window = Some(window);
        self
    }

    /// Ignores this extension, for servers that advertise it and get it wrong.
    pub fn ignore_extension(mut self, keyword: impl Into<String>) -> Self {
        self.config.without.push(keyword.into());
        self
    }

    /// Calls `observer` with every line of the dialogue, in order; secrets are left out.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Config, Security};
    ///
    /// let config = Config::builder("client.example.org".parse()?)
    ///     .security(Security::Cleartext)
    ///     .transcript(|entry| eprintln!("{entry}"))
    ///     .build()?;
    /// assert_eq!(config.security(), Security::Cleartext);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transcript(
        mut self,
        observer: impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.config.transcript = Transcript::new(observer);
        self
    }

    /// Records the server's name in tracing spans.
    #[cfg(feature = "tracing")]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.config.host = Some(host.into());
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    /// If credentials would be sent in cleartext, there are two logins, or the chunk size is 0.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        let private = match config.security {
            Security::StartTls | Security::Implicit => true,
            Security::Opportunistic => false,
            Security::Cleartext => config.credentials_in_clear,
        };
        if config.credentials.is_some() && !private {
            return Err(ConfigError::CredentialsWithoutTls);
        }
        if config.credentials.is_some() && config.xclient.as_ref().is_some_and(Xclient::logs_in) {
            return Err(ConfigError::LoginTwice);
        }
        if config.chunk_size == 0 {
            return Err(ConfigError::ChunkSize);
        }
        config.timeouts = config.limits_at(self.timeouts, self.port);
        Ok(config)
    }
}

/// Relaying (RFC 5321).
const PORT_RELAY: u16 = 25;

/// Submission (RFC 6409).
const PORT_SUBMISSION: u16 = 587;

/// Submission with implicit TLS (RFC 8314).
const PORT_IMPLICIT: u16 = 465;

/// Private mail systems, by custom LMTP.
const PORT_LMTP: u16 = 24;

/// A server that is silent for longer on port 465 waits for TLS.
const SILENCE: Duration = Duration::from_secs(5);

/// Few replies, and a rejection within a long message still arrives in time.
const CHUNK_SIZE: u64 = 1 << 20;
