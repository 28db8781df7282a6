//! Any bytes after the 220 to STARTTLS fail the connection before a second EHLO, and only commands
//! without content or credentials are sent in cleartext.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::starttls(input));
