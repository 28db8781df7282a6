//! For any text as a parameter: the core accepts it exactly if the server's own parser does, and
//! sends it unchanged.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::parameters(input));
