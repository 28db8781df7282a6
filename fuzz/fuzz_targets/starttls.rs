//! Anything after the 220 to STARTTLS fails before a second EHLO, and nothing of worth leaves in cleartext.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::starttls(input));
