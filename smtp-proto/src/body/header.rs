//! The header section of a body that comes in pieces, watched for bytes over 127 that were not declared.

use super::{Fault, FaultReason};

/// What the header section may hold above 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderRules {
    /// Whatever the rest may, or what is looked at elsewhere.
    Any,
    /// Nothing.
    Ascii,
    /// UTF-8 (RFC 6532, section 3).
    Utf8,
}

/// Looks for bytes over 127 in the header section of a body, that is up to the first empty line. A body that does not begin
/// with the name of a field has none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeaderWatch {
    /// There is nothing to look for, or no longer.
    Over,
    /// What comes next is looked at.
    Within {
        offset: u64,
        at: Place,
        /// Of the character that has begun, if UTF-8 is allowed.
        character: Option<Character>,
    },
    /// This byte was found.
    Broken(Fault),
}

/// Where in a line the header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the name of the first field, if it is one.
    Name,
    Start,
    Line,
    /// A LF that comes next belongs to the line end that has been.
    AfterCr,
}

/// The bytes of a character so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Character {
    bytes: [u8; 4],
    len: usize,
}

impl HeaderWatch {
    /// A watch that begins at the first byte of a body.
    pub(crate) fn new(rules: HeaderRules) -> Self {
        let character = match rules {
            HeaderRules::Any => return Self::Over,
            HeaderRules::Ascii => None,
            HeaderRules::Utf8 => Some(Character::default()),
        };
        Self::Within {
            offset: 0,
            at: Place::Name,
            character,
        }
    }

    /// Looks at the next piece.
    pub(crate) fn look(&mut self, piece: &[u8]) {
        for &byte in piece {
            let Self::Within {
                offset,
                at,
                character,
            } = self
            else {
                return;
            };
            let fault = |reason| {
                Self::Broken(Fault {
                    offset: *offset,
                    reason,
                })
            };
            match character {
                Some(character) if !(byte.is_ascii() && character.len == 0) => {
                    if *at == Place::Name {
                        *self = Self::Over;
                        return;
                    }
                    let begun = character.len;
                    if !character.takes(byte) {
                        *self = fault(FaultReason::HeaderNotUtf8).back(begun);
                        return;
                    }
                }
                None if !byte.is_ascii() && *at != Place::Name => {
                    *self = fault(FaultReason::HeaderEightBit);
                    return;
                }
                _ => {}
            }
            *at = match (byte, *at) {
                (b':', Place::Name) if *offset > 0 => Place::Line,
                (_, Place::Name) if is_name(byte) => Place::Name,
                (_, Place::Name) => {
                    *self = Self::Over;
                    return;
                }
                (b'\n', Place::AfterCr) => Place::Start,
                (b'\r' | b'\n', Place::Start | Place::AfterCr) => {
                    *self = Self::Over;
                    return;
                }
                (b'\r', Place::Line) => Place::AfterCr,
                (b'\n', Place::Line) => Place::Start,
                _ => Place::Line,
            };
            *offset = offset.saturating_add(1);
        }
    }

    /// Takes note that the body ends here.
    pub(crate) fn end(&mut self) {
        if let Self::Within {
            offset,
            character: Some(Character {
                len: begun @ 1.., ..
            }),
            ..
        } = *self
        {
            let fault = Fault {
                offset,
                reason: FaultReason::HeaderNotUtf8,
            };
            *self = Self::Broken(fault).back(begun);
        }
    }

    /// Whether nothing was found so far.
    pub(crate) const fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Broken(fault) => Err(*fault),
            Self::Over | Self::Within { .. } => Ok(()),
        }
    }

    /// The same fault so many bytes before.
    fn back(mut self, bytes: usize) -> Self {
        if let Self::Broken(fault) = &mut self {
            fault.offset = fault.offset.saturating_sub(super::octets(bytes));
        }
        self
    }
}

impl Character {
    /// Takes the next byte, if it can be part of the character.
    fn takes(&mut self, byte: u8) -> bool {
        let Some(next) = self.bytes.get_mut(self.len) else {
            return false;
        };
        *next = byte;
        self.len = self.len.saturating_add(1);
        match str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()) {
            Ok(_) => {
                self.len = 0;
                true
            }
            Err(error) => error.error_len().is_none(),
        }
    }
}

/// What the name of a field is made of (RFC 5322, section 2.2).
pub(super) const fn is_name(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b':'
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::body::{High, first_eight_bit, header_not_utf8};

    fn found(body: &[u8], rules: HeaderRules, size: usize) -> Option<Fault> {
        let mut watch = HeaderWatch::new(rules);
        body.chunks(size).for_each(|piece| watch.look(piece));
        watch.end();
        watch.check().err()
    }

    #[test]
    fn it_finds_in_pieces_what_a_scan_finds_in_the_whole() {
        for body in [
            &b"Subject: a\r\n\r\n\xc3\xbc\xfc\r\n"[..],
            b"Subject: \xc3\xbc\r\n\r\na\r\n",
            b"Subject: a\r\nTo: \xc3\xbc",
            b"Subject: \xe2\x82\xac\xf0\x9f\x98\x80: \xfc\r\n\r\n",
            b"a: \xc3a\xbc",
            b"a: \xc3\r\n\xbc",
            b"a: \xc3\r\n\r\na",
            b"a: \xf0\x9f\x98",
            b"a: \xed\xa0\x80\r\n",
            b"a: \xc0\x80\r\n",
            b"a: \xf4\x90\x80\x80\r\n",
            b"a:\rb\r\r\xfc",
            b"a:\n\n\xfc",
            b"a:\r\n\n\xfc",
            b"a:\n\r\n\xfc",
            b"a:\nb\n\xfc",
            b"\r\n\xfc",
            b"\n\xfc",
            b"\xfc: a",
            b"a\xfc: b",
            b"\xc3\xbc: a",
            b"a b: \xfc",
            b": \xfc",
            b"a\r\nb: \xfc",
            b"",
        ] {
            let high = High::of(body).header;
            let high = high.then(|| first_eight_bit(body)).flatten();
            let other = header_not_utf8(body);
            assert_eq!(other.is_some(), High::of(body).header_other);
            for size in 1..=body.len().max(1) {
                let context = format!("{} by {size}", body.escape_ascii());
                let ascii = found(body, HeaderRules::Ascii, size);
                assert_eq!(ascii.map(|fault| fault.offset()), high, "{context}");
                assert_eq!(found(body, HeaderRules::Utf8, size), other, "{context}");
                assert_eq!(found(body, HeaderRules::Any, size), None, "{context}");
            }
        }
    }
}
