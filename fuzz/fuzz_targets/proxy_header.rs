//! The header of the PROXY protocol for any addresses reads back as these, is sent first and whole,
//! and takes no round trip; input before it is an error.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::proxy_header(input));
