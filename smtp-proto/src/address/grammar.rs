//! The productions of RFC 5321, section 4.1.2, as extended by RFC 6531, section 3.3.
//!
//! A function named after a production matches the start of a text and returns the length of the
//! match. Each reads a character a fixed number of times.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddressError, AddressErrorKind, plain};

/// `Mailbox = Local-part "@" ( Domain / address-literal )`: the offset of the `@`.
///
/// An address with a display name, as in a header field, gets an error of its own.
pub(super) fn mailbox(text: &str) -> Result<usize, AddressError> {
    match plain::mailbox(text) {
        Some(at) => Ok(at),
        None => bare_mailbox(text).map_err(|error| display_name(text).unwrap_or(error)),
    }
}

/// `name-addr = [display-name] "<" addr-spec ">"` (RFC 5322, section 3.4). SMTP uses only the text
/// inside the brackets.
fn display_name(text: &str) -> Option<AddressError> {
    let (name, rest) = text.rsplit_once('<')?;
    let address = rest.trim_end().strip_suffix('>')?;
    let is_name = !name.trim().is_empty() && !name.chars().any(char::is_control);
    let is_one = is_name && bare_mailbox(address).is_ok();
    is_one.then_some(AddressError::new(name.len(), AddressErrorKind::DisplayName))
}

pub(super) fn bare_mailbox(text: &str) -> Result<usize, AddressError> {
    if text.len() > MAILBOX_MAX {
        return Err(AddressError::new(
            MAILBOX_MAX,
            AddressErrorKind::LongMailbox,
        ));
    }
    let at = local_part(text)?;
    let rest = text.get(at..).unwrap_or_default();
    let Some(host) = rest.strip_prefix('@') else {
        let none = AddressError::new(at, AddressErrorKind::NoDomain);
        let found = rest.chars().next();
        return Err(found.map_or(none, |c| AddressError::at(at, c)));
    };
    domain_or_literal(host).map_err(|error| error.behind(at.saturating_add(1)))?;
    Ok(at)
}

/// `Local-part = Dot-string / Quoted-string`
///
/// RFC 5321, section 4.5.3.1.1, requires servers to accept 64 bytes; section 4.5.3.1 lets clients
/// try more. Local parts that embed another address, as in SRS and VERP, are longer. The limit of
/// the path bounds them.
fn local_part(text: &str) -> Result<usize, AddressError> {
    if text.starts_with('"') {
        quoted_string(text)
    } else {
        dot_string(text.chars())
    }
}

/// `Dot-string = Atom *("." Atom)`, `Atom = 1*atext`
fn dot_string(chars: impl Iterator<Item = char>) -> Result<usize, AddressError> {
    let mut len = 0_usize;
    let mut after_dot = true;
    for c in chars {
        match c {
            '.' if after_dot => return Err(AddressError::new(len, AddressErrorKind::Dot)),
            '.' => after_dot = true,
            c if is_atext(c) => after_dot = false,
            '@' if len == 0 => break,
            c if len == 0 => return Err(AddressError::at(0, c)),
            _ => break,
        }
        len = len.saturating_add(c.len_utf8());
    }
    match len {
        0 => Err(AddressError::new(0, AddressErrorKind::Empty)),
        _ if after_dot => Err(AddressError::new(
            len.saturating_sub(1),
            AddressErrorKind::Dot,
        )),
        _ => Ok(len),
    }
}

/// Whether `words` can be sent as a local part without quotes.
pub(super) fn is_dot_string(words: impl Iterator<Item = char> + Clone) -> bool {
    let len = words.clone().map(char::len_utf8).sum();
    dot_string(words) == Ok(len)
}

/// `Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE`
fn quoted_string(text: &str) -> Result<usize, AddressError> {
    let mut chars = text.char_indices().skip(1);
    while let Some((offset, c)) = chars.next() {
        match c {
            '"' => return Ok(offset.saturating_add(1)),
            // quoted-pairSMTP = %d92 %d32-126
            '\\' => match chars.next() {
                Some((_, ' '..='~')) => {}
                Some((offset, c)) => return Err(AddressError::at(offset, c)),
                None => break,
            },
            c if is_quotable(c) => {}
            c => return Err(AddressError::at(offset, c)),
        }
    }
    Err(AddressError::new(text.len(), AddressErrorKind::OpenQuote))
}

/// `Domain / address-literal`, the whole of `text`.
pub(super) fn domain_or_literal(text: &str) -> Result<(), AddressError> {
    if text.starts_with('[') {
        address_literal(text).map(drop)
    } else {
        domain(text)
    }
}

/// `Domain = sub-domain *("." sub-domain)`, the whole of `text`.
pub(super) fn domain(text: &str) -> Result<(), AddressError> {
    if text.len() > DOMAIN_MAX {
        return Err(AddressError::new(DOMAIN_MAX, AddressErrorKind::LongDomain));
    }
    if text.is_empty() {
        return Err(AddressError::new(0, AddressErrorKind::Empty));
    }
    let mut start = 0_usize;
    for label in text.split('.') {
        sub_domain(label).map_err(|error| error.behind(start))?;
        start = start.saturating_add(label.len()).saturating_add(1);
    }
    Ok(())
}

/// `sub-domain = Let-dig [Ldh-str] / U-label`, the whole of `label`.
fn sub_domain(label: &str) -> Result<(), AddressError> {
    if label.is_empty() {
        return Err(AddressError::new(0, AddressErrorKind::Dot));
    }
    for (offset, c) in label.char_indices() {
        if !is_label_char(c) {
            return Err(AddressError::at(offset, c));
        }
    }
    if label.starts_with('-') {
        return Err(AddressError::new(0, AddressErrorKind::Hyphen));
    }
    if label.ends_with('-') {
        return Err(AddressError::new(
            label.len().saturating_sub(1),
            AddressErrorKind::Hyphen,
        ));
    }
    // The A-label bounds a U-label: it begins with `xn--` and has at least as many characters after
    // it.
    let (len, max) = if label.is_ascii() {
        (label.len(), LABEL_MAX)
    } else {
        (
            label.chars().count(),
            LABEL_MAX.saturating_sub("xn--".len()),
        )
    };
    if len > max {
        return Err(AddressError::new(0, AddressErrorKind::LongLabel));
    }
    Ok(())
}

/// `address-literal = "[" ( IPv4-address-literal / "IPv6:" IPv6-addr ) "]"`, the whole of `text`.
///
/// `General-address-literal` requires a tag registered with IANA; `IPv6` is the only one. Leading
/// zeros in IPv4 are rejected, because some parsers read them as octal.
pub(super) fn address_literal(text: &str) -> Result<IpAddr, AddressError> {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|inner| match inner.split_at_checked(IPV6_TAG.len()) {
            Some((tag, address)) if tag.eq_ignore_ascii_case(IPV6_TAG) => {
                ipv6(address).map(IpAddr::V6)
            }
            _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        })
        .ok_or(AddressError::new(0, AddressErrorKind::Literal))
}

/// `IPv6-addr`. Unlike in the standard library, `::` stands for at least two groups.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let address = text.parse().ok()?;
    let groups: usize = text
        .split(':')
        .filter(|group| !group.is_empty())
        .map(|group| if group.contains('.') { 2 } else { 1 })
        .sum();
    (!text.contains("::") || groups <= 6).then_some(address)
}

/// `atext` of RFC 5322, section 3.2.3, and `UTF8-non-ascii`.
pub(super) const fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_'
        | '`' => true,
        '{' | '|' | '}' | '~' => true,
        c => is_non_ascii_text(c),
    }
}

/// A character allowed between quotes, after a backslash if necessary.
pub(super) const fn is_quotable(c: char) -> bool {
    matches!(c, ' '..='~') || is_non_ascii_text(c)
}

/// `UTF8-non-ascii`, without controls and line separators.
pub(crate) const fn is_non_ascii_text(c: char) -> bool {
    c >= '\u{a0}' && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Letters, digits, hyphen, and the characters of U-labels.
///
/// Rejects characters that IDNA 2008 forbids, invisible ones, and those that a mapping turns into
/// dots or other ASCII. The conversion to A-labels decides whether a whole label is valid.
const fn is_label_char(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => true,
        // No-break space, soft hyphen.
        '\u{a0}' | '\u{ad}' => false,
        // Spaces, zero-width space, direction marks and controls, separators, invisible operators;
        // the joiners U+200C and U+200D between them are letters of some scripts.
        '\u{1680}'
        | '\u{2000}'..='\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' => false,
        '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}' => false,
        // Full stops of other scripts, full-width and half-width forms up to the half-width full
        // stop.
        '\u{3002}' | '\u{ff00}'..='\u{ff61}' => false,
        // Private use, noncharacters, tags.
        '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' => false,
        '\u{e0000}'..='\u{10ffff}' => false,
        c => is_non_ascii_text(c),
    }
}

/// RFC 5321, section 4.5.3.1.2.
const DOMAIN_MAX: usize = 255;
/// A path of 256 bytes (RFC 5321, section 4.5.3.1.3) without its angle brackets.
pub(super) const MAILBOX_MAX: usize = 254;
/// RFC 1035, section 2.3.4.
pub(super) const LABEL_MAX: usize = 63;
const IPV6_TAG: &str = "IPv6:";
