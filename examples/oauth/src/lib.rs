//! A client of token servers (RFC 6749), and a token server to try it with.
//!
//! `cargo run --bin device` and `cargo run --bin client_credentials`, in this folder, run
//! the programs.

pub mod client;
pub mod device;
pub mod token_server;

/// The message that the programs send.
pub const MESSAGE: &str = "\
From: Alice <alice@example.org>\r
To: Bob <bob@example.net>\r
Subject: hello\r
\r
Hello Bob.\r
";
