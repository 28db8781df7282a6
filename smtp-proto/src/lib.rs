//! The words of SMTP: addresses, commands, parameters and SASL exchanges.
#![no_std]
#![cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "the state machines that speak these words are not here yet"
    )
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod address;
mod secret;

mod parameter;
pub mod sasl;

mod command;

pub use address::{
    AddressError, AddressFault, ClientName, Domain, ForwardPath, Mailbox, ReversePath,
};
pub use command::{Command, CommandError, CommandFault};
pub use parameter::{Keyword, Parameter, ParameterError, ParameterFault, Parameters, Value};
pub use secret::Secret;
