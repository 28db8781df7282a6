//! The header section of a message: whether it requires SMTPUTF8 (RFC 6531, section 3.2).

/// What is known of the header of a message that is read from its beginning, however it is cut.
///
/// A message that does not begin with the name of a field has none.
#[derive(Debug)]
pub(super) struct Header {
    /// Whether all so far may be the name of a field.
    name: bool,
    /// How much longer the name may be: it fits in a line of 998 bytes (RFC 5322, section 2.1.1).
    room: usize,
    /// Whether the line has nothing so far.
    empty: bool,
    /// Whether the empty line after the header has come.
    over: bool,
    eight_bit: bool,
    /// From the first piece of a line with an 8-bit byte on.
    from_eight_bit: Vec<u8>,
}

impl Header {
    pub(super) const fn new() -> Self {
        Self {
            name: true,
            room: 997,
            empty: true,
            over: false,
            eight_bit: false,
            from_eight_bit: Vec::new(),
        }
    }

    /// Reads a piece of the message, of which the header may be over.
    pub(super) fn read(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while self.name && !self.over {
            let Some((byte, behind)) = rest.split_first() else {
                return;
            };
            match byte {
                b':' if !self.empty => self.name = false,
                b'!'..=b'9' | b';'..=b'~' if self.room > 0 => {
                    self.empty = false;
                    self.room -= 1;
                }
                _ => self.over = true,
            }
            rest = behind;
        }
        while !self.over && !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let line;
            (line, rest) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            self.eight_bit |= !line.is_ascii();
            if self.eight_bit {
                self.from_eight_bit.extend_from_slice(line);
            }
            self.empty &= line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            if end.is_some() {
                self.over = self.empty;
                self.empty = true;
            }
        }
    }

    /// Whether an 8-bit byte occurred.
    pub(super) const fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Whether it is UTF-8, as SMTPUTF8 says it is (RFC 6532, section 3).
    pub(super) fn is_utf8(&self) -> bool {
        str::from_utf8(&self.from_eight_bit).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_it_is_utf8_does_not_depend_on_how_it_is_cut() {
        for (message, expected) in [
            (&b"A: a\r\n\r\n\xfc"[..], true),
            (b"A: \xc3\xbc\r\nB: \xe2\x82\xac", true),
            (b"A: \xfc\r\n\r\n", false),
            (b"A: \xc3\r\n\xbc\r\n", false),
            (b"A: \xc3a\xbc\r\n", false),
            (b"A: \xe2\x82", false),
        ] {
            for size in 1..=message.len() {
                let mut header = Header::new();
                for piece in message.chunks(size) {
                    header.read(piece);
                }
                assert_eq!(header.is_utf8(), expected, "{message:?} by {size}");
            }
        }
    }

    #[test]
    fn a_name_that_fills_a_line_with_its_colon_is_one_and_a_longer_one_is_none() {
        for (len, expected) in [(997, true), (998, false)] {
            let mut header = Header::new();
            header.read(format!("{}: \u{fc}\r\n", "n".repeat(len)).as_bytes());
            assert_eq!(header.eight_bit(), expected, "{len}");
        }
    }

    #[test]
    fn the_header_is_all_up_to_the_first_empty_line_however_it_is_cut() {
        for (message, expected) in [
            ("Subject: a\r\n\r\n\u{fc}\r\n", false),
            ("Subject: \u{fc}\r\n\r\na\r\n", true),
            ("Subject: a\r\nTo: \u{fc}\r\n\r\n", true),
            ("\r\n\u{fc}", false),
            ("no header\r\n\u{fc}: a", false),
            ("a\u{fc}: b\r\n", false),
            (": \u{fc}\r\n", false),
            ("", false),
        ] {
            for size in 1..=message.len().max(1) {
                let mut header = Header::new();
                for piece in message.as_bytes().chunks(size) {
                    header.read(piece);
                }
                assert_eq!(header.eight_bit(), expected, "{message:?} by {size}");
            }
        }
    }
}
