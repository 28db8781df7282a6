//! Many messages over several connections.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use smtp_pool::{PoolError, SendError, Ticket};
use smtp_proto::{Mail, Outcome};

use super::crew::Crew;
use super::{Connector, Mailer};

/// Sends many messages over several connections: a stream of their outcomes, as they come, with the
/// number of each message in the order given.
#[must_use = "nothing is sent until outcomes are awaited"]
pub struct SendAll<K: Connector, M> {
    crew: Crew<K>,
    /// Dropped after the crew, since the last mailer closes.
    _mailer: Mailer<K>,
    mails: Option<M>,
    /// A message that found too many waiting.
    held: Option<(usize, Mail)>,
    /// The messages that have no outcome yet, by their numbers.
    numbers: BTreeMap<Ticket, usize>,
    next: usize,
}

impl<K: Connector, M> SendAll<K, M> {
    pub(super) fn new(mailer: Mailer<K>, mails: M) -> Self {
        Self {
            crew: Crew::new(Arc::clone(&mailer.inner), true),
            _mailer: mailer,
            mails: Some(mails),
            held: None,
            numbers: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K, M> SendAll<K, M>
where
    K: Connector,
    M: Stream<Item = Mail> + Unpin,
{
    /// Takes as many messages as may wait. Returns one that is not accepted.
    fn take(&mut self, cx: &mut Context<'_>) -> Option<(usize, Result<Outcome, SendError>)> {
        let inner = Arc::clone(&self.crew.inner);
        while self.numbers.len() < WAITING && inner.pool.poll_room(cx.waker()).is_ready() {
            let (number, mail) = self.next_mail(cx)?;
            match inner.hand_over(self.crew.id, mail, None) {
                Ok(ticket) => _ = self.numbers.insert(ticket, number),
                // Another caller was faster.
                Err(error) if matches!(error.kind(), PoolError::Full { .. }) => {
                    self.held = Some((number, error.into_mail()));
                }
                Err(error) => return Some((number, Err(error))),
            }
        }
        None
    }

    fn next_mail(&mut self, cx: &mut Context<'_>) -> Option<(usize, Mail)> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let next = Pin::new(self.mails.as_mut()?).poll_next(cx);
        let Poll::Ready(mail) = next else {
            return None;
        };
        let Some(mail) = mail else {
            self.mails = None;
            return None;
        };
        let number = self.next;
        self.next = self.next.saturating_add(1);
        Some((number, mail))
    }
}

impl<K, M> Stream for SendAll<K, M>
where
    K: Connector,
    M: Stream<Item = Mail> + Unpin,
{
    type Item = (usize, Result<Outcome, SendError>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let failed = this.take(cx);
        this.crew.poll(cx);
        if failed.is_some() {
            return Poll::Ready(failed);
        }
        let crew = &this.crew;
        if let Some((ticket, result)) = crew.inner.pool.take_finished(crew.id)
            && let Some(number) = this.numbers.remove(&ticket)
        {
            return Poll::Ready(Some((number, result)));
        }
        if this.numbers.is_empty() && this.mails.is_none() && this.held.is_none() {
            return Poll::Ready(None);
        }
        // A result makes room for more messages.
        Poll::Pending
    }
}

/// Nothing in it is pinned.
impl<K: Connector, M: Unpin> Unpin for SendAll<K, M> {}

impl<K: Connector, M> fmt::Debug for SendAll<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("under_way", &self.numbers.len())
            .finish_non_exhaustive()
    }
}

/// How many messages are taken ahead of their outcomes: enough to keep a few connections busy.
const WAITING: usize = 128;
