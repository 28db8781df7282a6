//! An SMTP and LMTP server for tests of programs that send email.
//!
//! The server records what it receives, checks the client against the standards, and fails on
//! request. It comes as a state machine without I/O ([`Machine`]), as a stream in memory
//! ([`MemoryServer`]), and as threads that serve a real socket ([`Server`]).
//!
//! # Testing a program
//!
//! Start a server, point the program at it, and look at what arrived:
//!
//! ```
//! use std::time::Duration;
//! use smtp_test::{Config, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start(
//!     Config::new().user("alice", "secret").reject("gone@example.org", "550 5.1.1 no such user"),
//! )?;
//!
//! // The program under test, which would open a connection to `server.addr()`.
//! send_newsletter(server.addr())?;
//!
//! let messages = server.wait_for_mails(1, Duration::from_secs(10));
//! assert_eq!(messages[0].sender(), "news@example.org");
//! assert_eq!(messages[0].addresses(), ["bob@example.org"]);
//! assert_eq!(messages[0].authenticated_as(), Some("alice"));
//! assert!(messages[0].body().starts_with(b"Subject: News\r\n"));
//! server.log().assert_clean(); // The program broke no rule.
//! # Ok(())
//! # }
//! #
//! # fn send_newsletter(addr: std::net::SocketAddr) -> std::io::Result<()> {
//! #     use std::io::{BufRead, BufReader, Write};
//! #     let mut stream = BufReader::new(std::net::TcpStream::connect(addr)?);
//! #     for line in [
//! #         "", "EHLO client.test\r\n", "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "MAIL FROM:<news@example.org>\r\n",
//! #         "RCPT TO:<bob@example.org>\r\n", "RCPT TO:<gone@example.org>\r\n", "DATA\r\n",
//! #         "Subject: News\r\n\r\nNone.\r\n.\r\n", "QUIT\r\n",
//! #     ] {
//! #         stream.get_mut().write_all(line.as_bytes())?;
//! #         let mut reply = String::new();
//! #         while reply.as_bytes().get(3) != Some(&b' ') {
//! #             reply.clear();
//! #             stream.read_line(&mut reply)?;
//! #         }
//! #     }
//! #     Ok(())
//! # }
//! ```
//!
//! # Overview
//!
//! | to | use |
//! | --- | --- |
//! | set what the server advertises, requires and rejects | [`Config`] |
//! | make it reply wrongly, late, in pieces or not at all | [`Config::on`] with a [`Stage`] and an [`Action`] |
//! | speak LMTP, or keep a transaction open after a rejected BDAT | [`Config::lmtp`], [`Config::strict_bdat`] |
//! | advertise CHUNKING, BINARYMIME, LIMITS, DELIVERBY and so on | [`Config::with`]; the server then implements them |
//! | see the client that XCLIENT or XFORWARD names | [`Config::with`] `XCLIENT NAME ADDR`, [`Session::xclient`], [`StoredMail::forwarded`] |
//! | accept many messages for a benchmark | [`Config::discard_mails`], [`Server::start_unix`] |
//! | run SCRAM, correctly and with defects | [`Config::mechanisms`], [`Scram`] and [`ScramDefect`] |
//! | serve TLS, with valid and invalid certificates | [`Tls`] and [`Defect`] |
//! | be reached through SOCKS5 or HTTP CONNECT | [`Proxy`] and [`Server::behind_proxy`] |
//! | inspect messages, transcripts, round trips, violations | [`Log`], [`StoredMail`], [`Session`], [`Violation`] |
//! | test without threads, sockets and time | [`MemoryServer`], also with tokio and futures-io by features |
//! | make single reads and writes fail, or move one byte | [`Faulty`] and [`Plan`] |
//! | test a client that writes more than the other side reads | [`pipe`] |
//! | check a whole session against a script | [`Script`] |
//! | test an adapter of `smtp-proto` for another runtime | the module `conformance`, by the feature of that name |
//! | drive a sans-IO client against the server's bytes | [`Peer`] |
//!
//! The server has its own parser and shares no code with any client, so that a bug on one side does
//! not hide a bug on the other. It listens on loopback only, needs no clock in memory, and
//! generates all keys and certificates at run time.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    reason = "a tool for tests: what it cannot do must end the test at once"
)]

// In layers: a group uses only groups above it.
mod action;
mod credentials;
mod peer;
mod proxy;
mod record;
mod tls;
pub mod xtext;

mod config;
mod log;

mod machine;
mod script;

mod serve;

mod server;

mod faulty;
mod memory;
mod pipe;

#[cfg(any(feature = "tokio", feature = "futures-io"))]
mod asynchronous;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use action::{Action, Moment, Stage};
pub use config::Config;
pub use credentials::{Scram, ScramDefect};
pub use faulty::{Fault, Faulty, Operations, Plan};
pub use log::Log;
pub use machine::Machine;
pub use memory::MemoryServer;
pub use peer::{Output, Peer, Split, TlsInfo};
pub use pipe::{Pipe, pipe};
pub use proxy::{Proxy, ProxyPeer};
pub use record::{Parameter, Recipient, Rule, Session, StoredMail, Violation};
pub use script::{Mismatch, Player, Report, Script, ScriptError};
pub use serve::serve;
pub use server::Server;
pub use tls::{Defect, Tls, TlsPeer};

/// The example of the README, to be compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
