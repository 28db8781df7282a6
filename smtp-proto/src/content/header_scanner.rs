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
            HeaderState::Name(_) | HeaderState::Named(_) if self.rules.required => {
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
mod tests;
