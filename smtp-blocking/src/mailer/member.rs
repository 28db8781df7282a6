//! The connections of a mailer, and how they are broken off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{io, mem};

use smtp_driver::pool::Pooled;
use smtp_proto::Connection;

use crate::{Client, Socket};

/// A connection of a mailer.
pub(super) struct Member {
    pub(super) client: Client,
    /// The handle by which another thread breaks it off.
    pub(super) _handle: Option<Arc<Socket>>,
}

impl Pooled for Member {
    fn smtp_mut(&mut self) -> &mut Connection {
        self.client.connection_mut()
    }

    fn part(self) {
        self.client.part();
    }
}

/// The sockets of the connections that are open, or being opened.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<Vec<Weak<Socket>>>);

impl Sockets {
    /// Returns a handle to a socket, by which it is broken off until the handle is dropped.
    pub(super) fn watch(&self, socket: &Socket) -> io::Result<Arc<Socket>> {
        let handle = Arc::new(socket.try_clone()?);
        let mut sockets = self.lock();
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(&handle));
        Ok(handle)
    }

    /// Wakes every thread that waits for one of them: its connection is lost.
    pub(super) fn break_off(&self) {
        let sockets = mem::take(&mut *self.lock());
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            socket.break_off();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Socket>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
