//! All targets for AFL++: `cargo afl fuzz -i seeds/reply -o corpus/afl-reply target/debug/afl
//! reply`.

#![allow(
    clippy::expect_used,
    reason = "without a target there is nothing to do"
)]

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let (_, target) = smtp_fuzz::TARGETS
        .iter()
        .find(|(each, _)| *each == name)
        .expect("the name of a target is the first argument");
    afl::fuzz!(|input: &[u8]| target(input));
}
