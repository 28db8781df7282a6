//! From a path to a client that is ready.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use smtp_driver::unix_connection;
use smtp_proto::{Config, Connection, Error};

use crate::Client;

impl Client<UnixStream, Connection> {
    /// Connects to a server on this machine over a Unix socket, and waits until it is ready for
    /// messages.
    ///
    /// Mail stores take messages this way by LMTP (RFC 2033), which replies for each recipient
    /// whether the message was delivered. The config is one in cleartext: no third party can read
    /// from a Unix socket.
    ///
    /// It needs no feature `rustls`. With that feature, `Client::connect` also connects to an
    /// endpoint that is a Unix socket.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use smtp_blocking::proto::{Config, Protocol};
    /// use smtp_blocking::{Client, Mail, Security};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("smtp-doc-{}", std::process::id()));
    /// # let server = smtp_test::Server::start_unix(smtp_test::Config::new().lmtp(), folder)?;
    /// # let path = server.path().ok_or("a path")?;
    /// # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
    /// # let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
    /// let config = Config::builder("relay.example.org".parse()?)
    ///     .protocol(Protocol::Lmtp)
    ///     .security(Security::Cleartext)
    ///     .build()?;
    /// let mut client = Client::connect_unix(path, Arc::new(config))?;
    /// for recipient in client.send(mail)?.recipients() {
    ///     println!("{}: {}", recipient.recipient(), recipient.status());
    /// }
    /// client.quit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Nothing limits the wait for a server that accepts no connections: the system has no timeout
    /// for it.
    ///
    /// # Errors
    /// If the socket cannot be connected to, or the connection's failure. The error names the path.
    pub fn connect_unix(path: impl AsRef<Path>, config: Arc<Config>) -> Result<Self, Error> {
        let (connection, peer) = unix_connection(path.as_ref(), config);
        let stream =
            UnixStream::connect(path).map_err(|error| Error::connect(error).with_peer(peer))?;
        Self::from_stream(stream, connection).into_ready(Self::ready)
    }
}
