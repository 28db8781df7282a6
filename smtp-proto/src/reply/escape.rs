//! Escapes a server's text for terminals and logs.

use core::fmt::{self, Write as _};

/// Text in which everything that could affect a terminal or a log is escaped, cut to a number of
/// bytes.
pub(crate) struct Escaped<'a> {
    text: &'a [u8],
    limit: usize,
}

impl<'a> Escaped<'a> {
    /// Displays `text` in at most `limit` bytes.
    pub(crate) fn new(text: &'a [u8], limit: usize) -> Self {
        Self { text, limit }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaping::new(f, self.limit).text(self.text)
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A formatter that escapes its input and ends it with an ellipsis at the limit.
pub(crate) struct Escaping<'f, 'a> {
    out: &'f mut fmt::Formatter<'a>,
    /// The bytes left; `None` after the ellipsis.
    room: Option<usize>,
}

impl<'f, 'a> Escaping<'f, 'a> {
    pub(crate) fn new(out: &'f mut fmt::Formatter<'a>, limit: usize) -> Self {
        Self {
            out,
            room: Some(limit.saturating_sub(ELLIPSIS.len_utf8())),
        }
    }

    pub(super) fn text(&mut self, text: &[u8]) -> fmt::Result {
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                if self.room.is_none() {
                    return Ok(());
                }
                if acts(character) {
                    self.bytes(character.encode_utf8(&mut [0; 4]).as_bytes())?;
                } else if self.fits(character.len_utf8())? {
                    self.out.write_char(character)?;
                }
            }
            self.bytes(chunk.invalid())?;
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        for byte in bytes {
            if self.fits(4)? {
                write!(self.out, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }

    fn fits(&mut self, length: usize) -> Result<bool, fmt::Error> {
        let Some(room) = self.room else {
            return Ok(false);
        };
        self.room = room.checked_sub(length);
        if self.room.is_none() {
            self.out.write_char(ELLIPSIS)?;
        }
        Ok(self.room.is_some())
    }
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text.as_bytes())
    }
}

/// Whether the character could affect a terminal or a log: C0, DEL, C1, directional controls
/// (Unicode's `Bidi_Control`), and line and paragraph separators.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

const ELLIPSIS: char = '…';
