//! Whatever names, addresses, parameters and commands a caller gives: an independent parser finds exactly what was asked for.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::command_reparse(input));
