//! Users, and how they are authenticated.

use super::Config;
use crate::{
    Scram,
    credentials::{Credential, User},
};

impl Config {
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
}
