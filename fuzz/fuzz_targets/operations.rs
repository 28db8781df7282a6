//! Any calls in any order: no panic, one outcome for each message, the first error stays, and I4 to
//! I8 hold.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::operations(input));
