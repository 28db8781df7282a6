//! The loop of an async SMTP client, without a runtime.
//!
//! [`smtp_proto`] makes all decisions of the protocol, and moves no bytes. An adapter, such as
//! `smtp-tokio`, moves them on its runtime. What adapters have in common is here: a [`Driver`]
//! waits for answers of a [`Connection`](smtp_proto::Connection) while it reads, writes and keeps
//! the time limits. Programs use an adapter; this crate is for writing another one.
//!
//! An adapter implements two traits for a type of its own: [`Clock`], the time of its runtime, and
//! [`Runtime`], four operations on a stream. Its `Client` wraps a driver, so the documentation,
//! bounds and examples of the client are those of its runtime. The module [`token`] keeps an OAuth
//! token that all connections share.
//!
//! ```
//! use std::io::{self, IoSlice, Read, Write};
//! use std::sync::Arc;
//! use std::task::{Context, Poll};
//! use std::time::Instant;
//!
//! use smtp_driver::{Clock, Driver, Runtime};
//! use smtp_proto::{Config, Connection, Mail, Security, Seed, Time};
//! use smtp_test::MemoryServer;
//!
//! /// A runtime whose streams never wait long, so a task asks again at once.
//! struct Busy {
//!     epoch: Instant,
//! }
//!
//! impl Clock for Busy {
//!     type Alarm = std::future::Pending<()>;
//!
//!     fn now(&self) -> Time {
//!         Time::from_origin(self.epoch.elapsed())
//!     }
//!
//!     fn alarm(&self, _: Time) -> Option<Self::Alarm> {
//!         None
//!     }
//! }
//!
//! impl<S: Read + Write> Runtime<S> for Busy {
//!     fn poll_read(
//!         stream: &mut S,
//!         cx: &mut Context<'_>,
//!         input: impl FnOnce(&[u8]),
//!     ) -> Poll<io::Result<()>> {
//!         let mut buffer = [0; 2048];
//!         poll(cx, || stream.read(&mut buffer)).map_ok(|count| input(&buffer[..count]))
//!     }
//!
//!     fn poll_write(
//!         stream: &mut S,
//!         cx: &mut Context<'_>,
//!         output: &[IoSlice<'_>],
//!     ) -> Poll<io::Result<usize>> {
//!         poll(cx, || stream.write_vectored(output))
//!     }
//!
//!     fn poll_flush(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//!         poll(cx, || stream.flush())
//!     }
//!
//!     fn poll_close(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//!         poll(cx, || stream.flush())
//!     }
//! }
//!
//! fn poll<T>(
//!     cx: &mut Context<'_>,
//!     operation: impl FnOnce() -> io::Result<T>,
//! ) -> Poll<io::Result<T>> {
//!     match operation() {
//!         Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
//!             cx.waker().wake_by_ref();
//!             Poll::Pending
//!         }
//!         result => Poll::Ready(result),
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = MemoryServer::new(&smtp_test::Config::new());
//! let log = server.log();
//! let config = Config::builder("client.example.org".parse()?)
//!     .security(Security::Cleartext)
//!     .build()?;
//! let connection = Connection::new(Arc::new(config), Seed::random());
//! let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
//! let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
//!
//! let clock = Busy { epoch: Instant::now() };
//! let mut driver = Driver::new(server, connection, clock);
//! futures_lite::future::block_on(async {
//!     assert!(driver.send(mail).await?.is_accepted());
//!     driver.quit().await
//! })?;
//! assert_eq!(log.mails().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What an adapter may rely on
//! * No future owns bytes: what was not written is transmitted again, and what was read has been
//!   handled. Dropping a future loses nothing.
//! * Nothing is allocated: alarms and buffers are on the stack of the future that waits. Streamed
//!   content and connects that race are the exceptions.
//! * A future is [`Send`] if the stream, the wire, the clock and its alarm are.
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `net` | no | `begin_connect` and `finish_connect`: TCP connections that begin without waiting |
//! | `rustls` | no | `Driver::connect`: connects to an endpoint of `smtp-rustls` |
//! | `stream` | no | `Driver::next_outcome` and `Mails`: batches of messages |
//! | `pool` | no | `SharedPool`: a pool of connections that many callers share |
//! | `mailer` | no | the mailer of an async adapter |
//! | `tracing` | no | an event of the crate `tracing` for each action of the pool |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod connecting;
mod runtime;
mod upgrade;

mod driver;
mod lazy_alarm;
#[cfg(feature = "net")]
mod net;
#[cfg(feature = "rustls")]
mod race;
#[cfg(feature = "stream")]
mod stream;
pub mod token;

#[cfg(feature = "pool")]
mod check;
#[cfg(feature = "pool")]
pub mod pool;

#[cfg(feature = "mailer")]
pub mod mailer;

#[cfg(feature = "pool")]
pub use smtp_pool;
pub use smtp_proto as proto;

#[cfg(feature = "pool")]
pub use crate::check::Check;
pub use crate::connecting::{connecting, unix_connection};
pub use crate::driver::{Driver, PIECE};
#[cfg(feature = "net")]
pub use crate::net::{begin_connect, finish_connect};
pub use crate::runtime::{Clock, Runtime};
#[cfg(feature = "stream")]
pub use crate::stream::Mails;
pub use crate::upgrade::{complete_tls, is_token_wanted, poll_tls};

/// The code of the guide to writing an adapter, to be compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adapters.md")]
struct Adapters;
