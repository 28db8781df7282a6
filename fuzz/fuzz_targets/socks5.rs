//! Any bytes of a SOCKS5 proxy, however they are cut: the tunnel does what a model of the RFCs
//! does, in at most three round trips, and sends nothing of the session before it is open.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::socks5(input));
