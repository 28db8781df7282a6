//! An independent Base64 decoder (RFC 4648, section 4).

/// The decoded bytes; `None` unless the text is their only encoding.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    for (at, group) in groups.iter().enumerate() {
        let letters = group.iter().position(|&byte| byte == b'=').unwrap_or(4);
        let padding_fits = group[letters..].iter().all(|&byte| byte == b'=');
        if letters < 2 || !padding_fits || (letters < 4 && at + 1 < groups.len()) {
            return None;
        }
        let mut bits = 0_u32;
        for &letter in &group[..letters] {
            bits = bits << 6 | sextet(letter)?;
        }
        bits <<= 6 * (4 - letters);
        let [_, all @ ..] = bits.to_be_bytes();
        if all[letters - 1..].iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend(&all[..letters - 1]);
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_vectors_of_rfc_4648_decode_and_other_spellings_do_not() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap(), bytes.as_bytes());
        }
        for text in [
            "Zh==", "Zg=", "Zg", "=", "Z===", "Zg==Zg==", "Zm9\n", "Z=9v",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
