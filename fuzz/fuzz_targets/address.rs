//! A text that parses encodes to a text that parses as the same; an independent grammar agrees; no
//! byte is invalid.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::address(input));
