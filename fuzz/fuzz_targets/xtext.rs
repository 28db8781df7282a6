//! Whatever is encoded as xtext or as an address comes back through the server's decoder, and the core takes what that takes.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::xtext(input));
