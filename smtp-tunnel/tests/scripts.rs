//! A dialogue with a proxy as a script, run whole, by byte and in pieces.

use smtp_tunnel::{Destination, Proxy, ProxyErrorKind, Tunnel};

use crate::model::{End, Spy, run};

/// A line of a script.
pub(crate) enum Line {
    /// The client sends this message.
    C(&'static [u8]),
    /// The proxy sends these bytes.
    P(&'static [u8]),
}

/// Runs the script, which ends as `end` says. Returns all texts of errors.
pub(crate) fn check(proxy: &Proxy, host: &str, port: u16, script: &[Line], end: &End) -> String {
    let turns: Vec<&[u8]> = script.iter().filter_map(Line::received).collect();
    let sent: Vec<&[u8]> = script.iter().filter_map(Line::sent).collect();
    let mut texts = Vec::new();
    for piece in PIECES {
        let destination = Destination::new(host, port).unwrap();
        let (run, shown) = run(Tunnel::new(Spy::new(), proxy, destination), &turns, piece);
        assert_eq!(run.sent, sent, "in pieces of {piece}");
        assert_eq!(run.end, *end, "in pieces of {piece}");
        texts.push(shown);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "I2: {texts:?}");
    texts.swap_remove(0)
}

/// Runs the script, whose end is this failure with a hint that contains `hint`; an empty one is
/// none.
pub(crate) fn check_failure(
    proxy: &Proxy,
    script: &[Line],
    kind: ProxyErrorKind,
    text: &str,
    hint: &str,
) {
    let end = End::Failed(kind);
    let shown = check(proxy, "mail.example.org", 587, script, &end);
    let whole = match hint {
        "" => format!("at the proxy: {text} at the proxy: {text}"),
        _ => format!("at the proxy: {text} ("),
    };
    assert!(shown.contains(&whole), "{whole:?}: {shown}");
    assert!(shown.contains(hint), "{hint:?}: {shown}");
}

impl Line {
    fn sent(&self) -> Option<&'static [u8]> {
        match self {
            Self::C(bytes) => Some(bytes),
            Self::P(_) => None,
        }
    }

    fn received(&self) -> Option<&'static [u8]> {
        match self {
            Self::C(_) => None,
            Self::P(bytes) => Some(bytes),
        }
    }
}

pub(crate) const PIECES: [usize; 4] = [usize::MAX, 1, 2, 7];
