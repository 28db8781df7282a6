//! A wire inside a tunnel.

use alloc::boxed::Box;
use core::fmt;

use smtp_proto::{Connection, Time, Transmit, TransportError, Wire};

use crate::destination::Destination;
use crate::handshake::{Failure, Handshake, Tunneling};
use crate::header::ProxyHeader;
use crate::proxy::Proxy;

/// A [`Wire`] inside a tunnel through a proxy, or after a header of the PROXY protocol.
///
/// A driver calls the methods of `Wire`, as for the wire inside, over a transport that is connected
/// to the proxy. Until the tunnel is open, nothing is given to the wire inside and nothing is taken
/// from it. Then everything passes through.
///
/// * The whole handshake has one time limit, which begins with the first call of the driver:
///   [`Proxy::timeout`], or the connection's [limit for connecting](smtp_proto::Timeouts::connect).
/// * If the handshake fails, the connection inside fails at
///   [`Stage::Proxy`](smtp_proto::Stage::Proxy).
/// * Bytes of the server in the same segment as the proxy's reply are passed on at once.
/// * Tunnels may be nested: a header through a proxy is a `Tunnel<Tunnel<W>>`, whose inner one has
///   the header.
///
/// ```
/// use std::task::Poll;
/// # use std::sync::Arc;
/// # use smtp_proto::{Config, Connection, Security, Seed};
/// use smtp_proto::{Error, ErrorKind, Stage, Time, Wire};
/// use smtp_tunnel::{Destination, Proxy, ProxyError, ProxyErrorKind, Tunnel};
///
/// /// What the proxy replied, if it opened no tunnel.
/// fn reply(error: &Error) -> Option<&ProxyError> {
///     match error.kind() {
///         ErrorKind::Proxy(error) => error.get_ref().downcast_ref(),
///         _ => None,
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// # let connection = Connection::new(Arc::new(config), Seed::random());
/// let now = Time::ORIGIN;
/// let destination = Destination::new("mail.example.org", 25)?;
/// let mut tunnel = Tunnel::new(connection, &Proxy::http(), destination);
/// let request = tunnel.poll_transmit(now).map_or(0, |request| request.len());
/// tunnel.handle_sent(now, request);
/// tunnel.handle_input(now, b"HTTP/1.1 403 Forbidden\r\n");
/// let Poll::Ready(Err(error)) = tunnel.smtp_mut().poll_ready() else { unreachable!() };
/// assert_eq!(error.stage(), Stage::Proxy);
/// assert_eq!(error.to_string(), "at the proxy: HTTP status 403 Forbidden");
/// assert_eq!(reply(&error).map(ProxyError::kind), Some(ProxyErrorKind::Http(403)));
/// assert!(!error.is_transient());
/// # Ok(())
/// # }
/// ```
pub struct Tunnel<W> {
    wire: W,
    /// `None` when the tunnel is open.
    handshake: Option<Box<Handshake>>,
}

impl<W> Tunnel<W> {
    /// A wire whose server is reached through a proxy.
    pub fn new(wire: W, proxy: &Proxy, destination: Destination) -> Self {
        Self {
            wire,
            handshake: Some(Box::new(Handshake::with_proxy(proxy, destination))),
        }
    }

    /// A wire to whose server a header of the PROXY protocol is sent first.
    ///
    /// It goes out at once, although a server speaks first, and whole, in one slice: servers may
    /// expect it in one segment.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed};
    /// use smtp_proto::{Time, Wire};
    /// use smtp_tunnel::{ProxyHeader, Tunnel};
    ///
    /// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
    /// # let connection = Connection::new(Arc::new(config), Seed::random());
    /// let header = ProxyHeader::v2("192.0.2.7:40000".parse()?, "192.0.2.1:25".parse()?);
    /// let mut tunnel = Tunnel::with_header(connection, &header);
    /// let len = tunnel.poll_transmit(Time::ORIGIN).map_or(0, |transmit| transmit.len());
    /// assert_eq!(len, 28);
    /// tunnel.handle_sent(Time::ORIGIN, len);
    /// assert!(tunnel.is_open());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_header(wire: W, header: &ProxyHeader) -> Self {
        Self {
            wire,
            handshake: Some(Box::new(Handshake::with_header(header))),
        }
    }

    /// A wire without a tunnel, for a driver that connects both directly and through proxies.
    pub const fn direct(wire: W) -> Self {
        Self {
            wire,
            handshake: None,
        }
    }

    /// Whether the tunnel is open, so that everything passes through.
    pub const fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    /// The wire inside.
    pub const fn get_ref(&self) -> &W {
        &self.wire
    }

    /// Returns the wire inside. Its transport reaches the server only if the tunnel
    /// [is open](Self::is_open).
    pub fn into_inner(self) -> W {
        self.wire
    }
}

impl<W: Wire> Tunnel<W> {
    /// Opens the tunnel, or fails.
    fn settle(&mut self, now: Time, result: Result<Tunneling, Failure>) {
        match result {
            Ok(Tunneling::Pending) => {}
            Ok(Tunneling::Open) => self.handshake = None,
            Err(failure) => self.fail(now, failure),
        }
    }

    fn fail(&mut self, now: Time, failure: Failure) {
        if let Some(handshake) = &mut self.handshake {
            handshake.end();
        }
        let connection = self.wire.smtp_mut();
        match failure {
            Failure::Error(error) => connection.handle_proxy_error(now, error),
            Failure::Timeout => connection.handle_proxy_timeout(now),
            // The connection transmitted less as well, and reports the misuse.
            Failure::SentTooMuch => connection.handle_sent(now, usize::MAX),
        }
    }
}

impl<W: Wire> Wire for Tunnel<W> {
    fn handle_input(&mut self, now: Time, mut input: &[u8]) {
        let Some(handshake) = &mut self.handshake else {
            return self.wire.handle_input(now, input);
        };
        handshake.begin(now, self.wire.smtp().timeouts());
        let result = handshake.handle_input(&mut input);
        self.settle(now, result);
        if self.is_open() && !input.is_empty() {
            self.wire.handle_input(now, input);
        }
    }

    fn handle_eof(&mut self, now: Time) {
        let Some(handshake) = &self.handshake else {
            return self.wire.handle_eof(now);
        };
        if let Some(failure) = handshake.handle_eof() {
            self.fail(now, failure);
        }
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        let Some(handshake) = &mut self.handshake else {
            return self.wire.handle_sent(now, count);
        };
        let result = handshake.handle_sent(count);
        self.settle(now, result);
    }

    fn handle_timeout(&mut self, now: Time) {
        let Some(handshake) = &self.handshake else {
            return self.wire.handle_timeout(now);
        };
        if let Some(failure) = handshake.handle_timeout(now) {
            self.fail(now, failure);
        }
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        let Some(handshake) = &self.handshake else {
            return self.wire.handle_read_error(now, error);
        };
        if let Some(failure) = handshake.handle_read_error(error) {
            self.fail(now, failure);
        }
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        let Some(handshake) = &mut self.handshake else {
            return self.wire.handle_write_error(now, error);
        };
        let timeouts = self.wire.smtp().timeouts();
        handshake.begin(now, timeouts);
        if let Some(failure) = handshake.handle_write_error(now, timeouts, error) {
            self.fail(now, failure);
        }
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        let Some(handshake) = &mut self.handshake else {
            return self.wire.poll_transmit(now);
        };
        if self.wire.smtp().is_closed() {
            handshake.end();
        }
        handshake.begin(now, self.wire.smtp().timeouts());
        let output = handshake.poll_output();
        (!output.is_empty()).then(|| Transmit::from(output))
    }

    fn poll_timeout(&self) -> Option<Time> {
        match &self.handshake {
            Some(handshake) => handshake.until(),
            None => self.wire.poll_timeout(),
        }
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }

    fn smtp(&self) -> &Connection {
        self.wire.smtp()
    }
}

impl<W: fmt::Debug> fmt::Debug for Tunnel<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.handshake {
            None => "open",
            Some(handshake) if handshake.is_over() => "failed",
            Some(_) => "handshake",
        };
        f.debug_struct("Tunnel")
            .field("wire", &self.wire)
            .field("tunnel", &state)
            .finish()
    }
}
