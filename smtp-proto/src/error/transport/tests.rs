use alloc::format;
use alloc::string::{String, ToString};

use super::*;

/// An error of a transport that quotes its peer.
#[derive(Clone)]
struct Quote(String);

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In pieces, as a formatter may.
        self.0
            .chars()
            .try_for_each(|character| f.write_char(character))
    }
}

impl fmt::Debug for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Quote {}

#[test]
fn v30_text_quoted_by_a_transport_is_escaped_and_cut() {
    let shown = |text: &str| {
        let error = TransportError::new(Quote(text.to_string()));
        assert_eq!(format!("{error}"), format!("{error:?}"));
        error.to_string()
    };
    assert_eq!(shown("connection refused"), "connection refused");
    assert_eq!(
        shown("a\u{1b}[2J\r\n\u{202e}b"),
        "a\\x1b[2J\\x0d\\x0a\\xe2\\x80\\xaeb"
    );
    let text = shown(&"\u{1b}".repeat(10_000));
    assert!(text.len() <= SHOWN && text.ends_with('…'), "{text}");
    let text = shown(&"é".repeat(10_000));
    assert!(text.len() <= SHOWN && text.ends_with('…'), "{text}");
}
