//! From a host name to a client that is ready.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Instant;

use smtp_proto::{Error, Mail, Outcome};
use smtp_rustls::{Endpoint, Session};

use crate::race::first;
use crate::token::Login;
use crate::{Client, Socket, TokenSource};

/// Connects, sends one message and ends the connection.
///
/// For several messages, keep a [`Client`].
///
/// ```
/// use smtp_blocking::{Credentials, Endpoint, Mail};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tls = smtp_test::Tls::new();
/// # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
/// # let server = smtp_test::Server::start(config)?;
/// # let (host, port) = ("localhost", server.port());
/// let endpoint = Endpoint::starttls(host)
///     .port(port)
///     .credentials(Credentials::password("alice", "correct horse")?)
/// #   .tls(tls.client_config())
///     .build()?;
/// let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
/// let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
/// let outcome = smtp_blocking::send(&endpoint, mail)?;
/// assert!(outcome.is_accepted());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the connection cannot be set up, or the message is
/// [streamed](smtp_proto::MailBuilder::streamed). Later failures are in the outcome; one after the
/// outcome is known changes nothing.
pub fn send(endpoint: &Endpoint, mail: Mail) -> Result<Outcome, Error> {
    send_over(Client::connect(endpoint)?, mail)
}

/// As [`send`], with the token of this source: for credentials of a
/// [`fetched_token`](smtp_proto::Credentials::fetched_token).
///
/// # Errors
/// Those of [`send`].
pub fn send_with_tokens(
    endpoint: &Endpoint,
    mail: Mail,
    tokens: &TokenSource,
) -> Result<Outcome, Error> {
    send_over(Client::connect_with_tokens(endpoint, tokens)?, mail)
}

/// Sends a message over a connection of its own.
fn send_over(mut client: Client, mail: Mail) -> Result<Outcome, Error> {
    let outcome = client.send(mail)?;
    let _ = client.quit();
    Ok(outcome)
}

impl Client<Socket, Session> {
    /// Connects to a server, and waits until it is ready for messages.
    ///
    /// The endpoint is a host or a [Unix socket](Endpoint::unix). The addresses of a host race (RFC
    /// 8305), IPv6 and IPv4 in turn: a connect begins 250 ms after the one before, or at once when
    /// one fails, and the first connection wins. So a dead address costs 250 ms. Only TCP races:
    /// there is one SMTP session at a time. If it fails in a way that may be different elsewhere,
    /// the race goes on; [`Attempts`](crate::tls::Attempts) has the rules. Connections come from the
    /// endpoint's [local address](crate::tls::EndpointBuilder::local_address), if it has one. With a
    /// [proxy](crate::tls::EndpointBuilder::proxy) its addresses race, and the name of the server is
    /// not resolved here. No thread is started.
    ///
    /// The endpoint's timeouts limit the connection to each address. The system's resolver has no
    /// time limit; with [`connect_to`](Self::connect_to) a caller can use another.
    ///
    /// ```
    /// use smtp_blocking::{Client, Endpoint};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tls = smtp_test::Tls::new();
    /// # let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    /// # let (host, port) = ("localhost", server.port());
    /// let endpoint = Endpoint::starttls(host)
    ///     .port(port)
    /// #   .tls(tls.client_config())
    ///     .build()?;
    /// let client = Client::connect(&endpoint)?;
    /// println!("{:?}", client.tls());
    /// # assert!(client.tls().is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The failure at the last address that was tried, with the earlier ones as its
    /// [`attempts`](Error::attempts). It names the endpoint and the address.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        Self::connect_to(endpoint, &resolve(endpoint)?)
    }

    /// Connects as [`connect`](Self::connect) does, but to known addresses: those of the server, or
    /// of its proxy. An endpoint that is a Unix socket has none.
    ///
    /// The server's certificate must still be for the host of the endpoint.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_to(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<Self, Error> {
        Self::connect_watched(endpoint, addresses, Login::new(None), |_| Ok(()))
    }

    /// Connects as [`connect`](Self::connect) does, and gets the token from this source: for
    /// credentials of a [`fetched_token`](smtp_proto::Credentials::fetched_token).
    ///
    /// If the server rejects the token, another is fetched and tried on a new connection, once.
    ///
    /// ```
    /// use smtp_blocking::{Client, Credentials, Endpoint, Token, TokenSource};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tls = smtp_test::Tls::new();
    /// # let config = smtp_test::Config::new().tls(tls.clone()).token("alice", "t0k3n");
    /// # let server = smtp_test::Server::start(config)?;
    /// # let (host, port) = ("localhost", server.port());
    /// # fn fetch() -> std::io::Result<Token> {
    /// #     Ok(Token::new("t0k3n"))
    /// # }
    /// let endpoint = Endpoint::starttls(host)
    ///     .port(port)
    ///     .credentials(Credentials::fetched_token("alice")?)
    /// #   .tls(tls.client_config())
    ///     .build()?;
    /// let tokens = TokenSource::new(|_| fetch());
    /// let client = Client::connect_with_tokens(&endpoint, &tokens)?;
    /// # assert!(client.connection().is_idle());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect). The failure of the source is an
    /// [`AuthenticationError::TokenSource`](smtp_proto::AuthenticationError::TokenSource).
    pub fn connect_with_tokens(endpoint: &Endpoint, tokens: &TokenSource) -> Result<Self, Error> {
        let login = Login::new(Some(tokens));
        Self::connect_watched(endpoint, &resolve(endpoint)?, login, |_| Ok(()))
    }

    /// Connects to known addresses. `watch` sees each socket before it is used.
    pub(crate) fn connect_watched(
        endpoint: &Endpoint,
        addresses: &[SocketAddr],
        mut login: Login<'_>,
        mut watch: impl FnMut(&Socket) -> io::Result<()>,
    ) -> Result<Self, Error> {
        let mut attempts = endpoint.attempts(addresses.iter().copied());
        let local = endpoint.local_address();
        let epoch = Instant::now();
        while let Some((socket, session)) = first(&mut attempts, epoch, local) {
            let watched = watch(&socket).map_err(Error::connect);
            let opened = watched.and_then(|()| {
                Self::from_stream(socket, session).into_ready(|client| client.log_in(&mut login))
            });
            match opened {
                Ok(client) => return Ok(client),
                Err(error) => attempts.handle_failure(error),
            }
        }
        Err(attempts.into_error())
    }
}

/// The addresses of the endpoint, by the system's resolver; none for a Unix socket.
pub(crate) fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Error> {
    if endpoint.unix_path().is_some() {
        return Ok(Vec::new());
    }
    let name = (endpoint.connect_host(), endpoint.connect_port());
    match name.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(Error::connect(error).with_peer(endpoint.peer())),
    }
}
