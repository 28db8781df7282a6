//! The tests of the server, in one program: it is compiled and linked once.

mod common;

mod asynchronous;
mod chunking;
mod lmtp;
mod machine;
mod memory;
mod origin;
mod parameters;
mod pipe;
mod sasl;
mod server;
