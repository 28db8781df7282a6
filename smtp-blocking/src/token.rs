//! The function that fetches tokens, and the token of a login.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use smtp_driver::token::{SharedKeeper, Token, TokenId, Turn, poll_wanted};
use smtp_proto::sasl::TokenRequest;
use smtp_proto::{Error, Secret, TransportError, Wire};

use crate::mailer::Waiter;
use crate::{Client, Stream};

/// A function that fetches OAuth 2.0 access tokens, and the token that it fetched last.
///
/// It is for credentials of a [`fetched_token`](crate::Credentials::fetched_token). Clones share
/// the token: give one to each client and mailer of the same user.
///
/// ```
/// use std::io;
/// use std::time::Duration;
///
/// use smtp_blocking::{Token, TokenSource};
///
/// # fn request(_: &str) -> io::Result<(String, u64)> {
/// #     Ok(("t0k3n".to_owned(), 3600))
/// # }
/// let tokens = TokenSource::new(|_| {
///     // A request to the token server, by any HTTP client.
///     let (access_token, expires_in) = request("grant_type=refresh_token&…")?;
///     io::Result::Ok(Token::new(access_token).with_lifetime(Duration::from_secs(expires_in)))
/// });
/// # let _ = tokens;
/// ```
///
/// The function is called when there is no token, when the token is about to end, and, with
/// [`TokenRequest::Refreshed`], when the server has rejected it. One thread calls it; the others
/// that want a token wait for it, each until the time limit of its connection.
///
/// A token is renewed 60 seconds before its end. A rejected token is replaced once. A function that
/// fails is called again after a pause of 1 second, which doubles up to 60 seconds.
///
/// The time limits of the connection run while the function does: give its HTTP client a limit
/// below that of [the token](crate::Timeouts::with_token). If the token comes later, that
/// connection fails, and the token is kept for the others.
#[derive(Clone)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

struct Inner {
    fetch: Box<Function>,
    keeper: SharedKeeper,
}

type Function = dyn Fn(TokenRequest) -> Result<Token, TransportError> + Send + Sync;

type Fetched = Result<(TokenId, Secret), TransportError>;

impl TokenSource {
    /// A source that calls this function, at most once at a time.
    ///
    /// Its error is an [`io::Error`](std::io::Error), or any other in a [`TransportError::new`].
    /// The text of the error is shown, and must not contain a secret.
    pub fn new<F, T, E>(fetch: F) -> Self
    where
        F: Fn(TokenRequest) -> Result<T, E> + Send + Sync + 'static,
        T: Into<Token>,
        E: Into<TransportError>,
    {
        let fetch = move |request| fetch(request).map(Into::into).map_err(Into::into);
        Self {
            inner: Arc::new(Inner {
                fetch: Box::new(fetch),
                keeper: SharedKeeper::new(),
            }),
        }
    }

    /// Waits for a token, and fetches it if no other thread does. `None` if the time is over
    /// before another thread has it.
    fn token(&self, until: Option<Instant>) -> Option<Fetched> {
        let Inner { fetch, keeper } = &*self.inner;
        let mut waiter = Waiter::of_thread();
        loop {
            match keeper.poll_token(None, waiter.waker()) {
                Poll::Ready(Ok(Turn::Token(id, secret))) => return Some(Ok((id, secret))),
                Poll::Ready(Ok(Turn::Fetch(fetching))) => {
                    let result = fetch(fetching.request());
                    match fetching.finish(result) {
                        Poll::Ready(finished) => return Some(finished),
                        Poll::Pending => continue,
                    }
                }
                Poll::Ready(Err(error)) => return Some(Err(error)),
                Poll::Pending => {}
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return None;
            }
            waiter.wait(until);
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

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
}

impl<S: Stream, W: Wire> Client<S, W> {
    /// Waits until the server is ready for messages, as [`ready`](Self::ready) does, and fetches a
    /// token if one is wanted.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn ready_with_tokens(&mut self, tokens: &TokenSource) -> Result<(), Error> {
        self.log_in(&mut Login::new(Some(tokens)))
    }

    /// The same, for a login that may have no source.
    pub(crate) fn log_in(&mut self, login: &mut Login<'_>) -> Result<(), Error> {
        let Some(source) = login.source else {
            return self.ready();
        };
        if self.drive(poll_wanted)? {
            self.fetch(login, source);
        }
        let ready = self.ready();
        // The next connection gets another token only if the server has rejected this one.
        if let Some(given) = login.given.take() {
            let is_refreshed = self.connection().has_refreshed_token();
            let keeper = &source.inner.keeper;
            keeper.report(given, ready.as_ref().copied(), is_refreshed);
        }
        ready
    }

    /// Fetches a token, within the time limit of the connection.
    fn fetch(&mut self, login: &mut Login<'_>, source: &TokenSource) {
        let fetched = source.token(self.alarm());
        if self.alarm().is_some_and(|until| until <= Instant::now()) {
            // The limit is reached, unless the server has closed the connection before.
            return;
        }
        match fetched {
            // A failure is that of the connection too.
            Some(Ok((id, token))) => {
                let provided = self.connection_mut().provide_token(token);
                login.given = provided.ok().map(|()| id);
            }
            Some(Err(error)) => self.connection_mut().fail_token(error),
            None => {}
        }
    }
}
