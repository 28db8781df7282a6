//! A text that parses encodes to a text that parses as the same; an independent grammar agrees; no
//! byte is invalid.

use smtp_proto::{AddressError, ClientName, Domain, ForwardPath, Mailbox, ReversePath};

#[path = "../../smtp-proto/src/address/tests/reference.rs"]
mod reference;

/// Bytes: a text that may be an address.
pub fn address(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    check_mailbox(text);
    check_joined(text);
    let reverse: Result<ReversePath, _> = text.parse();
    if let Some(path) = sound(text, reverse) {
        check_bytes(path.as_str());
        assert_eq!(path.to_string().parse(), Ok(path.clone()));
        assert_eq!(path.as_str().parse(), Ok(path));
    }
    let forward: Result<ForwardPath, _> = text.parse();
    if let Some(path) = sound(text, forward) {
        check_bytes(path.as_str());
        assert!(path.mailbox().is_some() || path == ForwardPath::postmaster());
        assert_eq!(path.to_string().parse(), Ok(path));
    }
    if let Some(domain) = sound(text, text.parse::<Domain>()) {
        check_bytes(domain.as_str());
        assert_eq!(domain.as_str(), text);
        assert!(domain.as_str().split('.').all(|label| !label.is_empty()));
    }
    if let Some(name) = sound(text, text.parse::<ClientName>()) {
        check_bytes(name.as_str());
        assert!(name.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if let Some(path) = sound(text, ForwardPath::local(text)) {
        check_bytes(path.as_str());
        assert!(path.local_part() == text || path == ForwardPath::postmaster());
        assert_eq!(path.domain(), None);
    }
}

fn check_mailbox(text: &str) {
    // The reference measures a U-label in bytes, and knows three of its characters.
    let expected = reference::mailbox(text).filter(|(_, domain)| domain.is_ascii());
    let Some(mailbox) = sound(text, text.parse::<Mailbox>()) else {
        assert!(expected.is_none(), "rejected: {text:?}");
        return;
    };
    let words = (
        mailbox.local_part().into_owned(),
        mailbox.domain().to_owned(),
    );
    if mailbox.domain().is_ascii() {
        assert_eq!(Some(&words), expected.as_ref(), "{text:?}");
    }
    check_bytes(mailbox.as_str());
    assert!(mailbox.as_str().len() <= text.len().min(254));
    assert_eq!(mailbox.as_str().parse(), Ok(mailbox.clone()));
    assert_eq!(Mailbox::new(&words.0, &words.1), Ok(mailbox.clone()));
    let path = ReversePath::from(&mailbox).to_string();
    assert_eq!(path.parse::<ForwardPath>(), Ok(mailbox.into()));
}

/// Two plain texts with a tab between them.
fn check_joined(text: &str) {
    let (local, domain) = text.split_once('\t').unwrap_or((text, "x.test"));
    if let Ok(mailbox) = Mailbox::new(local, domain) {
        check_bytes(mailbox.as_str());
        assert_eq!(mailbox.local_part(), local);
        assert_eq!(mailbox.domain(), domain);
        assert_eq!(mailbox.as_str().parse(), Ok(mailbox));
    }
}

/// The parsed value. An error is located inside the text and does not repeat the text.
fn sound<T>(text: &str, parsed: Result<T, AddressError>) -> Option<T> {
    match parsed {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(error.offset() <= text.len(), "{error} of {text:?}");
            assert!(error.to_string().len() < 80);
            None
        }
    }
}

fn check_bytes(encoded: &str) {
    let illegal = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!encoded.contains(illegal), "{encoded:?}");
    assert!(encoded.len() <= 255, "{encoded:?}");
    if !encoded.starts_with('"') {
        assert!(!encoded.contains([' ', '<', '>', '"', '\\']), "{encoded:?}");
    }
}
