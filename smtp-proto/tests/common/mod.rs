//! Shared by the tests of the core: two ends in memory under a virtual clock, scenarios, and the
//! invariants.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod answered;
pub(crate) mod debug_output;
pub(crate) mod dialogue;
pub(crate) mod harness;
pub(crate) mod invariants;
pub(crate) mod pair;
pub(crate) mod scenario;
pub(crate) mod scripted_server;
pub(crate) mod session;
pub(crate) mod taker;
pub(crate) mod tampering_peer;

pub(crate) use answered::Answered;

/// A message with any content: the header section is not checked.
pub(crate) fn raw_mail<S>(
    sender: S,
    recipients: impl IntoIterator<Item = impl Into<smtp_proto::Recipient>>,
    text: impl Into<bytes::Bytes>,
) -> Result<smtp_proto::Mail, smtp_proto::MailError>
where
    S: TryInto<smtp_proto::ReversePath, Error: Into<smtp_proto::AddressError>>,
{
    smtp_proto::Mail::builder()
        .sender(sender)
        .recipients(recipients)
        .message(text)
        .without_header_check()
        .build()
}
