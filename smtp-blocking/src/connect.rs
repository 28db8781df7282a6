//! From a host name to a client that is ready.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use smtp_proto::{Error, Wire as _};
use smtp_rustls::{Endpoint, Session};

use crate::Client;
use crate::client::SHORTEST;

impl Client<TcpStream, Session> {
    /// Connects to a server, and waits until it is ready for message.
    ///
    /// The addresses of the host are tried one after the other as long as what goes wrong may go better elsewhere. Each has
    /// as long to answer as the endpoint's timeouts say. Nothing bounds the resolution of the name, since the system's
    /// resolver cannot be told to hurry: with [`connect_to`](Self::connect_to) the caller can use another.
    ///
    /// # Errors
    /// The failure of the last address that was tried, with those before it as its [`attempts`](Error::attempts). It names the
    /// endpoint and the address.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let name = (endpoint.host(), endpoint.port());
        let addresses = name
            .to_socket_addrs()
            .map_err(|error| Error::connect(error).with_peer(endpoint.peer()))?;
        Self::connect_to(endpoint, &addresses.collect::<Vec<_>>())
    }

    /// As [`connect`](Self::connect), but to addresses that are known already. The endpoint's host still is the name
    /// for which the server has to have a certificate.
    ///
    /// # Errors
    /// The failure of the last address that was tried, with those before it as its [`attempts`](Error::attempts). It names the
    /// endpoint and the address.
    pub fn connect_to(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<Self, Error> {
        let mut failures = Vec::new();
        for &address in addresses {
            let peer = endpoint.peer().at(address);
            let mut last: Option<Error> = None;
            while let Some(session) = endpoint.attempt(last.as_ref()) {
                match Self::begin(endpoint, address, session, last.as_ref()) {
                    Ok(client) => return Ok(client),
                    Err(error) => {
                        let error = error.with_peer(peer.clone());
                        failures.push(error.clone());
                        last = Some(error);
                    }
                }
            }
            if last.is_some_and(|error| !error.is_transient()) {
                break;
            }
        }
        Err(endpoint.failure(failures))
    }

    /// Makes one attempt: `session`, or better, one that knows the address of this end.
    fn begin(
        endpoint: &Endpoint,
        address: SocketAddr,
        session: Session,
        last_error: Option<&Error>,
    ) -> Result<Self, Error> {
        let limit = endpoint.timeouts().connect_limit();
        let stream = TcpStream::connect_timeout(&address, limit.max(SHORTEST)).map_err(
            |error| match error.kind() {
                io::ErrorKind::TimedOut => Error::connect_timeout(),
                _ => Error::connect(error),
            },
        )?;
        stream.set_nodelay(true).map_err(Error::connect)?;
        let local = stream.local_addr().ok();
        let mut session = local
            .and_then(|local| endpoint.attempt_from(local.ip(), last_error))
            .unwrap_or(session);
        session.smtp_mut().set_peer(endpoint.peer().at(address));
        let mut client = Self::from_stream(stream, session);
        match client.ready() {
            Ok(()) => Ok(client),
            Err(error) => {
                client.part();
                Err(error)
            }
        }
    }
}
