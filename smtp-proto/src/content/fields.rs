//! The fields of a header section.

use core::ops::Range;

use super::header_scanner::field_name;
use super::line_len;

/// A field of a header section, as written.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a [u8],
    /// What follows the colon, with its folding and its line end.
    pub(crate) value: &'a [u8],
    /// The place of the whole field in the content.
    pub(crate) range: Range<usize>,
}

impl Field<'_> {
    /// The offset of the value in the content.
    pub(crate) fn value_offset(&self) -> usize {
        self.range.end.saturating_sub(self.value.len())
    }
}

/// The fields before the first line that is none, which is the empty line in valid content. Line
/// ends may be of any kind.
pub(crate) fn fields(content: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut start = 0_usize;
    core::iter::from_fn(move || {
        let rest = content.get(start..)?;
        let name = field_name(rest)?;
        let mut len = line_len(rest);
        while let Some(line) = rest.get(len..)
            && let Some(b' ' | b'\t') = line.first()
        {
            len = len.saturating_add(line_len(line));
        }
        let whole = rest.get(..len)?;
        let value = whole.get(memchr::memchr(b':', whole)?.saturating_add(1)..)?;
        let end = start.saturating_add(len);
        let range = start..end;
        start = end;
        Some(Field { name, value, range })
    })
}
