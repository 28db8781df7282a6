//! For any challenges of a server: a mechanism takes exactly its steps, each response decodes to
//! the given values, no secret is shown.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::sasl(input));
