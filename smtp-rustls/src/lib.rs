//! TLS for [`smtp_proto`], by rustls.
//!
//! A [`Session`] is a [`Connection`](smtp_proto::Connection) with TLS below it and the same byte
//! interface, [`Wire`](smtp_proto::Wire). It does no I/O and spawns nothing: an adapter moves bytes
//! between a socket and a `Session`, and need not know whether they are encrypted. Time is an
//! argument; only rustls reads the system's clock, to check whether a certificate is valid now.
//! STARTTLS (RFC 3207) and implicit TLS (RFC 8314) are implemented here, once for all adapters.
//!
//! An [`Endpoint`] is a server and how to connect to it: host, port, security, credentials, trust.
//! It creates the sessions. [`Endpoint::from_url`] makes one from a URL, such as
//! `smtps://alice:secret@mail.example.org`. With a [`ProxyServer`], its sessions begin with a tunnel
//! of [`smtp_tunnel`], and the rest is inside it.
//!
//! ```
//! use smtp_proto::{Credentials, Time, Wire};
//! use smtp_rustls::Endpoint;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::starttls("mail.example.org")
//!     .credentials(Credentials::password("alice", "correct horse")?)
//!     .build()?;
//! // An adapter connects to host and port of the endpoint, then moves the bytes of a session:
//! let mut session = endpoint.session();
//! session.handle_input(Time::ORIGIN, b"220 mail.example.org ESMTP\r\n");
//! // Output waits until a read has found nothing more.
//! session.handle_timeout(Time::ORIGIN);
//! let output = session.poll_transmit(Time::ORIGIN).expect("EHLO");
//! assert_eq!(output.len(), b"EHLO [127.0.0.1]\r\n".len());
//! # Ok(())
//! # }
//! ```
//!
//! # What TLS guarantees here
//! * The server's certificate must be valid for the name that the caller gave, never for one learnt
//!   from DNS or the server.
//! * A failed handshake ends the connection before anything is sent inside TLS. An alert tells the
//!   server the reason.
//! * Under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic), a certificate that
//!   does not verify is no failure. [`TlsInfo::verification`](smtp_proto::TlsInfo::verification)
//!   reports what is wrong with it.
//! * A TLS session is resumed only at the level of trust at which it began.
//! * Input after the reply to STARTTLS in the same segment is an error. It is neither dropped nor
//!   read as TLS.
//! * SASL mechanisms get the channel binding `tls-exporter` (RFC 9266) where it is secure: in TLS
//!   1.3, and in TLS 1.2 if the configuration requires the extended master secret. With the feature
//!   `scram` they also get `tls-server-end-point` (RFC 5929), for every certificate whose signature
//!   algorithm has a hash function.
//! * A proxy that is reached by TLS must have a certificate for its own name, from an authority that
//!   is trusted for it. It gets request and login only inside TLS. Any proxy sees of the session what
//!   anyone on the path to the server sees.
//! * TLS is 1.2 or newer. The process-wide crypto provider of rustls is neither set nor used.
//!
//! [`Outcome::tls`](smtp_proto::Outcome::tls) returns what is known of the TLS connection under a
//! message:
//!
//! ```
//! use smtp_rustls::proto::{Outcome, TlsInfo, Verification};
//!
//! fn report(outcome: &Outcome) {
//!     match outcome.tls().map(TlsInfo::verification) {
//!         None => println!("cleartext"),
//!         Some(Verification::Verified) => println!("the server is verified"),
//!         Some(Verification::Unverified(reason)) => println!("encrypted, unverified: {reason}"),
//!     }
//! }
//! # let _: fn(&Outcome) = report;
//! ```
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `ring` | yes | the crypto provider ring, which is small and builds fast |
//! | `aws-lc-rs` | no | the provider aws-lc-rs, with post-quantum key exchange; preferred over `ring` |
//! | `platform-verifier` | yes | trust in the authorities of the operating system, by its verifier |
//! | `webpki-roots` | no | trust in Mozilla's list; the default if `platform-verifier` is off |
//! | `scram` | yes | the SCRAM mechanisms, preferred for a password, and their channel binding |
//! | `idna` | no | non-ASCII domains as A-labels: of the server, and in addresses |
//! | `tracing` | no | `tracing` spans for each connection, with its host, and for each message |
//! | `dangerous` | no | a method of [`TlsConfigBuilder`] that turns certificate verification off |
//!
//! Without a crypto feature, build a [`TlsConfig`] from an `Arc<rustls::ClientConfig>` of your own.
//! An endpoint in cleartext needs neither.

// The pages of the adapters link to those of this crate beside them, even if they are built before
// these. It works while the adapters have no modules.
#![doc(html_root_url = "../")]

/// Makes the `Debug` of an error its whole text: `main` and `unwrap` print errors by `Debug`.
macro_rules! debug_as_display {
    ($error:ty) => {
        impl core::fmt::Debug for $error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::write!(f, "{self:#}")
            }
        }
    };
}

mod certificate;
#[cfg(feature = "scram")]
mod channel_binding;
mod der;
mod endpoint;
mod gate;
mod hint;
mod names;
mod pinned;
mod record;
mod session;
mod tls;
mod tls_info;
mod tls_stream;
mod unverified;
mod verifier;
mod watch;

pub use rustls;
pub use smtp_proto as proto;
pub use smtp_tunnel as tunnel;

pub use crate::endpoint::{
    Attempts, Endpoint, EndpointBuilder, EndpointError, HostErrorKind, ProxyServer,
    ProxyServerError, Target, UrlError, UrlErrorKind, UrlPart,
};
pub use crate::session::Session;
pub use crate::tls::{TlsConfig, TlsConfigBuilder, TlsError};
