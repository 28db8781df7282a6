//! Checks the header section of streamed content: its presence, its fields and its 8-bit bytes.

use super::{ContentError, ContentErrorKind};

/// The rules for a header section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderRules {
    /// Whether a header section with a `From` field is required.
    pub(crate) required: bool,
    /// The 8-bit bytes that are allowed.
    pub(crate) high: High,
}

/// The 8-bit bytes that a header section may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum High {
    /// No rule of its own: those of the content apply, or the caller checks.
    Any,
    /// No 8-bit bytes.
    None,
    /// UTF-8 (RFC 6532, section 3).
    Utf8,
}

/// A check of the header section: everything before the first empty line. Content that does not
/// begin with a field name has no header section.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeaderWatch {
    /// The check is complete, or there is nothing to check.
    Over,
    /// The next byte is in the header section.
    Within(Section),
    /// The check failed.
    Broken(ContentError),
}

/// A partly received header section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    rules: HeaderRules,
    offset: u64,
    /// The offset of the line's first byte.
    line: u64,
    at: HeaderState,
    has_from: bool,
    /// The bytes of an incomplete character.
    character: Character,
}

/// The position in a line of the header section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeaderState {
    Start,
    /// In what may be a field name. The number is how much of `From` it matches so far.
    Name(Option<usize>),
    /// In the blanks after a field name, with whether it is `From`.
    Named(bool),
    Line,
    /// After a CR: an LF belongs to the same line end.
    AfterCr,
}

/// The bytes of a character so far.
#[derive(Clone, Copy, Debug, Default)]
struct Character {
    bytes: [u8; 4],
    len: usize,
}

impl HeaderWatch {
    /// Begins at the first byte of the content.
    pub(crate) fn new(rules: HeaderRules) -> Self {
        if !rules.required && rules.high == High::Any {
            return Self::Over;
        }
        Self::Within(Section {
            rules,
            offset: 0,
            line: 0,
            at: HeaderState::Start,
            has_from: false,
            character: Character::default(),
        })
    }

    /// Checks the next piece.
    pub(crate) fn look(&mut self, piece: &[u8]) {
        for &byte in piece {
            let Self::Within(section) = self else {
                return;
            };
            match section.step(byte) {
                Ok(true) => {}
                Ok(false) => *self = Self::Over,
                Err(fault) => *self = Self::Broken(fault),
            }
        }
    }

    /// Records the end of the content.
    pub(crate) fn end(&mut self) {
        if let Self::Within(section) = self
            && let Err(fault) = section.end()
        {
            *self = Self::Broken(fault);
        }
    }

    /// The error found so far.
    pub(crate) const fn check(&self) -> Result<(), ContentError> {
        match self {
            Self::Broken(fault) => Err(*fault),
            Self::Over | Self::Within(_) => Ok(()),
        }
    }
}

impl Section {
    /// Takes the next byte. Returns whether the header section continues after it.
    fn step(&mut self, byte: u8) -> Result<bool, ContentError> {
        let before = self.at;
        self.at = match (byte, self.at) {
            (b'\n', HeaderState::AfterCr) => HeaderState::Start,
            (b'\r' | b'\n', HeaderState::Start | HeaderState::AfterCr) => {
                self.line = self.offset;
                return self.complete().map(|()| false);
            }
            (_, HeaderState::Start | HeaderState::AfterCr) => {
                self.line = self.offset;
                match byte {
                    b' ' | b'\t' if self.offset > 0 => HeaderState::Line,
                    _ if is_name(byte) => HeaderState::Name(from(0, byte)),
                    _ => match self.no_field(byte)? {
                        Some(place) => place,
                        None => return Ok(false),
                    },
                }
            }
            (b':', HeaderState::Name(matched)) => self.named(matched == Some(FROM.len())),
            (b':', HeaderState::Named(is_from)) => self.named(is_from),
            (b' ' | b'\t', HeaderState::Name(matched)) => {
                HeaderState::Named(matched == Some(FROM.len()))
            }
            (b' ' | b'\t', HeaderState::Named(_)) => before,
            (_, HeaderState::Name(matched)) if is_name(byte) => {
                HeaderState::Name(matched.and_then(|len| from(len, byte)))
            }
            (_, HeaderState::Name(_) | HeaderState::Named(_)) => match self.no_field(byte)? {
                Some(place) => place,
                None => return Ok(false),
            },
            (b'\r', HeaderState::Line) => HeaderState::AfterCr,
            (b'\n', HeaderState::Line) => HeaderState::Start,
            (_, HeaderState::Line) => HeaderState::Line,
        };
        self.look_at(byte)?;
        self.offset = self.offset.saturating_add(1);
        Ok(true)
    }

    fn named(&mut self, is_from: bool) -> HeaderState {
        self.has_from |= is_from;
        HeaderState::Line
    }

    /// The result for a line that is not a field and contains `byte`.
    fn no_field(&self, byte: u8) -> Result<Option<HeaderState>, ContentError> {
        match (self.rules.required, self.line) {
            (true, 0) if self.offset == 0 && byte > 127 => {
                Err(fault(0, ContentErrorKind::ByteOrderMark))
            }
            (true, 0) => Err(fault(0, ContentErrorKind::NoHeader)),
            (true, line) => Err(fault(line, ContentErrorKind::NotAField)),
            (false, 0) => Ok(None),
            (false, _) => Ok(Some(match byte {
                b'\r' => HeaderState::AfterCr,
                b'\n' => HeaderState::Start,
                _ => HeaderState::Line,
            })),
        }
    }

    /// Checks at the end of the header section that its required parts were found.
    fn complete(&self) -> Result<(), ContentError> {
        if self.character.len > 0 {
            return Err(self.not_utf8());
        }
        let reason = match self.line {
            _ if !self.rules.required => return Ok(()),
            0 => ContentErrorKind::NoHeader,
            _ if !self.has_from => ContentErrorKind::NoFrom,
            _ => return Ok(()),
        };
        Err(fault(self.line, reason))
    }

    fn end(&mut self) -> Result<(), ContentError> {
        match self.at {
            HeaderState::Name(_) | HeaderState::Named(_)
                if self.rules.required || self.line == 0 =>
            {
                self.no_field(b'\n').map(drop)
            }
            _ => {
                self.line = self.offset;
                self.complete()
            }
        }
    }

    /// Checks that the byte is allowed here.
    fn look_at(&mut self, byte: u8) -> Result<(), ContentError> {
        match self.rules.high {
            High::None if !byte.is_ascii() => {
                Err(fault(self.offset, ContentErrorKind::HeaderEightBit))
            }
            High::Utf8 if !(byte.is_ascii() && self.character.len == 0) => {
                let not_utf8 = self.not_utf8();
                self.character.take(byte).then_some(()).ok_or(not_utf8)
            }
            High::Any | High::None | High::Utf8 => Ok(()),
        }
    }

    /// The error for an invalid character that begins here or earlier.
    fn not_utf8(&self) -> ContentError {
        let begun = super::byte_len(self.character.len);
        fault(
            self.offset.saturating_sub(begun),
            ContentErrorKind::HeaderNotUtf8,
        )
    }
}

impl Character {
    /// Takes the next byte if it can be part of the character.
    fn take(&mut self, byte: u8) -> bool {
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

/// The name of the field at the start of `line`, if there is one (RFC 5322, sections 2.2 and 4.5).
pub(super) fn field_name(line: &[u8]) -> Option<&[u8]> {
    let (name, rest) = line.split_at_checked(line.iter().position(|byte| !is_name(*byte))?)?;
    let blanks = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    (rest.get(blanks) == Some(&b':') && !name.is_empty()).then_some(name)
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b':'
}

/// How much of `From` a name matches, given `len` bytes that match and the next byte.
fn from(len: usize, byte: u8) -> Option<usize> {
    let goes_on = FROM.get(len)?.eq_ignore_ascii_case(&byte);
    goes_on.then_some(len.saturating_add(1))
}

const fn fault(offset: u64, reason: ContentErrorKind) -> ContentError {
    ContentError { offset, reason }
}

/// The field that no message lacks, whatever wrote it (RFC 5322, section 3.6).
pub(super) const FROM: &[u8] = b"From";

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::content::{first_eight_bit, header_not_utf8, section_fault};

    fn found(body: &[u8], required: bool, high: High, size: usize) -> Option<ContentError> {
        let mut watch = HeaderWatch::new(HeaderRules { required, high });
        body.chunks(size).for_each(|piece| watch.look(piece));
        watch.end();
        watch.check().err()
    }

    #[test]
    fn pieces_give_the_same_result_as_a_scan_of_the_whole() {
        for body in [
            &b"Subject: a\r\n\r\n\xc3\xbc\xfc\r\n"[..],
            b"Subject: \xc3\xbc\r\n\r\na\r\n",
            b"Subject: a\r\nTo: \xc3\xbc",
            b"Subject: \xe2\x82\xac\xf0\x9f\x98\x80: \xfc\r\n\r\n",
            b"a: \xc3a\xbc",
            b"a: \xc3\r\n:\xbc",
            b"a: \xc3\r\n\r\na",
            b"a: \xf0\x9f\x98",
            b"a: \xed\xa0\x80\r\n",
            b"a: \xc0\x80\r\n",
            b"a: \xf4\x90\x80\x80\r\n",
            b"a:\rb:\r\r\xfc",
            b"a:\n\n\xfc",
            b"a:\r\n\n\xfc",
            b"a:\n\r\n\xfc",
            b"a:\n b\n\xfc",
            b"\r\n\xfc",
            b"\n\xfc",
            b"\xfc: a",
            b"a\xfc: b",
            b"\xc3\xbc: a",
            b"a b: \xfc",
            b": \xfc",
            b"a\r\nb: \xfc",
            b"a :\xfc",
            b"",
        ] {
            let high = crate::content::scan::High::of(body).header;
            let high = high.then(|| first_eight_bit(body)).flatten();
            let other = header_not_utf8(body);
            assert_eq!(
                other.is_some(),
                crate::content::scan::High::of(body).header_other
            );
            for size in 1..=body.len().max(1) {
                let context = format!("{} by {size}", body.escape_ascii());
                let found = |high| found(body, false, high, size);
                let ascii = found(High::None).map(|fault| fault.offset());
                assert_eq!(ascii, high, "{context}");
                assert_eq!(found(High::Utf8), other, "{context}");
                assert_eq!(found(High::Any), None, "{context}");
            }
        }
    }

    #[test]
    fn a_header_section_is_fields_including_from_up_to_an_empty_line_or_the_end() {
        use ContentErrorKind as F;
        for (body, expected) in [
            ("From: a", None),
            ("From:", None),
            ("From: a\r\n", None),
            ("From: a\r\n\r\nHello", None),
            ("Subject: a\r\n b\r\n\tc\r\nFROM \t: a\r\n\r\n", None),
            ("To: a\nfrom: b\n\nHello", None),
            ("To: a\rfrom: b\r\rHello", None),
            ("", Some((0, F::NoHeader))),
            ("\r\n", Some((0, F::NoHeader))),
            ("\nFrom: a\r\n", Some((0, F::NoHeader))),
            ("Hello", Some((0, F::NoHeader))),
            ("Hello\r\n", Some((0, F::NoHeader))),
            ("Hello \t", Some((0, F::NoHeader))),
            ("Hello Bob: hello", Some((0, F::NoHeader))),
            (": a", Some((0, F::NoHeader))),
            (" From: a", Some((0, F::NoHeader))),
            (
                "From a@x.test Mon Jan  1\r\nFrom: a\r\n",
                Some((0, F::NoHeader)),
            ),
            ("\u{feff}From: a\r\n\r\n", Some((0, F::ByteOrderMark))),
            ("\u{feff}", Some((0, F::ByteOrderMark))),
            ("F\u{feff}rom: a\r\n\r\n", Some((0, F::NoHeader))),
            ("Subject: a", Some((10, F::NoFrom))),
            ("Subject: a\r\n\r\nFrom: a\r\n", Some((12, F::NoFrom))),
            ("Subject:\r\n From: a\r\n", Some((20, F::NoFrom))),
            ("Fro: a\r\nFromm: b\r\nXFrom: c\r\n", Some((28, F::NoFrom))),
            ("From: a\r\nHello Bob.\r\n", Some((9, F::NotAField))),
            ("From: a\r\nHello", Some((9, F::NotAField))),
            ("From: a\r\nHello\r\n", Some((9, F::NotAField))),
            ("From: a\r\n\u{fc}: b\r\n", Some((9, F::NotAField))),
            ("From: a\r\n: b\r\n", Some((9, F::NotAField))),
            ("From: a\r\n>From b\r\n\r\n", Some((9, F::NotAField))),
        ] {
            let pair = |fault: ContentError| (fault.offset(), fault.kind());
            let body = body.as_bytes();
            let context = body.escape_ascii();
            assert_eq!(section_fault(body).map(pair), expected, "{context}");
            for size in 1..=body.len().max(1) {
                let found = found(body, true, High::Any, size);
                assert_eq!(found.map(pair), expected, "{context} by {size}");
            }
        }
    }
}
