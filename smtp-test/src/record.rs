mod violation;

use std::{fmt, sync::Arc};

pub use violation::{Rule, Violation};

use crate::{TlsInfo, xtext};

/// A message that the server accepted by a final 2yz reply.
///
/// ```
/// use std::io::{Read, Write};
/// use smtp_test::{Config, MemoryServer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut stream = MemoryServer::new(&Config::new());
/// let log = stream.log();
/// for line in [
///     "EHLO a.test",
///     "MAIL FROM:<a@x.test> BODY=8BITMIME",
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
/// let mails = log.mails();
/// let mail = &mails[0];
/// assert_eq!(mail.sender(), "a@x.test");
/// assert_eq!(mail.parameter("BODY"), Some("8BITMIME"));
/// assert_eq!(mail.addresses(), ["b@x.test"]);
/// assert_eq!(mail.body(), b"Subject: t\r\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    pub(crate) sender: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) forwarded: Vec<Parameter>,
    pub(crate) body: Arc<Vec<u8>>,
    pub(crate) body_len: u64,
    pub(crate) over_tls: bool,
    pub(crate) authenticated_as: Option<String>,
    pub(crate) session: usize,
}

impl StoredMail {
    /// The reverse path without its angle brackets; empty for the null sender.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// The parameters of MAIL, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The value of a parameter of MAIL, empty if it has none; `None` if the parameter is absent.
    pub fn parameter(&self, keyword: &str) -> Option<&str> {
        find(&self.parameters, keyword)
    }

    /// The ENVID parameter, decoded (RFC 3461, section 4.4).
    pub fn envelope_id(&self) -> Option<String> {
        named(&self.parameters, "ENVID")?.decoded()
    }

    /// The AUTH parameter, decoded: the submitter, or `<>` (RFC 4954, section 5).
    pub fn submitter(&self) -> Option<String> {
        named(&self.parameters, "AUTH")?.decoded()
    }

    /// The accepted recipients, in order; in LMTP the one that the message was delivered to.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// The addresses of [`recipients`](Self::recipients).
    pub fn addresses(&self) -> Vec<&str> {
        self.recipients.iter().map(Recipient::address).collect()
    }

    /// The value of an attribute of XFORWARD, decoded.
    pub fn forwarded(&self, attribute: &str) -> Option<String> {
        named(&self.forwarded, attribute)?.decoded()
    }

    /// The content with dot-stuffing removed, as the author wrote it; empty if the server stores
    /// none.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The length of the content in bytes, also if it was not stored.
    pub fn body_len(&self) -> u64 {
        self.body_len
    }

    /// Whether it was received inside TLS.
    pub fn over_tls(&self) -> bool {
        self.over_tls
    }

    /// The authenticated user, if any.
    pub fn authenticated_as(&self) -> Option<&str> {
        self.authenticated_as.as_deref()
    }

    /// The index of its connection in [`Log::sessions`](crate::Log::sessions).
    pub fn session(&self) -> usize {
        self.session
    }
}

/// An accepted RCPT.
///
/// ```
/// use std::io::{Read, Write};
/// use smtp_test::{Config, MemoryServer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut stream = MemoryServer::new(&Config::new());
/// let log = stream.log();
/// for line in [
///     "EHLO a.test",
///     "MAIL FROM:<a@x.test>",
///     "RCPT TO:<b@x.test> NOTIFY=FAILURE ORCPT=rfc822;b+2Bc@x.test",
///     "DATA",
///     "Subject: t",
///     ".",
///     "QUIT",
/// ] {
///     write!(stream, "{line}\r\n")?;
/// }
/// let mut replies = String::new();
/// stream.read_to_string(&mut replies)?;
/// let mails = log.mails();
/// let recipient = &mails[0].recipients()[0];
/// assert_eq!(recipient.notify(), ["FAILURE"]);
/// let original = ("rfc822".to_owned(), "b+c@x.test".to_owned());
/// assert_eq!(recipient.original_recipient(), Some(original));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub(crate) address: String,
    pub(crate) parameters: Vec<Parameter>,
}

impl Recipient {
    /// The forward path without its angle brackets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The parameters of RCPT, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The ORCPT parameter: the type of the address, and the address, decoded (RFC 3461, section
    /// 4.2; RFC 6533, section 3).
    pub fn original_recipient(&self) -> Option<(String, String)> {
        let (kind, address) = self.parameter("ORCPT")?.split_once(';')?;
        let address = if kind.eq_ignore_ascii_case("utf-8") {
            xtext::decode_address(address)?
        } else {
            String::from_utf8(xtext::decode(address)?).ok()?
        };
        Some((kind.to_owned(), address))
    }

    /// The words of the NOTIFY parameter, in capitals (RFC 3461, section 4.1).
    pub fn notify(&self) -> Vec<String> {
        self.parameter("NOTIFY")
            .map(|words| words.split(',').map(str::to_ascii_uppercase).collect())
            .unwrap_or_default()
    }

    /// The value of a parameter of RCPT, empty if it has none; `None` if the parameter is absent.
    pub fn parameter(&self, keyword: &str) -> Option<&str> {
        find(&self.parameters, keyword)
    }
}

/// A parameter of MAIL or RCPT: a keyword and an optional value.
///
/// ```
/// use std::io::{Read, Write};
/// use smtp_test::{Config, MemoryServer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut stream = MemoryServer::new(&Config::new());
/// let log = stream.log();
/// for line in [
///     "EHLO a.test",
///     "MAIL FROM:<a@x.test> ENVID=q+2B1",
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
/// let mails = log.mails();
/// let parameter = &mails[0].parameters()[0];
/// assert_eq!(parameter.to_string(), "ENVID=q+2B1");
/// assert_eq!(parameter.decoded().as_deref(), Some("q+1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub(crate) keyword: String,
    pub(crate) value: Option<String>,
}

impl Parameter {
    /// The keyword, as the client spelt it.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// The text after the `=`.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The value with its `+XX` decoded (xtext: RFC 3461, section 4); `None` if there is no value,
    /// or if it is not an xtext of UTF-8.
    pub fn decoded(&self) -> Option<String> {
        String::from_utf8(xtext::decode(self.value()?)?).ok()
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword)?;
        self.value
            .as_ref()
            .map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// The record of one connection.
///
/// ```
/// use smtp_test::{Config, Machine, Peer};
///
/// let mut server = Machine::new(&Config::new());
/// let _greeting = server.poll_output();
/// server.handle_input(b"EHLO a.test\r\n");
/// let session = server.log().session();
/// assert_eq!(session.client_name(), Some("a.test"));
/// assert_eq!(session.transcript(), "S: 220 mail.test ESMTP\nC: EHLO a.test");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub(crate) transcript: Vec<String>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) commands: Vec<String>,
    pub(crate) traffic: Traffic,
    pub(crate) mails: usize,
    pub(crate) client_name: Option<String>,
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) tls_error: Option<String>,
    pub(crate) authenticated_as: Option<String>,
    pub(crate) xclient: Vec<Parameter>,
    pub(crate) end: SessionEnd,
}

/// Counts of a connection, without the bytes of TLS itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    pub(crate) round_trips: usize,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// How a connection ended. Each may happen without the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionEnd {
    /// The client sent QUIT.
    pub(crate) quit: bool,
    /// The client closed its side.
    pub(crate) client_eof: bool,
    /// The server closed the connection.
    pub(crate) closed: bool,
}

impl Session {
    /// The dialogue: lines that begin with `C: ` or `S: `, without their CRLF, unusual bytes as
    /// `\xNN`, and marks such as `<tls>` and `C: <body of 12 bytes>`.
    pub fn lines(&self) -> &[String] {
        &self.transcript
    }

    /// The [`lines`](Self::lines) in one text.
    pub fn transcript(&self) -> String {
        self.transcript.join("\n")
    }

    /// The violations of the client, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The commands as received, without CRLF, invalid ones included. SASL responses and content
    /// are not commands.
    pub fn commands(&self) -> &[String] {
        &self.commands
    }

    /// The number of round trips that the client had to wait for, without that of the greeting.
    ///
    /// It is exact in memory. Over a socket, a client's group of commands may arrive in pieces. It
    /// still counts once, unless a piece ends exactly with a command and the next is late.
    pub fn round_trips(&self) -> usize {
        self.traffic.round_trips
    }

    /// Bytes received, without those of TLS itself.
    pub fn bytes_in(&self) -> u64 {
        self.traffic.bytes_in
    }

    /// Bytes sent, without those of TLS itself.
    pub fn bytes_out(&self) -> u64 {
        self.traffic.bytes_out
    }

    /// The number of stored messages.
    pub fn mails(&self) -> usize {
        self.mails
    }

    /// The argument of the last EHLO or HELO.
    pub fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    /// The TLS connection, once it is established.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// Whether TLS resumed an earlier session.
    pub fn resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(TlsInfo::resumed)
    }

    /// The reason why TLS failed, including the client's alert about the certificate.
    pub fn tls_error(&self) -> Option<&str> {
        self.tls_error.as_deref()
    }

    /// The user of a successful AUTH, or of the last XCLIENT.
    pub fn authenticated_as(&self) -> Option<&str> {
        self.authenticated_as.as_deref()
    }

    /// The value of an attribute of XCLIENT, decoded.
    pub fn xclient(&self, attribute: &str) -> Option<String> {
        named(&self.xclient, attribute)?.decoded()
    }

    /// Whether the client sent QUIT.
    pub fn quit(&self) -> bool {
        self.end.quit
    }

    /// Whether the client closed its side.
    pub fn client_eof(&self) -> bool {
        self.end.client_eof
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.end.closed
    }

    /// Adds one line `C: …` or `S: …` to the transcript.
    pub(crate) fn note(&mut self, side: char, line: &[u8]) {
        self.transcript.push(format!("{side}: {}", printable(line)));
    }

    /// Adds a mark, which neither side sent.
    pub(crate) fn mark(&mut self, mark: impl Into<String>) {
        self.transcript.push(mark.into());
    }
}

/// A line for people: UTF-8 kept, control characters and invalid bytes as `\xNN`.
pub(crate) fn printable(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\0' => text.push_str("\\0"),
                char if char.is_control() => text.extend(
                    char.to_string()
                        .bytes()
                        .map(|byte| format!("\\x{byte:02x}")),
                ),
                char => text.push(char),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

fn named<'a>(parameters: &'a [Parameter], keyword: &str) -> Option<&'a Parameter> {
    parameters
        .iter()
        .find(|parameter| parameter.keyword.eq_ignore_ascii_case(keyword))
}

fn find<'a>(parameters: &'a [Parameter], keyword: &str) -> Option<&'a str> {
    named(parameters, keyword).map(|parameter| parameter.value.as_deref().unwrap_or_default())
}
