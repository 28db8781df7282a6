//! From a path to a client that is ready.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use smtp_proto::{Config, Connection, Error, Peer, Seed};

use crate::Client;

impl Client<UnixStream, Connection> {
    /// Connects to a server on this machine over a Unix socket, and waits until it is ready for messages.
    ///
    /// This is how mail is handed to a mail store, by LMTP (RFC 2033), which answers for each recipient whether the message was
    /// delivered. The policy is one in cleartext, as nobody listens in between.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use smtp_blocking::{Client, proto::{Config, Mail, Protocol, Security}};
    ///
    /// fn deliver(mail: Mail) -> Result<(), Box<dyn std::error::Error>> {
    ///     let policy = Config::builder("relay.example.org".parse()?)
    ///         .protocol(Protocol::Lmtp)
    ///         .security(Security::Cleartext)
    ///         .build()?;
    ///     let mut client = Client::connect_unix("/run/lmtp", Arc::new(policy))?;
    ///     for delivery in client.send(mail)?.recipients() {
    ///         println!("{}: {}", delivery.recipient(), delivery.status());
    ///     }
    ///     Ok(client.quit()?)
    /// }
    /// ```
    ///
    /// Nothing bounds the wait for a server that does not take connections, since the system knows no limit for it.
    ///
    /// # Errors
    /// If there is no server to connect to, or the connection's failure. It names the path.
    pub fn connect_unix(path: impl AsRef<Path>, policy: Arc<Config>) -> Result<Self, Error> {
        let mut connection = Connection::new(policy, Seed::random());
        let path = path.as_ref();
        let peer = Peer::path(path.to_string_lossy());
        connection.set_peer(peer.clone());
        let stream =
            UnixStream::connect(path).map_err(|error| Error::connect(error).with_peer(peer))?;
        Self::from_stream(stream, connection).into_ready()
    }
}
