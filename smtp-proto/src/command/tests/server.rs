//! A server's reading of our commands: written independently of the encoder, and without regard for
//! the client's intention.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

#[derive(Debug)]
pub(super) struct Path {
    /// The unquoted local part and the domain; `None` without an `@`.
    pub(super) mailbox: Option<(String, String)>,
    pub(super) parameters: Vec<(String, Option<String>)>,
}

/// Checks that `sent` is one line.
pub(super) fn line(sent: &str) -> &str {
    let line = sent.strip_suffix("\r\n").expect("ends with CRLF");
    assert!(
        line.bytes().all(|byte| byte >= b' ' && byte != 0x7f),
        "{sent:?}"
    );
    line
}

pub(super) fn path(sent: &str, command: &str) -> Path {
    let rest = line(sent)
        .strip_prefix(command)
        .and_then(|rest| rest.strip_prefix('<'))
        .expect("a path");
    let mut chars = rest.char_indices();
    let (mut words, mut at, mut end, mut quoted) = (String::new(), None, None, false);
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if quoted => words.extend(chars.next().map(|(_, c)| c)),
            '"' => quoted = !quoted,
            '@' if !quoted => at = at.or(Some(i)),
            '>' if !quoted => {
                end = Some(i);
                break;
            }
            ' ' if !quoted => panic!("space in a path: {sent:?}"),
            c if at.is_none() => words.push(c),
            _ => {}
        }
    }
    let end = end.expect("the path ends");
    let domain = at.map_or("", |at| &rest[at + 1..end]).to_owned();
    assert!(!domain.contains(['"', '\\', '@', '<']), "{sent:?}");
    let mut parameters = rest[end + 1..].split(' ');
    assert_eq!(parameters.next(), Some(""), "a space behind the path");
    Path {
        mailbox: (end > 0).then_some((words, domain)),
        parameters: parameters
            .map(|parameter| match parameter.split_once('=') {
                Some((keyword, value)) => (keyword.to_owned(), Some(value.to_owned())),
                None => (parameter.to_owned(), None),
            })
            .collect(),
    }
}
