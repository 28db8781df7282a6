//! A token keeper that tasks and threads share.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use smtp_proto::sasl::TokenRequest;
use smtp_proto::{AuthenticationError, Error, ErrorKind, Secret, Time, TransportError};

use super::{Answer, Fetch, Token, TokenId, TokenKeeper};

/// A [`TokenKeeper`] with a lock, a clock, and the wakers of those that wait.
///
/// It never waits itself: async clients poll it, and a thread waits on a condition variable that
/// its waker signals. It wakes outside of its lock, since a waker may run code of a caller.
#[derive(Debug)]
pub struct SharedKeeper {
    /// The zero of the keeper's time.
    epoch: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keeper: TokenKeeper,
    waiting: Vec<Waker>,
}

/// What a connection that wants a token does.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller handles every turn")]
pub enum Turn<'a> {
    /// It uses this token.
    Token(TokenId, Secret),
    /// It fetches a token, for all that wait.
    Fetch(Fetching<'a>),
}

/// The obligation to fetch a token. Dropping it lets another connection fetch.
#[derive(Debug)]
#[must_use = "dropping it lets another connection fetch"]
pub struct Fetching<'a> {
    keeper: &'a SharedKeeper,
    fetch: Option<Fetch>,
    request: TokenRequest,
}

impl SharedKeeper {
    /// A keeper without a token. Its time begins now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the clocks of the connections that share it have different zeros"
    )]
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// Asks for a token; `after` is the one that the server rejected, if the connection had one.
    /// `waker` is woken when it is worth asking again.
    ///
    /// # Errors
    /// The failure of the source.
    pub fn poll_token(
        &self,
        after: Option<TokenId>,
        waker: &Waker,
    ) -> Poll<Result<Turn<'_>, TransportError>> {
        let now = self.now();
        self.with(|state| match state.keeper.ask(now, after) {
            Answer::Token(id, secret) => Poll::Ready(Ok(Turn::Token(id, secret))),
            Answer::Fetch(fetch) => Poll::Ready(Ok(Turn::Fetch(Fetching {
                keeper: self,
                request: fetch.request(),
                fetch: Some(fetch),
            }))),
            Answer::Wait => {
                if !state.waiting.iter().any(|other| other.will_wake(waker)) {
                    state.waiting.push(waker.clone());
                }
                Poll::Pending
            }
            Answer::Failed(error) => Poll::Ready(Err(error)),
        })
    }

    /// Records what became of a login with this token. `is_refreshed` says whether the connection
    /// [requested](smtp_proto::Connection::has_refreshed_token) a refreshed one.
    pub fn report(&self, id: TokenId, login: Result<(), &Error>, is_refreshed: bool) {
        let now = self.now();
        match login {
            Ok(()) => self.with(|state| state.keeper.accept(id)),
            Err(error) if rejects_token(error, is_refreshed) => {
                self.with(|state| state.keeper.reject(now, id))
            }
            Err(_) => {}
        }
    }

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, and wakes all that wait.
    fn wake_after<T>(&self, change: impl FnOnce(&mut TokenKeeper) -> T) -> T {
        let (result, waiting) = self.with(|state| {
            let result = change(&mut state.keeper);
            (result, mem::take(&mut state.waiting))
        });
        for waker in waiting {
            waker.wake();
        }
        result
    }
}

impl Default for SharedKeeper {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetching<'_> {
    /// Which token to fetch.
    pub const fn request(&self) -> TokenRequest {
        self.request
    }

    /// Takes the result. Returns the token for the connection that fetched it; pending if that
    /// has to ask again, since the server may have rejected the token meanwhile.
    ///
    /// # Errors
    /// Those of [`TokenKeeper::finish`].
    pub fn finish(
        mut self,
        result: Result<Token, TransportError>,
    ) -> Poll<Result<(TokenId, Secret), TransportError>> {
        let now = self.keeper.now();
        let fetch = self.fetch.take().expect("finished once");
        let finished = self
            .keeper
            .wake_after(|keeper| keeper.finish(now, fetch, result));
        match finished {
            // The answer to the next question is this error, or another fetch.
            Err(_) if self.request == TokenRequest::Cached => Poll::Pending,
            finished => Poll::Ready(finished),
        }
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        if let Some(fetch) = &self.fetch {
            self.keeper.wake_after(|keeper| keeper.abandon(fetch));
        }
    }
}

/// Whether the server rejected the token. Of a token that was not refreshed, a rejection for another
/// reason has another kind.
fn rejects_token(error: &Error, is_refreshed: bool) -> bool {
    match error.kind() {
        ErrorKind::Authentication(AuthenticationError::Expired { .. }) => true,
        ErrorKind::Authentication(AuthenticationError::Rejected { .. }) => {
            is_refreshed && !error.is_transient()
        }
        _ => false,
    }
}
