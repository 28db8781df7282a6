//! What both ends of a connection saw: shared by the probe, the server and the script.

use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What both ends of one connection saw.
#[derive(Debug, Default)]
pub(super) struct Record {
    state: Mutex<Both>,
    changed: Condvar,
}

/// The state of a [`Record`].
#[derive(Debug, Default)]
pub(super) struct Both {
    pub(super) server: ServerSide,
    pub(super) client: ClientSide,
    pub(super) violations: Vec<String>,
    /// Whether the script has taken too long. The next call to the probe unwinds.
    pub(super) expired: bool,
    /// Whether the adapter has closed its client.
    pub(super) finished: bool,
}

/// What the server did and saw.
#[derive(Debug, Default)]
pub(super) struct ServerSide {
    /// A handle for bytes that the script has the server send.
    pub(super) stream: Option<TcpStream>,
    pub(super) written: Vec<u8>,
    /// The number of those bytes that the socket has taken.
    pub(super) arrived: usize,
    pub(super) read: Vec<u8>,
    /// What was read, decrypted.
    pub(super) plain: Vec<u8>,
    /// Whether the server holds its output back.
    pub(super) holds: bool,
    /// Whether the server has closed its side.
    pub(super) ended: bool,
    /// Whether the server resets the connection.
    pub(super) reset: bool,
    /// Whether a fault ended the output where the output of the peer ended too.
    pub(super) is_boundary: bool,
    /// Whether the client ended TLS by a close_notify.
    pub(super) notified: bool,
    /// Whether the client has closed the socket.
    pub(super) client_closed: bool,
}

/// What the probe saw.
#[derive(Debug, Default)]
pub(super) struct ClientSide {
    /// The number of bytes of input.
    pub(super) input: usize,
    /// The bytes of the last output that were not acknowledged.
    pub(super) offer: Vec<u8>,
    pub(super) sent: Vec<u8>,
    /// How many of them belong to an operation that has not completed.
    pub(super) owed: usize,
    /// The bytes that the server had written when the adapter was last called.
    pub(super) seen: usize,
    pub(super) polls: u64,
    pub(super) steps: u64,
}

impl Record {
    pub(super) fn lock(&self) -> MutexGuard<'_, Both> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those who wait for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Both) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until the state fulfills a condition, for a time. Returns whether it does.
    pub(super) fn wait(&self, time: Duration, mut condition: impl FnMut(&Both) -> bool) -> bool {
        let end = Instant::now() + time;
        let mut both = self.lock();
        loop {
            if condition(&both) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            both = self
                .changed
                .wait_timeout(both, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Marks a script that takes too long, and breaks its connection.
    pub(super) fn expire(&self) {
        self.change(|both| {
            both.expired = true;
            if let Some(stream) = &both.server.stream {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    /// Notes that the adapter is about to be called: it has to see what has arrived by now.
    pub(super) fn begin_drive(&self) {
        self.change(|both| {
            both.client.seen = both.server.arrived;
            both.client.steps += 1;
        });
    }

    pub(super) fn violation(&self, text: impl Into<String>) {
        self.lock().violation(text);
    }
}

impl Both {
    /// Records a violation, once.
    pub(super) fn violation(&mut self, text: impl Into<String>) {
        let text = text.into();
        // What an adapter does with a connection that the kit broke says nothing.
        if !self.expired && !self.violations.contains(&text) {
            self.violations.push(text);
        }
    }
}

/// The panic that ends a script that takes too long.
#[derive(Debug)]
pub(super) struct Expired;

/// Ends a script that takes too long, without a message.
pub(super) fn unwind() -> ! {
    std::panic::resume_unwind(Box::new(Expired))
}
