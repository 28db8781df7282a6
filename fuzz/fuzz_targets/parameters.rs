//! Whatever text is tried as a parameter: the core takes it exactly if the server's own parser does, and sends it as it is.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::parameters(input));
