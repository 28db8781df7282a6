//! A connection with TLS around it.

use std::fmt;

use rustls::pki_types::ServerName;
use smtp_proto::{Connection, Security, Time, Transmit, TransportError, Wire};

use crate::hint::TlsStart;
use crate::tls::TlsConfig;
use crate::tls_stream::TlsStream;

/// A [`Connection`] with TLS around it, where its policy asks for that.
///
/// Driven by the [`Wire`] methods like a `Connection`; asked by [`smtp`](Wire::smtp). Under
/// [`Security::StartTls`](smtp_proto::Security::StartTls) and
/// [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) it passes cleartext through until the server has
/// agreed to TLS; under [`Security::Implicit`](smtp_proto::Security::Implicit) all is TLS.
///
/// * If the handshake or a later record fails, the alert for the server is offered first. The `Connection` hears of the
///   failure, as a [`TransportError`] around a [`rustls::Error`], when the alert is out, or cannot go out.
/// * When the `Connection` has ended or failed, `close_notify` is offered: a driver that wants to be polite asks
///   [`poll_transmit`](Wire::poll_transmit) once more before it closes.
/// * An end of the stream without `close_notify` ends the connection as one with it does. Nothing depends on the
///   difference: a reply says itself where it ends, so a message is accepted if its final reply came whole, and in doubt if
///   that was cut, whoever cut it.
/// * An idle session holds no buffer of its own.
pub struct Session {
    connection: Connection,
    layer: Layer,
}

/// What lies between the connection and the transport.
enum Layer {
    /// Nothing; TLS begins with these when the dialogue comes to it.
    Clear(Option<Start>),
    /// Nothing yet; TLS begins with these as soon as the session is driven, and not before: a session that is never driven
    /// shall not take from the others what could be resumed.
    Due(Start),
    /// TLS, from its first byte to the end.
    Tls(Box<TlsStream>),
    /// TLS could not even begin, which the connection is yet to be told.
    Failed(TransportError),
}

/// What it takes to begin TLS.
struct Start {
    tls: TlsConfig,
    name: ServerName<'static>,
    begun: TlsStart,
}

impl Session {
    /// A session that does TLS whenever the connection's policy comes to it.
    ///
    /// `name` is what the server's certificate must be for: take what the user typed, and nothing that was learnt from
    /// DNS or from the server.
    pub fn new(
        connection: Connection,
        tls: impl Into<TlsConfig>,
        name: ServerName<'static>,
    ) -> Self {
        let start = Start {
            tls: tls.into(),
            name,
            begun: TlsStart::AtOnce,
        };
        let mut session = Self {
            connection,
            layer: Layer::Clear(Some(start)),
        };
        session.upgrade();
        if let Layer::Clear(Some(start)) = &mut session.layer {
            start.begun = TlsStart::ByStartTls;
        }
        session
    }

    /// A session in cleartext.
    ///
    /// A connection whose policy comes to TLS after all ends in an error of misuse.
    pub fn cleartext(connection: Connection) -> Self {
        Self {
            connection,
            layer: Layer::Clear(None),
        }
    }

    /// A session that ends in this error as soon as it is driven.
    pub(crate) fn failed(connection: Connection, error: TransportError) -> Self {
        Self {
            connection,
            layer: Layer::Failed(error),
        }
    }

    /// Lets TLS be due, if the dialogue has come to that point.
    fn upgrade(&mut self) {
        let Layer::Clear(start) = &mut self.layer else {
            return;
        };
        if self.connection.wants_tls()
            && let Some(start) = start.take()
        {
            self.connection.claim_tls();
            self.layer = Layer::Due(start);
        }
    }

    /// Begins TLS if it is due, or tells the connection that it could not begin.
    fn begin(&mut self, now: Time) {
        let made = match &mut self.layer {
            Layer::Clear(_) | Layer::Tls(_) => return,
            Layer::Due(start) => {
                let demanded = self.connection.security() != Security::Opportunistic;
                // Starts the time for the handshake; the upgrade is asked for again when that is done.
                _ = self.connection.begin_tls(now);
                TlsStream::new(start.tls.level(demanded), start.name.clone(), start.begun)
            }
            Layer::Failed(error) => Err(error.clone()),
        };
        self.layer = match made {
            Ok(channel) => Layer::Tls(Box::new(channel)),
            Err(error) => {
                self.connection.handle_read_error(now, error);
                Layer::Clear(None)
            }
        };
    }
}

impl Wire for Session {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(channel) => channel.handle_input(&mut self.connection, now, input),
            // The connection refuses what comes after the reply to STARTTLS: nothing of it is left over for TLS.
            _ => self.connection.handle_input(now, input),
        }
        self.upgrade();
    }

    fn handle_eof(&mut self, now: Time) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(channel) => channel.handle_eof(&mut self.connection, now),
            _ => self.connection.handle_eof(now),
        }
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        match &mut self.layer {
            Layer::Tls(channel) => channel.handle_sent(&mut self.connection, now, count),
            _ => self.connection.handle_sent(now, count),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(channel) => channel.handle_timeout(&mut self.connection, now),
            _ => self.connection.handle_timeout(now),
        }
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(channel) => channel.handle_read_error(&mut self.connection, now, error),
            _ => self.connection.handle_read_error(now, error),
        }
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(channel) => channel.handle_write_error(&mut self.connection, now, error),
            _ => self.connection.handle_write_error(now, error),
        }
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.begin(now);
        match &mut self.layer {
            Layer::Tls(channel) => channel.poll_transmit(&mut self.connection, now),
            _ => self.connection.poll_transmit(now),
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        match &self.layer {
            Layer::Tls(channel) => channel.poll_timeout(&self.connection),
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
            Layer::Clear(_) | Layer::Due(_) => &"clear",
            Layer::Tls(channel) => channel,
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
