//! Recipients and messages that are rejected.

use super::Config;

impl Config {
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

    /// The reply to a rejected recipient.
    pub(crate) fn rejection(&self, address: &str) -> Option<&str> {
        find(&self.rejected, address)
    }

    /// The final reply for a recipient that is rejected after the content.
    pub(crate) fn rejected_delivery(&self, address: &str) -> Option<&str> {
        find(&self.undelivered, address)
    }
}

fn find<'a>(replies: &'a [(String, String)], address: &str) -> Option<&'a str> {
    replies
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(address))
        .map(|(_, reply)| reply.as_str())
}
