//! The server's own parser of commands (RFC 5321, section 4.1): strict, and used by no other crate.

use crate::Parameter;

/// A command line that follows the grammar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Ehlo(&'a str),
    Helo(&'a str),
    /// EHLO of LMTP (RFC 2033).
    Lhlo(&'a str),
    StartTls,
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    Mail(Path<'a>),
    Rcpt(Path<'a>),
    Data,
    /// RFC 3030, section 2.
    Bdat {
        size: u64,
        last: bool,
    },
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    /// Keywords in capitals, values in xtext.
    Xclient(Vec<Parameter>),
    Xforward(Vec<Parameter>),
    Quit,
    /// Any verb besides.
    Other,
}

/// A path with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    /// What stands between the angle brackets.
    pub(super) address: &'a str,
    pub(super) parameters: Vec<Parameter>,
}

impl Path<'_> {
    pub(super) fn has(&self, keyword: &str) -> bool {
        self.value(keyword).is_some()
    }

    pub(super) fn value(&self, keyword: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|parameter| parameter.keyword.eq_ignore_ascii_case(keyword))
            .map(|parameter| parameter.value().unwrap_or_default())
    }
}

/// Parses a line without its CRLF; the error says what is wrong.
pub(super) fn parse(line: &str) -> Result<Request<'_>, &'static str> {
    let (verb, rest) = line
        .split_once(' ')
        .map_or((line, None), |(verb, rest)| (verb, Some(rest)));
    if verb.is_empty()
        || !verb
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return Err("no verb");
    }
    let bare = |request| rest.map_or(Ok(request), |_| Err("unexpected argument"));
    // The longest verb.
    let mut upper = [0; 8];
    let upper = match upper.get_mut(..verb.len()) {
        Some(upper) => {
            upper.copy_from_slice(verb.as_bytes());
            upper.make_ascii_uppercase();
            &*upper
        }
        None => b"",
    };
    match upper {
        b"EHLO" => Ok(Request::Ehlo(client_name(rest)?)),
        b"HELO" => Ok(Request::Helo(client_name(rest)?)),
        b"LHLO" => Ok(Request::Lhlo(client_name(rest)?)),
        b"STARTTLS" => bare(Request::StartTls),
        b"DATA" => bare(Request::Data),
        b"BDAT" => chunk(rest.ok_or("no chunk size")?),
        b"RSET" => bare(Request::Rset),
        b"QUIT" => bare(Request::Quit),
        b"AUTH" => auth(rest.ok_or("no mechanism")?),
        b"MAIL" => Ok(Request::Mail(path(rest, "FROM:", false)?)),
        b"RCPT" => Ok(Request::Rcpt(path(rest, "TO:", true)?)),
        b"NOOP" => text(rest).map(|()| Request::Noop),
        b"HELP" => text(rest).map(|()| Request::Help),
        b"VRFY" => rest
            .map_or(Err("no argument"), |_| text(rest))
            .map(|()| Request::Vrfy),
        b"EXPN" => rest
            .map_or(Err("no argument"), |_| text(rest))
            .map(|()| Request::Expn),
        b"XCLIENT" => attributes(rest).map(Request::Xclient),
        b"XFORWARD" => attributes(rest).map(Request::Xforward),
        _ => text(rest).map(|()| Request::Other),
    }
}

/// RFC 3030, section 2: `chunk-size [ SP end-marker ]`.
fn chunk(rest: &str) -> Result<Request<'_>, &'static str> {
    let (size, last) = match rest.split_once(' ') {
        Some((size, marker)) if marker.eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err("the only end marker is LAST"),
        None => (rest, false),
    };
    if !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a chunk size has digits only");
    }
    let size = size.parse().map_err(|_| "no chunk size")?;
    Ok(Request::Bdat { size, last })
}

/// Free text, which at least is not empty and has no blanks at its ends.
fn text(rest: Option<&str>) -> Result<(), &'static str> {
    match rest {
        Some(text) if text.is_empty() || text.starts_with(' ') || text.ends_with(' ') => {
            Err("unexpected blank")
        }
        _ => Ok(()),
    }
}

/// One attribute or more, each with a value in xtext.
fn attributes(rest: Option<&str>) -> Result<Vec<Parameter>, &'static str> {
    let mut attributes: Vec<Parameter> = Vec::new();
    for word in rest.ok_or("no attribute")?.split(' ') {
        let (keyword, value) = word.split_once('=').ok_or("an attribute without a value")?;
        let attribute = Parameter {
            keyword: keyword.to_ascii_uppercase(),
            value: Some(value.to_owned()),
        };
        if !keyword.bytes().all(|byte| byte.is_ascii_alphabetic()) || keyword.is_empty() {
            return Err("an attribute without a name");
        }
        if value.is_empty() || attribute.decoded().is_none() {
            return Err("an attribute value that is not xtext");
        }
        if attributes
            .iter()
            .any(|other| other.keyword == attribute.keyword)
        {
            return Err("duplicate attribute");
        }
        attributes.push(attribute);
    }
    Ok(attributes)
}

fn client_name(rest: Option<&str>) -> Result<&str, &'static str> {
    let name = rest.ok_or("no client name")?;
    if domain(name, false) || literal(name) {
        Ok(name)
    } else {
        Err("the client name is neither a domain nor an address literal")
    }
}

fn auth(rest: &str) -> Result<Request<'_>, &'static str> {
    let (mechanism, initial) = rest
        .split_once(' ')
        .map_or((rest, None), |(mechanism, initial)| {
            (mechanism, Some(initial))
        });
    let name = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    if mechanism.is_empty() || mechanism.len() > 20 || !mechanism.bytes().all(name) {
        return Err("no mechanism name");
    }
    if initial.is_some_and(|initial| initial.is_empty() || initial.contains(' ')) {
        return Err("an initial response that is empty or has blanks");
    }
    Ok(Request::Auth { mechanism, initial })
}

fn path<'a>(rest: Option<&'a str>, prefix: &str, forward: bool) -> Result<Path<'a>, &'static str> {
    let rest = rest.ok_or("no path")?;
    let (head, rest) = rest.split_at_checked(prefix.len()).ok_or("no path")?;
    if !head.eq_ignore_ascii_case(prefix) {
        return Err("neither FROM: nor TO: before the path");
    }
    let inner = rest.strip_prefix('<').ok_or("no opening angle bracket")?;
    let end = end_of_path(inner).ok_or("no closing angle bracket")?;
    let address = &inner[..end];
    let good = match address {
        "" => !forward,
        _ if forward && address.eq_ignore_ascii_case("postmaster") => true,
        _ => mailbox(address, forward),
    };
    if !good {
        return Err("the path is not a mailbox");
    }
    Ok(Path {
        address,
        parameters: parameters(&inner[end + 1..])?,
    })
}

/// Where the closing bracket stands, with regard to quoted strings.
fn end_of_path(inner: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    inner.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return true,
            _ => {}
        }
        false
    })
}

/// Whether it is a Mailbox; `local` also lets a local part alone pass, which local systems
/// understand.
pub(super) fn mailbox(address: &str, local: bool) -> bool {
    let Some(end) = end_of_local(address) else {
        return false;
    };
    let (_, rest) = address.split_at(end);
    let host = match rest.strip_prefix('@') {
        Some(host) => domain(host, true) || literal(host),
        None => local && rest.is_empty(),
    };
    // Of a local part beyond 64 bytes a client may try whether it is taken (RFC 5321, section
    // 4.5.3.1); a path has 256.
    host && address.len() <= 254
}

/// Where the local part ends, if it is a dot-string or a quoted string.
fn end_of_local(address: &str) -> Option<usize> {
    if let Some(inner) = address.strip_prefix('"') {
        let mut escaped = false;
        for (at, byte) in inner.bytes().enumerate() {
            match byte {
                0..=31 | 127 => return None,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Some(at + 2),
                _ => {}
            }
        }
        return None;
    }
    let end = address.find('@').unwrap_or(address.len());
    address[..end].split('.').all(atom).then_some(end)
}

fn atom(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
        })
}

fn domain(text: &str, utf8: bool) -> bool {
    let label = |label: &str| {
        // A U-label is measured as the A-label that it stands for (RFC 5890, section 2.3.2.1): in
        // UTF-8 it may be longer.
        let fits = if label.is_ascii() {
            label.len() <= 63
        } else {
            label.chars().count() <= 59
        };
        !label.is_empty()
            && fits
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || (utf8 && byte >= 0x80))
    };
    text.len() <= 255 && text.split('.').all(label)
}

fn literal(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
    else {
        return false;
    };
    if let Some((tag, content)) = inner.split_once(':') {
        let content_fits = content
            .bytes()
            .all(|byte| matches!(byte, 33..=90 | 94..=126))
            && !content.is_empty();
        return if tag.eq_ignore_ascii_case("IPv6") {
            content.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            domain(tag, false) && content_fits
        };
    }
    inner.parse::<std::net::Ipv4Addr>().is_ok()
}

fn parameters(mut rest: &str) -> Result<Vec<Parameter>, &'static str> {
    let mut parameters: Vec<Parameter> = Vec::new();
    while !rest.is_empty() {
        rest = rest
            .strip_prefix(' ')
            .ok_or("no blank before a parameter")?;
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let (keyword, value) = word
            .split_once('=')
            .map_or((word, None), |(keyword, value)| (keyword, Some(value)));
        let starts_well = keyword
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !starts_well
            || !keyword
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return Err("a parameter without a keyword");
        }
        let fits = |byte: u8| matches!(byte, 33..=60 | 62..=126) || byte >= 0x80;
        if value.is_some_and(|value| value.is_empty() || !value.bytes().all(fits)) {
            return Err("invalid bytes in a parameter value");
        }
        if parameters
            .iter()
            .any(|other| other.keyword.eq_ignore_ascii_case(keyword))
        {
            return Err("duplicate parameter");
        }
        parameters.push(Parameter {
            keyword: keyword.to_owned(),
            value: value.map(str::to_owned),
        });
        rest = tail;
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_beyond_ascii_is_measured_in_characters() {
        assert!(domain(&"\u{4e2d}".repeat(59), true));
        assert!(!domain(&"\u{4e2d}".repeat(60), true));
        assert!(domain(&"a".repeat(63), true));
        assert!(!domain(&"a".repeat(64), true));
    }

    #[test]
    fn good_lines_are_understood() {
        for line in [
            "EHLO client.example.org",
            "ehlo [127.0.0.1]",
            "EHLO [IPv6:::1]",
            "MAIL FROM:<>",
            "mail from:<a@b.example>",
            "MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME SMTPUTF8",
            "MAIL FROM:<\"a b>\\\"c\"@b.example>",
            "RCPT TO:<Postmaster>",
            "RCPT TO:<a@[10.0.0.1]> NOTIFY=NEVER ORCPT=rfc822;a+2Bb@c",
            "RCPT TO:<user>",
            "AUTH PLAIN",
            "AUTH PLAIN =",
            "NOOP",
            "NOOP anything at all",
            "VRFY somebody",
            "XYZZY",
            "LHLO client.example.org",
            "BDAT 0",
            "BDAT 0 LAST",
            "bdat 18446744073709551615 last",
            "XCLIENT NAME=a ADDR=10.0.0.1",
            "xforward name=[UNAVAILABLE] HELO=a+2Bb",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
        }
    }

    #[test]
    fn bad_lines_are_rejected() {
        for line in [
            "",
            " NOOP",
            "EHLO",
            "EHLO a_b",
            "EHLO -a",
            "EHLO [IPv6:zz]",
            "EHLO [300.0.0.1]",
            "EHLO a b",
            "MAIL FROM: <a@b>",
            "MAIL FROM:a@b",
            "MAIL FROM:<a@b",
            "MAIL FROM:<a@b>SIZE=1",
            "MAIL FROM:<a@b>  SIZE=1",
            "MAIL FROM:<a@b> SIZE=",
            "MAIL FROM:<a@b> SIZE=1 size=2",
            "MAIL FROM:<a@b> SIZE=1=2",
            "MAIL FROM:<a@b> ",
            "MAIL FROM:<a b@c>",
            "MAIL FROM:<.a@c>",
            "MAIL FROM:<a@>",
            "MAIL FROM:<a>",
            "RCPT TO:<>",
            "RCPT TO:<a@b>>",
            "DATA now",
            "RSET ",
            "AUTH",
            "AUTH PLAIN ",
            "AUTH PLAIN a b",
            "AUTH plain",
            "VRFY",
            "NOOP ",
            "LHLO",
            "BDAT",
            "BDAT ",
            "BDAT -1",
            "BDAT +1",
            "BDAT 1 ",
            "BDAT 1 FIRST",
            "BDAT 1  LAST",
            "BDAT LAST",
            "BDAT 18446744073709551616",
            "XCLIENT",
            "XCLIENT NAME",
            "XCLIENT NAME=",
            "XCLIENT =a",
            "XCLIENT NAME=a  ADDR=10.0.0.1",
            "XCLIENT NAME=a NAME=b",
            "XFORWARD NAME=a+2",
            "XFORWARD NAME=a=b",
            "XFORWARD NAME=a ",
        ] {
            assert!(parse(line).is_err(), "{line}: {:?}", parse(line));
        }
    }
}
