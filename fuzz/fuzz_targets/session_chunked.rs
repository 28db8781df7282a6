//! The same server, cut in two ways: the same events, output and final state.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::session_chunked(input));
