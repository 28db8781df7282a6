//! The header section of a message or of a part, field by field (RFC 5322, sections 2.2 and 4.5).

use std::ops::Range;

use crate::error::{RecodeError, RecodeErrorKind};

/// The fields of a header section, by their positions in the message.
#[derive(Debug)]
pub(crate) struct Header<'t> {
    text: &'t [u8],
    fields: Vec<Field>,
    /// The body, after the empty line.
    body: Range<usize>,
}

/// A field: its name, and its value up to the end of its last line.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl<'t> Header<'t> {
    /// Reads the header section at the beginning of this part.
    ///
    /// # Errors
    /// If a line is not part of a field, or if some readers would end the header section at it.
    pub(crate) fn read(text: &'t [u8], part: Range<usize>) -> Result<Self, RecodeError> {
        let mut fields: Vec<Field> = Vec::new();
        let mut start = part.start;
        while start < part.end {
            let rest = &text[start..part.end];
            let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let line = &rest[..len];
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            let malformed = || RecodeError::new(start, RecodeErrorKind::Malformed);
            if content.is_empty() {
                start += len;
                break;
            }
            let end = start + content.len();
            if is_blank(content[0]) {
                // Some readers end the header section at a blank line.
                let field = fields.last_mut().ok_or_else(malformed)?;
                if content.trim_ascii().is_empty() {
                    return Err(malformed());
                }
                field.value.end = end;
            } else {
                let colon = memchr::memchr(b':', content).ok_or_else(malformed)?;
                let name = content[..colon].trim_ascii_end();
                if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                    return Err(malformed());
                }
                fields.push(Field {
                    name: start..start + name.len(),
                    value: start + colon + 1..end,
                });
            }
            start += len;
        }
        Ok(Self {
            text,
            fields,
            body: start..part.end,
        })
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The position of the body.
    pub(crate) fn body(&self) -> Range<usize> {
        self.body.clone()
    }

    /// The position where fields can be added: before the empty line. `None` if there is no empty
    /// line.
    pub(crate) fn end(&self) -> Option<usize> {
        let end = self.body.start.checked_sub(2)?;
        self.text[end..self.body.start]
            .eq(b"\r\n")
            .then_some(end)
            .filter(|_| (self.fields.last()).is_none_or(|field| field.value.end + 2 == end))
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The only field of this name.
    ///
    /// # Errors
    /// If there is a second one, with its position: readers may differ on which one counts.
    pub(crate) fn only(&self, name: &str) -> Result<Option<&Field>, RecodeError> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (_, Some(second)) => Err(RecodeError::new(
                second.name.start,
                RecodeErrorKind::Malformed,
            )),
            (first, None) => Ok(first),
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &Field> {
        self.fields
            .iter()
            .filter(move |field| field.name(self.text).eq_ignore_ascii_case(name.as_bytes()))
    }
}

impl Field {
    pub(crate) fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.name.clone()]
    }

    /// Everything after the colon, without the end of the last line.
    pub(crate) fn value<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.value.clone()]
    }

    /// The position where the value begins.
    pub(crate) fn value_start(&self) -> usize {
        self.value.start
    }

    /// The position of the field, without the end of its last line.
    pub(crate) fn position(&self) -> Range<usize> {
        self.name.start..self.value.end
    }

    /// The position of everything between the name and the first byte of the value that is not
    /// blank: the colon, and blanks around it. Those before it are obsolete syntax (RFC 5322,
    /// section 4.5).
    pub(crate) fn separator(&self, text: &[u8]) -> Range<usize> {
        let value = self.value(text);
        let blanks = value.len() - value.trim_ascii_start().len();
        self.name.end..self.value.start + blanks
    }
}

/// A space or a tab.
pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
