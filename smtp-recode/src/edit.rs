//! Replacements in a message; every other byte stays as it is.

use std::ops::Range;

/// Replacements in one message that do not overlap.
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

    /// Sorts the replacements by position. Those at one position keep their order.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|edit| edit.at.start);
        self
    }

    /// The message with all replacements, which must be sorted.
    pub(crate) fn apply(&self, message: &[u8]) -> Vec<u8> {
        let added: usize = self.0.iter().map(|edit| edit.with.len()).sum();
        let mut out = Vec::with_capacity(message.len() + added);
        let mut next = 0;
        for edit in &self.0 {
            out.extend_from_slice(&message[next..edit.at.start]);
            out.extend_from_slice(&edit.with);
            next = edit.at.end;
        }
        out.extend_from_slice(&message[next..]);
        out
    }

    /// The first position that `find` returns in the parts that are not replaced; otherwise the end
    /// of the message. The replacements must be sorted.
    pub(crate) fn first_untouched(
        &self,
        message: &[u8],
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> usize {
        let ends = self
            .0
            .iter()
            .map(|edit| edit.at.start)
            .chain([message.len()]);
        let starts = [0].into_iter().chain(self.0.iter().map(|edit| edit.at.end));
        starts
            .zip(ends)
            .find_map(|(start, end)| find(&message[start..end]).map(|at| start + at))
            .unwrap_or(message.len())
    }
}
