//! The messages and commands in the order of submission, and the one being sent.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::command::Command;
use crate::connection::transaction::Transaction;
use crate::event::{CommandId, MailId};
use crate::steps::step;

/// The queue. The replies of its first item are pending; the item being sent may be further back.
#[derive(Debug)]
pub(crate) struct Queue {
    items: VecDeque<Queued>,
    /// The index of the item being sent; the length if all are sent.
    send_cursor: usize,
    /// The bytes of content of the queued messages.
    content_bytes: u64,
    /// The number of messages from the send cursor on.
    unsent: usize,
}

#[derive(Debug)]
pub(crate) enum Queued {
    /// Boxed, so that an idle connection keeps no room for the next.
    Mail(Box<Transaction>),
    Command(CommandId, Command),
    /// An item with a known result, waiting for those before it; the number of its id.
    Finished(u64),
    /// QUIT, always the last item.
    Quit,
}

impl Queued {
    /// The number of the id; that of QUIT is greater than every other.
    fn number(&self) -> u64 {
        match self {
            Self::Mail(transaction) => transaction.id.0,
            Self::Command(id, _) => id.0,
            Self::Finished(number) => *number,
            Self::Quit => u64::MAX,
        }
    }

    /// Replaces the item, whose result is known. Returns it.
    pub(crate) fn finish(&mut self) -> Self {
        let number = self.number();
        core::mem::replace(self, Self::Finished(number))
    }
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            items: VecDeque::new(),
            send_cursor: 0,
            content_bytes: 0,
            unsent: 0,
        }
    }

    /// Appends an item.
    pub(crate) fn push(&mut self, item: Queued) {
        if self.items.capacity() == 0 {
            // Most connections have one message at a time.
            self.items.reserve_exact(1);
        }
        if let Queued::Mail(transaction) = &item {
            self.content_bytes = self.content_bytes.saturating_add(transaction.size());
            self.unsent = self.unsent.saturating_add(1);
        }
        self.items.push_back(item);
    }

    /// The item being sent.
    pub(crate) fn next(&self) -> Option<&Queued> {
        self.items.get(self.send_cursor)
    }

    /// The item being sent, to continue it.
    pub(crate) fn next_mut(&mut self) -> Option<&mut Queued> {
        self.items.get_mut(self.send_cursor)
    }

    /// Records that the current item is sent completely.
    pub(crate) fn sent(&mut self) {
        self.leave(self.send_cursor);
        self.send_cursor = self.send_cursor.saturating_add(1);
    }

    /// The item whose replies are pending.
    pub(crate) fn front(&self) -> Option<&Queued> {
        self.items.front()
    }

    /// The item whose replies are pending, to hand it one.
    pub(crate) fn front_mut(&mut self) -> Option<&mut Queued> {
        self.items.front_mut()
    }

    /// Removes the first item, which has all its replies.
    pub(crate) fn finish_front(&mut self) -> Option<Queued> {
        self.leave(0);
        let item = self.items.pop_front()?;
        self.send_cursor = self.send_cursor.saturating_sub(1);
        self.forget(&item);
        Some(item)
    }

    /// Moves the first item, a message that must begin again, after the messages that have begun.
    /// Those that must begin again stay in the order of submission.
    pub(crate) fn put_back_front(&mut self) {
        if self.send_cursor == 0 {
            return;
        }
        if let Some(item) = self.items.pop_front() {
            self.send_cursor = self.send_cursor.saturating_sub(1);
            let begun = matches!(
                self.next(),
                Some(Queued::Mail(transaction)) if !transaction.is_untouched()
            );
            let from = self.send_cursor.saturating_add(usize::from(begun));
            let index = self.search(from, item.number());
            self.items.insert(index.min(self.items.len()), item);
            self.unsent = self.unsent.saturating_add(1);
        }
    }

    /// Removes a message from any place in the queue.
    pub(crate) fn withdraw(&mut self, id: MailId) -> Option<Box<Transaction>> {
        let index = self.find(id.0)?;
        self.leave(index);
        let item = self.items.get_mut(index)?;
        if !matches!(item, Queued::Mail(_)) {
            return None;
        }
        let item = item.finish();
        self.forget(&item);
        match item {
            Queued::Mail(transaction) => Some(transaction),
            _ => None,
        }
    }

    /// Removes all items.
    pub(crate) fn take_all(&mut self) -> VecDeque<Queued> {
        core::mem::replace(self, Self::new()).items
    }

    /// The message with this id.
    pub(crate) fn mail(&mut self, id: MailId) -> Option<&mut Transaction> {
        let index = self.find(id.0)?;
        match self.items.get_mut(index) {
            Some(Queued::Mail(transaction)) => Some(&mut **transaction),
            _ => None,
        }
    }

    /// Whether the last item is this message, and it is streamed.
    pub(crate) fn ends_with_streamed(&self, id: MailId) -> bool {
        // No search from the front: thousands may be queued.
        matches!(
            self.items.back(),
            Some(Queued::Mail(last)) if last.id == id && last.is_streamed()
        )
    }

    /// Whether the command with this id waits to be sent or for its reply.
    pub(crate) fn has_command(&self, id: CommandId) -> bool {
        let item = self.find(id.0).and_then(|index| self.items.get(index));
        matches!(item, Some(Queued::Command(..)))
    }

    /// The number of messages that have not begun.
    pub(crate) fn untouched(&self) -> usize {
        let begun = matches!(
            self.next(),
            Some(Queued::Mail(transaction)) if !transaction.is_untouched()
        );
        self.unsent.saturating_sub(usize::from(begun))
    }

    /// The index of the item with this number.
    ///
    /// Numbers ascend after the send cursor. Before it they do not where messages began again, so
    /// those items are searched one by one, if they have to be.
    fn find(&self, number: u64) -> Option<usize> {
        let is_it = |index: &usize| {
            step();
            let item = self.items.get(*index);
            item.is_some_and(|item| item.number() == number)
        };
        // Most often it is the first.
        if is_it(&0) {
            return Some(0);
        }
        let after = self.send_cursor.saturating_add(1);
        [0, after]
            .map(|from| self.search(from, number))
            .into_iter()
            .find(is_it)
            .or_else(|| (0..after).find(is_it))
    }

    /// The index of the first item with this number or a greater one, if numbers ascend from `from`
    /// on.
    fn search(&self, from: usize, number: u64) -> usize {
        let (mut low, mut high) = (from, self.items.len());
        while low < high {
            step();
            let middle = low.midpoint(high);
            match self.items.get(middle) {
                Some(item) if item.number() < number => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        low
    }

    /// Counts a message that is no longer from the send cursor on.
    fn leave(&mut self, index: usize) {
        if index >= self.send_cursor && matches!(self.items.get(index), Some(Queued::Mail(_))) {
            self.unsent = self.unsent.saturating_sub(1);
        }
    }

    /// Whether QUIT is queued, after which nothing is accepted.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.items.back(), Some(Queued::Quit))
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The bytes of content of the queued messages, without streamed content of unknown size.
    pub(crate) const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Releases memory that only a busy connection needs.
    pub(crate) fn release(&mut self) {
        self.items.shrink_to(1);
    }

    fn forget(&mut self, item: &Queued) {
        if let Queued::Mail(transaction) = item {
            self.content_bytes = self.content_bytes.saturating_sub(transaction.size());
        }
    }
}
