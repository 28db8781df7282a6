mod authentication;
mod ehlo;
mod rejections;

use std::time::Duration;

use crate::{Action, Moment, Scram, Split, Stage, Tls, credentials::User};

/// The behavior of a server. A builder that is passed by value.
///
/// The default server has neither TLS nor users, and accepts every message.
///
/// ```
/// use smtp_test::{Action, Config, Stage};
///
/// let config = Config::new()
///     .user("alice", "secret")
///     .reject("nobody@example.org", "550 5.1.1 no such user")
///     .on(Stage::Data.nth(2), Action::reply("421 4.3.2 going down").then_close());
/// # let _ = config;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a server is made of it"]
pub struct Config {
    pub(crate) host: String,
    pub(crate) greeting: Option<String>,
    pub(crate) clear: Option<Vec<String>>,
    pub(crate) in_tls: Option<Vec<String>>,
    pub(crate) extra: Vec<String>,
    pub(crate) missing: Vec<String>,
    pub(crate) users: Vec<User>,
    pub(crate) mechanisms: Option<Vec<String>>,
    pub(crate) scram: Scram,
    pub(crate) auth_in_cleartext: bool,
    pub(crate) tls: Option<Tls>,
    pub(crate) tls_mode: TlsMode,
    pub(crate) require_tls: bool,
    pub(crate) require_auth: bool,
    pub(crate) rejected: Vec<(String, String)>,
    pub(crate) size_limit: Option<u64>,
    pub(crate) max_recipients: Option<usize>,
    pub(crate) too_many: String,
    pub(crate) lmtp: bool,
    pub(crate) undelivered: Vec<(String, String)>,
    pub(crate) strict_bdat: bool,
    pub(crate) split: Split,
    pub(crate) hooks: Vec<(Moment, Action)>,
    /// The offsets of all `Stage::Content` in `hooks`.
    pub(crate) body_hooks: Vec<u64>,
    pub(crate) store_bodies: bool,
    pub(crate) keep_transcripts: bool,
    pub(crate) keep_mails: bool,
    pub(crate) ipv6: bool,
    pub(crate) idle_limit: Duration,
}

impl Config {
    /// A server that accepts every message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the server; `mail.test` by default.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().host("mx.example.org"));
    /// stream.write_all(b"QUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.starts_with("220 mx.example.org ESMTP\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the text of the greeting after `220 `; the host name and `ESMTP` by default.
    ///
    /// For other codes and for more lines use [`on`](Self::on) with [`Stage::Greeting`].
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().greeting("mx.test ready"));
    /// stream.write_all(b"QUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.starts_with("220 mx.test ready\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn greeting(mut self, text: impl Into<String>) -> Self {
        self.greeting = Some(text.into());
        self
    }

    /// Gives the server a certificate, and advertises STARTTLS.
    ///
    /// ```
    /// use smtp_test::{Config, Server, Tls};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let tls = Tls::new();
    /// let authority = tls.authority_der(); // for the client to trust
    /// let server = Server::start(Config::new().tls(tls))?;
    /// // The program under test connects to `server.addr()`, and upgrades by STARTTLS.
    /// # let _ = (authority, server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        if self.tls_mode == TlsMode::None {
            self.tls_mode = TlsMode::StartTls;
        }
        self
    }

    /// Advertises STARTTLS; without [`tls`](Self::tls) for tests that only pretend to encrypt.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().advertise_starttls());
    /// let log = stream.log();
    /// stream.write_all(b"EHLO a.test\r\nSTARTTLS\r\n")?;
    /// while stream.read(&mut [0; 1000]).is_ok() {} // until there is no more output
    /// stream.write_all(b"QUIT\r\n")?;
    /// assert_eq!(log.session().tls().unwrap().version(), "pretended");
    /// # Ok(())
    /// # }
    /// ```
    pub fn advertise_starttls(mut self) -> Self {
        self.tls_mode = TlsMode::StartTls;
        self
    }

    /// Starts TLS at the first byte (RFC 8314); without [`tls`](Self::tls) for tests that only
    /// pretend to encrypt.
    ///
    /// ```
    /// use smtp_test::{Config, Server, Tls};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::start(Config::new().tls(Tls::new()).implicit_tls())?;
    /// // The program under test starts TLS at the first byte.
    /// # let _ = server;
    /// # Ok(())
    /// # }
    /// ```
    pub fn implicit_tls(mut self) -> Self {
        self.tls_mode = TlsMode::Implicit;
        self
    }

    /// Rejects MAIL and AUTH with 530 until TLS is established.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().advertise_starttls().require_tls());
    /// stream.write_all(b"EHLO a.test\r\nMAIL FROM:<a@x.test>\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("530"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_tls(mut self) -> Self {
        self.require_tls = true;
        self
    }

    /// Speaks LMTP (RFC 2033): LHLO in place of EHLO, and a final reply for each recipient. A
    /// message for several recipients is stored once for each whose reply was a success.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().lmtp());
    /// let log = stream.log();
    /// for line in [
    ///     "LHLO a.test",
    ///     "MAIL FROM:<a@x.test>",
    ///     "RCPT TO:<b@x.test>",
    ///     "RCPT TO:<c@x.test>",
    ///     "DATA",
    ///     "Subject: t",
    ///     ".",
    ///     "QUIT",
    /// ] {
    ///     write!(stream, "{line}\r\n")?;
    /// }
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.starts_with("220 mail.test LMTP\r\n"));
    /// assert_eq!(log.mail_count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lmtp(mut self) -> Self {
        self.lmtp = true;
        self
    }

    /// Leaves the transaction open after a rejected last chunk, until RSET (RFC 3030, section 2).
    /// By default the server ends it.
    ///
    /// A client that continues without RSET then gets 503 for its MAIL, and its recipients and
    /// chunks become part of the previous message, which the stored message shows.
    pub fn strict_bdat(mut self) -> Self {
        self.strict_bdat = true;
        self
    }

    /// Sets how output is cut into segments; [`Split::Whole`] by default.
    ///
    /// ```
    /// use smtp_test::{Config, Machine, Output, Peer, Split};
    ///
    /// let mut server = Machine::new(&Config::new().split(Split::Byte));
    /// assert_eq!(server.poll_output(), Some(Output::Write(b"2".to_vec())));
    /// ```
    pub fn split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }

    /// Replaces the normal behavior at a point of the session. If several actions match, the last
    /// one given applies.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new()
    ///     .on(Stage::Mail, Action::reply("451 4.3.0 try again"))
    ///     .on(Stage::Quit, Action::cut()));
    /// stream.write_all(b"EHLO a.test\r\nMAIL FROM:<a@x.test>\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.ends_with("451 4.3.0 try again\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on(mut self, moment: impl Into<Moment>, action: Action) -> Self {
        let moment = moment.into();
        if let Stage::Body(at) = moment.stage() {
            self.body_hooks.push(at);
        }
        self.hooks.push((moment, action));
        self
    }

    /// Stores no content, for benchmarks.
    pub fn discard_bodies(mut self) -> Self {
        self.store_bodies = false;
        self
    }

    /// Stores no transcripts and no lists of commands, for benchmarks.
    pub fn discard_transcripts(mut self) -> Self {
        self.keep_transcripts = false;
        self
    }

    /// Stores no messages and only counts them, for benchmarks: see
    /// [`Log::mail_count`](crate::Log::mail_count).
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().discard_mails());
    /// let log = stream.log();
    /// for line in [
    ///     "EHLO a.test",
    ///     "MAIL FROM:<a@x.test>",
    ///     "RCPT TO:<b@x.test>",
    ///     "DATA",
    ///     "Subject: t",
    ///     ".",
    ///     "QUIT",
    /// ] {
    ///     write!(stream, "{line}\r\n")?;
    /// }
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert_eq!(log.mail_count(), 1);
    /// assert!(log.mails().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn discard_mails(mut self) -> Self {
        self.keep_mails = false;
        self.discard_bodies()
    }

    /// Listens on `[::1]` instead of `127.0.0.1`.
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Sets the idle timeout of a connection of [`Server`](crate::Server); one minute by default.
    pub fn idle_limit(mut self, limit: Duration) -> Self {
        self.idle_limit = limit;
        self
    }

    /// The action for the first of `stages` that has one, each with the count of times it was
    /// reached.
    pub(crate) fn action(&self, stages: &[(Stage, usize)], connection: usize) -> Option<&Action> {
        self.hooks
            .iter()
            .rev()
            .find(|(moment, _)| {
                stages
                    .iter()
                    .any(|&(stage, count)| moment.matches(stage, count, connection))
            })
            .map(|(_, action)| action)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "mail.test".to_owned(),
            greeting: None,
            clear: None,
            in_tls: None,
            extra: Vec::new(),
            missing: Vec::new(),
            users: Vec::new(),
            mechanisms: None,
            scram: Scram::new(),
            auth_in_cleartext: false,
            tls: None,
            tls_mode: TlsMode::None,
            require_tls: false,
            require_auth: false,
            rejected: Vec::new(),
            size_limit: Some(64 << 20),
            max_recipients: None,
            too_many: "452 4.5.3 too many recipients".to_owned(),
            lmtp: false,
            undelivered: Vec::new(),
            strict_bdat: false,
            split: Split::Whole,
            hooks: Vec::new(),
            body_hooks: Vec::new(),
            store_bodies: true,
            keep_transcripts: true,
            keep_mails: true,
            ipv6: false,
            idle_limit: Duration::from_secs(60),
        }
    }
}

/// When TLS starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    None,
    StartTls,
    Implicit,
}
