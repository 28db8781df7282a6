//! Whatever a server asks of a mechanism: exactly its steps, each response decodes to what was given, no secret is shown.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::sasl(input));
