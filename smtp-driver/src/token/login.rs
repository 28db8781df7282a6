//! The token of a login.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use smtp_proto::{Connection, Error, Wire};

use super::{TokenId, TokenSource, poll_wanted};
use crate::{Driver, Runtime};

/// Where the token of a login comes from, and the token that was given to its connection.
#[derive(Debug)]
pub(crate) struct Login<'a> {
    source: Option<&'a TokenSource>,
    given: Option<TokenId>,
}

impl<'a> Login<'a> {
    pub(crate) const fn new(source: Option<&'a TokenSource>) -> Self {
        Self {
            source,
            given: None,
        }
    }

    /// Reports the end of a login on this connection. The next connection gets another token only
    /// if the server has rejected this one.
    fn end(&mut self, login: Result<(), &Error>, connection: &Connection) {
        if let (Some(source), Some(given)) = (self.source, self.given.take()) {
            let is_refreshed = connection.has_refreshed_token();
            source.keeper().report(given, login, is_refreshed);
        }
    }
}

impl<S, W: Wire, R: Runtime<S>> Driver<S, W, R> {
    /// Waits until the server is ready for messages, and fetches a token if one is wanted.
    ///
    /// The connection is driven while the token is fetched. If the connection fails, the future
    /// that fetches is dropped.
    ///
    /// Cancel safe: another connection that waits for the same token then fetches it.
    ///
    /// # Errors
    /// The connection's failure.
    pub async fn ready_with_tokens(&mut self, tokens: &TokenSource) -> Result<(), Error> {
        self.log_in(&mut Login::new(Some(tokens))).await
    }

    /// The same, for a login that may have no source.
    pub(crate) async fn log_in(&mut self, login: &mut Login<'_>) -> Result<(), Error> {
        let Some(source) = login.source else {
            return self.drive(Connection::poll_ready).await;
        };
        let ready = loop {
            match self.drive(poll_wanted).await {
                // In a box, since most logins are over without it.
                Ok(true) => Box::pin(self.fetch(login, source)).await,
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        login.end(ready.as_ref().copied(), self.smtp());
        ready
    }

    /// Fetches a token, and drives the connection meanwhile.
    async fn fetch(&mut self, login: &mut Login<'_>, source: &TokenSource) {
        let fetched = {
            let mut fetching = pin!(source.token());
            let mut driving = pin!(self.drive(Connection::poll_ready));
            poll_fn(|cx| match fetching.as_mut().poll(cx) {
                Poll::Ready(fetched) => Poll::Ready(Some(fetched)),
                // Ready when the connection has failed, which is asked for again.
                Poll::Pending => driving.as_mut().poll(cx).map(|_| None),
            })
            .await
        };
        match fetched {
            // A failure is that of the connection too.
            Some(Ok((id, token))) => {
                login.given = self.smtp_mut().provide_token(token).ok().map(|()| id);
            }
            Some(Err(error)) => self.smtp_mut().fail_token(error),
            None => {}
        }
    }
}
