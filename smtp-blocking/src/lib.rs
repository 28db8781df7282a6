//! An SMTP client over std sockets, without an async runtime.
//!
//! A [`Client`] moves bytes between a stream and the state machine of [`smtp_proto`](proto), and keeps
//! its time. TLS is not part of the stream: [`smtp_rustls`](tls) layers it between stream and state
//! machine, for STARTTLS as well as from the first byte.
//!
#![cfg_attr(feature = "rustls", doc = "```")]
#![cfg_attr(not(feature = "rustls"), doc = "```ignore")]
//! use smtp_blocking::{Client, Credentials, Endpoint, Mail};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let certificate = smtp_test::Tls::new();
//! # let trust = smtp_blocking::tls::TlsConfig::builder().no_default_roots().add_root_der(certificate.authority_der().to_vec()).build()?;
//! # let server = smtp_test::Server::start(smtp_test::Config::new().tls(certificate).user("alice", "correct horse"))?;
//! # let (host, port) = ("localhost", server.port());
//! let endpoint = Endpoint::starttls(host)
//!     .port(port)
//!     .credentials(Credentials::password("alice", "correct horse")?)
//! #   .tls(trust)
//!     .build()?;
//! let mut client = Client::connect(&endpoint)?;
//!
//! let mail = Mail::new("alice@example.org", ["bob@example.net"], "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n")?;
//! let outcome = client.send(mail)?;
//! for delivery in outcome.recipients() {
//!     println!("{}: {}", delivery.recipient(), delivery.status());
//! }
//! client.quit()?;
//! # assert_eq!(server.mails().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Failures are one type, [`Error`]; the result of a message is its [`Outcome`]. [`send()`] does all of
//! this for a single message.
//!
//! # Many messages
//!
//! [`Client::send_all`] sends any number of messages, of which it has only a few in memory at a time, with as few round trips as
//! the server allows, and gives their outcomes in the same order. [`Client::submit`] queues single messages without waiting,
//! and [`Client::wait_outcome`] asks for each by its id. A text that does not fit in memory comes from a
//! reader, by [`Client::send_from`], or piece by piece, by [`Client::content_wanted`] and
//! [`Connection::write_content`](proto::Connection::write_content).
//!
//! # Time
//!
//! Everything that is waited for has its deadline, by [`Timeouts`](proto::Timeouts), also a server that takes nothing or
//! answers a byte a minute: the limit of each read and write is what is left of it. For this the client asks of a stream
//! what [`Stream`] says, and sets the time-outs of a socket as it goes.
//!
//! With a login, and where TLS is demanded, the limits are those of [`Timeouts::submission`](proto::Timeouts::submission): 10
//! seconds for each address, 30 for the greeting, 30 for TLS, 60 for a reply, 10 minutes for the final reply to a message. For
//! relays and LMTP they are those of [`Timeouts::rfc5321`](proto::Timeouts::rfc5321): 5 minutes for most.
//!
//! One thing cannot be bounded: the system's resolver of names, on which [`Client::connect`] relies. A program that cannot
//! wait for it resolves the name by other means and uses [`Client::connect_to`].
//!
//! The client writes all that it may before it reads. It cannot deadlock with a server that also blocks
//! on writing: the core never has more in flight than socket buffers are sure to hold.
//!
//! # LMTP
//!
//! Mail is handed to a mail store by LMTP (RFC 2033): over a Unix socket by `Client::connect_unix`, or over TCP by an
//! [`Endpoint`](tls::Endpoint) whose [`protocol`](tls::EndpointBuilder::protocol) says so. An outcome then tells for each
//! recipient whether the message was delivered.
//!
//! # Other streams and other TLS
//!
//! [`Client::from_stream`] takes any [`Stream`], and any [`Wire`](proto::Wire): a
//! [`Connection`](proto::Connection) to speak in cleartext, a TLS stack that is sans-IO as well, or one's own. A TLS stack that
//! wraps streams takes over by [`Client::upgrade`].
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `rustls` | yes | [`Client::connect`], the types that `Client` stands for by itself, and [`tls`] |
//! | `idna` | no | domains beyond ASCII as A-labels: of the server, of the client, in addresses |
//! | `tracing` | no | a span of the crate of that name for each connection and each message, and the lines of the transcript in them |
//!
//! The default features also bring those of [`smtp_rustls`](tls).

#![cfg_attr(docsrs, feature(doc_cfg))]

// In the order of the floors: each module uses only those above it.
mod stream;

mod client;

mod batch;
#[cfg(feature = "rustls")]
mod connect;
#[cfg(unix)]
mod unix;

pub use smtp_proto as proto;
#[doc(no_inline)]
pub use smtp_proto::{
    Command, Credentials, Error, ErrorKind, Mail, Outcome, Recipient, RecipientStatus, Reply,
    Security, Timeouts,
};
#[cfg(feature = "rustls")]
pub use smtp_rustls as tls;
#[cfg(feature = "rustls")]
#[doc(no_inline)]
pub use smtp_rustls::{Endpoint, TlsConfig};

pub use crate::batch::Batch;
pub use crate::client::Client;
#[cfg(feature = "rustls")]
pub use crate::connect::send;
pub use crate::stream::Stream;

/// The examples of the README, to be compiled and run.
#[cfg(all(doctest, feature = "rustls"))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../README.zh-CN.md")]
struct Readme;

/// The snippets of the guide, to be compiled and, where they have a `main`, run.
#[cfg(all(doctest, feature = "rustls"))]
#[doc = include_str!("../../docs/guide.md")]
struct Guide;
