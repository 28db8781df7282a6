//! What parses encodes to what parses as the same; an independent grammar says the same of it; no byte is illegal.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::address(input));
