//! What is to be replaced in a text; all the rest stays byte for byte.

use std::ops::Range;

/// Replacements of parts of one text that do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<Edit>);

#[derive(Debug)]
struct Edit {
    at: Range<usize>,
    with: Vec<u8>,
}

impl Edits {
    pub(crate) fn replace(&mut self, at: Range<usize>, with: impl Into<Vec<u8>>) {
        self.0.push(Edit {
            at,
            with: with.into(),
        });
    }

    pub(crate) fn insert(&mut self, at: usize, what: impl Into<Vec<u8>>) {
        self.replace(at..at, what);
    }

    /// Puts them in the order of the text. Of those at one place, the first stays the first.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|edit| edit.at.start);
        self
    }

    /// The text with all of them made, once they are sorted.
    pub(crate) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let added: usize = self.0.iter().map(|edit| edit.with.len()).sum();
        let mut out = Vec::with_capacity(text.len() + added);
        let mut next = 0;
        for edit in &self.0 {
            out.extend_from_slice(&text[next..edit.at.start]);
            out.extend_from_slice(&edit.with);
            next = edit.at.end;
        }
        out.extend_from_slice(&text[next..]);
        out
    }

    /// Where `find` first finds something in what stays of the text, once they are sorted; else the end.
    pub(crate) fn first_untouched(
        &self,
        text: &[u8],
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> usize {
        let ends = self.0.iter().map(|edit| edit.at.start).chain([text.len()]);
        let starts = [0].into_iter().chain(self.0.iter().map(|edit| edit.at.end));
        starts
            .zip(ends)
            .find_map(|(start, end)| find(&text[start..end]).map(|at| start + at))
            .unwrap_or(text.len())
    }
}
