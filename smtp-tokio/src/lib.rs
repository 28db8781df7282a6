//! Placeholder
mod client;
#[cfg(feature = "rustls")]
mod connect;

pub use client::Client;
pub use smtp_proto as proto;
#[cfg(feature = "rustls")]
pub use smtp_rustls as tls;
