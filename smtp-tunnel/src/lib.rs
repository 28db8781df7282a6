//! Tunnels for SMTP connections as state machines: SOCKS5, HTTP CONNECT, and the header of the
//! PROXY protocol; no I/O, no clock, no threads.
//!
//! A [`Tunnel`] is a [`Wire`](smtp_proto::Wire) around another, as a TLS layer is. It speaks to the
//! proxy first. When the proxy has connected to the server, the tunnel is open, and passes bytes,
//! errors and time through to the wire inside: a [`Connection`](smtp_proto::Connection), or a
//! session with TLS. Before that nothing is given to that wire and nothing is taken from it, so its
//! time limits begin when the tunnel opens.
//!
//! ```
//! use std::sync::Arc;
//! use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
//! use smtp_tunnel::{Destination, Proxy, Tunnel};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
//! let connection = Connection::new(Arc::new(config), Seed::random());
//! let destination = Destination::new("mail.example.org", 587)?;
//! let mut tunnel = Tunnel::new(connection, &Proxy::socks5(), destination);
//!
//! let now = Time::ORIGIN;
//! let mut send = |tunnel: &mut Tunnel<Connection>| -> Vec<u8> {
//!     let transmit = tunnel.poll_transmit(now);
//!     let bytes: Vec<u8> = transmit.iter().flat_map(|transmit| transmit.iter()).flatten().copied().collect();
//!     tunnel.handle_sent(now, bytes.len());
//!     bytes
//! };
//! // Version 5, one method: no authentication.
//! assert_eq!(send(&mut tunnel), [5, 1, 0]);
//! tunnel.handle_input(now, &[5, 0]);
//! // CONNECT to a domain name of 16 bytes, port 587.
//! assert_eq!(send(&mut tunnel), b"\x05\x01\x00\x03\x10mail.example.org\x02\x4b");
//! // The proxy has connected. The server's greeting may be in the same segment.
//! tunnel.handle_input(now, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00220 mail.example.org\r\n");
//! assert!(tunnel.is_open());
//! assert_eq!(send(&mut tunnel), b"EHLO client.example.org\r\n");
//! # Ok(())
//! # }
//! ```
//!
//! | tunnel | round trips before the server's greeting | defined by |
//! | --- | --- | --- |
//! | [`Proxy::socks5`] | 2; with a login 3 | RFC 1928, RFC 1929 |
//! | [`Proxy::http`] | 1 | RFC 9110, section 9.3.6; RFC 9112; RFC 7617 |
//! | [`ProxyHeader`] | 0 | the PROXY protocol, versions 1 and 2 |
//!
//! If the proxy opens no tunnel, the connection fails at [`Stage::Proxy`](smtp_proto::Stage::Proxy)
//! with a [`ProxyError`], and messages that were submitted are reported as not sent.
//!
//! TLS to the proxy itself is not part of this crate: a TLS layer around the tunnel does it.
//! Programs set the proxy of an endpoint of `smtp-rustls`, which has both; this crate is for other
//! drivers and layers.

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
// these.
#![doc(html_root_url = "../")]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(test)]
extern crate std;

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
mod destination;
mod error;
mod header;
mod login;
mod progress;

mod http_connect;
mod proxy;
mod socks5;

mod handshake;

mod tunnel;

pub use smtp_proto as proto;

pub use crate::destination::{Destination, DestinationError};
pub use crate::error::{ProxyError, ProxyErrorKind};
pub use crate::header::ProxyHeader;
pub use crate::login::LoginError;
pub use crate::proxy::Proxy;
pub use crate::tunnel::Tunnel;
