//! Any split of the same bytes gives the same replies or the same error, and the limits hold to the
//! byte.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::reply(input));
