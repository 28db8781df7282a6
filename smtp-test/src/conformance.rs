//! A conformance kit: the scripts that every adapter of `smtp-proto` has to pass.
//!
//! An adapter moves bytes between a socket and a [`Wire`](smtp_proto::Wire), and keeps one timer.
//! Its author implements [`Adapter`], whose four required methods open, drive and close a client,
//! and calls [`check`]. The kit runs each script twice, over sockets on loopback: with a reference,
//! which is a short loop, and with the adapter. Bytes, outcomes and reached time limits must be the
//! same. A [`Probe`] checks every call of the adapter.
//!
//! The scripts cover the dialogue in cleartext, by STARTTLS and in TLS from the first byte:
//! rejections, early and late replies, connections that are cut at every byte or reset, replies
//! that come byte by byte, content that no buffer holds, silent servers, futures that are dropped
//! at every await, and the end of a connection.
//!
//! ```
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::TcpStream;
//! use std::task::Poll;
//! use std::time::{Duration, Instant};
//!
//! use smtp_proto::{Connection, Time, Wire};
//! use smtp_test::conformance::{Adapter, Kit, Probe, Turns};
//!
//! /// An adapter that writes all output before it reads.
//! struct Simple;
//!
//! struct Client {
//!     stream: TcpStream,
//!     wire: Probe, // in a real adapter any `Wire`
//!     began: Instant,
//! }
//!
//! impl Client {
//!     fn now(&self) -> Time {
//!         Time::from_origin(self.began.elapsed())
//!     }
//!
//!     fn write(&mut self) -> bool {
//!         let now = self.now();
//!         let Some(output) = self.wire.poll_transmit(now) else {
//!             return false;
//!         };
//!         match output.with_io_slices(|slices| self.stream.write_vectored(slices)) {
//!             Ok(count) => self.wire.handle_sent(now, count),
//!             Err(error) if error.kind() == ErrorKind::WouldBlock => {}
//!             Err(error) => self.wire.handle_write_error(now, error.into()),
//!         }
//!         true
//!     }
//!
//!     fn step(&mut self) {
//!         let now = self.now();
//!         let _ = self.wire.poll_transmit(now); // output begins a wait
//!         let until = self.wire.poll_timeout().unwrap_or(now.saturating_add(Duration::from_secs(60)));
//!         let wait = Some(until.saturating_since(now).max(Duration::from_millis(1)));
//!         self.stream.set_write_timeout(wait).expect("longer than zero");
//!         self.stream.set_read_timeout(wait).expect("longer than zero");
//!         if until > now && self.write() {
//!             return;
//!         }
//!         let mut buffer = [0; 4096];
//!         let read = self.stream.read(&mut buffer);
//!         let now = self.now();
//!         match read {
//!             Ok(0) => self.wire.handle_eof(now),
//!             Ok(count) => self.wire.handle_input(now, &buffer[..count]),
//!             Err(error) if error.kind() != ErrorKind::WouldBlock => {
//!                 self.wire.handle_read_error(now, error.into());
//!             }
//!             // Nothing has come, and it was read when the time was over or nearly so.
//!             Err(_) if self.wire.poll_timeout().is_some_and(|until| until <= now) => {
//!                 self.wire.handle_timeout(now);
//!             }
//!             Err(_) => {}
//!         }
//!     }
//! }
//!
//! impl Adapter for Simple {
//!     type Client = Client;
//!
//!     fn open(&self, stream: TcpStream, wire: Probe) -> Client {
//!         Client { stream, wire, began: Instant::now() }
//!     }
//!
//!     fn drive(
//!         &self,
//!         client: &mut Client,
//!         _: Turns, // has no futures that could be dropped
//!         question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
//!     ) -> bool {
//!         while question(client.wire.smtp_mut()).is_pending() {
//!             client.step();
//!         }
//!         true
//!     }
//!
//!     fn connection<'a>(&self, client: &'a mut Client) -> &'a mut Connection {
//!         client.wire.smtp_mut()
//!     }
//!
//!     fn close(&self, mut client: Client) {
//!         while !client.wire.smtp().is_closed() {
//!             client.step();
//!         }
//!         while client.write() {} // such as `close_notify` of TLS
//!     }
//!
//!     fn is_full_duplex(&self) -> bool {
//!         false
//!     }
//! }
//!
//! # #[cfg(target_os = "linux")]
//! Kit::new().only("greeting to QUIT").check(Simple);
//! ```

mod kit;
mod play;
mod probe;
mod record;
mod reference;
mod report;
mod script;
mod scripts;
mod server;

use std::future::poll_fn;
use std::net::TcpStream;
use std::pin::pin;
use std::task::Poll;

use smtp_proto::Connection;

pub use kit::Kit;
pub use probe::Probe;
pub use report::{Report, ScriptReport};

/// Runs all scripts with an adapter.
///
/// # Panics
/// If a script fails, with the whole [`Report`].
#[track_caller]
pub fn check(adapter: impl Adapter) {
    Kit::new().check(adapter);
}

/// An adapter, as the scripts use it. The example of the [module](self) has one.
///
/// Scripts run on several threads at once. A client stays on its thread.
pub trait Adapter: Send + Sync + 'static {
    /// A connection: socket, wire, and the runtime if each client has its own.
    type Client;

    /// A client over a connected socket on loopback, which drives `wire`. It does not wait.
    fn open(&self, stream: TcpStream, wire: Probe) -> Self::Client;

    /// Drives the connection until `question` is ready, or until the turns are used up. Returns
    /// whether the question is ready.
    ///
    /// The question is asked first, and again whenever bytes or time have passed. An adapter whose
    /// futures may be dropped passes its future to [`Turns::limit`]; others ignore `turns`.
    fn drive(
        &self,
        client: &mut Self::Client,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool;

    /// The connection inside the wire.
    fn connection<'a>(&self, client: &'a mut Self::Client) -> &'a mut Connection;

    /// Ends a client as its own methods do: drives the connection until it is closed, sends the
    /// last output, and closes the socket. QUIT is already queued.
    fn close(&self, client: Self::Client);

    /// Whether the adapter reads while it writes. The scripts then use
    /// [`Window::FULL_DUPLEX`](smtp_proto::Window::FULL_DUPLEX), and wait for deadlocks that
    /// reading prevents.
    fn is_full_duplex(&self) -> bool {
        true
    }
}

/// How often a future is polled before it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns(Option<usize>);

impl Turns {
    /// The future is never dropped.
    pub const ALL: Self = Self(None);

    pub(crate) const fn at_most(count: usize) -> Self {
        Self(Some(count))
    }

    /// The number of turns; `None` if they are not limited.
    pub const fn count(self) -> Option<usize> {
        self.0
    }

    /// Polls a future this often, each time after it was woken, and drops it if it is still
    /// pending.
    ///
    /// The runtime then gets a turn before `None` is returned, so that it notices what has happened.
    ///
    /// ```
    /// # use std::{pin::pin, task::{Context, Poll, Waker}};
    /// use smtp_test::conformance::Turns;
    ///
    /// let limited = pin!(Turns::ALL.limit(async { 7 }));
    /// assert_eq!(limited.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Some(7)));
    /// ```
    pub async fn limit<F: Future>(self, future: F) -> Option<F::Output> {
        let mut left = self.0;
        let done = {
            let mut future = pin!(future);
            poll_fn(|cx| {
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                match &mut left {
                    None => return Poll::Pending,
                    Some(left) => *left = left.saturating_sub(1),
                }
                if left == Some(0) {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            })
            .await
        };
        if done.is_none() {
            let mut yielded = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        done
    }
}
