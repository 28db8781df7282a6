//! An SMTP client for tokio.
//!
//! A [`Client`] moves bytes between a stream and the state machine of [`smtp_proto`](proto), and
//! keeps its time limits. TLS is not part of the stream: [`smtp_rustls`](tls) layers it between
//! stream and state machine, for STARTTLS as well as from the first byte.
//!
#![cfg_attr(feature = "rustls", doc = "```")]
#![cfg_attr(not(feature = "rustls"), doc = "```ignore")]
//! use smtp_tokio::{Client, Credentials, Endpoint, Mail};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let tls = smtp_test::Tls::new();
//! # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
//! # let server = smtp_test::Server::start(config)?;
//! # let (host, port) = ("localhost", server.port());
//! let endpoint = Endpoint::starttls(host)
//!     .port(port)
//!     .credentials(Credentials::password("alice", "correct horse")?)
//! #   .tls(tls.client_config())
//!     .build()?;
//! let mut client = Client::connect(&endpoint).await?;
//!
//! let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
//! let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
//! let outcome = client.send(mail).await?;
//! for recipient in outcome.recipients() {
//!     println!("{}: {}", recipient.recipient(), recipient.status());
//! }
//! client.quit().await?;
//! # assert_eq!(server.mails().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Failures are one type, [`Error`]; the result of a message is its [`Outcome`]. [`send()`] does
//! all of this for a single message.
//!
//! # Many messages
//!
//! [`Client::send_all`] sends any number of messages. It keeps only a few of them in memory, takes
//! as few round trips as the server allows, and returns the outcomes in the order of the messages.
//! [`Client::send_stream`] sends messages as they arrive.
//!
//! ```
//! # use smtp_tokio::{Client, Mail};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
//! # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
//! # let mut client = Client::from_stream(server, connection);
//! # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
//! # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 5];
//! let mut batch = client.send_all(mails);
//! while let Some(outcome) = batch.next().await {
//!     println!("{outcome}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::submit`] queues single messages without waiting, and [`Client::wait_outcome`] returns
//! the outcome of each by its id. Content that does not fit in memory comes from a reader, by
//! [`Client::send_from`], or piece by piece, by [`Client::content_wanted`] and
//! [`Connection::write_content`](proto::Connection::write_content).
//!
//! # Cancel safety
//!
//! No future owns bytes: what was not written is transmitted again, and what was read has been
//! handled. Dropping the future of a method that takes `&mut self`, in a `select!` or by a timeout,
//! changes nothing, and the next call continues where it stopped.
//!
//! ```
//! use std::time::Duration;
//!
//! # use smtp_tokio::{Client, Mail};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = smtp_test::MemoryServer::new(&smtp_test::Config::new());
//! # let connection = adapter_tests::common::wire(smtp_tokio::Security::Cleartext);
//! # let mut client = Client::from_stream(server, connection);
//! # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
//! # let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
//! let id = client.submit(mail);
//! let outcome = loop {
//!     tokio::select! {
//!         outcome = client.wait_outcome(id) => break outcome?,
//!         () = tokio::time::sleep(Duration::from_secs(1)) => println!("still sending"),
//!     }
//! };
//! # assert!(outcome.is_accepted());
//! # Ok(())
//! # }
//! ```
//!
//! There are two exceptions. Dropping [`Client::send`] or [`Client::send_from`] abandons the
//! message: it is withdrawn if nothing of it has been sent; otherwise the connection fails. And the
//! reply to a [`Client::command`] that was dropped comes from
//! [`poll_event`](proto::Connection::poll_event).
//!
//! Bytes move only in these futures: there is no task in the background.
//!
//! # Time
//!
//! Every wait has a time limit of [`Timeouts`](proto::Timeouts), also for a server that takes
//! nothing, or replies with a byte a minute. The clock is tokio's, so tests can pause it. The
//! runtime needs its I/O and time drivers.
//!
//! With authentication, and where TLS is required, the limits are those of
//! [`Timeouts::submission`](proto::Timeouts::submission): 10 seconds for each address, 30 for the
//! greeting, 30 for TLS, 60 for a reply, 10 minutes for the final reply to a message. For relays
//! and LMTP they are those of [`Timeouts::rfc5321`](proto::Timeouts::rfc5321): 5 minutes for most.
//!
//! # Proxies and OAuth tokens
//!
//! An endpoint may have a SOCKS5 or HTTP [proxy](tls::EndpointBuilder::proxy). For an OAuth token
//! that is fetched over the network, combine [`Credentials::fetched_token`] with a [`TokenSource`].
//!
//! # LMTP
//!
//! A mail store takes messages by LMTP (RFC 2033): over a Unix socket by
//! [`Endpoint::unix`](tls::Endpoint::unix), or over TCP by an [`Endpoint`](tls::Endpoint) with this
//! [`protocol`](tls::EndpointBuilder::protocol). An outcome then has the store's final reply for each
//! recipient.
//!
//! # Other streams and other TLS
//!
//! [`Client::from_stream`] takes any stream with the traits of tokio, and any
//! [`Wire`](proto::Wire): a [`Connection`](proto::Connection) for cleartext, another TLS stack
//! without I/O, or one's own. A TLS stack that wraps streams takes over by [`Client::upgrade`].
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `net` | yes | `Client::connect_unix`, for LMTP without `rustls` |
//! | `rustls` | yes | [`Client::connect`], [`Mailer`], the default type parameters of `Client`, and [`tls`] |
//! | `idna` | no | non-ASCII domains as A-labels: of the server, of the client, in addresses |
//! | `mail-builder` | no | [`Mail`] from a message that the crate `mail-builder` composed, by `Mail::try_from` |
//! | `tracing` | no | spans of the crate `tracing` for each connection and each message, with the lines of the transcript |
//!
//! The default features include those of [`smtp_rustls`](tls).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod runtime;

#[cfg(feature = "rustls")]
mod socket;

mod client;

mod batch;
#[cfg(feature = "rustls")]
mod connect;
#[cfg(feature = "rustls")]
mod mailer;
#[cfg(all(unix, feature = "net"))]
mod unix;

#[cfg(feature = "rustls")]
#[doc(inline)]
pub use smtp_driver::Check;
#[doc(inline)]
pub use smtp_driver::Mails;
#[cfg(feature = "rustls")]
pub use smtp_driver::smtp_pool as pool;
#[cfg(feature = "rustls")]
#[doc(no_inline)]
pub use smtp_driver::smtp_pool::{PoolConfig, PoolError, SendError};
#[doc(inline)]
pub use smtp_driver::token::{Token, TokenError, TokenSource};
pub use smtp_proto as proto;
#[doc(no_inline)]
pub use smtp_proto::{
    Command, Credentials, Error, ErrorKind, Mail, Outcome, Recipient, RecipientStatus, Reply,
    Security, Timeouts, sasl::TokenRequest,
};
#[cfg(feature = "rustls")]
pub use smtp_rustls as tls;
#[cfg(feature = "rustls")]
#[doc(no_inline)]
pub use smtp_rustls::{Endpoint, ProxyServer, TlsConfig};

pub use crate::batch::Batch;
pub use crate::client::Client;
#[cfg(feature = "rustls")]
pub use crate::connect::{send, send_with_tokens};
#[cfg(feature = "rustls")]
pub use crate::mailer::{Mailer, MailerDriver, SendAll};
#[cfg(feature = "rustls")]
pub use crate::socket::Socket;

/// The example of the README, to be compiled.
#[cfg(all(doctest, feature = "rustls"))]
#[doc = include_str!("../README.md")]
struct Readme;
