//! Transports for [lettre](lettre): its messages, sent with an outcome for each recipient.
//!
//! A program for lettre changes the line that makes the transport, and keeps the rest:
//!
#![cfg_attr(feature = "blocking", doc = "```")]
#![cfg_attr(not(feature = "blocking"), doc = "```ignore")]
//! use lettre::{Message, Transport};
//! use smtp_lettre::{Credentials, SmtpTransport};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let tls = smtp_test::Tls::new();
//! # let config = smtp_test::Config::new().tls(tls.clone()).user("alice", "correct horse");
//! # let server = smtp_test::Server::start(config)?;
//! # let host = "localhost";
//! let mailer = SmtpTransport::starttls_relay(host)?
//!     .credentials(Credentials::password("alice", "correct horse")?)
//! #   .port(server.port())
//! #   .tls(tls.client_config())
//!     .build()?;
//!
//! let message = Message::builder()
//!     .from("Alice <alice@example.org>".parse()?)
//!     .to("Bob <bob@example.net>".parse()?)
//!     .subject("hello")
//!     .body(String::from("Hello Bob.\r\n"))?;
//! mailer.send(&message)?;
//! # assert_eq!(server.mails().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! `SmtpTransport` blocks, by the feature `blocking`; `AsyncSmtpTransport` is for tokio and smol,
//! by the features of these names. An [`Error`] says for which recipients the message was not
//! accepted, why, and whether it can be sent again.
//!
//! | of lettre's message | what is sent |
//! | --- | --- |
//! | `formatted()` | these bytes; line ends other than CRLF become CRLF |
//! | `envelope()` | its sender and recipients; without a sender, the null sender of delivery reports |
//! | `Bcc` | lettre removes it from the header section unless `keep_bcc` was called, and then it is sent |
//! | an IPv6 address as a domain | `[IPv6:…]` (RFC 5321, section 4.1.3) |
//! | a non-ASCII domain | its A-labels |
//! | a non-ASCII local part | the address unchanged, to a server with SMTPUTF8 only |
//!
//! lettre needs its feature `builder` only, and this crate turns on no other of lettre's, except
//! `tokio1` for the async transport. If a program turns on lettre's own TLS as well, lettre asks for
//! the matching feature of the runtime, such as `tokio1-rustls`.

#![cfg_attr(
    not(any(feature = "blocking", feature = "tokio", feature = "smol")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "there is no transport"
    )
)]

#[cfg(any(feature = "tokio", feature = "smol"))]
mod asynchronous;
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod error;
mod mail;

use std::time::Duration;

pub use smtp_pool as pool;
#[doc(no_inline)]
pub use smtp_pool::{PoolConfig, PoolError, SendError};
pub use smtp_proto as proto;
#[doc(no_inline)]
pub use smtp_proto::{
    Credentials, Delivered, Mail, NotAllAccepted, Outcome, RecipientStatus, Security, Timeouts,
};
pub use smtp_rustls as tls;
#[doc(no_inline)]
pub use smtp_rustls::{Endpoint, TlsConfig};

#[cfg(feature = "smol")]
pub use crate::asynchronous::SmolExecutor;
#[cfg(any(feature = "tokio", feature = "smol"))]
pub use crate::asynchronous::{AsyncSmtpTransport, Executor};
#[cfg(feature = "blocking")]
pub use crate::blocking::SmtpTransport;
pub use crate::builder::SmtpTransportBuilder;
pub use crate::error::{Error, ErrorKind};

/// How long a transport that is shut down waits for messages that are being sent.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// The example of the README, to be compiled.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The snippets of the documentation, to be compiled.
#[cfg(all(doctest, feature = "blocking", feature = "tokio"))]
#[doc = include_str!("../../docs/coming-from-lettre.md")]
struct ComingFromLettre;
