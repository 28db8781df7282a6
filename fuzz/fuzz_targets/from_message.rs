//! No Bcc field of a message is sent and no other line is changed, every recipient is in a field for
//! recipients, and the sender in one for the sender.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::from_message(input));
