//! The function that fetches tokens, for async clients.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use smtp_proto::sasl::TokenRequest;
use smtp_proto::{Secret, TransportError};

use super::{SharedKeeper, Token, TokenId, Turn};

/// An async function that fetches OAuth 2.0 access tokens, and the token that it fetched last.
///
/// It is for credentials of a [`fetched_token`](smtp_proto::Credentials::fetched_token). Clones
/// share the token: give one to each client and mailer of the same user.
///
/// ```
/// use std::io;
/// use std::time::Duration;
///
/// use smtp_driver::token::{Token, TokenSource};
///
/// # async fn request(_: &str) -> io::Result<(String, u64)> {
/// #     Ok(("t0k3n".to_owned(), 3600))
/// # }
/// let tokens = TokenSource::new(|_| async {
///     // A request to the token server, by any HTTP client.
///     let (access_token, expires_in) = request("grant_type=refresh_token&…").await?;
///     io::Result::Ok(Token::new(access_token).with_lifetime(Duration::from_secs(expires_in)))
/// });
/// # let _ = tokens;
/// ```
///
/// The function is called when there is no token, when the token is about to end, and, with
/// [`TokenRequest::Refreshed`], when the server has rejected it. Its future is polled by one of the
/// connections that wait for the token, and dropped with that connection, or when the [time
/// limit](smtp_proto::Timeouts::with_token) of that connection is reached; another connection then
/// calls the function. While nothing polls that connection, the others wait in vain, each until its
/// time limit: a task that takes outcomes from a stream must not wait, between two of them, for
/// another connection with the same source.
///
/// A token is renewed 60 seconds before its end. A rejected token is replaced once. A function that
/// fails is called again after a pause of 1 second, which doubles up to 60 seconds.
#[derive(Clone)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

struct Inner {
    fetch: Box<Function>,
    keeper: SharedKeeper,
}

type Function = dyn Fn(TokenRequest) -> Fetched + Send + Sync;

type Fetched = Pin<Box<dyn Future<Output = Result<Token, TransportError>> + Send>>;

impl TokenSource {
    /// A source that calls this function, at most once at a time.
    ///
    /// Its error is an [`io::Error`](std::io::Error), or any other in a [`TransportError::new`].
    /// The text of the error is shown, and must not contain a secret.
    pub fn new<F, A, T, E>(fetch: F) -> Self
    where
        F: Fn(TokenRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Token>,
        E: Into<TransportError>,
    {
        let fetch = move |request| -> Fetched {
            let fetching = fetch(request);
            Box::pin(async move { fetching.await.map(Into::into).map_err(Into::into) })
        };
        Self {
            inner: Arc::new(Inner {
                fetch: Box::new(fetch),
                keeper: SharedKeeper::new(),
            }),
        }
    }

    /// Waits for a token, and fetches it if no other connection does. What became of it is
    /// reported to the [keeper](Self::keeper).
    ///
    /// Cancel safe: another connection that waits then fetches.
    ///
    /// # Errors
    /// The error of the function, a token that cannot be sent, or a
    /// [`TokenError`](crate::token::TokenError).
    pub async fn token(&self) -> Result<(TokenId, Secret), TransportError> {
        let Inner { fetch, keeper } = &*self.inner;
        loop {
            match poll_fn(|cx| keeper.poll_token(None, cx.waker())).await? {
                Turn::Token(id, secret) => return Ok((id, secret)),
                Turn::Fetch(fetching) => {
                    let result = fetch(fetching.request()).await;
                    if let Poll::Ready(finished) = fetching.finish(result) {
                        return finished;
                    }
                }
            }
        }
    }

    /// The keeper of the token.
    pub fn keeper(&self) -> &SharedKeeper {
        &self.inner.keeper
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}
