//! For any cuts of the content, a server gets the canonical content and exactly one end, or both
//! `scan` and `Encoder` return the same error.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::body(input));
