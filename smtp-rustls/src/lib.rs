//! TLS for [`smtp_proto`], by rustls.
//!
//! A [`Session`] is a [`Connection`](smtp_proto::Connection) with TLS around it, with the same byte interface,
//! [`Wire`](smtp_proto::Wire). It does no I/O and spawns nothing: an adapter moves bytes between a socket and a `Session`,
//! and never needs to know whether they are in cleartext. Time is handed in; only rustls looks at the system's clock, to see
//! whether a certificate has expired. The upgrade of STARTTLS (RFC 3207) and TLS from the first byte (RFC 8314) are done
//! here, once for all adapters.
//!
//! An [`Endpoint`] is what to connect to and how: host, port, security, credentials, trust. It makes the sessions.
//!
//! ```no_run
//! use smtp_proto::{Credentials, Time, Wire};
//! use smtp_rustls::Endpoint;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::starttls("mail.example.org")
//!     .credentials(Credentials::password("alice", "correct horse")?)
//!     .build()?;
//! // An adapter connects to `endpoint.host()` and `endpoint.port()`, then moves the bytes of a session:
//! let mut session = endpoint.session();
//! let _to_send = session.poll_transmit(Time::ORIGIN);
//! # Ok(())
//! # }
//! ```
//!
//! # What TLS guarantees here
//! * The name that the certificate must bear is the one that the caller typed, never one learnt from DNS or the server.
//! * A handshake that fails ends the connection before a single byte of SMTP has been said inside TLS, and the server
//!   is told why by an alert.
//! * Under [`Security::Opportunistic`](smtp_proto::Security::Opportunistic) a certificate that does not verify ends nothing.
//!   [`TlsInfo::verification`](smtp_proto::TlsInfo::verification) tells what is wrong with it.
//! * A TLS session is resumed only at the level of trust where it was begun.
//! * What comes after the reply to STARTTLS in the same segment is an error, and is neither dropped nor read as TLS.
//! * SASL mechanisms get the channel binding `tls-exporter` (RFC 9266) where it is sound: in TLS 1.3, and in TLS 1.2 if the
//!   settings demand the extended master secret. With the feature `scram` they get `tls-server-end-point` (RFC 5929) too,
//!   for every certificate whose signature has a hash function of its own.
//! * TLS is 1.2 or newer. The process-wide crypto provider of rustls is neither set nor used.
//!
//! # Features
//! | feature | by default | what it adds |
//! | --- | --- | --- |
//! | `ring` | yes | cryptography by ring: builds fast and needs little |
//! | `aws-lc-rs` | no | cryptography by aws-lc-rs, with post-quantum key exchange; preferred if both are there |
//! | `platform-verifier` | yes | trusts whom the operating system trusts, asking it where it has a verifier |
//! | `webpki-roots` | no | trusts Mozilla's list, compiled in; the default trust if `platform-verifier` is off |
//! | `scram` | yes | the SCRAM mechanisms, preferred for a user's password, and what binds them to the TLS connection |
//! | `idna` | no | a host beyond ASCII is looked up and certified by its A-labels; so are domains in addresses told |
//! | `tracing` | no | a span of the crate of that name for each connection, with its host, and for each message |
//! | `dangerous` | no | [`TlsConfigBuilder`] can be told not to check who the server is |
//!
//! With no crypto feature, bring an `Arc<rustls::ClientConfig>` of your own: [`TlsConfig`] is made from it. An endpoint in cleartext
//! needs neither.

// The pages of the adapters find those of this crate beside theirs, even if they are made before these. It works as long as the
// adapters have no modules.
#![doc(html_root_url = "../")]

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
mod watch;

pub use rustls;
pub use smtp_proto as proto;

pub use crate::endpoint::{
    Attempt, Attempts, Endpoint, EndpointBuilder, EndpointError, HostErrorKind,
};
pub use crate::session::Session;
pub use crate::tls::{TlsConfig, TlsConfigBuilder, TlsError};
