//! The other side of SMTP.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    reason = "a tool for tests: what it cannot do must end the test at once"
)]

mod action;
mod config;
mod log;
mod machine;
mod peer;
mod record;
mod serve;
mod server;
mod tls;
mod tls_peer;

pub use action::{Action, Moment, Stage};
pub use config::Config;
pub use log::Log;
pub use machine::Machine;
pub use peer::{Output, Peer, Split, TlsFacts};
pub use record::{Parameter, Recipient, Rule, Session, StoredMail, Violation};
pub use serve::serve;
pub use server::Server;
pub use tls::{Defect, Tls};
pub use tls_peer::TlsPeer;
