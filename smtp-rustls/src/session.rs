//! An SMTP connection with TLS layered below it.

mod direct;
mod tls_tunnel;

use std::fmt;

use rustls::pki_types::ServerName;
use smtp_proto::{Connection, Time, Transmit, TransportError, Wire};
use smtp_tunnel::{Destination, Proxy, ProxyHeader, Tunnel};

use crate::tls::TlsConfig;

use self::direct::Direct;
use self::tls_tunnel::TlsTunnel;

/// A [`Connection`] with TLS below it, where its [`Security`](smtp_proto::Security) asks for TLS.
///
/// A driver calls the methods of [`Wire`], as for a `Connection`, and reaches the `Connection` by
/// [`smtp_mut`](Wire::smtp_mut). Under [`StartTls`](smtp_proto::Security::StartTls) and
/// [`Opportunistic`](smtp_proto::Security::Opportunistic), the session passes cleartext through until
/// the server has agreed to STARTTLS; under [`Implicit`](smtp_proto::Security::Implicit) everything is
/// inside TLS.
///
/// * If the handshake or a later record fails, the alert for the server is transmitted first. When
///   it is sent, or cannot be sent, the `Connection` fails with a [`TransportError`] whose source
///   is a [`rustls::Error`].
/// * After the `Connection` has closed or failed, `close_notify` is transmitted: call
///   [`poll_transmit`](Wire::poll_transmit) once more before closing the socket.
/// * An end of the stream without `close_notify` closes the connection like one with it. A reply
///   marks its own end: a message is accepted if its final reply arrived whole, and in doubt if
///   that reply was cut, also by an attacker.
/// * An idle session holds no buffer.
/// * The session of an endpoint with a [proxy](crate::EndpointBuilder::proxy) begins with the
///   dialogue with the proxy, inside TLS of its own where the proxy is reached by TLS. When the
///   tunnel is open, everything is as without it.
///
/// ```
/// use std::task::Poll;
/// use smtp_rustls::Endpoint;
/// use smtp_rustls::proto::{Time, Wire};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = Time::ORIGIN;
/// let mut session = Endpoint::implicit("mail.example.org").build()?.session();
/// // The first output is a TLS record (type 22, handshake) with the ClientHello.
/// let hello = session.poll_transmit(now).expect("TLS begins at once");
/// let bytes: Vec<u8> = hello.iter().flatten().copied().collect();
/// assert_eq!(bytes[0], 22);
/// // After the socket has taken the bytes:
/// session.handle_sent(now, bytes.len());
/// // A server that speaks cleartext on this port fails the connection, and the error has a hint.
/// session.handle_input(now, b"220 mail.example.org ESMTP\r\n");
/// let alert = session.poll_transmit(now).map_or(0, |alert| alert.len());
/// session.handle_sent(now, alert);
/// let Poll::Ready(Err(error)) = session.smtp_mut().poll_ready() else {
///     unreachable!("the connection has failed");
/// };
/// assert!(error.hint().is_some_and(|hint| hint.contains("STARTTLS")));
/// # Ok(())
/// # }
/// ```
pub struct Session {
    route: Route,
}

/// What is between a connection with its TLS and the transport.
#[expect(
    clippy::large_enum_variant,
    reason = "most sessions are direct, and must not cost more for the others"
)]
enum Route {
    /// Nothing.
    Direct(Direct),
    /// A proxy, a header of the PROXY protocol, or both.
    Tunnel(Box<Tunneled>),
    /// TLS to the proxy.
    TlsTunnel(Box<TlsTunnel>),
}

/// How a session reaches its server through a proxy.
pub(crate) struct Via {
    pub(crate) proxy: Proxy,
    /// TLS to the proxy, and the name for which the proxy's certificate must be valid.
    pub(crate) tls: Option<(TlsConfig, ServerName<'static>)>,
    pub(crate) destination: Destination,
}

/// The tunnel through a proxy, and the header of the PROXY protocol in it. Either is open from the
/// beginning if the route has none.
type Tunneled = Tunnel<Tunnel<Direct>>;

impl Session {
    /// A session that begins TLS when the [`Security`](smtp_proto::Security) of the connection asks
    /// for it.
    ///
    /// The server's certificate must be valid for `name`. Use the name that the user typed, never
    /// one that was learnt from DNS or from the server.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use smtp_rustls::proto::{Config, Connection, Seed, Time, Wire};
    /// use smtp_rustls::{Session, TlsConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::builder("client.example.org".parse()?).build()?;
    /// let connection = Connection::new(Arc::new(config), Seed::random());
    /// let tls = TlsConfig::builder().build()?;
    /// let mut session = Session::new(connection, tls, "mail.example.org".try_into()?);
    /// // STARTTLS, the default: the server speaks first, in cleartext.
    /// assert!(session.poll_transmit(Time::ORIGIN).is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        connection: Connection,
        tls: impl Into<TlsConfig>,
        name: ServerName<'static>,
    ) -> Self {
        Direct::new(connection, tls.into(), name).into()
    }

    /// A session in cleartext, for a connection with
    /// [`Security::Cleartext`](smtp_proto::Security::Cleartext).
    ///
    /// A connection with another [`Security`](smtp_proto::Security) fails when it comes to TLS: that
    /// is an [`ApiMisuse`](smtp_proto::ApiMisuse).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use smtp_rustls::Session;
    /// use smtp_rustls::proto::{Config, Connection, Security, Seed};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::builder("client.example.org".parse()?)
    ///     .security(Security::Cleartext)
    ///     .build()?;
    /// let session = Session::cleartext(Connection::new(Arc::new(config), Seed::random()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn cleartext(connection: Connection) -> Self {
        Direct::cleartext(connection).into()
    }

    /// A session that fails with this error when it is driven.
    pub(crate) fn failed(connection: Connection, error: TransportError) -> Self {
        Direct::failed(connection, error).into()
    }

    /// The same session, which begins with a header of the PROXY protocol, a dialogue with a proxy,
    /// or the header inside the tunnel of the proxy.
    pub(crate) fn via(self, header: Option<&ProxyHeader>, proxy: Option<&Via>) -> Self {
        let direct = match self.route {
            Route::Direct(direct) if header.is_some() || proxy.is_some() => direct,
            route => return Self { route },
        };
        let inside = match header {
            Some(header) => Tunnel::with_header(direct, header),
            None => Tunnel::direct(direct),
        };
        let route = match proxy {
            None => Route::Tunnel(Box::new(Tunnel::direct(inside))),
            Some(Via {
                proxy,
                tls,
                destination,
            }) => {
                let tunnel = Tunnel::new(inside, proxy, destination.clone());
                match tls {
                    None => Route::Tunnel(Box::new(tunnel)),
                    Some((tls, name)) => {
                        let tunnel = TlsTunnel::new(tunnel, tls.clone(), name.clone());
                        Route::TlsTunnel(Box::new(tunnel))
                    }
                }
            }
        };
        Self { route }
    }
}

impl From<Direct> for Session {
    fn from(direct: Direct) -> Self {
        Self {
            route: Route::Direct(direct),
        }
    }
}

/// Calls a method of the wire that the driver reaches.
macro_rules! outermost {
    ($session:expr, $wire:ident => $call:expr) => {
        match $session {
            Route::Direct($wire) => $call,
            Route::Tunnel($wire) => $call,
            Route::TlsTunnel($wire) => $call,
        }
    };
}

impl Wire for Session {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        outermost!(&mut self.route, wire => wire.handle_input(now, input));
    }

    fn handle_eof(&mut self, now: Time) {
        outermost!(&mut self.route, wire => wire.handle_eof(now));
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        outermost!(&mut self.route, wire => wire.handle_sent(now, count));
    }

    fn handle_timeout(&mut self, now: Time) {
        outermost!(&mut self.route, wire => wire.handle_timeout(now));
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        outermost!(&mut self.route, wire => wire.handle_read_error(now, error));
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        outermost!(&mut self.route, wire => wire.handle_write_error(now, error));
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        outermost!(&mut self.route, wire => wire.poll_transmit(now))
    }

    fn poll_timeout(&self) -> Option<Time> {
        outermost!(&self.route, wire => wire.poll_timeout())
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        outermost!(&mut self.route, wire => wire.smtp_mut())
    }

    fn smtp(&self) -> &Connection {
        outermost!(&self.route, wire => wire.smtp())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        outermost!(&self.route, wire => wire.fmt(f))
    }
}

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests;
