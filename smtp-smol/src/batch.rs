//! Many messages one after the other.

use std::fmt;
use std::iter::Fuse;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use smtp_proto::{self as proto, Mail, Outcome, Wire};

use crate::Client;

/// Messages that go out as fast as the connection takes them, and what becomes of each, in the order in which they were given.
///
/// Made by [`Client::send_all`] and [`Client::send_stream`].
///
/// ```
/// use futures_io::{AsyncRead, AsyncWrite};
/// use smtp_smol::{Client, proto::{Mail, Wire}};
///
/// async fn send<S: AsyncRead + AsyncWrite + Unpin, W: Wire>(client: &mut Client<S, W>, messages: Vec<Mail>) {
///     let mut batch = client.send_all(messages);
///     while let Some(outcome) = batch.next().await {
///         println!("{:?}", outcome.recipients());
///     }
///     for message in batch.into_rest() {
///         println!("still to be sent: {message:?}"); // the connection failed before
///     }
/// }
/// ```
///
/// A message is taken from its source when it is about to be sent: memory does not grow with the batch. It ends early when the
/// connection fails, or when the server takes no further mail in this session; then the last outcomes tell why, or
/// [`Client::ready`] where none was under way, and [`into_rest`](Self::into_rest) gives the messages that were not taken.
///
/// To drop it leaves in line the messages that were taken; their outcomes are for
/// [`poll_event`](smtp_proto::Connection::poll_event) to tell.
#[must_use = "nothing is sent until outcomes are asked for"]
pub struct Batch<'a, M, S, W: Wire> {
    client: &'a mut Client<S, W>,
    mails: proto::Batch<M>,
}

impl<S, W: Wire> Client<S, W> {
    /// Sends many messages, whose outcomes come in the same order.
    ///
    /// With a server that offers PIPELINING the envelope of each message goes out with the text of the one before, unless the
    /// policy says how far to send ahead ([`Pipelining`](proto::Pipelining)): it takes one round trip a message. The messages have
    /// to be whole: one whose text comes in pieces is not sent.
    pub fn send_all<I>(&mut self, mails: I) -> Batch<'_, Mails<I::IntoIter>, S, W>
    where
        I: IntoIterator<Item = Mail>,
    {
        self.send_stream(Mails(mails.into_iter().fuse()))
    }

    /// Sends messages as they come, such as from a channel, as [`send_all`](Self::send_all) does.
    ///
    /// While none comes the connection is idle, and many servers end it after some minutes.
    pub fn send_stream<M>(&mut self, mails: M) -> Batch<'_, M, S, W>
    where
        M: Stream<Item = Mail> + Unpin,
    {
        Batch {
            client: self,
            mails: proto::Batch::new(mails),
        }
    }
}

impl<M: Stream<Item = Mail> + Unpin, S: AsyncRead + AsyncWrite + Unpin, W: Wire>
    Batch<'_, M, S, W>
{
    /// Waits for what becomes of the next message; `None` when there is nothing more to tell.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Outcome> {
        let Self { client, mails } = self;
        client
            .drive_with(|smtp, cx| {
                mails.poll_outcome_from(smtp, |mails| Pin::new(mails).poll_next(cx))
            })
            .await
    }
}

impl<M, S, W: Wire> Batch<'_, M, S, W> {
    /// The messages that were not taken.
    pub fn into_rest(self) -> M {
        self.mails.into_rest()
    }
}

impl<M, S, W: Wire> fmt::Debug for Batch<'_, M, S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mails.fmt(f)
    }
}

/// The messages of an iterator as a stream, each of which is there when it is asked for.
#[derive(Clone, Debug)]
pub struct Mails<I>(Fuse<I>);

impl<I: Iterator<Item = Mail>> Iterator for Mails<I> {
    type Item = Mail;

    fn next(&mut self) -> Option<Mail> {
        self.0.next()
    }
}

impl<I: Iterator<Item = Mail>> Stream for Mails<I> {
    type Item = Mail;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Mail>> {
        Poll::Ready(self.next())
    }
}

/// Nothing in it is ever pinned.
impl<I> Unpin for Mails<I> {}
