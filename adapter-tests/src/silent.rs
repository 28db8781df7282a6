//! An address on loopback that does not answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A listener whose queue is full, so that the system ignores further connects.
pub struct Silent {
    address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<Socket>,
}

impl Silent {
    /// Fills the queue of a new listener.
    pub fn start() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        // Full when a connect gets no answer.
        loop {
            let client = socket();
            let connected = client.connect_timeout(&address, Duration::from_millis(200));
            waiting.push(client);
            if connected.is_err() {
                break;
            }
        }
        Self {
            address: address.as_socket().unwrap(),
            _listener: listener,
            _waiting: waiting,
        }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
