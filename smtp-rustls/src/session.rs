//! An SMTP connection with TLS layered below it.

use std::fmt;

use rustls::pki_types::ServerName;
use smtp_proto::{Connection, Security, Time, Transmit, TransportError, Wire};

use crate::hint::TlsStart;
use crate::tls::TlsConfig;
use crate::tls_stream::TlsStream;

/// A [`Connection`] with TLS below it, where its [`Security`] asks for TLS.
///
/// A driver calls the methods of [`Wire`], as for a `Connection`, and reaches the `Connection` by
/// [`smtp_mut`](Wire::smtp_mut). Under [`Security::StartTls`] and [`Security::Opportunistic`], the
/// session passes cleartext through until the server has agreed to STARTTLS; under
/// [`Security::Implicit`] everything is inside TLS.
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
    connection: Connection,
    layer: Layer,
}

/// What is between the connection and the transport.
enum Layer {
    /// Nothing. TLS begins with these parameters when the dialogue reaches that point.
    Cleartext(Option<TlsParameters>),
    /// Nothing yet: TLS begins when the session is driven. Handshake state is created lazily, so
    /// that an unused session does not consume a resumption ticket.
    Pending(TlsParameters),
    /// TLS, from its first byte to its last.
    Tls(Box<TlsStream>),
    /// TLS could not be begun. The connection has not received the error yet.
    Failed(TransportError),
}

/// What is needed to begin TLS.
struct TlsParameters {
    tls: TlsConfig,
    name: ServerName<'static>,
    start: TlsStart,
}

impl Session {
    /// A session that begins TLS when the [`Security`] of the connection asks for it.
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
        let parameters = TlsParameters {
            tls: tls.into(),
            name,
            start: TlsStart::Implicit,
        };
        let mut session = Self {
            connection,
            layer: Layer::Cleartext(Some(parameters)),
        };
        session.upgrade();
        if let Layer::Cleartext(Some(parameters)) = &mut session.layer {
            parameters.start = TlsStart::StartTls;
        }
        session
    }

    /// A session in cleartext, for a connection with [`Security::Cleartext`].
    ///
    /// A connection with another [`Security`] fails when it comes to TLS: that is an
    /// [`ApiMisuse`](smtp_proto::ApiMisuse).
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
        Self {
            connection,
            layer: Layer::Cleartext(None),
        }
    }

    /// A session that fails with this error when it is driven.
    pub(crate) fn failed(connection: Connection, error: TransportError) -> Self {
        Self {
            connection,
            layer: Layer::Failed(error),
        }
    }

    /// Makes TLS pending if the dialogue has reached that point.
    fn upgrade(&mut self) {
        let Layer::Cleartext(parameters) = &mut self.layer else {
            return;
        };
        if self.connection.wants_tls()
            && let Some(parameters) = parameters.take()
        {
            self.connection.claim_tls();
            self.layer = Layer::Pending(parameters);
        }
    }

    /// Begins TLS if it is pending, or reports to the connection that it could not be begun.
    fn begin(&mut self, now: Time) {
        let begun = match &mut self.layer {
            Layer::Cleartext(_) | Layer::Tls(_) => return,
            Layer::Pending(parameters) => {
                let is_required = self.connection.security() != Security::Opportunistic;
                // Starts the time limit of the handshake. The upgrade is taken again when that is
                // done.
                _ = self.connection.begin_tls(now);
                let level = parameters.tls.level(is_required);
                TlsStream::new(level, parameters.name.clone(), parameters.start)
            }
            Layer::Failed(error) => Err(error.clone()),
        };
        self.layer = match begun {
            Ok(stream) => Layer::Tls(Box::new(stream)),
            Err(error) => {
                self.connection.handle_read_error(now, error);
                Layer::Cleartext(None)
            }
        };
    }
}

impl Wire for Session {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(stream) => stream.handle_input(&mut self.connection, now, input),
            // The connection fails on input after the reply to STARTTLS, so none is left for TLS.
            _ => self.connection.handle_input(now, input),
        }
        self.upgrade();
    }

    fn handle_eof(&mut self, now: Time) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(stream) => stream.handle_eof(&mut self.connection, now),
            _ => self.connection.handle_eof(now),
        }
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        match &mut self.layer {
            Layer::Tls(stream) => stream.handle_sent(&mut self.connection, now, count),
            _ => self.connection.handle_sent(now, count),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(stream) => stream.handle_timeout(&mut self.connection, now),
            _ => self.connection.handle_timeout(now),
        }
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(stream) => stream.handle_read_error(&mut self.connection, now, error),
            _ => self.connection.handle_read_error(now, error),
        }
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(stream) => stream.handle_write_error(&mut self.connection, now, error),
            _ => self.connection.handle_write_error(now, error),
        }
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(stream) => stream.poll_transmit(&mut self.connection, now),
            _ => self.connection.poll_transmit(now),
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        match &self.layer {
            Layer::Tls(stream) => stream.poll_timeout(&self.connection),
            _ => self.connection.poll_timeout(),
        }
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn smtp(&self) -> &Connection {
        &self.connection
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer: &dyn fmt::Debug = match &self.layer {
            Layer::Cleartext(_) | Layer::Pending(_) => &"cleartext",
            Layer::Tls(stream) => stream,
            Layer::Failed(error) => error,
        };
        f.debug_struct("Session")
            .field("connection", &self.connection)
            .field("layer", layer)
            .finish()
    }
}

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests;
