//! An SMTP client over std sockets, without an async runtime.
//!
//! A [`Client`] moves bytes between a stream and the state machine of [`smtp_proto`](proto), and
//! keeps its time limits. TLS is not part of the stream: [`smtp_rustls`](tls) layers it between
//! stream and state machine, for STARTTLS as well as from the first byte.
//!
#![cfg_attr(feature = "rustls", doc = "```")]
#![cfg_attr(not(feature = "rustls"), doc = "```ignore")]
//! use smtp_blocking::{Client, Credentials, Endpoint, Mail};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let tls = smtp_test::Tls::new();
//! # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
//! # let server = smtp_test::Server::start(config)?;
//! # let (host, port) = ("localhost", server.port());
//! let endpoint = Endpoint::starttls(host)
//!     .port(port)
//!     .credentials(Credentials::password("alice", "correct horse")?)
//! #   .tls(tls.client_config())
//!     .build()?;
//! let mut client = Client::connect(&endpoint)?;
//!
//! let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
//! let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
//! let outcome = client.send(mail)?;
//! for recipient in outcome.recipients() {
//!     println!("{}: {}", recipient.recipient(), recipient.status());
//! }
//! client.quit()?;
//! # assert_eq!(server.mails().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Failures are one type, [`Error`]; the result of a message is its [`Outcome`]. [`send()`] does
//! all of this for a single message.
//!
//! # Many threads
//!
//! A [`Mailer`] is all that a program needs that sends now and then, from any number of threads. It
//! keeps a few connections, and opens, reuses and closes them.
//!
#![cfg_attr(feature = "rustls", doc = "```")]
#![cfg_attr(not(feature = "rustls"), doc = "```ignore")]
//! # use smtp_blocking::{Endpoint, Mail, Mailer, Security};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = smtp_test::Server::start(smtp_test::Config::new())?;
//! # let endpoint = Endpoint::builder("localhost").port(server.port())
//! #     .security(Security::Cleartext).build()?;
//! # let message = "From: alice@example.org\r\nSubject: hello\r\n\r\nHello Bob.\r\n";
//! # let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
//! let mailer = Mailer::new(endpoint);
//! println!("{}", mailer.send(mail)?);
//! # Ok(())
//! # }
//! ```
//!
//! # Many messages
//!
//! [`Client::send_all`] sends any number of messages. It keeps only a few of them in memory, takes
//! as few round trips as the server allows, and returns the outcomes in the order of the messages.
//!
//! ```
//! # use smtp_blocking::{Client, Mail};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = smtp_test::Server::start(smtp_test::Config::new())?;
//! # let stream = std::net::TcpStream::connect(server.addr())?;
//! # let connection = adapter_tests::common::wire(smtp_blocking::Security::Cleartext);
//! # let mut client = Client::from_stream(stream, connection);
//! # let message = "From: alice@example.org\r\n\r\nHello.\r\n";
//! # let mails = vec![Mail::new("alice@example.org", ["bob@example.net"], message)?; 5];
//! for outcome in client.send_all(mails) {
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
//! # Time
//!
//! Every wait has a time limit of [`Timeouts`](proto::Timeouts), also for a server that takes
//! nothing, or replies with a byte a minute. A read or write may take what is left of the limit;
//! [`Stream`] says what the client requires of a stream for it. It sets the timeouts of a socket as
//! it goes.
//!
//! With authentication, and where TLS is required, the limits are those of
//! [`Timeouts::submission`](proto::Timeouts::submission): 10 seconds for each address, 30 for the
//! greeting, 30 for TLS, 60 for a reply, 10 minutes for the final reply to a message. For relays
//! and LMTP they are those of [`Timeouts::rfc5321`](proto::Timeouts::rfc5321): 5 minutes for most.
//!
//! Two calls have no time limit: the system's resolver of names, which [`Client::connect`] uses,
//! and the function of a [`TokenSource`]. A program that cannot wait for the resolver resolves the
//! name by other means and uses [`Client::connect_to`]. A function that fetches tokens sets the
//! timeout of its HTTP client.
//!
//! The client writes all that it may before it reads. It cannot deadlock with a server that also
//! blocks on writing: the core never has more in flight than socket buffers are sure to hold.
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
//! [`Client::from_stream`] takes any [`Stream`], and any [`Wire`](proto::Wire): a
//! [`Connection`](proto::Connection) for cleartext, another TLS stack without I/O, or one's own. A
//! TLS stack that wraps streams takes over by [`Client::upgrade`].
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `rustls` | yes | [`Mailer`], [`Client::connect`], the default type parameters of `Client`, and [`tls`] |
//! | `idna` | no | non-ASCII domains as A-labels: of the server, of the client, in addresses |
//! | `mail-builder` | no | [`Mail`] from a message that the crate `mail-builder` composed, by `Mail::try_from` |
//! | `tracing` | no | spans of the crate `tracing` for each connection and each message, with the lines of the transcript |
//!
//! The default features include those of [`smtp_rustls`](tls).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod stream;

#[cfg(feature = "rustls")]
mod socket;

mod client;

mod batch;
#[cfg(feature = "rustls")]
mod connect;
#[cfg(feature = "rustls")]
mod mailer;
#[cfg(feature = "rustls")]
mod race;
#[cfg(feature = "rustls")]
mod token;
#[cfg(unix)]
mod unix;

#[cfg(feature = "rustls")]
pub use smtp_driver::Check;
#[cfg(feature = "rustls")]
pub use smtp_driver::smtp_pool as pool;
#[cfg(feature = "rustls")]
#[doc(no_inline)]
pub use smtp_driver::smtp_pool::{PoolConfig, PoolError, SendError};
#[cfg(feature = "rustls")]
#[doc(inline)]
pub use smtp_driver::token::{Token, TokenError};
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
pub use crate::mailer::{Mailer, SendAll};
#[cfg(feature = "rustls")]
pub use crate::socket::Socket;
pub use crate::stream::Stream;
#[cfg(feature = "rustls")]
pub use crate::token::TokenSource;

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
