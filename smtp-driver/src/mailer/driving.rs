//! The driver of a mailer.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use super::crew::Crew;
use super::{Connector, Inner};

/// A future that sends the messages of all callers of a mailer, and is ready when the mailer is
/// closed and everything is sent.
///
/// It opens, uses and closes the connections. Messages that wait go out ahead of the replies to
/// those before them. Dropping it drops the connections: messages on them are not sent or in doubt,
/// and those that wait fail.
#[must_use = "a driver does nothing unless it is polled"]
pub struct MailerDriver<K: Connector> {
    crew: Crew<K>,
}

impl<K: Connector> MailerDriver<K> {
    pub(super) fn new(inner: &Arc<Inner<K>>) -> Option<Self> {
        let mut driver = inner.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if driver.is_some() {
            return None;
        }
        let crew = Crew::new(Arc::clone(inner), false);
        *driver = Some(crew.id);
        Some(Self { crew })
    }
}

impl<K: Connector> Future for MailerDriver<K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let crew = &mut self.get_mut().crew;
        crew.poll(cx);
        match crew.inner.pool.is_closed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// Nothing in it is pinned.
impl<K: Connector> Unpin for MailerDriver<K> {}

impl<K: Connector> Drop for MailerDriver<K> {
    fn drop(&mut self) {
        let inner = &self.crew.inner;
        *inner.driver.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<K: Connector> fmt::Debug for MailerDriver<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailerDriver").finish_non_exhaustive()
    }
}
