//! Batches of messages.

use std::future::poll_fn;
use std::iter::Fuse;
use std::mem::replace;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_core::Stream;
use smtp_proto::{Batch, Mail, Outcome, Wire};

use crate::lazy_alarm::LazyAlarm;
use crate::{Driver, Runtime};

impl<S, W: Wire, R: Runtime<S>> Driver<S, W, R> {
    /// Waits for the next outcome of a batch; `None` at the end of the batch.
    ///
    /// All calls for a batch must be to the same driver. Cancel safe.
    pub async fn next_outcome<M>(&mut self, batch: &mut Batch<M>) -> Option<Outcome>
    where
        M: Stream<Item = Mail> + Unpin,
    {
        let alarm = pin!(None);
        let mut alarm = LazyAlarm::new(alarm);
        let mut now = None;
        loop {
            let asked = poll_fn(|cx| {
                let next = |mails: &mut M| Pin::new(mails).poll_next(cx);
                Poll::Ready(batch.poll_outcome_from(self.smtp_mut(), next))
            });
            if let Poll::Ready(answer) = asked.await {
                return answer;
            }
            let mut step = pin!(self.step(now, &mut alarm));
            let mut polled = false;
            // When the task is woken, by the messages or by the step, the batch is asked first. A
            // step that is dropped loses nothing.
            now = poll_fn(|cx| match step.as_mut().poll(cx) {
                Poll::Ready(now) => Poll::Ready(Some(now)),
                Poll::Pending if !replace(&mut polled, true) => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            })
            .await;
        }
    }
}

/// The messages of an iterator, as a stream that is always ready.
///
/// ```
/// use smtp_driver::Mails;
/// use smtp_proto::{Batch, Mail};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let message = "From: alice@example.org\r\n\r\nHello.\r\n";
/// let mail = Mail::new("alice@example.org", ["bob@example.net"], message)?;
/// let batch = Batch::new(Mails::new([mail]));
/// // No message was taken yet, and the rest is an iterator again.
/// assert_eq!(batch.into_rest().count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mails<I>(Fuse<I>);

impl<I: Iterator<Item = Mail>> Mails<I> {
    /// A stream of these messages.
    pub fn new(mails: impl IntoIterator<IntoIter = I>) -> Self {
        Self(mails.into_iter().fuse())
    }
}

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

/// The iterator is never pinned.
impl<I> Unpin for Mails<I> {}
