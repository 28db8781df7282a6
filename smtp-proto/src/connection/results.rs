//! Results that the caller has not taken yet.

use alloc::collections::VecDeque;

use crate::error::Error;
use crate::event::{CommandId, MailId};
use crate::outcome::Outcome;
use crate::reply::Reply;
use crate::steps::step;

/// Results, in the order of their ids.
///
/// A result that is taken leaves its number behind, so that thousands can be taken in any order
/// without moving the others. The numbers are removed when they are more than the results.
#[derive(Debug, Default)]
pub(crate) struct Results {
    items: VecDeque<(u64, Option<Completed>)>,
    taken: usize,
}

#[derive(Debug)]
pub(crate) enum Completed {
    Mail(MailId, Outcome),
    Command(CommandId, Result<Reply, Error>),
}

impl Completed {
    const fn number(&self) -> u64 {
        match self {
            Self::Mail(id, _) => id.0,
            Self::Command(id, _) => id.0,
        }
    }
}

impl Results {
    pub(crate) fn push(&mut self, result: Completed) {
        let number = result.number();
        let index = match self.items.back() {
            // A message that began again for its remaining recipients.
            Some((last, _)) if *last > number => self.index(number),
            _ => self.items.len(),
        };
        self.items.insert(index, (number, Some(result)));
    }

    /// Takes the first result.
    pub(crate) fn pop(&mut self) -> Option<Completed> {
        // A number that was taken is never first.
        let (_, result) = self.items.pop_front()?;
        self.tidy();
        result
    }

    /// Takes the outcome of a message.
    pub(crate) fn take_mail(&mut self, id: MailId) -> Option<Outcome> {
        match self.take(id.0) {
            Some(Completed::Mail(_, outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// Takes the reply to a command.
    pub(crate) fn take_command(&mut self, id: CommandId) -> Option<Result<Reply, Error>> {
        match self.take(id.0) {
            Some(Completed::Command(_, reply)) => Some(reply),
            _ => None,
        }
    }

    /// Whether the outcome of a message is here.
    pub(crate) fn has_mail(&self, id: MailId) -> bool {
        let found = self.items.get(self.index(id.0));
        matches!(found, Some((_, Some(Completed::Mail(found, _)))) if *found == id)
    }

    /// Releases memory that only a busy connection needs.
    pub(crate) fn release(&mut self) {
        self.items.shrink_to(1);
    }

    fn take(&mut self, number: u64) -> Option<Completed> {
        let index = self.index(number);
        let (found, result) = self.items.get_mut(index)?;
        if *found != number {
            return None;
        }
        let result = result.take()?;
        self.taken = self.taken.saturating_add(1);
        self.tidy();
        Some(result)
    }

    /// Removes the numbers of results that were taken: at both ends, and all of them if they are
    /// more than the results.
    fn tidy(&mut self) {
        let before = self.items.len();
        while matches!(self.items.front(), Some((_, None))) {
            self.items.pop_front();
        }
        while matches!(self.items.back(), Some((_, None))) {
            self.items.pop_back();
        }
        let removed = before.saturating_sub(self.items.len());
        self.taken = self.taken.saturating_sub(removed);
        if self.taken > self.items.len() / 2 {
            self.items.retain(|(_, result)| {
                step();
                result.is_some()
            });
            self.taken = 0;
        }
    }

    /// The index of the result with this number, or of the next one.
    fn index(&self, number: u64) -> usize {
        // Most often it is the first, or there is none.
        if self.items.front().is_none_or(|(first, _)| number <= *first) {
            return 0;
        }
        self.items.partition_point(|(each, _)| {
            step();
            *each < number
        })
    }
}

#[cfg(test)]
mod tests;
