//! From a host name to a client that is ready.

use std::net::SocketAddr;

use async_io::Timer;
use async_net::resolve;
use smtp_driver::token::TokenSource;
use smtp_driver::{Driver, connecting};
use smtp_proto::{Error, Mail, Outcome};
use smtp_rustls::{Endpoint, Session};

use crate::runtime::Smol;
use crate::{Client, Socket};

/// Connects, sends one message and ends the connection.
///
/// For several messages, keep a [`Client`].
///
/// ```
/// use smtp_smol::{Credentials, Endpoint, Mail};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # futures_lite::future::block_on(async {
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
/// let outcome = smtp_smol::send(&endpoint, mail).await?;
/// assert!(outcome.is_accepted());
/// # Ok(()) })
/// # }
/// ```
///
/// Not cancel safe: dropping the future drops the connection, and the message is in doubt if its
/// content has been sent.
///
/// # Errors
/// If the connection cannot be set up, or the message is
/// [streamed](smtp_proto::MailBuilder::streamed). Later failures are in the outcome; one after the
/// outcome is known changes nothing.
pub async fn send(endpoint: &Endpoint, mail: Mail) -> Result<Outcome, Error> {
    send_over(Client::connect(endpoint).await?, mail).await
}

/// As [`send`], with the token of this source: for credentials of a
/// [`fetched_token`](smtp_proto::Credentials::fetched_token).
///
/// Not cancel safe, as [`send`].
///
/// # Errors
/// Those of [`send`].
pub async fn send_with_tokens(
    endpoint: &Endpoint,
    mail: Mail,
    tokens: &TokenSource,
) -> Result<Outcome, Error> {
    send_over(Client::connect_with_tokens(endpoint, tokens).await?, mail).await
}

/// Sends a message over a connection of its own.
async fn send_over(mut client: Client, mail: Mail) -> Result<Outcome, Error> {
    let outcome = client.send(mail).await?;
    let _ = client.quit().await;
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
    /// not resolved here. No task is spawned.
    ///
    /// The endpoint's timeouts limit the resolution of the name and the connection to each address.
    ///
    /// ```
    /// use smtp_smol::{Client, Endpoint};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures_lite::future::block_on(async {
    /// # let tls = smtp_test::Tls::new();
    /// # let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    /// # let (host, port) = ("localhost", server.port());
    /// let endpoint = Endpoint::starttls(host)
    ///     .port(port)
    /// #   .tls(tls.client_config())
    ///     .build()?;
    /// let client = Client::connect(&endpoint).await?;
    /// println!("{:?}", client.tls());
    /// # assert!(client.tls().is_some());
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// Cancel safe: dropping the future drops the attempt.
    ///
    /// # Errors
    /// The failure at the last address that was tried, with the earlier ones as its
    /// [`attempts`](Error::attempts). It names the endpoint and the address.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        Self::open(endpoint, None).await
    }

    /// Connects as [`connect`](Self::connect) does, and gets the token from this source: for
    /// credentials of a [`fetched_token`](smtp_proto::Credentials::fetched_token).
    ///
    /// The connection is driven while the token is fetched. If the server rejects the token,
    /// another is fetched and tried on a new connection, once.
    ///
    /// ```
    /// use smtp_smol::{Client, Credentials, Endpoint, Token, TokenSource};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures_lite::future::block_on(async {
    /// # let tls = smtp_test::Tls::new();
    /// # let config = smtp_test::Config::new().tls(tls.clone()).token("alice", "t0k3n");
    /// # let server = smtp_test::Server::start(config)?;
    /// # let (host, port) = ("localhost", server.port());
    /// # async fn fetch() -> std::io::Result<Token> {
    /// #     Ok(Token::new("t0k3n"))
    /// # }
    /// let endpoint = Endpoint::starttls(host)
    ///     .port(port)
    ///     .credentials(Credentials::fetched_token("alice")?)
    /// #   .tls(tls.client_config())
    ///     .build()?;
    /// let tokens = TokenSource::new(|_| fetch());
    /// let client = Client::connect_with_tokens(&endpoint, &tokens).await?;
    /// # assert!(client.connection().is_idle());
    /// # Ok(()) })
    /// # }
    /// ```
    ///
    /// Cancel safe: dropping the future drops the attempt. Another connection that waits for the
    /// same token then fetches it.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect). The failure of the source is an
    /// [`AuthenticationError::TokenSource`](smtp_proto::AuthenticationError::TokenSource).
    pub async fn connect_with_tokens(
        endpoint: &Endpoint,
        tokens: &TokenSource,
    ) -> Result<Self, Error> {
        Self::open(endpoint, Some(tokens)).await
    }

    pub(crate) async fn open(
        endpoint: &Endpoint,
        tokens: Option<&TokenSource>,
    ) -> Result<Self, Error> {
        if endpoint.unix_path().is_some() {
            return Self::open_to(endpoint, &[], tokens).await;
        }
        let name = (endpoint.connect_host(), endpoint.connect_port());
        let limit = Timer::after(endpoint.timeouts().connect());
        let addresses = connecting(limit, resolve(name))
            .await
            .map_err(|error| error.with_peer(endpoint.peer()))?;
        Self::open_to(endpoint, &addresses, tokens).await
    }

    /// Connects as [`connect`](Self::connect) does, but to known addresses: those of the server, or
    /// of its proxy. An endpoint that is a Unix socket has none.
    ///
    /// The server's certificate must still be for the host of the endpoint.
    ///
    /// Cancel safe: dropping the future drops the attempt.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_to(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<Self, Error> {
        Self::open_to(endpoint, addresses, None).await
    }

    async fn open_to(
        endpoint: &Endpoint,
        addresses: &[SocketAddr],
        tokens: Option<&TokenSource>,
    ) -> Result<Self, Error> {
        let attempts = endpoint.attempts(addresses.iter().copied());
        let local = endpoint.local_address();
        let open = |target| Socket::connect(target, local);
        let driver = Driver::connect_with_tokens(attempts, tokens, Smol::new, open).await?;
        Ok(Self { driver })
    }
}
