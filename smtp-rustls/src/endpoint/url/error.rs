use std::fmt;

use smtp_proto::AddressError;
use smtp_proto::sasl::CredentialsError;
use smtp_tunnel::{DestinationError, LoginError};

use super::parameters::{AUTH, MAX_TIMEOUT, PIN, PROXY, TIMEOUT, password_mechanisms};
use crate::endpoint::{EndpointError, HostErrorKind};

/// Why a URL is no [`Endpoint`](super::Endpoint), and where in the URL.
///
/// It repeats nothing of the user and the password, so it can be logged. Of the rest of the URL it
/// repeats at most an unknown scheme, or the name of an unknown parameter.
///
/// ```
/// use smtp_rustls::{Endpoint, UrlErrorKind};
///
/// let error = Endpoint::from_url("smtp://alice:pass/word@mail.example.org").unwrap_err();
/// assert!(matches!(error.kind(), UrlErrorKind::Reserved('/')));
/// assert_eq!(error.offset(), 17);
/// assert_eq!(
///     error.to_string(),
///     "invalid URL at offset 17: `/` before the last `@`: in a user or a password write it as %2F, \
///      elsewhere write `@` as %40"
/// );
/// ```
#[derive(Clone)]
pub struct UrlError {
    offset: usize,
    kind: UrlErrorKind,
}

/// The kind of a [`UrlError`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UrlErrorKind {
    /// The URL is empty.
    Empty,
    /// White space or a control character.
    WhiteSpace,
    /// There is no scheme.
    NoScheme,
    /// The scheme is not followed by two slashes.
    NoSlashes,
    /// The scheme is none of those that [`Endpoint::from_url`](super::Endpoint::from_url) lists.
    UnknownScheme(Box<str>),
    /// There is no host.
    NoHost,
    /// The host is invalid.
    Host(HostErrorKind),
    /// An IPv6 address is not in brackets, or the brackets are incomplete.
    Brackets,
    /// The host is percent-encoded.
    PercentInHost,
    /// The port is not a number from 1 to 65535.
    Port,
    /// The port is not a number, and no user is before the host: it may be a password.
    PortOrPassword,
    /// STARTTLS on port 465, where a server waits for TLS from the first byte.
    PortOfImplicitTls,
    /// Implicit TLS on port 587, where a server begins in cleartext.
    PortOfStartTls,
    /// A password without a user, or nothing before the `@`.
    NoUser,
    /// A user without a password.
    NoPassword,
    /// The password is empty.
    EmptyPassword,
    /// The password is `***`, which a printed URL has in its place.
    Placeholder,
    /// This character is in the user or the password, where it has to be percent-encoded; or an `@`
    /// is after the host. The two cannot be told apart.
    Reserved(char),
    /// A `%` is not followed by two hexadecimal digits.
    Escape(UrlPart),
    /// What is percent-encoded is not UTF-8.
    NotUtf8(UrlPart),
    /// A control character is percent-encoded.
    Control(UrlPart),
    /// No mechanism can carry the user or the password.
    Credentials(CredentialsError),
    /// User and password, and a security that may end in cleartext.
    LoginInCleartext,
    /// A path after a host.
    Path,
    /// A fragment.
    Fragment,
    /// The URL of a Unix socket has a user, a host or a port.
    UnixAuthority,
    /// The URL of a Unix socket has no path.
    NoPath,
    /// A parameter is not of the form `name=value`, or does not follow a question mark.
    ParameterForm,
    /// No parameter has this name, which is empty if it is unfit to be shown.
    UnknownParameter(Box<str>),
    /// The parameter of this name is there twice.
    DuplicateParameter(&'static str),
    /// The parameter of this name has an invalid value.
    Value(&'static str),
    /// The client name is neither a domain nor an address literal.
    ClientName(AddressError),
    /// The parameter `auth` without a user.
    AuthWithoutUser,
    /// The parameter `pin`, and a security that does not require TLS.
    PinWithoutTls,
    /// The parameter `tls` contradicts a scheme of implicit TLS.
    TlsIsImplicit,
    /// The parameter `tls` requests TLS over a Unix socket.
    TlsOverUnixSocket,
    /// A proxy's URL does not begin with one of the schemes that
    /// [`ProxyServer::from_url`](crate::ProxyServer::from_url) lists, two slashes and a host.
    ProxyScheme,
    /// A proxy's URL has parameters.
    ProxyQuery,
    /// The protocol of the proxy cannot transport the user or the password.
    ProxyLogin(LoginError),
    /// The parameter `proxy` is not the URL of a proxy. The offset is that of the parameter's value.
    Proxy(Box<Self>),
    /// The parameter `proxy`, and a host that a proxy cannot be asked for.
    ProxyDestination(DestinationError),
    /// The parameter `proxy`, and a Unix socket.
    ProxyOfUnixSocket,
    /// The endpoint cannot be built, for a reason outside the URL.
    Endpoint(EndpointError),
}

/// A part of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlPart {
    /// The user.
    User,
    /// The password.
    Password,
    /// The path of a Unix socket.
    Path,
    /// The value of the parameter of this name.
    Parameter(&'static str),
}

impl UrlError {
    pub(super) fn new(offset: usize, kind: UrlErrorKind) -> Self {
        Self { offset, kind }
    }

    /// The kind of error.
    pub fn kind(&self) -> &UrlErrorKind {
        &self.kind
    }

    /// The same error, for a URL without its first `count` bytes.
    pub(in crate::endpoint) fn without_prefix(mut self, count: usize) -> Self {
        self.offset = self.offset.saturating_sub(count);
        self
    }

    pub(super) fn into_kind(self) -> UrlErrorKind {
        self.kind
    }

    /// The offset of the error in the URL, in bytes. It is that of the part, if the error is in
    /// what a part decodes to.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let UrlErrorKind::Endpoint(_) = self.kind {
            f.write_str("the endpoint of the URL cannot be built")?;
        } else {
            write!(f, "invalid URL at offset {}: {}", self.offset, self.kind)?;
        }
        match std::error::Error::source(self) {
            Some(error) if f.alternate() => write!(f, ": {error:#}"),
            _ => Ok(()),
        }
    }
}

debug_as_display!(UrlError);

impl std::error::Error for UrlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.cause()
    }
}

impl fmt::Display for UrlErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownScheme(name) => write!(f, "unknown scheme `{name}`: {SCHEMES}"),
            Self::Reserved(character) => write!(
                f,
                "`{character}` before the last `@`: in a user or a password write it as %{:02X}, elsewhere \
                 write `@` as %40",
                u32::from(*character)
            ),
            Self::Escape(part) => write!(
                f,
                "in the {part}, `%` is not followed by two hexadecimal digits: write `%` itself as %25"
            ),
            Self::NotUtf8(part) => {
                write!(f, "the percent-encoded bytes of the {part} are not UTF-8")
            }
            Self::Control(part) => write!(f, "the {part} contains a control character"),
            Self::UnknownParameter(name) if name.is_empty() => {
                write!(f, "unknown parameter: {KNOWN}")
            }
            Self::UnknownParameter(name) => write!(f, "unknown parameter `{name}`: {KNOWN}"),
            Self::DuplicateParameter(name) => {
                write!(
                    f,
                    "the parameter `{name}` is there twice: {KNOWN}, each once at most"
                )
            }
            Self::Value(AUTH) => write!(
                f,
                "`{AUTH}` names mechanisms, with commas between them, either for a password ({}) or for a token \
                 (OAUTHBEARER, XOAUTH2), each at most once",
                password_mechanisms().join(", ")
            ),
            Self::Value(TIMEOUT) => {
                write!(
                    f,
                    "`{TIMEOUT}` is a whole number of seconds, 1 to {MAX_TIMEOUT}"
                )
            }
            Self::Value(PIN) => write!(
                f,
                "`{PIN}` is the SHA-256 of the server's public key, 64 hexadecimal digits, or several with \
                 commas between them"
            ),
            Self::Proxy(kind) => write!(f, "`{PROXY}`: {kind}"),
            Self::Value(name) => write!(
                f,
                "the values of `{name}` are required, opportunistic and none"
            ),
            other => f.write_str(other.of_server().unwrap_or_else(|| other.of_rest())),
        }
    }
}

impl UrlErrorKind {
    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Host(kind) => Some(kind),
            Self::Credentials(error) => Some(error),
            Self::ClientName(error) => Some(error),
            Self::ProxyLogin(error) => Some(error),
            Self::ProxyDestination(error) => Some(error),
            Self::Endpoint(error) => Some(error),
            Self::Proxy(kind) => kind.cause(),
            _ => None,
        }
    }

    /// The text of an error from the scheme to the port.
    fn of_server(&self) -> Option<&'static str> {
        Some(match self {
            Self::Empty => "it is empty: write it as smtps://user:password@mail.example.org",
            Self::WhiteSpace => {
                "white space or a control character: remove it, or write a space as %20"
            }
            Self::NoScheme => "no scheme: begin with smtps:// (implicit TLS) or smtp:// (STARTTLS)",
            Self::NoSlashes => {
                "two slashes follow the scheme, as in smtp://mail.example.org, and for a Unix socket three"
            }
            Self::NoHost => {
                "no host: name the server, as in smtp://mail.example.org; a Unix socket is lmtp+unix:///path"
            }
            Self::Host(_) => "invalid host",
            Self::Brackets => "an IPv6 address is in brackets, as in smtp://[2001:db8::1]:587",
            Self::PercentInHost => "the host is percent-encoded: write the name itself",
            Self::Port => "the port is not a number from 1 to 65535",
            Self::PortOrPassword => {
                "the port is not a number from 1 to 65535; or this is a password, and `@` and the host are \
                 missing after it"
            }
            Self::PortOfImplicitTls => {
                "on port 465 the server waits for TLS from the first byte: write smtps:// in place of smtp://"
            }
            Self::PortOfStartTls => {
                "on port 587 the server begins in cleartext: write smtp://, which requires STARTTLS, in place \
                 of smtps://"
            }
            Self::NoUser => "no user before the `@`: write user:password@, or leave `@` out",
            Self::NoPassword => {
                "the user has no password: write user:password@, or leave the user out and pass the \
                 credentials to `EndpointBuilder::from_url`"
            }
            Self::EmptyPassword => "the password is empty",
            Self::Placeholder => {
                "the password is the `***` of a printed URL: put the password there; one of three asterisks \
                 is written %2A%2A%2A"
            }
            Self::Credentials(_) => "invalid user or password",
            _ => return None,
        })
    }

    /// The text of an error after the port, or of the whole.
    fn of_rest(&self) -> &'static str {
        match self {
            Self::LoginInCleartext => {
                "user and password might be sent in cleartext: leave `tls` out, which requires TLS, or leave \
                 out user and password"
            }
            Self::Path => "a path follows the host: remove it; in a password write `/` as %2F",
            Self::Fragment => "`#` has no meaning here: remove it, or write it as %23",
            Self::UnixAuthority => {
                "a Unix socket has neither user nor host nor port: begin its path with a third slash, as in \
                 lmtp+unix:///run/dovecot/lmtp"
            }
            Self::NoPath => {
                "the path of the socket is missing, as in lmtp+unix:///run/dovecot/lmtp"
            }
            Self::ParameterForm => {
                "parameters follow a `?`, are of the form name=value, and have `&` between them"
            }
            Self::ClientName(_) => "`client_name` is neither a domain nor an address literal",
            Self::AuthWithoutUser => "`auth` without user and password: add them, or leave it out",
            Self::PinWithoutTls => "`pin` needs required TLS: leave `tls` out, or `pin`",
            Self::TlsIsImplicit => {
                "`tls` contradicts the scheme, which is TLS from the first byte: write smtp:// or lmtp://, or \
                 leave it out"
            }
            Self::ProxyScheme => {
                "a proxy is written as socks5://host:port, http://host:port or https://host:port"
            }
            Self::ProxyQuery => {
                "a proxy has no parameters: remove `?` and what follows; in a password write it as %3F"
            }
            Self::ProxyLogin(_) => "invalid user or password for the proxy",
            Self::ProxyDestination(_) => "a proxy cannot be asked for this host",
            Self::ProxyOfUnixSocket => "no proxy can reach a Unix socket: leave `proxy` out",
            Self::TlsOverUnixSocket => "there is no TLS over a Unix socket: leave `tls` out",
            _ => "the endpoint cannot be built",
        }
    }
}

impl fmt::Display for UrlPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Password => f.write_str("password"),
            Self::Path => f.write_str("path"),
            Self::Parameter(name) => write!(f, "parameter `{name}`"),
        }
    }
}

const SCHEMES: &str =
    "the schemes are smtp (STARTTLS), smtps (implicit TLS), lmtp, lmtps and lmtp+unix";

const KNOWN: &str = "the parameters are tls, auth, client_name, timeout, pin and proxy";
