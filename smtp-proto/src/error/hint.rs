//! The likely remedy, if the cause is a common mistake.

use alloc::string::String;

use super::{
    ApiMisuse, AuthenticationError, Error, ErrorKind, MissingExtension, ProtocolError,
    TransportError,
};
use crate::content::{ContentError, ContentErrorKind};
use crate::location::{Location, MailPart};
use crate::reply::Reply;
use crate::reply_reader::ReplyError;
use crate::stage::{Stage, Timeout};

impl Error {
    /// The likely remedy, if the cause is a common mistake.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            ErrorKind::Protocol(ProtocolError::Reply(ReplyError::TlsRecord)) => Some(
                "the server speaks TLS from the first byte on this port: use implicit TLS (port 465), \
                 or another port for STARTTLS (587)",
            ),
            ErrorKind::Timeout(timeout) => self.of_timeout(*timeout),
            ErrorKind::Protocol(ProtocolError::UnexpectedReply | ProtocolError::WrongClass)
                if self.is_pipelined() =>
            {
                Some(PIPELINING)
            }
            ErrorKind::Protocol(ProtocolError::Reply(ReplyError::Malformed { .. }))
                if self.stage() == Stage::Greeting =>
            {
                Some(NO_SMTP)
            }
            ErrorKind::ConnectionLost if self.stage() == Stage::Greeting => self.of_close(),
            ErrorKind::Protocol(ProtocolError::InjectedBeforeTls) => Some(match self.stage() {
                Stage::TlsHandshake => {
                    "the server does not begin with TLS on this port: use STARTTLS, or port 465"
                }
                _ => {
                    "an attacker on the path may be tampering with the connection, or the server is broken"
                }
            }),
            ErrorKind::TlsUnavailable => Some(match self.stage() {
                Stage::StartTls => {
                    "the configuration requires TLS, and the server advertises it: try again later, or ask its administrator"
                }
                _ => {
                    "the configuration requires TLS: check the port (587 has STARTTLS, 465 is TLS from the first byte); \
                     an attacker on the path may be hiding STARTTLS"
                }
            }),
            ErrorKind::Authentication(error) => self.of_authentication(error),
            ErrorKind::Protocol(ProtocolError::WrongClass)
                if self.stage() == Stage::Ehlo
                    && self.reply().is_some_and(|reply| reply.code() == 220) =>
            {
                Some(
                    "the server sent another greeting instead of a reply to EHLO: none follows STARTTLS",
                )
            }
            ErrorKind::Rejected => of_rejection(self.stage(), self.reply()?),
            ErrorKind::Proxy(error) => error.hint,
            ErrorKind::Transport(error) => error.hint.or_else(|| self.of_transport(error)),
            ErrorKind::Misuse(ApiMisuse::UpgradePending) => {
                Some("call `upgrade`, or use a client that has a TLS layer")
            }
            ErrorKind::Misuse(ApiMisuse::TokenWanted) => Some(
                "connect with a source of tokens, such as by `connect_with_tokens` or \
                     `Mailer::with_tokens`, or use credentials that have a token",
            ),
            ErrorKind::Unsupported(need) => of_need(self.stage(), need, self.location()),
            ErrorKind::Content(fault) => of_fault(*fault),
            _ => None,
        }
    }
}

impl Error {
    /// The hint if the connection ends in place of the greeting.
    fn of_close(&self) -> Option<&'static str> {
        match (self.partial_reply(), self.reply()) {
            (None, None) => Some(
                "the server may not serve this client's address, or it waits for TLS: on port 465 \
                 use implicit TLS",
            ),
            (None, Some(_)) => Some("the server may not serve this client's address"),
            (Some(_), _) => None,
        }
    }

    /// Whether the server is reached through a proxy: connecting is then to the proxy.
    fn is_of_proxy(&self) -> bool {
        (self.0.peer.as_ref()).is_some_and(|peer| peer.proxy().is_some())
    }

    /// The hint for an I/O error that has none of its own.
    #[cfg(feature = "std")]
    fn of_transport(&self, error: &TransportError) -> Option<&'static str> {
        use std::io::ErrorKind as Io;

        let error = error.get_ref().downcast_ref::<std::io::Error>()?;
        let is_path = self.0.peer.as_ref().is_some_and(|peer| peer.is_path());
        match (self.stage(), error.kind()) {
            (Stage::Connect, _) if is_path => None,
            (Stage::Connect, Io::ConnectionRefused) if self.is_of_proxy() => Some(NO_PROXY),
            (Stage::Connect, Io::ConnectionRefused) => Some(NOT_LISTENING),
            // The local address does not fit.
            (Stage::Connect, Io::AddrNotAvailable) => None,
            (Stage::Connect, Io::ConnectionReset) if self.is_of_proxy() => None,
            (Stage::Connect | Stage::Greeting, Io::ConnectionReset) => self.of_close(),
            (Stage::Connect, _) if self.is_unresolved(error) => Some(match self.is_of_proxy() {
                false => UNRESOLVED,
                true => {
                    "the name of the proxy cannot be resolved: check its spelling, and the network"
                }
            }),
            _ => None,
        }
    }

    /// Whether connecting failed before an address was known. The error of a system call on a
    /// socket has a code.
    #[cfg(feature = "std")]
    fn is_unresolved(&self, error: &std::io::Error) -> bool {
        self.endpoint().is_some() && self.address().is_none() && error.raw_os_error().is_none()
    }

    #[cfg(not(feature = "std"))]
    fn of_transport(&self, _: &TransportError) -> Option<&'static str> {
        None
    }

    fn of_timeout(&self, timeout: Timeout) -> Option<&'static str> {
        match (timeout, self.stage()) {
            (Timeout::Connect, _) if self.is_of_proxy() => Some(
                "the proxy does not answer: check its host and port, and whether a firewall blocks them",
            ),
            (Timeout::Connect, _) => Some(
                "a firewall may block the port: many networks block 25, and submission is on 587 or 465",
            ),
            (Timeout::Proxy, _) => Some(
                "the proxy may wait for a server that does not answer: many networks block port 25, and submission \
                 is on 587 or 465; or this is not the port of a proxy",
            ),
            (Timeout::Reply, Stage::Greeting) => Some(match self.partial_reply() {
                None => "a server that waits for TLS stays silent: on port 465 use implicit TLS",
                Some(_) => {
                    "the server began its greeting and did not finish it: `Timeouts::with_greeting` gives it more time"
                }
            }),
            (Timeout::ImplicitTls, _) => Some(
                "the server says nothing to a client that begins with TLS: TLS from the first byte is usually on port \
                 465; ports 587 and 25 begin in cleartext and need STARTTLS",
            ),
            (Timeout::Token, _) => {
                Some("the source of tokens was too slow: `Timeouts::with_token` gives it more time")
            }
            (Timeout::Reply, Stage::Chunk | Stage::LastChunk) => Some(
                "if the server never answers BDAT, `ignore_extension(\"CHUNKING\")` sends by DATA",
            ),
            (Timeout::Reply, Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Rset)
                if self.is_pipelined() =>
            {
                Some(PIPELINING)
            }
            _ => None,
        }
    }

    fn of_authentication(&self, error: &AuthenticationError) -> Option<&'static str> {
        match error {
            AuthenticationError::NotAdvertised => {
                Some("submission with a password is usually on port 587 or 465; port 25 has none")
            }
            AuthenticationError::NotAdvertisedInCleartext => Some(
                "the server advertises STARTTLS: require TLS, which also keeps the password private",
            ),
            AuthenticationError::NoCommonMechanism { offered, ours } => of_offer(offered, ours),
            AuthenticationError::Rejected { detail } => of_login(self.reply()?, detail.as_deref()),
            AuthenticationError::BindingRejected { detail } => {
                Some(of_binding(detail.as_deref().unwrap_or_default()))
            }
            AuthenticationError::Expired { .. } => {
                Some("the token may have expired: try again with a new one")
            }
            AuthenticationError::TokenSource(error) => error.hint,
            AuthenticationError::InvalidToken(_) | AuthenticationError::Exchange(_) => None,
        }
    }

    /// Whether commands were sent before the replies to earlier ones had arrived.
    fn is_pipelined(&self) -> bool {
        self.0.pipelined && self.stage() != Stage::Idle
    }
}

/// The likely remedy of a rejection at this stage.
pub(crate) fn of_rejection(stage: Stage, reply: &Reply) -> Option<&'static str> {
    match (stage, reply.code().as_u16()) {
        (Stage::Mail | Stage::Rcpt, 530) => {
            Some("the server requires a login, or TLS, before it accepts mail")
        }
        (Stage::Rcpt, 550 | 554 | 553) if says(reply, b"relay") => {
            Some("the server relays only for authenticated users")
        }
        (Stage::Ehlo | Stage::Helo, _) if is_about_the_name(reply) => Some(
            "the server rejected the name in EHLO: set `client_name` to this host's full name, or leave \
             it unset",
        ),
        (Stage::Xclient, 550) => Some("the server does not trust this host to speak for others"),
        (Stage::Greeting, 521) => Some("the server does not accept mail (RFC 7504)"),
        (Stage::Greeting, 554) => {
            Some("the server does not accept mail, or not from this client's address")
        }
        // Only a chunk is a command that can be unknown here.
        (Stage::Content | Stage::EndOfData, 500..=504) => Some(
            "the server may advertise CHUNKING and not know BDAT: `ignore_extension(\"CHUNKING\")` sends by DATA",
        ),
        _ => None,
    }
}

/// The likely remedy of invalid content.
pub(crate) fn of_fault(fault: ContentError) -> Option<&'static str> {
    match fault.kind() {
        ContentErrorKind::EightBit
        | ContentErrorKind::HeaderEightBit
        | ContentErrorKind::HeaderNotUtf8
            if fault.offset() == 0 =>
        {
            Some(BYTE_ORDER_MARK)
        }
        ContentErrorKind::ByteOrderMark => Some(BYTE_ORDER_MARK),
        ContentErrorKind::BareCr | ContentErrorKind::BareLf => {
            Some("send the content with CRLF line ends, or have them converted: `bare_line_ends`")
        }
        ContentErrorKind::LineTooLong => Some(
            "encode the content as quoted-printable or base64, or raise the limit: `max_line_len`",
        ),
        ContentErrorKind::EightBit => Some("declare 8-bit content: `StreamedContent::eight_bit`"),
        ContentErrorKind::HeaderEightBit => {
            Some("declare non-ASCII header fields: `StreamedContent::utf8_headers`")
        }
        ContentErrorKind::HeaderNotUtf8 => Some(
            "encode header fields by RFC 2047, or have the content downgraded: `downgrade_with`; `eight_bit_headers` sends them as they are",
        ),
        ContentErrorKind::NoHeader | ContentErrorKind::NoFrom => Some(
            "a message begins with header fields, From and Date at least, and an empty line (RFC 5322); `without_header_check` sends any other content",
        ),
        ContentErrorKind::NotAField => {
            Some("an empty line must separate the header section from the body")
        }
        ContentErrorKind::Nul | ContentErrorKind::NotAsScanned => None,
    }
}

/// RFC 4954, section 6, and RFC 5321, section 4.2.4.
fn of_login(reply: &Reply, detail: Option<&[u8]>) -> Option<&'static str> {
    match reply.code().as_u16() {
        // The JSON of OAuth.
        _ if detail.is_some_and(|detail| detail.starts_with(b"{")) => {
            Some("the token may have expired, or be for another user, scope or host")
        }
        432 => Some("the password has to be changed once before this mechanism works"),
        454 => Some("the server cannot check passwords right now: try again later"),
        504 => Some("the server does not support this mechanism, although it advertises it"),
        525 => Some("the account is disabled: ask the server's administrator"),
        530 => Some("the server requires TLS first"),
        534 => Some("the account may need an application password, or a login by the browser"),
        535 => {
            Some("user name or password is wrong, or the account does not allow this way to log in")
        }
        538 => Some("the server requires encryption for this mechanism"),
        _ => None,
    }
}

/// The kind of credentials that a server requires if it advertises only these mechanisms, and the
/// credentials support only `ours`.
fn of_offer(offered: &[String], ours: &[String]) -> Option<&'static str> {
    let takes_token = |name: &String| matches!(name.as_str(), "OAUTHBEARER" | "XOAUTH2");
    if offered.iter().all(|name| name.ends_with("-PLUS")) {
        Some("the server requires channel binding, and this connection has none")
    } else if offered.iter().all(takes_token) {
        Some("the server accepts an OAuth 2.0 token, and no password")
    } else if !ours.is_empty() && ours.iter().all(takes_token) && !offered.iter().any(takes_token) {
        Some("the server accepts no OAuth 2.0 token: a password may work")
    } else {
        None
    }
}

/// RFC 5802, section 7, defines the values of `detail`.
fn of_binding(detail: &[u8]) -> &'static str {
    if detail.ends_with(b"channel-bindings-dont-match") {
        "TLS does not end at the server itself, but at a proxy or an attacker on the path"
    } else {
        "the server may support only `tls-unique`, which TLS 1.3 does not have: if so, allow only mechanisms without -PLUS by \
         `Credentials::restrict_to`"
    }
}

fn of_need(
    stage: Stage,
    need: &MissingExtension,
    place: Option<&Location>,
) -> Option<&'static str> {
    let first =
        place.is_some_and(|place| (place.part(), place.offset()) == (MailPart::Content, Some(0)));
    match (stage, need) {
        (_, MissingExtension::EightBitMime | MissingExtension::SmtpUtf8) if first => {
            Some(BYTE_ORDER_MARK)
        }
        (_, MissingExtension::EightBitMime | MissingExtension::BinaryMime) => Some(
            "encode the content as quoted-printable or base64, or have it downgraded: `downgrade_with`",
        ),
        (_, MissingExtension::Xclient { .. } | MissingExtension::Xforward) => {
            Some("servers advertise it only to hosts that they are configured to trust")
        }
        (Stage::Mail, MissingExtension::SmtpUtf8) => match (place?.part(), place?.offset()) {
            (MailPart::Content, _) => Some(
                "encode header fields by RFC 2047, or have the content downgraded: `downgrade_with`",
            ),
            (MailPart::Sender | MailPart::Recipient(_), Some(_)) => {
                Some("a local part has no ASCII form: only a server with SMTPUTF8 accepts it")
            }
            // A parameter.
            _ => None,
        },
        (_, MissingExtension::ALabels) => {
            Some("or write it as A-labels, such as xn--bcher-kva.example")
        }
        (_, MissingExtension::Parameter { extension, .. }) if extension == "DSN" => {
            Some("`optional_extension(\"DSN\")` sends the message without requesting a report")
        }
        (_, MissingExtension::Parameter { extension, .. }) if extension == "REQUIRETLS" => {
            Some("it counts only inside TLS, and from a server with a verified certificate")
        }
        _ => None,
    }
}

/// Whether EHLO was rejected because of its argument; other rejections concern the client or its
/// address.
fn is_about_the_name(reply: &Reply) -> bool {
    let words: [&[u8]; 4] = [b"name", b"domain", b"helo", b"ehlo"];
    match reply.code().as_u16() {
        501 | 504 | 553 => true,
        550 | 554 => words.iter().any(|word| says(reply, word)),
        _ => false,
    }
}

fn says(reply: &Reply, word: &[u8]) -> bool {
    let has = |line: &[u8]| {
        line.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
    };
    reply.lines().any(has)
}

const PIPELINING: &str = "the server advertises PIPELINING and may get it wrong: `Pipelining::Off` sends one command at a time";

const NO_SMTP: &str = "the server does not speak SMTP on this port: submission is on 587 (STARTTLS) or 465 (implicit TLS)";

#[cfg(feature = "std")]
const NOT_LISTENING: &str =
    "no server listens on this port: submission is on 587 (STARTTLS) or 465 (implicit TLS)";

#[cfg(feature = "std")]
const NO_PROXY: &str =
    "no proxy listens on this port: SOCKS5 is usually on 1080, HTTP on 3128 or 8080";

#[cfg(feature = "std")]
const UNRESOLVED: &str = "the host name cannot be resolved: check its spelling, and the network";

/// A byte that no field name begins with (RFC 5322, section 2.2).
const BYTE_ORDER_MARK: &str = "a message begins with the name of a header field: remove what is before it, such as a byte order mark";
