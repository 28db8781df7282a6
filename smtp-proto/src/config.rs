//! What the caller decides before a connection begins.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::address::ClientName;
use crate::mail::Mail;
use crate::pending::{Pipelining, Window};
use crate::reply_reader::ReplyLimits;
use crate::sasl::Credentials;
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

/// How long to wait for what.
///
/// Two sets have names: [`submission`](Self::submission) for a client that hands its messages to a provider, and
/// [`rfc5321`](Self::rfc5321) for a relay. The methods change single limits of either.
///
/// | limit | `submission` | `rfc5321` |
/// | --- | --- | --- |
/// | an address to answer | 10 s | 30 s |
/// | the greeting | 30 s | 5 min |
/// | STARTTLS with its handshake, or implicit TLS | 30 s | 5 min |
/// | the reply to EHLO, AUTH, MAIL, RCPT, and any other command | 60 s | 5 min |
/// | the reply to DATA | 60 s | 2 min |
/// | 64 KiB to be taken, the reply to a chunk | 3 min | 3 min |
/// | the final reply to a message | 10 min | 10 min |
/// | the reply to QUIT | 5 s | 5 s |
///
/// The final reply has its 10 minutes in both: to give up sooner leaves a message in doubt that the server may have queued.
///
/// Each limit is for a whole reply, however slowly its bytes come. None of them may be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) greeting: Duration,
    /// For the first byte of the greeting, if that is another limit.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) ehlo: Duration,
    pub(crate) starttls: Duration,
    pub(crate) auth: Duration,
    pub(crate) mail: Duration,
    pub(crate) rcpt: Duration,
    pub(crate) data_init: Duration,
    pub(crate) data_block: Duration,
    pub(crate) data_end: Duration,
    pub(crate) command: Duration,
    pub(crate) quit: Duration,
    pub(crate) drain: Duration,
    pub(crate) session: Duration,
    pub(crate) session_per_mail: Duration,
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

impl Timeouts {
    /// The limits for submission: a person waits, and a provider is near.
    pub const fn submission() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(30),
            ehlo: minute,
            starttls: Duration::from_secs(30),
            auth: minute,
            mail: minute,
            rcpt: minute,
            data_init: minute,
            command: minute,
            ..Self::rfc5321()
        }
    }

    /// The limits for a relay: those of RFC 5321, section 4.5.3.2, and as long for what it does not name.
    ///
    /// They are the default of a [`Config`].
    pub const fn rfc5321() -> Self {
        let five_minutes = Duration::from_secs(5 * 60);
        Self {
            connect: Duration::from_secs(30),
            greeting: five_minutes,
            first_byte: None,
            ehlo: five_minutes,
            starttls: five_minutes,
            auth: five_minutes,
            mail: five_minutes,
            rcpt: five_minutes,
            data_init: Duration::from_secs(2 * 60),
            data_block: Duration::from_secs(3 * 60),
            data_end: Duration::from_secs(10 * 60),
            command: five_minutes,
            quit: Duration::from_secs(5),
            drain: Duration::from_secs(5),
            session: Duration::from_secs(2 * 60 * 60),
            session_per_mail: Duration::from_secs(60 * 60),
        }
    }

    /// Every limit, but the one for connecting, brought down to at most `limit`; for programs that cannot wait.
    #[must_use]
    pub fn at_most(mut self, limit: Duration) -> Self {
        for each in [
            &mut self.greeting,
            &mut self.ehlo,
            &mut self.starttls,
            &mut self.auth,
            &mut self.mail,
            &mut self.rcpt,
            &mut self.data_init,
            &mut self.data_block,
            &mut self.data_end,
            &mut self.command,
            &mut self.quit,
            &mut self.drain,
        ] {
            *each = (*each).min(limit);
        }
        self
    }

    /// For an address to answer.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// For the greeting, and for the one by which XCLIENT is answered.
    #[must_use]
    pub fn greeting(mut self, limit: Duration) -> Self {
        self.greeting = limit;
        self
    }

    /// For the greeting to begin, where that is to be sooner than all of it: a server that waits for TLS stays silent.
    #[must_use]
    pub fn first_byte(mut self, limit: Duration) -> Self {
        self.first_byte = Some(limit);
        self
    }

    /// For the reply to EHLO or HELO.
    #[must_use]
    pub fn ehlo(mut self, limit: Duration) -> Self {
        self.ehlo = limit;
        self
    }

    /// For STARTTLS, the handshake and the reply to the EHLO after it, together; and for the handshake of implicit TLS.
    #[must_use]
    pub fn starttls(mut self, limit: Duration) -> Self {
        self.starttls = limit;
        self
    }

    /// For each reply within AUTH.
    #[must_use]
    pub fn auth(mut self, limit: Duration) -> Self {
        self.auth = limit;
        self
    }

    /// For the reply to MAIL.
    #[must_use]
    pub fn mail(mut self, limit: Duration) -> Self {
        self.mail = limit;
        self
    }

    /// For the reply to each RCPT.
    #[must_use]
    pub fn rcpt(mut self, limit: Duration) -> Self {
        self.rcpt = limit;
        self
    }

    /// For the reply to DATA.
    #[must_use]
    pub fn data_init(mut self, limit: Duration) -> Self {
        self.data_init = limit;
        self
    }

    /// For the server to take 64 KiB of what is sent, and for the reply to a chunk that is not the last.
    #[must_use]
    pub fn data_block(mut self, limit: Duration) -> Self {
        self.data_block = limit;
        self
    }

    /// For the final reply to a message.
    #[must_use]
    pub fn data_end(mut self, limit: Duration) -> Self {
        self.data_end = limit;
        self
    }

    /// For the reply to any other command.
    #[must_use]
    pub fn command(mut self, limit: Duration) -> Self {
        self.command = limit;
        self
    }

    /// For the reply to QUIT.
    #[must_use]
    pub fn quit(mut self, limit: Duration) -> Self {
        self.quit = limit;
        self
    }

    /// For the server to say why, after it stopped taking what is sent.
    #[must_use]
    pub fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// For all that the connection ever does, however many messages that is; by default, 2 hours and 1 hour more for each
    /// message.
    #[must_use]
    pub fn session(mut self, limit: Duration) -> Self {
        self.session = limit;
        self.session_per_mail = Duration::ZERO;
        self
    }

    /// What each message adds to the limit for the [session](Self::session).
    #[must_use]
    pub fn session_per_mail(mut self, limit: Duration) -> Self {
        self.session_per_mail = limit;
        self
    }

    /// How long to wait for an address to answer.
    pub fn connect_limit(&self) -> Duration {
        self.connect
    }

    /// How long to wait for the greeting to begin.
    pub fn first_byte_limit(&self) -> Duration {
        self.first_byte
            .map_or(self.greeting, |limit| limit.min(self.greeting))
    }

    /// Whether [`first_byte`](Self::first_byte) has a limit of its own.
    pub fn has_first_byte_limit(&self) -> bool {
        self.first_byte.is_some()
    }

    /// How long to wait for the reply to QUIT, and then for the last bytes of the transport to be taken.
    pub fn quit_limit(&self) -> Duration {
        self.quit
    }
}

impl Default for Timeouts {
    /// [`Timeouts::rfc5321`].
    fn default() -> Self {
        Self::rfc5321()
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
