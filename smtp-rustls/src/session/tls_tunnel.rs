//! A tunnel through a proxy that is reached by TLS.

use std::fmt;

use rustls::pki_types::ServerName;
use smtp_proto::{Connection, Time, TlsInfo, Transmit, TransportError, Wire};

use super::Tunneled;
use crate::hint::TlsStart;
use crate::tls::TlsConfig;
use crate::tls_stream::{Carried, TlsStream};

/// A tunnel, and below it TLS to the proxy, from the first byte to the last.
pub(super) struct TlsTunnel {
    tunnel: Tunneled,
    layer: Layer,
}

/// What is below the tunnel.
enum Layer {
    /// Nothing yet: TLS begins when the session is driven.
    Pending(TlsConfig, ServerName<'static>),
    Tls(Box<TlsStream>),
    /// TLS could not be begun, and the connection has failed.
    Failed,
}

impl TlsTunnel {
    pub(super) fn new(tunnel: Tunneled, tls: TlsConfig, name: ServerName<'static>) -> Self {
        Self {
            tunnel,
            layer: Layer::Pending(tls, name),
        }
    }

    /// TLS, and the tunnel in it; `None` if TLS could not be begun. The first call begins TLS and
    /// the time limit of the tunnel.
    fn split(&mut self, now: Time) -> Option<(&mut TlsStream, &mut Tunneled)> {
        if let Layer::Pending(tls, name) = &self.layer {
            // The tunnel's own output waits until TLS is open.
            _ = self.tunnel.poll_transmit(now);
            self.layer = match TlsStream::new(tls.level(true), name.clone(), TlsStart::Proxy) {
                Ok(stream) => Layer::Tls(Box::new(stream)),
                Err(error) => {
                    self.tunnel.handle_read_error(now, error);
                    Layer::Failed
                }
            };
        }
        match &mut self.layer {
            Layer::Tls(stream) => Some((stream, &mut self.tunnel)),
            Layer::Pending(..) | Layer::Failed => None,
        }
    }
}

impl Wire for TlsTunnel {
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        if let Some((tls, tunnel)) = self.split(now) {
            tls.handle_input(tunnel, now, input);
        }
    }

    fn handle_eof(&mut self, now: Time) {
        if let Some((tls, tunnel)) = self.split(now) {
            tls.handle_eof(tunnel, now);
        }
    }

    fn handle_sent(&mut self, now: Time, count: usize) {
        if let Some((tls, tunnel)) = self.split(now) {
            tls.handle_sent(tunnel, now, count);
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if let Some((tls, tunnel)) = self.split(now) {
            tls.handle_timeout(tunnel, now);
        }
    }

    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        if let Some((tls, tunnel)) = self.split(now) {
            tls.handle_read_error(tunnel, now, error);
        }
    }

    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        if let Some((tls, tunnel)) = self.split(now) {
            tls.handle_write_error(tunnel, now, error);
        }
    }

    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        let (tls, tunnel) = self.split(now)?;
        tls.poll_transmit(tunnel, now)
    }

    fn poll_timeout(&self) -> Option<Time> {
        match &self.layer {
            Layer::Tls(tls) => tls.poll_timeout(&self.tunnel),
            Layer::Pending(..) | Layer::Failed => self.tunnel.poll_timeout(),
        }
    }

    fn smtp_mut(&mut self) -> &mut Connection {
        self.tunnel.smtp_mut()
    }

    fn smtp(&self) -> &Connection {
        self.tunnel.smtp()
    }
}

impl Carried for Tunneled {
    /// The connection learns nothing of TLS to the proxy.
    fn handle_secured(&mut self, _: Time, _: impl FnOnce() -> TlsInfo) {}

    /// The last output may be an alert or `close_notify` of TLS to the server.
    fn is_done(&mut self, now: Time) -> bool {
        self.smtp().is_closed() && self.poll_transmit(now).is_none()
    }
}

impl fmt::Debug for TlsTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer: &dyn fmt::Debug = match &self.layer {
            Layer::Tls(stream) => stream,
            Layer::Pending(..) => &"TLS not begun",
            Layer::Failed => &"TLS failed",
        };
        f.debug_struct("TlsTunnel")
            .field("tunnel", &self.tunnel)
            .field("layer", layer)
            .finish()
    }
}
