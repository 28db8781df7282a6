//! The invariants, each as a function for every script, property and fuzz target.
#![allow(unreachable_pub, reason = "the tests of the adapters use this too")]

use smtp_proto::{Error, ErrorKind, Outcome, RecipientStatus, Security};
use smtp_test::{Log, StoredMail};

/// The error of the connection that a later message reports as `Earlier`.
pub fn cause(error: &Error) -> &Error {
    match error.kind() {
        ErrorKind::Earlier(error) => error,
        _ => error,
    }
}

/// I6: where TLS is required, only commands without content or credentials are sent in cleartext.
pub fn check_clear_text(cleartext: &[u8]) {
    let allowed = |line: &[u8]| {
        let verb: Vec<u8> = line
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .map(u8::to_ascii_uppercase)
            .collect();
        matches!(
            verb.as_slice(),
            b"EHLO" | b"LHLO" | b"HELO" | b"STARTTLS" | b"QUIT" | b"RSET" | b"NOOP"
        )
    };
    for line in cleartext.split_inclusive(|byte| *byte == b'\n') {
        assert!(
            allowed(line),
            "left in cleartext: {:?}",
            String::from_utf8_lossy(line)
        );
    }
}

/// I6 for all that a connection sent, of which the first `in_cleartext` bytes were sent without
/// TLS.
pub fn check_leaving(security: Security, sent: &[u8], in_cleartext: Option<usize>) {
    if matches!(security, Security::StartTls | Security::Implicit) {
        check_clear_text(&sent[..in_cleartext.unwrap_or(sent.len())]);
    }
}

/// I3: the independent parser of the test server found no violation of the standards.
pub fn check_commands(log: &Log) {
    log.assert_clean();
}

/// I7 and I8: a stored message was accepted or is in doubt, and an accepted one is stored exactly
/// once.
///
/// `text` occurs in this message only.
pub fn check_fates(outcome: &Outcome, stored: &[StoredMail], text: &[u8]) {
    check_retry(outcome);
    let copies: Vec<_> = stored
        .iter()
        .filter(|mail| mail.body().windows(text.len()).any(|part| part == text))
        .collect();
    for delivery in outcome.recipients() {
        let recipient = delivery.recipient().as_str();
        let count = copies
            .iter()
            .filter(|mail| mail.addresses().contains(&recipient))
            .count();
        match delivery.status() {
            RecipientStatus::Accepted(_) => {
                assert_eq!(count, 1, "{recipient}: accepted, and stored {count} times")
            }
            RecipientStatus::InDoubt(_) => assert!(
                count <= 1,
                "{recipient}: in doubt, and stored {count} times"
            ),
            fate @ (RecipientStatus::Rejected { .. } | RecipientStatus::NotSent(_)) => {
                assert_eq!(count, 0, "{recipient}: stored, and reported as {fate:#}");
            }
        }
    }
}

/// A retry has exactly the recipients whose failure is transient and certain: none in doubt.
pub fn check_retry(outcome: &Outcome) {
    let Some(retry) = outcome.retry() else {
        return;
    };
    let wanted = outcome.recipients().iter().filter(|each| {
        let status = each.status();
        match status {
            RecipientStatus::Accepted(_) | RecipientStatus::InDoubt(_) => false,
            RecipientStatus::Rejected { reply, .. } => reply.is_transient(),
            RecipientStatus::NotSent(error) => error.is_transient(),
        }
    });
    assert!(retry.recipients().len() > 0);
    assert!(
        retry.recipients().eq(wanted.map(|each| each.recipient())),
        "{retry:?} of {outcome}"
    );
}

/// I9: the secret is in no text for people: neither as it is, nor in base64 at any alignment, nor
/// in hex.
pub fn check_secret(secret: &str, shown: &str) {
    for form in disguises(secret) {
        assert!(
            !shown.contains(&form),
            "{form:?}, the secret in disguise, is shown in {shown}"
        );
    }
}

/// The secret itself, in base64 after zero, one and two other bytes, and in hex.
pub fn disguises(secret: &str) -> Vec<String> {
    let hex = |upper: bool| {
        secret
            .bytes()
            .map(|byte| {
                if upper {
                    format!("{byte:02X}")
                } else {
                    format!("{byte:02x}")
                }
            })
            .collect::<String>()
    };
    let mut forms = vec![secret.to_owned(), hex(false), hex(true)];
    for shift in 0..3 {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(secret.as_bytes());
        bytes.truncate(bytes.len() / 3 * 3);
        // The first group mixes with the bytes before it.
        let skip = if shift == 0 { 0 } else { 4 };
        forms.push(base64(&bytes)[skip..].to_owned());
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks_exact(3)
        .flat_map(|group| {
            let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
        })
        .collect()
}
