//! The tests of the blocking client, in one program: it is compiled and linked once.

mod conformance;
#[cfg(feature = "rustls")]
mod mailer;
mod operations;
mod rt;

adapter_tests::suite!();
