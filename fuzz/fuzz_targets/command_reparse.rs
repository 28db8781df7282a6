//! For any names, addresses, parameters and commands of a caller, an independent parser finds
//! exactly what was requested.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::command_reparse(input));
