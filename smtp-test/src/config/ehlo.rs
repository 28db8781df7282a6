//! The reply to EHLO.

use super::{Config, TlsMode};
use crate::credentials::Credential;

impl Config {
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
