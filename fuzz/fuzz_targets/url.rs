//! A URL is an error inside it, or an endpoint that prints as a URL of the same endpoint; the two ways
//! to find the host agree; neither shows the password.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp_fuzz::url(input));
