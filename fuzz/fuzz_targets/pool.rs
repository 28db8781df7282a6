//! The pool does what its model does in any history: one end for each message, nothing in doubt sent
//! again, no more connections than allowed, no busy loop.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::pool(input));
