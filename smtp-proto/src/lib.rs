//! A sans-IO SMTP client: the protocol as a state machine, with no I/O, clock or TLS of its own.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), expect(dead_code, reason = "the connection will use it"))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod parse;
mod reply;

mod capabilities;
mod inbox;

pub use capabilities::{Capabilities, FutureRelease, Limits, SizeLimit};
pub use inbox::{ReplyError, ReplyLimits};
pub use reply::{Code, EnhancedCode, Reply, Severity};
