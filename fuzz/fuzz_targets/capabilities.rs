//! Reading a reply to EHLO never panics, matches whole words only, and `iter`, `has`, `keyword` and
//! the getters agree.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::capabilities(input));
