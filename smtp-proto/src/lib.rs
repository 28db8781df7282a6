//! A sans-IO SMTP client: the protocol as a state machine.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod outbox;

pub mod body;

pub use outbox::Transmit;
