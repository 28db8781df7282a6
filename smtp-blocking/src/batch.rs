//! Many messages one after the other.

use std::fmt;
use std::iter::{Fuse, FusedIterator};

use smtp_proto::{self as proto, Mail, Outcome, Wire};

use crate::{Client, Stream};

/// Messages that go out as fast as the connection takes them, and what becomes of each, in the order in which they were given.
///
/// Made by [`Client::send_all`].
///
/// ```
/// use smtp_blocking::{Client, Stream, proto::{Mail, Wire}};
///
/// fn send<S: Stream, W: Wire>(client: &mut Client<S, W>, messages: Vec<Mail>) {
///     let mut batch = client.send_all(messages);
///     for outcome in &mut batch {
///         println!("{:?}", outcome.recipients());
///     }
///     for message in batch.into_rest() {
///         println!("still to be sent: {message:?}"); // the connection failed before
///     }
/// }
/// ```
///
/// A message is taken from the iterator when it is about to be sent: memory does not grow with the batch. It ends early when the
/// connection fails, or when the server takes no further mail in this session; then the last outcomes tell why, and
/// [`into_rest`](Self::into_rest) gives the messages that were not taken.
///
/// To drop it leaves in line the messages that were taken; their outcomes are for
/// [`poll_event`](smtp_proto::Connection::poll_event) to tell.
#[must_use = "nothing is sent until outcomes are asked for"]
pub struct Batch<'a, I: Iterator<Item = Mail>, S, W: Wire> {
    client: &'a mut Client<S, W>,
    mails: proto::Batch<Fuse<I>>,
}

impl<S, W: Wire> Client<S, W> {
    /// Sends many messages, whose outcomes come in the same order.
    ///
    /// With a server that offers PIPELINING the envelope of each message goes out with the text of the one before, unless the
    /// policy says how far to send ahead ([`Pipelining`](proto::Pipelining)): it takes one round trip a message. The messages have to be whole: one
    /// whose text comes in pieces is not sent.
    pub fn send_all<I>(&mut self, mails: I) -> Batch<'_, I::IntoIter, S, W>
    where
        I: IntoIterator<Item = Mail>,
    {
        Batch {
            client: self,
            mails: proto::Batch::new(mails.into_iter().fuse()),
        }
    }
}

impl<I: Iterator<Item = Mail>, S: Stream, W: Wire> Iterator for Batch<'_, I, S, W> {
    type Item = Outcome;

    /// Waits for what becomes of the next message; `None` when there is nothing more to tell.
    fn next(&mut self) -> Option<Outcome> {
        let Self { client, mails } = self;
        client.drive(|smtp| mails.poll_outcome(smtp))
    }
}

impl<I: Iterator<Item = Mail>, S: Stream, W: Wire> FusedIterator for Batch<'_, I, S, W> {}

impl<I: Iterator<Item = Mail>, S, W: Wire> Batch<'_, I, S, W> {
    /// The messages that were not taken.
    pub fn into_rest(self) -> Fuse<I> {
        self.mails.into_rest()
    }
}

impl<I: Iterator<Item = Mail>, S, W: Wire> fmt::Debug for Batch<'_, I, S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mails.fmt(f)
    }
}
