//! Any server with any caller: no panic, I4 to I8 hold, and the session ends.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::session_whole(input));
