//! A session with nothing between it and the server but the transport.

use std::fmt;

use rustls::pki_types::ServerName;
use smtp_proto::{Connection, Security, Time, Transmit, TransportError, Wire};

use crate::hint::TlsStart;
use crate::tls::TlsConfig;
use crate::tls_stream::TlsStream;

/// A connection with TLS below it, where its [`Security`] asks for TLS.
pub(super) struct Direct {
    connection: Connection,
    pub(super) layer: Layer,
}

/// What is between the connection and the transport.
pub(super) enum Layer {
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
pub(super) struct TlsParameters {
    tls: TlsConfig,
    name: ServerName<'static>,
    start: TlsStart,
}

impl Direct {
    pub(super) fn new(connection: Connection, tls: TlsConfig, name: ServerName<'static>) -> Self {
        let parameters = TlsParameters {
            tls,
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

    pub(super) fn cleartext(connection: Connection) -> Self {
        Self {
            connection,
            layer: Layer::Cleartext(None),
        }
    }

    /// A session that fails with this error when it is driven.
    pub(super) fn failed(connection: Connection, error: TransportError) -> Self {
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

impl Wire for Direct {
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

impl fmt::Debug for Direct {
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
