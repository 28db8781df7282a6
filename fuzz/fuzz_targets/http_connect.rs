//! Any bytes of an HTTP proxy, however they are cut: the tunnel does what a model of the RFCs does,
//! in one round trip, and its request reads back as the destination and the login.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::http_connect(input));
