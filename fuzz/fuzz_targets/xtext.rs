//! Any bytes encoded as xtext or as an address are decoded by the server's parser to the same, and
//! the core accepts exactly what that parser accepts.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::xtext(input));
