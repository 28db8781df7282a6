use std::time::Duration;

use crate::{
    Action, Moment, Scram, Split, Stage, Tls,
    credentials::{Credential, User},
};

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

    /// Replaces the lines of the EHLO reply after its first, such as `SIZE 1000`, in cleartext and
    /// in TLS.
    ///
    /// STARTTLS and AUTH are advertised only if the list contains them.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().capabilities(["8BITMIME", "SIZE 1000"]));
    /// stream.write_all(b"EHLO a.test\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("250-8BITMIME\r\n250 SIZE 1000\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn capabilities<T: Into<String>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        let lines: Vec<String> = lines.into_iter().map(Into::into).collect();
        self.clear = Some(lines.clone());
        self.in_tls = Some(lines);
        self
    }

    /// Replaces the lines of the EHLO reply after its first, inside TLS only.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let config = Config::new().advertise_starttls().capabilities_in_tls(["AUTH PLAIN"]);
    /// let mut stream = MemoryServer::new(&config);
    /// stream.write_all(b"EHLO a.test\r\nSTARTTLS\r\n")?;
    /// while stream.read(&mut [0; 1000]).is_ok() {} // until there is no more output
    /// stream.write_all(b"EHLO a.test\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert_eq!(replies, "250-mail.test greets a.test\r\n250 AUTH PLAIN\r\n221 2.0.0 bye\r\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn capabilities_in_tls<T: Into<String>>(
        mut self,
        lines: impl IntoIterator<Item = T>,
    ) -> Self {
        self.in_tls = Some(lines.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a line to the EHLO replies.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().with("CHUNKING").with("LIMITS RCPTMAX=10"));
    /// stream.write_all(b"EHLO a.test\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("250-CHUNKING\r\n250 LIMITS RCPTMAX=10\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with(mut self, line: impl Into<String>) -> Self {
        self.extra.push(line.into());
        self
    }

    /// Removes a keyword from the EHLO replies.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().without("PIPELINING"));
    /// stream.write_all(b"EHLO a.test\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(!replies.contains("PIPELINING"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn without(mut self, keyword: impl Into<String>) -> Self {
        self.missing.push(keyword.into());
        self
    }

    /// Adds a user with a password: for PLAIN and LOGIN, and, if [`mechanisms`](Self::mechanisms)
    /// names them, for CRAM-MD5 and SCRAM.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().user("alice", "secret"));
    /// let log = stream.log();
    /// stream.write_all(b"EHLO a.test\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("AUTH PLAIN LOGIN\r\n"));
    /// assert_eq!(log.session().authenticated_as(), Some("alice"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn user(self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.credential(name, Credential::Password(password.into()))
    }

    /// Adds a user with a token: for XOAUTH2, and, if [`mechanisms`](Self::mechanisms) names it,
    /// for OAUTHBEARER.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().token("alice", "t0k3n"));
    /// stream.write_all(b"EHLO a.test\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("AUTH XOAUTH2\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn token(self, name: impl Into<String>, token: impl Into<String>) -> Self {
        self.credential(name, Credential::Token(token.into()))
    }

    /// Adds a user that EXTERNAL authenticates (RFC 4422, appendix A).
    pub fn external(self, name: impl Into<String>) -> Self {
        self.credential(name, Credential::External)
    }

    /// Accepts every login by ANONYMOUS (RFC 4505), as `anonymous`.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().anonymous());
    /// let log = stream.log();
    /// stream.write_all(b"EHLO a.test\r\nAUTH ANONYMOUS dHJhY2U=\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("235"));
    /// assert_eq!(log.session().authenticated_as(), Some("anonymous"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn anonymous(self) -> Self {
        self.credential("anonymous", Credential::Anonymous)
    }

    fn credential(mut self, name: impl Into<String>, secret: Credential) -> Self {
        self.users.push(User {
            name: name.into(),
            secret,
        });
        self
    }

    /// Replaces the list of mechanisms that AUTH advertises.
    ///
    /// The server has PLAIN, LOGIN, CRAM-MD5, XOAUTH2, OAUTHBEARER, EXTERNAL, ANONYMOUS, and SCRAM
    /// with SHA-1, SHA-256 and SHA-512, each also with `-PLUS`. Unknown names are advertised, too,
    /// and rejected.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().user("alice", "secret").mechanisms(["SCRAM-SHA-256", "PLAIN"]));
    /// stream.write_all(b"EHLO a.test\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("AUTH SCRAM-SHA-256 PLAIN\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn mechanisms<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.mechanisms = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the behavior of the server in SCRAM.
    pub fn scram(mut self, scram: Scram) -> Self {
        self.scram = scram;
        self
    }

    /// Advertises AUTH in cleartext, too, if the server has TLS; one without TLS always does.
    pub fn auth_in_cleartext(mut self) -> Self {
        self.auth_in_cleartext = true;
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

    /// Rejects MAIL with 530 until a user has authenticated.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().user("alice", "secret").require_auth());
    /// stream.write_all(b"EHLO a.test\r\nMAIL FROM:<a@x.test>\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("530"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_auth(mut self) -> Self {
        self.require_auth = true;
        self
    }

    /// Rejects a recipient with this reply. The comparison ignores case.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().reject("gone@x.test", "550 5.1.1 no such user"));
    /// for line in [
    ///     "EHLO a.test",
    ///     "MAIL FROM:<a@x.test>",
    ///     "RCPT TO:<gone@x.test>",
    ///     "QUIT",
    /// ] {
    ///     write!(stream, "{line}\r\n")?;
    /// }
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("550 5.1.1 no such user\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject(mut self, address: impl Into<String>, reply: impl Into<String>) -> Self {
        self.rejected.push((address.into(), reply.into()));
        self
    }

    /// Sets the largest message in bytes, advertised as SIZE (RFC 1870) and enforced; 64 MiB by
    /// default.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().size_limit(1000));
    /// stream.write_all(b"EHLO a.test\r\nMAIL FROM:<a@x.test> SIZE=1001\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("SIZE 1000\r\n") && replies.contains("\r\n552"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn size_limit(mut self, bytes: u64) -> Self {
        self.size_limit = Some(bytes);
        self
    }

    /// Replies 452 to each recipient of a transaction after `count` accepted ones. It is not
    /// advertised, unlike `LIMITS` (RFC 9422).
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().max_recipients(1));
    /// for line in [
    ///     "EHLO a.test",
    ///     "MAIL FROM:<a@x.test>",
    ///     "RCPT TO:<b@x.test>",
    ///     "RCPT TO:<c@x.test>",
    ///     "QUIT",
    /// ] {
    ///     write!(stream, "{line}\r\n")?;
    /// }
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("452 4.5.3 too many recipients\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_recipients(mut self, count: usize) -> Self {
        self.max_recipients = Some(count);
        self
    }

    /// Sets the reply that [`max_recipients`](Self::max_recipients) gives, such as the 552 of older
    /// servers (RFC 5321, section 4.5.3.1.10).
    pub fn too_many_recipients(mut self, reply: impl Into<String>) -> Self {
        self.too_many = reply.into();
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

    /// Rejects a recipient with this final reply, after accepting it at RCPT; in LMTP only. The
    /// comparison ignores case.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Config, MemoryServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().lmtp().reject_delivery("full@x.test", "452 4.2.2 full"));
    /// let log = stream.log();
    /// for line in [
    ///     "LHLO a.test",
    ///     "MAIL FROM:<a@x.test>",
    ///     "RCPT TO:<full@x.test>",
    ///     "DATA",
    ///     "Subject: t",
    ///     ".",
    ///     "QUIT",
    /// ] {
    ///     write!(stream, "{line}\r\n")?;
    /// }
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("452 4.2.2 full\r\n"));
    /// assert_eq!(log.mail_count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject_delivery(mut self, address: impl Into<String>, reply: impl Into<String>) -> Self {
        self.undelivered.push((address.into(), reply.into()));
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

    /// The lines of the EHLO reply after its first.
    pub(crate) fn ehlo_lines(&self, in_tls: bool) -> Vec<String> {
        let own = if in_tls { &self.in_tls } else { &self.clear };
        let mut lines = own
            .clone()
            .unwrap_or_else(|| self.default_ehlo_lines(in_tls));
        lines.extend(self.extra.iter().cloned());
        lines.retain(|line| {
            let keyword = line.split(' ').next().unwrap_or_default();
            !self
                .missing
                .iter()
                .any(|missing| missing.eq_ignore_ascii_case(keyword))
        });
        lines
    }

    /// The reply to a rejected recipient.
    pub(crate) fn rejection(&self, address: &str) -> Option<&str> {
        find(&self.rejected, address)
    }

    /// The final reply for a recipient that is rejected after the content.
    pub(crate) fn rejected_delivery(&self, address: &str) -> Option<&str> {
        find(&self.undelivered, address)
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

    fn default_ehlo_lines(&self, in_tls: bool) -> Vec<String> {
        let mut lines: Vec<String> = [
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
            "HELP",
        ]
        .map(str::to_owned)
        .into();
        lines.push(
            self.size_limit
                .map_or_else(|| "SIZE".to_owned(), |limit| format!("SIZE {limit}")),
        );
        if self.tls_mode == TlsMode::StartTls && !in_tls {
            lines.push("STARTTLS".to_owned());
        }
        let mechanisms = self.advertised_mechanisms();
        if !mechanisms.is_empty()
            && (in_tls || self.auth_in_cleartext || self.tls_mode == TlsMode::None)
        {
            lines.push(format!("AUTH {}", mechanisms.join(" ")));
        }
        lines
    }

    fn advertised_mechanisms(&self) -> Vec<&str> {
        if let Some(own) = &self.mechanisms {
            return own.iter().map(String::as_str).collect();
        }
        let has =
            |wanted: fn(&Credential) -> bool| self.users.iter().any(|user| wanted(&user.secret));
        let groups: [(bool, &[&str]); 4] = [
            (
                has(|secret| matches!(secret, Credential::Password(_))),
                &["PLAIN", "LOGIN"],
            ),
            (
                has(|secret| matches!(secret, Credential::Token(_))),
                &["XOAUTH2"],
            ),
            (
                has(|secret| matches!(secret, Credential::External)),
                &["EXTERNAL"],
            ),
            (
                has(|secret| matches!(secret, Credential::Anonymous)),
                &["ANONYMOUS"],
            ),
        ];
        let wanted = groups.iter().filter(|(wanted, _)| *wanted);
        wanted.flat_map(|(_, names)| *names).copied().collect()
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

fn find<'a>(replies: &'a [(String, String)], address: &str) -> Option<&'a str> {
    replies
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(address))
        .map(|(_, reply)| reply.as_str())
}

/// When TLS starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    None,
    StartTls,
    Implicit,
}
