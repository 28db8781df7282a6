//! From a host name to a client that is ready.

use std::net::SocketAddr;

use smtp_proto::{Error, Mail, Outcome};
use smtp_rustls::{Attempt, Endpoint, Session};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::Client;

/// Connects, sends one message and ends the connection.
///
/// For several messages, keep a [`Client`].
///
/// ```
/// use smtp_tokio::{Credentials, Endpoint, Mail};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let certificate = smtp_test::Tls::new();
/// # let trust = smtp_tokio::TlsConfig::builder().no_default_roots().add_root_der(certificate.authority_der().to_vec()).build()?;
/// # let server = smtp_test::Server::start(smtp_test::Config::new().tls(certificate).user("alice", "correct horse"))?;
/// # let (host, port) = ("localhost", server.port());
/// let endpoint = Endpoint::starttls(host)
///     .port(port)
///     .credentials(Credentials::password("alice", "correct horse")?)
/// #   .tls(trust)
///     .build()?;
/// let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
/// let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
/// let outcome = smtp_tokio::send(&endpoint, mail).await?;
/// assert!(outcome.is_accepted());
/// # Ok(())
/// # }
/// ```
///
/// Not cancel safe: to drop the future drops the connection, with the message in doubt if its
/// content has gone out.
///
/// # Errors
/// If the connection cannot be set up, or the message is
/// [streamed](smtp_proto::MailBuilder::streamed). Whatever happens to the message later is in its
/// outcome, and a failure after that outcome is known changes nothing.
pub async fn send(endpoint: &Endpoint, mail: Mail) -> Result<Outcome, Error> {
    let mut client = Client::connect(endpoint).await?;
    let outcome = client.send(mail).await?;
    let _ = client.quit().await;
    Ok(outcome)
}

impl Client<TcpStream, Session> {
    /// Connects to a server, and waits until it is ready for messages.
    ///
    /// The addresses of the host are tried one after the other as long as what goes wrong may go better elsewhere. Each has
    /// as long to answer as the endpoint's timeouts say, and so has the resolution of the name.
    ///
    /// Cancel safe: to drop the future drops the attempt.
    ///
    /// # Errors
    /// The failure of the last address that was tried, with those before it as its [`attempts`](Error::attempts). It names the
    /// endpoint and the address.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let name = (endpoint.host(), endpoint.port());
        let addresses = timeout(endpoint.timeouts().connect(), lookup_host(name))
            .await
            .map_err(|_| Error::connect_timeout())
            .and_then(|found| found.map_err(Error::connect))
            .map_err(|error| error.with_peer(endpoint.peer()))?;
        Self::connect_to(endpoint, &addresses.collect::<Vec<_>>()).await
    }

    /// As [`connect`](Self::connect), but to addresses that are known already. The endpoint's host still is the name
    /// for which the server has to have a certificate.
    ///
    /// Cancel safe: to drop the future drops the attempt.
    ///
    /// # Errors
    /// The failure of the last address that was tried, with those before it as its [`attempts`](Error::attempts). It names the
    /// endpoint and the address.
    pub async fn connect_to(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<Self, Error> {
        let mut attempts = endpoint.attempts(addresses.iter().copied());
        let mut failure = None;
        while let Some(attempt) = attempts.next(failure.take()) {
            match Self::open(attempt).await {
                Ok(client) => return Ok(client),
                Err(error) => failure = Some(error),
            }
        }
        Err(attempts.into_error())
    }

    async fn open(attempt: Attempt) -> Result<Self, Error> {
        let connecting = TcpStream::connect(attempt.address());
        let stream = timeout(attempt.connect_timeout(), connecting)
            .await
            .map_err(|_| Error::connect_timeout())?
            .map_err(Error::connect)?;
        stream.set_nodelay(true).map_err(Error::connect)?;
        let session = attempt.into_session(stream.local_addr().ok());
        Self::from_stream(stream, session).into_ready().await
    }
}
