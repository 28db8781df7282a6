//! Which sessions are cached for resumption where handshakes succeed without proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// One connection's access to a shared cache of sessions, which stores nothing until the gate is
/// opened.
///
/// A resumed session has the certificates of the first handshake, which can be verified again. Its
/// signature cannot, so a session is cached only if the server has proven that it holds the private
/// key.
#[derive(Debug)]
pub(crate) struct Gate {
    store: Arc<dyn ClientSessionStore>,
    open: AtomicBool,
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn ClientSessionStore>) -> Self {
        Self {
            store,
            open: AtomicBool::new(false),
        }
    }

    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

impl ClientSessionStore for Gate {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.store.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.store.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        if self.is_open() {
            self.store.set_tls12_session(server, session);
        }
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.store.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        if self.is_open() {
            self.store.insert_tls13_ticket(server, ticket);
        }
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.take_tls13_ticket(server)
    }
}
