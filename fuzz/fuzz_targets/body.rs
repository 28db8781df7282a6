//! However a body is cut, a server gets the canonical body and exactly one end, or both `scan` and `Encoder` name the same fault.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::body(input));
