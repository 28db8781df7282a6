//! Endpoints as URLs.

mod display;
mod error;
mod parameters;
pub(super) mod percent;
mod proxy;
mod scheme;
pub(super) mod split;

use std::str::FromStr;

pub use self::error::{UrlError, UrlErrorKind, UrlPart};

use smtp_proto::{Credentials, Protocol, Security};
use smtp_tunnel::Destination;

use self::parameters::Parameters;
use self::percent::{decode, decode_text};
use self::scheme::Scheme;
use self::split::{Parts, Server, Slice};
use super::builder::EndpointBuilder;
use super::{Endpoint, host};

impl Endpoint {
    /// The endpoint of a URL, such as a program reads from its environment.
    ///
    /// ```
    /// use smtp_proto::Security;
    /// use smtp_rustls::Endpoint;
    ///
    /// # fn main() -> Result<(), smtp_rustls::UrlError> {
    /// let endpoint = Endpoint::from_url("smtp://alice:correct%20horse@mail.example.org")?;
    /// assert_eq!((endpoint.host(), endpoint.port()), ("mail.example.org", 587));
    /// assert_eq!(endpoint.security(), Security::StartTls);
    /// assert_eq!(endpoint.to_string(), "smtp://alice:***@mail.example.org");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// | URL | connection |
    /// | --- | --- |
    /// | `smtp://user:password@host` | SMTP, port 587; requires STARTTLS |
    /// | `smtps://user:password@host` | SMTP, port 465; implicit TLS |
    /// | `smtp://host?tls=opportunistic` | SMTP, port 25; TLS if the server has it, else cleartext |
    /// | `smtp://host?tls=none` | SMTP, port 25; cleartext |
    /// | `lmtp://host` | LMTP, port 24; requires STARTTLS |
    /// | `lmtps://host` | LMTP, port 24; implicit TLS |
    /// | `lmtp://localhost?tls=none` | LMTP, port 24; cleartext |
    /// | `lmtp+unix:///run/dovecot/lmtp` | LMTP over a Unix socket, in cleartext: no third party can read from it |
    ///
    /// Cleartext over a network, also by LMTP, is never the default: it takes `tls`. User and
    /// password are optional, and an error where they might be sent in cleartext. A port follows
    /// the host, an IPv6 address is in brackets, and a host with U-labels needs the feature `idna`.
    /// STARTTLS on port 465 and implicit TLS on port 587 are errors, because neither works.
    ///
    /// In a user and a password, write `/`, `?`, `#`, `%` and `\` percent-encoded, as `%2F`, `%3F`,
    /// `%23`, `%25` and `%5C`, and a space as `%20`; also a colon in a user, as `%3A`. The host
    /// begins after the last `@`.
    ///
    /// | parameter | value |
    /// | --- | --- |
    /// | `tls` | `required`, `opportunistic` or `none`: see [`Security`] |
    /// | `auth` | the SASL mechanisms to use, in order of preference, with commas between them; with `OAUTHBEARER` or `XOAUTH2` the password is a token |
    /// | `client_name` | see [`EndpointBuilder::client_name`] |
    /// | `timeout` | seconds, 1 to 7200: for connecting to an address, and for each reply; the final reply to a message has at least ten minutes, and 64 KiB of content three, because a message that is given up there is in doubt |
    /// | `proxy` | the [URL of a proxy](crate::ProxyServer::from_url), percent-encoded: `socks5://proxy.example.net:1080`; an `@` is written `%40`, and a `%` of the proxy's user or password `%25` |
    /// | `pin` | the SHA-256 of the server's public key, 64 hexadecimal digits, or of several, with commas between them: see [`TlsConfigBuilder::pin_key`](crate::TlsConfigBuilder::pin_key) |
    ///
    /// ```
    /// # fn main() -> Result<(), smtp_rustls::UrlError> {
    /// use smtp_rustls::Endpoint;
    ///
    /// let url = "smtps://alice:token@mail.example.org:2465?auth=XOAUTH2&timeout=20";
    /// let endpoint: Endpoint = url.parse()?;
    /// assert_eq!(endpoint.timeouts().greeting().as_secs(), 20);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`EndpointBuilder::from_url`] begins an endpoint that is not finished: with roots, a
    /// transcript, or credentials from another source. The URL is the caller's to wipe; no copy of
    /// its password is left in freed memory.
    ///
    /// # Errors
    /// If the URL is invalid or contradicts itself, or the default TLS configuration cannot be
    /// built. The error says where, and never shows user or password.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let builder = EndpointBuilder::from_url(url)?;
        builder
            .build()
            .map_err(|error| UrlError::new(0, UrlErrorKind::Endpoint(error)))
    }
}

impl EndpointBuilder {
    /// Begins the endpoint of a URL, as [`Endpoint::from_url`] reads it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp_proto::Credentials;
    /// use smtp_rustls::EndpointBuilder;
    ///
    /// // The password is kept apart from the URL.
    /// let endpoint = EndpointBuilder::from_url("smtp://mail.example.org?timeout=20")?
    ///     .credentials(Credentials::password("alice", "correct horse")?)
    ///     .transcript(|entry| eprintln!("{entry}"))
    ///     .build()?;
    /// assert_eq!(endpoint.to_string(), "smtp://alice:***@mail.example.org?timeout=20");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the URL is invalid or contradicts itself.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let Parts {
            scheme,
            server,
            query,
        } = Parts::of(url)?;
        let parameters = Parameters::parse(query)?;
        let security = parameters.security(scheme)?;
        let pinned_keys = parameters.pinned_keys(security)?;
        let proxy = parameters.proxy(matches!(server, Server::Unix(_)))?;
        let mut builder = match server {
            Server::Unix(path) => {
                parameters.check_anonymous()?;
                Endpoint::unix(path)
            }
            Server::Host { login, host, port } => {
                if proxy.is_some() {
                    check_destination(host)?;
                }
                let builder = Endpoint::builder(host.text)
                    .protocol(scheme.protocol())
                    .security(security);
                let builder = match port {
                    Some((number, place)) => {
                        check_port(scheme, number, place)?;
                        builder.port(number)
                    }
                    None => builder,
                };
                match login {
                    Some(login) => builder.credentials(log_in(login, &parameters, security)?),
                    None => {
                        parameters.check_anonymous()?;
                        builder
                    }
                }
            }
        };
        if let Some(name) = parameters.client_name()? {
            builder = builder.client_name(name);
        }
        if let Some(timeouts) = parameters.timeouts()? {
            builder = builder.timeouts(timeouts);
        }
        Ok(builder.pinned_keys(pinned_keys).proxy(proxy))
    }
}

/// [`Endpoint::from_url`].
impl FromStr for Endpoint {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::from_url(url)
    }
}

/// Rejects a host for which no proxy can be asked.
fn check_destination(host: Slice<'_>) -> Result<(), UrlError> {
    let parsed = host::parse(host.text);
    let (name, _) = parsed.map_err(|kind| host.error(UrlErrorKind::Host(kind)))?;
    match Destination::new(&name, ANY_PORT) {
        Ok(_) => Ok(()),
        Err(error) => Err(host.error(UrlErrorKind::ProxyDestination(error))),
    }
}

/// Rejects the port of implicit TLS for STARTTLS, and vice versa.
fn check_port(scheme: Scheme, port: u16, place: Slice<'_>) -> Result<(), UrlError> {
    match (scheme.protocol(), scheme.security(), port) {
        (Protocol::Smtp, Security::StartTls, 465) => {
            Err(place.error(UrlErrorKind::PortOfImplicitTls))
        }
        (Protocol::Smtp, Security::Implicit, 587) => Err(place.error(UrlErrorKind::PortOfStartTls)),
        _ => Ok(()),
    }
}

fn log_in(
    (user, password): (Slice<'_>, Slice<'_>),
    parameters: &Parameters<'_>,
    security: Security,
) -> Result<Credentials, UrlError> {
    parameters.check_login(user, security)?;
    let name = decode_text(user, UrlPart::User)?;
    let password = decode(password, UrlPart::Password)?;
    parameters.credentials(user, &name, password)
}

/// A port that is not 0.
const ANY_PORT: u16 = 25;
