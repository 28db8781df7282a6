//! Connects that race, within one future.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use smtp_proto::{Error, Time};
use smtp_rustls::{Attempts, Session, Target};

use crate::lazy_alarm::LazyAlarm;
use crate::token::{Login, TokenSource};
use crate::{Clock, Driver, Runtime};

impl<S, R: Runtime<S>> Driver<S, Session, R> {
    /// Connects to one of the targets, and waits until the server is ready for messages.
    ///
    /// `open` connects to a target, and returns the stream with its local address, if that is
    /// known. `clock` creates the clock of the race, and that of each session. The connects are
    /// polled in this future; nothing is spawned. When one succeeds, the others are dropped.
    ///
    /// Cancel safe if the futures of `open` are: dropping the future drops the connection and every
    /// connect.
    ///
    /// # Errors
    /// [`Attempts::into_error`], when no attempt is left.
    pub async fn connect<F>(
        attempts: Attempts,
        clock: impl Fn() -> R,
        open: impl FnMut(Target) -> F,
    ) -> Result<Self, Error>
    where
        F: Future<Output = io::Result<(S, Option<SocketAddr>)>>,
    {
        Self::connect_with_tokens(attempts, None, clock, open).await
    }

    /// Connects as [`connect`](Self::connect) does, and gets a token from this source if one is
    /// wanted. Without a source, such a connection fails.
    ///
    /// Cancel safe if the futures of `open` are.
    ///
    /// # Errors
    /// [`Attempts::into_error`], when no attempt is left.
    pub async fn connect_with_tokens<F>(
        mut attempts: Attempts,
        tokens: Option<&TokenSource>,
        clock: impl Fn() -> R,
        mut open: impl FnMut(Target) -> F,
    ) -> Result<Self, Error>
    where
        F: Future<Output = io::Result<(S, Option<SocketAddr>)>>,
    {
        let mut login = Login::new(tokens);
        let time = clock();
        while let Some((stream, session)) = first(&mut attempts, &time, &mut open).await {
            let mut driver = Self::new(stream, session, clock());
            match driver.log_in(&mut login).await {
                Ok(()) => return Ok(driver),
                Err(error) => {
                    driver.close().await;
                    attempts.handle_failure(error);
                }
            }
        }
        Err(attempts.into_error())
    }
}

/// The first connection, and the session to drive over it; `None` if no attempt is left.
async fn first<S, F>(
    attempts: &mut Attempts,
    clock: &impl Clock,
    open: &mut impl FnMut(Target) -> F,
) -> Option<(S, Session)>
where
    F: Future<Output = io::Result<(S, Option<SocketAddr>)>>,
{
    let mut connects = Connects(Vec::new());
    let alarm = pin!(None);
    let mut alarm = LazyAlarm::new(alarm);
    poll_fn(|cx| {
        while !attempts.is_over() {
            let now = clock.now();
            // A connect that is ready counts, even if it is late, and no other begins.
            if let Some(connected) = connects.poll(cx, attempts) {
                return Poll::Ready(Some(connected));
            }
            attempts.handle_timeout(now);
            connects.retain(attempts);
            if connects.begin(attempts, now, open) {
                continue;
            }
            // There is one unless the race is over.
            let Some(until) = attempts.poll_timeout() else {
                continue;
            };
            if alarm.poll(cx, clock, until).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(None)
    })
    .await
}

/// The connects in progress, each with its target.
struct Connects<F>(Vec<(Target, Pin<Box<F>>)>);

impl<S, F> Connects<F>
where
    F: Future<Output = io::Result<(S, Option<SocketAddr>)>>,
{
    /// Begins those that are due, and returns whether there are any: they are to be polled.
    fn begin(
        &mut self,
        attempts: &mut Attempts,
        now: Time,
        open: &mut impl FnMut(Target) -> F,
    ) -> bool {
        let before = self.0.len();
        while let Some(target) = attempts.poll_connect(now) {
            let connect = Box::pin(open(target.clone()));
            self.0.push((target, connect));
        }
        self.0.len() > before
    }

    /// Polls all, until one succeeds; reports those that fail.
    fn poll(&mut self, cx: &mut Context<'_>, attempts: &mut Attempts) -> Option<(S, Session)> {
        for (target, connect) in &mut self.0 {
            match connect.as_mut().poll(cx) {
                Poll::Pending => {}
                // Removed before it could be polled again.
                Poll::Ready(Err(error)) => attempts.handle_connect_error(target, error),
                Poll::Ready(Ok((stream, local))) => {
                    let session = attempts.handle_connected(target, local);
                    return session.map(|session| (stream, session));
                }
            }
        }
        None
    }

    /// Drops those that have failed.
    fn retain(&mut self, attempts: &Attempts) {
        self.0.retain(|(target, _)| attempts.is_connecting(target));
    }
}
