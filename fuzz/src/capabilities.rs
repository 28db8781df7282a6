//! Reading a reply to EHLO never panics, matches whole words only, and `iter`, `has`, `keyword` and
//! the getters agree.

use smtp_proto::{Capabilities, Reply, SizeLimit};

/// Bytes: the reply to EHLO, with codes or without.
pub fn capabilities(input: &[u8]) {
    if let Ok(Some((reply, len))) = Reply::parse(input) {
        check(&reply, &input[..len]);
    }
    let lines: Vec<&[u8]> = input.split(|&byte| byte == b'\n').take(140).collect();
    let mut ehlo = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        ehlo.extend(if at + 1 < lines.len() {
            b"250-"
        } else {
            b"250 "
        });
        ehlo.extend(*line);
        ehlo.push(b'\n');
    }
    if let Ok(Some((reply, _))) = Reply::parse(&ehlo) {
        check(&reply, &ehlo);
    }
}

fn check(reply: &Reply, raw: &[u8]) {
    let known = Capabilities::parse(reply);
    if reply.code() != 250 {
        assert_eq!(known.iter().count(), 0);
        return;
    }
    check_agreement(&known);
    let lines: Vec<&[u8]> = reply.lines().skip(1).collect();
    for (keyword, params) in known.iter() {
        let found = lines.iter().any(|line| is_line_of(line, keyword, params));
        assert!(
            found,
            "{keyword} stands in no line of {}",
            raw.escape_ascii()
        );
    }
    // Words that are parts of others, and words that only the server's text has.
    let text = String::from_utf8_lossy(raw);
    for word in text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .take(24)
    {
        for word in [
            word,
            word.get(1..).unwrap_or(word),
            word.get(..3).unwrap_or(word),
        ] {
            check_has(&known, word);
        }
    }
    for word in WORDS {
        check_has(&known, word);
        check_without(&known, word);
    }
    if let Some((word, _)) = known.iter().last() {
        check_without(&known, word);
    }
    let _ = (known.limits(), known.server_name(), format!("{known:?}"));
    let _ = (known.future_release(), known.no_soliciting());
    for params in [
        known.burl().map(Iterator::count),
        known.xclient().map(Iterator::count),
    ] {
        assert!(params.is_none_or(|count| count <= raw.len()));
    }
}

/// Whether the line says this keyword with these parameters, as a whole word.
fn is_line_of(line: &[u8], keyword: &str, params: &[u8]) -> bool {
    let line = line.trim_ascii();
    let Some(rest) = line.strip_prefix(keyword.as_bytes()) else {
        return false;
    };
    let separated = match rest {
        [] | [b' ' | b'\t', ..] => true,
        [b'=', ..] => keyword.eq_ignore_ascii_case("AUTH"),
        _ => false,
    };
    separated && rest.ends_with(params)
}

fn check_agreement(known: &Capabilities) {
    let count = known.iter().count();
    assert!(count <= 128);
    // Each look-up reads the whole reply, so the first and last words are enough.
    let some = known
        .iter()
        .take(10)
        .chain(known.iter().skip(count.saturating_sub(3)));
    for (keyword, _) in some {
        assert!(known.has(keyword), "{keyword}");
        assert!(known.has(&keyword.to_ascii_lowercase()), "{keyword}");
        let first = known
            .iter()
            .find(|(each, _)| each.eq_ignore_ascii_case(keyword));
        assert_eq!(known.keyword(keyword), first.map(|(_, params)| params));
    }
    let said = |word: &str| {
        known
            .iter()
            .any(|(each, _)| each.eq_ignore_ascii_case(word))
    };
    for (getter, expected) in [
        (known.pipelining(), said("PIPELINING")),
        (known.start_tls(), said("STARTTLS")),
        (known.chunking(), said("CHUNKING")),
        (known.dsn(), said("DSN")),
        (known.require_tls(), said("REQUIRETLS")),
        (known.eight_bit_mime(), said("8BITMIME") || said("SMTPUTF8")),
        (known.smtp_utf8(), said("SMTPUTF8")),
        (known.binary_mime(), said("BINARYMIME") && said("CHUNKING")),
        (known.size().is_some(), said("SIZE")),
        (known.deliver_by().is_some(), said("DELIVERBY")),
        (known.etrn(), said("ETRN")),
        (known.enhanced_status_codes(), said("ENHANCEDSTATUSCODES")),
    ] {
        assert_eq!(getter, expected, "{known:?}");
    }
    if let Some(SizeLimit::Bytes(bytes)) = known.size() {
        assert_ne!(bytes, 0, "a limit of zero is no limit");
    }
    let mechanisms: Vec<&str> = known.auth().collect();
    assert!(mechanisms.is_empty() || said("AUTH"));
    for (at, mechanism) in mechanisms.iter().enumerate() {
        assert!((1..=20).contains(&mechanism.len()));
        assert!(!mechanisms[..at].contains(mechanism), "{mechanism} twice");
        assert_eq!(*mechanism, mechanism.to_ascii_uppercase());
    }
}

fn check_has(known: &Capabilities, word: &str) {
    let said = |word: &str| {
        known
            .iter()
            .any(|(each, _)| each.eq_ignore_ascii_case(word))
    };
    // RFC 6531, section 3.1: SMTPUTF8 includes 8BITMIME.
    let implied = word.eq_ignore_ascii_case("8BITMIME") && said("SMTPUTF8");
    assert_eq!(known.has(word), said(word) || implied, "{word}");
    assert_eq!(known.keyword(word).is_some(), said(word), "{word}");
}

/// Ignoring an extension removes that one, wholly, and adds nothing.
fn check_without(known: &Capabilities, word: &str) {
    let less = known.clone().without(word);
    assert!(!less.has(word) && less.keyword(word).is_none(), "{word}");
    let rest = known
        .iter()
        .filter(|(each, _)| !each.eq_ignore_ascii_case(word));
    assert!(less.iter().eq(rest), "{word}");
    for (keyword, _) in less.iter().take(10) {
        assert!(less.has(keyword), "{keyword} went with {word}");
    }
    assert_eq!(less.server_name(), known.server_name());
    let is_auth = word.eq_ignore_ascii_case("AUTH");
    assert!(if is_auth {
        less.auth().next().is_none()
    } else {
        less.auth().eq(known.auth())
    });
}

const WORDS: &[&str] = &[
    "SIZE",
    "AUTH",
    "8BITMIME",
    "SMTPUTF8",
    "STARTTLS",
    "PIPELINING",
    "CHUNKING",
    "HELP",
    "",
];
