//! Decoders for the values of parameters: `xtext` (RFC 3461, section 4), and non-ASCII addresses
//! (RFC 6533, section 3).

/// Decodes an `xtext`; `None` if the text is not a valid one.
///
/// 8-bit bytes stand for themselves (RFC 6533); the parameter decides whether they are allowed.
///
/// ```
/// use smtp_test::xtext::decode;
///
/// assert_eq!(decode("b+2Bc@x.test").as_deref(), Some(&b"b+c@x.test"[..]));
/// assert_eq!(decode("b+c"), None);
/// ```
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => 16 * hex(rest.next()?)? + hex(rest.next()?)?,
            b'=' | 0..=32 | 127 => return None,
            _ => byte,
        });
    }
    Some(bytes)
}

/// Decodes an address in the form `utf-8-addr-xtext` or `utf-8-addr-unitext`; `None` if it has
/// neither form, or if the address is empty or has a control character.
///
/// ```
/// use smtp_test::xtext::decode_address;
///
/// assert_eq!(decode_address(r"j\x{F6}rg@x.test").as_deref(), Some("j\u{f6}rg@x.test"));
/// ```
pub fn decode_address(text: &str) -> Option<String> {
    let mut address = String::with_capacity(text.len());
    let mut parts = text.split('\\');
    address.push_str(parts.next()?);
    if !address.chars().all(stands_for_itself) {
        return None;
    }
    for part in parts {
        let (point, plain) = part.strip_prefix("x{")?.split_once('}')?;
        address.push(embedded(point)?);
        if !plain.chars().all(stands_for_itself) {
            return None;
        }
        address.push_str(plain);
    }
    (!address.is_empty() && !address.chars().any(char::is_control)).then_some(address)
}

/// `QUCHAR`
fn stands_for_itself(c: char) -> bool {
    !c.is_ascii() || (c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '='))
}

/// `HEXPOINT`, which has capitals only, and no more digits than it needs but two.
fn embedded(point: &str) -> Option<char> {
    let c = char::from_u32(u32::from_str_radix(point, 16).ok()?)?;
    let written = format!("{:02X}", u32::from(c));
    (written == point && (c == '\\' || !stands_for_itself(c) || !c.is_ascii())).then_some(c)
}

/// A digit of xtext, which has capitals only.
fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_has_a_plus_and_two_capital_digits_for_what_is_not_itself() {
        assert_eq!(decode("a+2Bb+3D+00").as_deref(), Some(&b"a+b=\0"[..]));
        assert_eq!(decode("").as_deref(), Some(&b""[..]));
        for wrong in ["+", "+2", "+2b", "+g0", "a b", "a=b", "a\x7f"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_has_a_code_point_for_what_is_not_itself() {
        for (text, address) in [
            ("a@b", "a@b"),
            ("\\x{2B}\\x{3D}\\x{5C}\\x{20}", "+=\\ "),
            ("gr\\x{FC}\u{df}e@x", "gr\u{fc}\u{df}e@x"),
            (
                "\\x{4E2D}\\x{1F600}\\x{10FFFD}",
                "\u{4e2d}\u{1f600}\u{10fffd}",
            ),
        ] {
            assert_eq!(decode_address(text).as_deref(), Some(address), "{text}");
        }
        for wrong in [
            "",
            "a+b",
            "a=b",
            "a b",
            "\\",
            "\\\\",
            "\\x{}",
            "\\x{41}",
            "\\x{fc}",
            "\\x{0FC}",
            "\\x{+FC}",
            "\\x{FC",
            "\\x{D800}",
            "\\x{110000}",
            "\\x{0A}",
            "\\x{7F}",
            "\\x{85}",
            "x{FC}\\",
        ] {
            assert_eq!(decode_address(wrong), None, "{wrong}");
        }
    }
}
