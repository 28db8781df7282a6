//! The bodies of the fuzz targets. Each is a function over bytes for libFuzzer, AFL++ and a plain
//! test. It panics when its invariant, the first sentence of its module, does not hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target fails by panicking"
)]

extern crate alloc;

mod base64;
mod ledger;
mod session;

mod address;
mod body;
mod capabilities;
mod command_reparse;
mod from_message;
mod http_connect;
mod operations;
mod parameters;
mod pool;
mod proxied;
mod proxy_header;
mod reply;
mod sasl;
mod session_chunked;
mod session_whole;
mod socks5;
mod starttls;
mod url;
mod xtext;

// The invariants and references that the core's own tests use.
#[path = "../../smtp-proto/tests/common/mod.rs"]
mod common;
#[path = "../../smtp-proto/tests/reference/mod.rs"]
mod reference;
// Tunnels and their models, side by side.
#[path = "../../smtp-tunnel/tests/model/mod.rs"]
mod tunnels;
// The pool and its model, side by side.
#[path = "../../smtp-pool/tests/history/mod.rs"]
mod history;

pub use address::address;
pub use body::body;
pub use capabilities::capabilities;
pub use command_reparse::command_reparse;
pub use from_message::from_message;
pub use http_connect::http_connect;
pub use operations::operations;
pub use parameters::parameters;
pub use pool::pool;
pub use proxy_header::proxy_header;
pub use reply::reply;
pub use sasl::sasl;
pub use session_chunked::session_chunked;
pub use session_whole::session_whole;
pub use socks5::socks5;
pub use starttls::starttls;
pub use url::url;
pub use xtext::xtext;

/// The body of a target.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("address", address),
    ("body", body),
    ("capabilities", capabilities),
    ("command_reparse", command_reparse),
    ("from_message", from_message),
    ("http_connect", http_connect),
    ("operations", operations),
    ("parameters", parameters),
    ("pool", pool),
    ("proxy_header", proxy_header),
    ("reply", reply),
    ("sasl", sasl),
    ("session_chunked", session_chunked),
    ("session_whole", session_whole),
    ("socks5", socks5),
    ("starttls", starttls),
    ("url", url),
    ("xtext", xtext),
];

/// A small choice from the front of an input. The character `0` is 0, so seeds can be written by
/// hand.
pub(crate) fn choice(input: &mut &[u8], count: usize) -> usize {
    let Some((first, rest)) = input.split_first() else {
        return 0;
    };
    *input = rest;
    usize::from(first.wrapping_sub(b'0')) % count
}
