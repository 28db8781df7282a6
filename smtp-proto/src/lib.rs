//! The client side of SMTP as a state machine: bytes in, bytes out, events, deadlines; no I/O.
//!
//! This crate is the protocol of a mail client ([RFC 5321]) and nothing else. It opens no socket,
//! reads no clock, spawns nothing and blocks on nothing: a driver passes in input and the time, and
//! takes output. The adapters do that for std sockets, tokio, smol and async-std; a TLS layer fits
//! in between.
//!
//! Start with [`Connection`], whose documentation shows the whole loop, and [`Mail`]. The result of
//! a message is an [`Outcome`]: accepted, rejected, not sent or in doubt, for each recipient.
//!
//! | to | look at |
//! | --- | --- |
//! | configure security and authentication | [`Config`], [`Security`], [`Credentials`] |
//! | send many messages | [`Batch`], [`Pipelining`], [`Window`] |
//! | relay the identity of another client | [`Xclient`](xclient::Xclient), [`Xforward`](xclient::Xforward) |
//! | build an envelope | [`Mail`], [`Envelope`], [`Recipient`], [`ReversePath`], [`ForwardPath`], [`Parameter`] |
//! | drive a connection | [`Connection`], [`Wire`], [`Transmit`], [`Time`] |
//! | add TLS | [`Upgrade`], [`TlsInfo`] |
//! | understand a failure | [`Error`], [`ErrorKind`], [`Stage`], [`Location`], [`Reply`] |
//! | log the session | [`ConfigBuilder::transcript`], [`TranscriptEntry`] |
//!
//! # Features
//! `std` (default): [`IoSlice`](std::io::IoSlice)s in [`Transmit`], conversion from
//! [`std::io::Error`]. Without it the crate needs `alloc` only. `scram` (default): the SCRAM
//! mechanisms, which [`Credentials::password`] then prefers. `legacy`: CRAM-MD5. `idna`: non-ASCII
//! domains as A-labels, see [`Domain::to_ascii`]. `mail-builder`: [`Mail`] from a message that the
//! crate `mail-builder` composed, by `Mail::try_from`. `tracing`: a span `smtp.connection` for each
//! connection, and in it a span `smtp.mail` for each message, with the lines of the transcript,
//! which hold no secret: decisive ones at DEBUG, the rest at TRACE.
//!
//! [RFC 5321]: https://www.rfc-editor.org/rfc/rfc5321

#![no_std]
// Input from the peer must not be able to panic.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
// The pages of the crates above this one find its pages beside theirs, even if they are made before
// these. It works as long as those crates have no modules.
#![doc(html_root_url = "../")]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

/// The tests of the state machine, which use the public interface, are used by unit tests, too.
#[cfg(test)]
extern crate self as smtp_proto;

/// Makes the `Debug` of an error its whole text, since `main` prints an error that it returns by
/// `Debug`, as does `unwrap`.
macro_rules! debug_as_display {
    ($error:ty) => {
        impl core::fmt::Debug for $error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::write!(f, "{self:#}")
            }
        }
    };
}

// In order of layers: each module uses only those above it in this list.
mod byte_search;

mod address;
pub mod content;
mod location;
mod parse;
mod pipelining;
mod secret;
mod seed;
mod steps;
mod time;
mod timeouts;

mod stage;

mod extension;
mod reply;
pub mod sasl;

mod capabilities;
mod command;
mod reply_reader;
mod tls;

mod error;

mod mail;
mod outcome;
pub mod transcript;

mod config;
mod event;

mod tracing;

mod connection;

pub use address::{
    AddressError, AddressErrorKind, ClientName, Domain, ForwardPath, Mailbox, ReversePath,
};
pub use capabilities::Capabilities;
pub use command::{Command, CommandError, CommandErrorKind};
pub use config::{Config, ConfigBuilder, ConfigError, Protocol, Security, SpeculationLimits};
pub use connection::{Batch, Connection, Transmit, Upgrade, Wire};
pub use error::{
    ApiMisuse, AuthenticationError, Error, ErrorKind, MissingExtension, Peer, ProtocolError,
    TransportError,
};
pub use event::{CommandId, ContentStatus, Event, MailId};
pub use extension::parameter::Parameter;
pub use extension::{
    FutureRelease, LimitExceeded, ServerLimits, SizeLimit, dsn, parameter, xclient,
};
pub use location::{Location, MailPart};
pub use mail::{
    Envelope, FieldError, FieldErrorKind, InvalidRecipient, Mail, MailBuilder, MailError,
    MailErrorKind, Recipient, StreamedContent,
};
pub use outcome::{
    ConnectionStats, Delivered, NotAllAccepted, Outcome, RecipientOutcome, RecipientStatus,
};
pub use pipelining::{Pipelining, Window};
pub use reply::{EnhancedStatusCode, Reply, ReplyCode, Severity};
pub use reply_reader::{ReplyError, ReplyLimits};
pub use sasl::Credentials;
pub use secret::Secret;
pub use seed::Seed;
pub use stage::{Stage, Timeout};
pub use time::Time;
pub use timeouts::Timeouts;
pub use tls::{TlsInfo, UnverifiedReason, Verification};
pub use transcript::TranscriptEntry;
