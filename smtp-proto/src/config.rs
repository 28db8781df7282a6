//! What the caller decides before a connection begins.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::address::ClientName;
use crate::mail::Mail;
use crate::pipelining::{Pipelining, Window};
use crate::reply_reader::ReplyLimits;
use crate::sasl::Credentials;
use crate::timeouts::Timeouts;
use crate::transcript::{Transcript, TranscriptEntry};
use crate::xclient::Xclient;

/// The policy of one connection: how it is secured, who logs in, how long to wait, how much to send ahead.
///
/// Made by [`Config::builder`]. One `Config` serves any number of connections.
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
    /// Whether the last token was rejected.
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

/// Makes a [`Config`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder(Config);

/// How a connection is secured.
///
/// The first two end in an error if TLS cannot be had, whatever the server answers. The other two have to be chosen by
/// name: each sends mail in cleartext under some circumstances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// Begins in cleartext and demands STARTTLS before anything of worth is said (RFC 3207); the usual port is 587.
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314); the usual port is 465.
    Implicit,
    /// TLS with whoever answers if STARTTLS is advertised, cleartext otherwise (RFC 7435); the custom between relays on
    /// port 25.
    ///
    /// The server's certificate is checked, and what comes of it is told, but nothing depends on it: encryption without
    /// proof is better than none. [`TlsInfo::verification`](crate::TlsInfo::verification) has the result. An attacker on
    /// the path can prevent TLS at will, or pretend to be the server. Never carries credentials.
    Opportunistic,
    /// No TLS at all.
    Cleartext,
}

/// The protocol that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033), to a mail store: it answers for each recipient whether the message was delivered.
    Lmtp,
}

/// How much [`Pipelining::Speculative`] may send without knowing whether it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeculationLimits {
    pub(crate) mail: u64,
    pub(crate) in_flight: u64,
}

/// Why a [`Config`] cannot be.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Credentials were given, and the policy does not demand TLS.
    CredentialsWithoutTls,
    /// Credentials were given, and XCLIENT is to tell of another login.
    LoginTwice,
}

impl Config {
    /// Begins a policy; `client_name` is what EHLO says.
    pub fn builder(client_name: ClientName) -> ConfigBuilder {
        ConfigBuilder(Self {
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
        })
    }

    /// How the connection is secured.
    pub fn security(&self) -> Security {
        self.security
    }

    /// How long to wait for what.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The policy to try next on a new connection after TLS broke under [`Security::Opportunistic`]: the same in cleartext.
    ///
    /// `None` under every other policy: they never go on in cleartext.
    pub fn cleartext_fallback(&self) -> Option<Self> {
        (self.security == Security::Opportunistic).then(|| Self {
            security: Security::Cleartext,
            ..self.clone()
        })
    }

    /// The policy for a connection that is made for this message, whose author does not require TLS: the same with
    /// [`Security::Opportunistic`] in place of [`Security::StartTls`] (RFC 8689, section 4.2.2).
    ///
    /// `None` if this policy does for it: TLS is not [optional](Mail::is_tls_optional) to the message, the policy is another, or
    /// there are credentials, which never travel in cleartext; a server that takes the message with a login reads the header itself.
    pub fn relaxed_for(&self, mail: &Mail) -> Option<Self> {
        let relaxed = mail.is_tls_optional()
            && self.security == Security::StartTls
            && self.credentials.is_none();
        relaxed.then(|| Self {
            security: Security::Opportunistic,
            ..self.clone()
        })
    }

    /// What to try next on a new connection after an [`Expired`](crate::AuthenticationError::Expired): the same, with a new
    /// token from its source.
    ///
    /// `None` if the credentials have no source, or if this is such an attempt already.
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
}

impl ConfigBuilder {
    /// How the connection is secured; by default, STARTTLS is demanded.
    pub fn security(mut self, security: Security) -> Self {
        self.0.security = security;
        self
    }

    /// Logs in with these before anything is sent; by default, nobody logs in.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.0.credentials = Some(credentials);
        self
    }

    /// Lets credentials travel in cleartext under [`Security::Cleartext`].
    ///
    /// Everybody on the path can read them then. Meant for servers on the same machine.
    pub fn dangerous_credentials_in_cleartext(mut self) -> Self {
        self.0.credentials_in_clear = true;
        self
    }

    /// Speaks for another client, which the server is told by XCLIENT before anybody logs in; by default, for itself.
    ///
    /// Under a policy with TLS it is told inside TLS.
    pub fn xclient(mut self, client: Xclient) -> Self {
        self.0.xclient = Some(client);
        self
    }

    /// How long to wait for what.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.0.timeouts = timeouts;
        self
    }

    /// How much is kept of a reply; what is longer is cut.
    pub fn reply_limits(mut self, limits: ReplyLimits) -> Self {
        self.0.reply_limits = limits;
        self
    }

    /// How far to send ahead of the replies, where the server offers PIPELINING.
    ///
    /// By default it is [`Pipelining::Envelope`], and [`Pipelining::Transactions`] while a batch of messages is sent.
    pub fn pipelining(mut self, level: Pipelining) -> Self {
        self.0.pipelining = Some(level);
        self
    }

    /// How much [`Pipelining::Speculative`] may send without knowing whether it is wanted.
    pub fn speculation(mut self, bounds: SpeculationLimits) -> Self {
        self.0.speculation = bounds;
        self
    }

    /// The most bytes of a chunk, where the server offers CHUNKING (RFC 3030); 1 MiB by default, at least 1.
    ///
    /// To send by DATA whatever the server offers, say [`ignore_extension("CHUNKING")`](Self::ignore_extension).
    pub fn chunk_size(mut self, bytes: u64) -> Self {
        self.0.chunk_size = bytes.max(1);
        self
    }

    /// Which protocol is spoken; by default, SMTP.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.0.protocol = protocol;
        self
    }

    /// How much may be unanswered at one time; by default, what suits the driver.
    pub fn window(mut self, window: Window) -> Self {
        self.0.window = Some(window);
        self
    }

    /// Behaves as if the server did not offer this extension, for one that offers what it cannot do.
    pub fn ignore_extension(mut self, keyword: impl Into<String>) -> Self {
        self.0.without.push(keyword.into());
        self
    }

    /// Calls `observer` with everything that is said, in order, with secrets taken out.
    pub fn transcript(
        mut self,
        observer: impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.0.transcript = Transcript::new(observer);
        self
    }

    /// The server's name, for the spans of the crate `tracing`; without it, they have none.
    #[cfg(feature = "tracing")]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.0.host = Some(host.into());
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// If credentials would have to travel in cleartext, or there are two logins.
    pub fn build(self) -> Result<Config, ConfigError> {
        let config = self.0;
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
        Ok(config)
    }
}

impl SpeculationLimits {
    /// Messages of so many bytes at most, and so many bytes of text at most on their way. Besides, a message has to fit
    /// [one chunk](ConfigBuilder::chunk_size).
    pub const fn new(mail: u64, in_flight: u64) -> Self {
        Self { mail, in_flight }
    }
}

impl Default for SpeculationLimits {
    /// Messages of 64 KiB at most, and 1 MiB on its way.
    fn default() -> Self {
        Self::new(1 << 16, 1 << 20)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CredentialsWithoutTls => {
                f.write_str("credentials need a policy that demands TLS: `StartTls` or `Implicit`")
            }
            Self::LoginTwice => f.write_str(
                "credentials and a login told by XCLIENT exclude each other: the server takes one login",
            ),
        }
    }
}

debug_as_display!(ConfigError);

impl core::error::Error for ConfigError {}

/// Bytes of a chunk. Few replies, and a rejection in the middle of a long mail is heard in time.
const CHUNK_SIZE: u64 = 1 << 20;
