//! The grammar once more, written from the RFCs in another way: split at the last unquoted `@`
//! first, then check the parts. It is slow and has no offsets.

use alloc::{
    borrow::ToOwned,
    string::{String, ToString},
    vec::Vec,
};

/// The unquoted local part and the domain.
pub(super) fn mailbox(text: &str) -> Option<(String, String)> {
    let (mut quoted, mut escaped, mut cut) = (false, false, None);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '@' if !quoted => cut = Some(i),
            _ => {}
        }
    }
    let (local, domain) = (&text[..cut?], &text[cut? + 1..]);
    let fits = text.len() <= 254;
    (fits && host(domain)).then_some((words(local)?, domain.to_owned()))
}

fn words(local: &str) -> Option<String> {
    if local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(atext))
    {
        return Some(local.to_owned());
    }
    let chars: Vec<char> = local.chars().collect();
    let [b'"', .., b'"'] = local.as_bytes() else {
        return None;
    };
    let mut rest = &chars[1..chars.len() - 1];
    let mut words = String::new();
    loop {
        match rest {
            [] => return Some(words),
            ['\\', c @ ' '..='~', others @ ..] => (words.push(*c), rest = others).1,
            ['\\' | '"', ..] => return None,
            [c, others @ ..] if (' '..='~').contains(c) || text(*c) => {
                (words.push(*c), rest = others).1
            }
            _ => return None,
        }
    }
}

fn atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || text(c)
}

fn text(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !['\u{2028}', '\u{2029}'].contains(&c)
}

fn host(domain: &str) -> bool {
    if let Some(inner) = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return match inner.to_ascii_lowercase().strip_prefix("ipv6:") {
            Some(address) => ipv6(address),
            None => ipv4(inner),
        };
    }
    let label_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || "é中\u{200d}".contains(c);
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.chars().all(label_char)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn ipv4(text: &str) -> bool {
    let byte = |part: &str| {
        part.parse::<u8>()
            .is_ok_and(|byte| byte.to_string() == part)
    };
    text.split('.').count() == 4 && text.split('.').all(byte)
}

fn ipv6(text: &str) -> bool {
    let (address, v4_groups) = match text.rsplit_once(':') {
        Some((front, tail)) if tail.contains('.') => {
            if !ipv4(tail) {
                return false;
            }
            // The colon stays if it is the second of `::`.
            (
                if front.ends_with(':') {
                    &text[..=front.len()]
                } else {
                    front
                },
                2,
            )
        }
        _ => (text, 0),
    };
    let groups = |part: &str| match part {
        "" => Some(0),
        _ => part
            .split(':')
            .all(|group| {
                (1..=4).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
            .then(|| part.split(':').count()),
    };
    match address.split_once("::") {
        None => groups(address) == Some(8 - v4_groups),
        Some((front, back)) => match (groups(front), groups(back)) {
            (Some(front), Some(back)) => front + back + v4_groups <= 6,
            _ => false,
        },
    }
}
