//! Which token is used, and when another is fetched.

use std::fmt;
use std::time::Duration;

use smtp_proto::sasl::{OAuthBearer, TokenRequest};
use smtp_proto::{Secret, Time, TransportError};

/// An access token, as its server issued it (RFC 6749, section 5.1).
///
/// ```
/// use std::time::Duration;
///
/// use smtp_driver::token::Token;
///
/// // `access_token` and `expires_in` of the reply.
/// let token = Token::new("ya29.vF9dft4qmT").with_lifetime(Duration::from_secs(3599));
/// assert!(!format!("{token:?}").contains("ya29"));
/// ```
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    lifetime: Option<Duration>,
}

impl Token {
    /// A token that is used until the server rejects it.
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self {
            secret: secret.into(),
            lifetime: None,
        }
    }

    /// Sets how long the token is valid (`expires_in`), from the start of the fetch.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self {
            lifetime: Some(lifetime),
            ..self
        }
    }
}

impl<S: Into<Secret>> From<S> for Token {
    fn from(secret: S) -> Self {
        Self::new(secret)
    }
}

/// Why a token that a source returned is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenError {
    /// The source returned the token that the server has rejected.
    SameToken,
    /// The server has just rejected a token, and the one that replaced it.
    Rejected,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameToken => "it returned the token that the server has rejected",
            Self::Rejected => "the server has rejected its token and the one that replaced it",
        })
    }
}

/// As `Display`.
impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TokenError {}

/// The number of a token, by which a login reports what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(u64);

/// The obligation to fetch a token, and to report the result to
/// [`finish`](TokenKeeper::finish) or to [`abandon`](TokenKeeper::abandon) it.
#[derive(Debug)]
#[must_use = "the others wait until it is finished or abandoned"]
pub struct Fetch {
    id: u64,
    request: TokenRequest,
    began: Time,
}

impl Fetch {
    /// Which token to fetch.
    pub const fn request(&self) -> TokenRequest {
        self.request
    }
}

/// The answer to a connection that wants a token.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller handles every answer")]
pub enum Answer {
    /// The token.
    Token(TokenId, Secret),
    /// The connection fetches a token, for all that wait.
    Fetch(Fetch),
    /// Another connection fetches the token: ask again when it has finished or abandoned that.
    Wait,
    /// The source has failed, and is left alone for a while.
    Failed(TransportError),
}

/// Keeps the token of one user for any number of connections: a state machine without I/O.
///
/// The [module](super) has the rules. Time is passed in, and must not run backwards.
///
/// ```
/// use std::time::Duration;
///
/// use smtp_driver::proto::Time;
/// use smtp_driver::token::{Answer, Token, TokenKeeper};
///
/// let mut keeper = TokenKeeper::new();
/// let now = Time::ORIGIN;
/// let Answer::Fetch(fetch) = keeper.ask(now, None) else { unreachable!() };
/// // Another connection waits meanwhile.
/// assert!(matches!(keeper.ask(now, None), Answer::Wait));
/// let token = Token::new("t0k3n").with_lifetime(Duration::from_secs(3600));
/// assert!(keeper.finish(now, fetch, Ok(token)).is_ok());
/// assert!(matches!(keeper.ask(now, None), Answer::Token(..)));
///
/// // A minute before its end, it is renewed.
/// let later = now + Duration::from_secs(3540);
/// assert!(matches!(keeper.ask(later, None), Answer::Fetch(_)));
/// ```
#[derive(Debug, Default)]
pub struct TokenKeeper {
    held: Option<Held>,
    /// The token that the server has rejected last.
    rejected: Option<Secret>,
    /// The fetch in progress.
    fetching: Option<u64>,
    failure: Option<Failure>,
    /// Failures in a row, which make the pause longer.
    failures: u32,
    next_id: u64,
}

/// The token that is kept.
#[derive(Debug)]
struct Held {
    id: TokenId,
    secret: Secret,
    /// When it is renewed, and when it ends.
    lifetime: Option<(Time, Time)>,
    is_rejected: bool,
    /// Whether it replaced a token that was rejected, and has not been accepted.
    is_replacement: bool,
}

/// The last failure, and the end of the pause after it.
#[derive(Debug)]
struct Failure {
    error: TransportError,
    until: Time,
}

impl TokenKeeper {
    /// A keeper without a token.
    pub const fn new() -> Self {
        Self {
            held: None,
            rejected: None,
            fetching: None,
            failure: None,
            failures: 0,
            next_id: 0,
        }
    }

    /// Asks for a token; `after` is the one that the server rejected, if the connection had one.
    pub fn ask(&mut self, now: Time, after: Option<TokenId>) -> Answer {
        if let Some(id) = after {
            self.reject(now, id);
        }
        if let Some(held) = self.usable(now)
            && held.lifetime.is_none_or(|(renewal, _)| now < renewal)
        {
            return Answer::Token(held.id, held.secret.clone());
        }
        if self.fetching.is_some() {
            return Answer::Wait;
        }
        if let Some(failure) = self.failure.as_ref().filter(|failure| now < failure.until) {
            return match self.usable(now) {
                Some(held) => Answer::Token(held.id, held.secret.clone()),
                None => Answer::Failed(failure.error.clone()),
            };
        }
        let id = self.new_id();
        self.fetching = Some(id);
        let is_rejected = self.held.as_ref().is_some_and(|held| held.is_rejected);
        Answer::Fetch(Fetch {
            id,
            request: match is_rejected {
                true => TokenRequest::Refreshed,
                false => TokenRequest::Cached,
            },
            began: now,
        })
    }

    /// Takes the result of a fetch. Those that wait ask again.
    ///
    /// Returns the token for the connection that fetched it, or the one that is still valid if the
    /// source failed.
    ///
    /// # Errors
    /// The error of the source. A token that is empty, too long or not visible ASCII
    /// ([`CredentialsError`](smtp_proto::sasl::CredentialsError)), or that was rejected before
    /// ([`TokenError::SameToken`]), is a permanent error.
    pub fn finish(
        &mut self,
        now: Time,
        fetch: Fetch,
        result: Result<Token, TransportError>,
    ) -> Result<(TokenId, Secret), TransportError> {
        let Fetch { id, request, began } = fetch;
        self.fetching.take_if(|fetching| *fetching == id);
        match result.and_then(|token| self.check(token)) {
            Ok(Token { secret, lifetime }) => {
                let same = (self.held.as_ref()).filter(|held| is_same(&held.secret, &secret));
                let is_replacement = request == TokenRequest::Refreshed
                    || same.is_some_and(|held| held.is_replacement);
                // What is reported of the same token concerns it still.
                let id = same.map(|held| held.id);
                if !is_replacement {
                    self.failures = 0;
                }
                self.failure = None;
                let id = id.unwrap_or_else(|| TokenId(self.new_id()));
                self.held = Some(Held {
                    id,
                    secret: secret.clone(),
                    lifetime: lifetime.map(|lifetime| times(began, lifetime)),
                    is_rejected: false,
                    is_replacement,
                });
                Ok((id, secret))
            }
            // The token was rejected after the source was asked.
            Err(error)
                if request == TokenRequest::Cached
                    && self.held.as_ref().is_some_and(|held| held.is_rejected)
                    && is_same_token(&error) =>
            {
                Err(error)
            }
            Err(error) => {
                self.fail(now, error.clone());
                self.usable(now)
                    .map(|held| (held.id, held.secret.clone()))
                    .ok_or(error)
            }
        }
    }

    /// Gives a fetch up. Those that wait ask again, and one of them fetches.
    pub fn abandon(&mut self, fetch: &Fetch) {
        self.fetching.take_if(|fetching| *fetching == fetch.id);
    }

    /// Records that the server rejected a token. Nothing changes if another one is kept already.
    pub fn reject(&mut self, now: Time, id: TokenId) {
        let Some(held) = self.held.as_mut().filter(|held| held.id == id) else {
            return;
        };
        if !std::mem::replace(&mut held.is_rejected, true) {
            self.rejected = Some(held.secret.clone());
            if held.is_replacement {
                self.fail(now, TransportError::new(TokenError::Rejected).permanent());
            }
        }
    }

    /// Records that the server accepted a token.
    pub fn accept(&mut self, id: TokenId) {
        if let Some(held) = self.held.as_mut().filter(|held| held.id == id)
            && std::mem::take(&mut held.is_replacement)
        {
            self.failures = 0;
        }
    }

    /// The token that is kept, unless it has ended or was rejected.
    fn usable(&self, now: Time) -> Option<&Held> {
        self.held
            .as_ref()
            .filter(|held| !held.is_rejected && held.lifetime.is_none_or(|(_, end)| now < end))
    }

    /// Checks a token that was fetched.
    fn check(&self, token: Token) -> Result<Token, TransportError> {
        if let Err(error) = OAuthBearer::new("user", token.secret.clone()) {
            return Err(TransportError::new(error).permanent());
        }
        match &self.rejected {
            Some(rejected) if is_same(rejected, &token.secret) => {
                Err(TransportError::new(TokenError::SameToken).permanent())
            }
            _ => Ok(token),
        }
    }

    fn fail(&mut self, now: Time, error: TransportError) {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = SHORTEST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
        self.failure = Some(Failure {
            error,
            until: now.saturating_add(pause),
        });
    }

    fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }
}

/// When a token of this lifetime is renewed, and when it ends.
fn times(began: Time, lifetime: Duration) -> (Time, Time) {
    let margin = MARGIN.min(lifetime / 2);
    let renewal = began.saturating_add(lifetime.saturating_sub(margin));
    (renewal, began.saturating_add(lifetime))
}

/// Whether the source returned the token that the server has rejected.
fn is_same_token(error: &TransportError) -> bool {
    error.get_ref().downcast_ref() == Some(&TokenError::SameToken)
}

/// Compares two secrets of the same length in constant time.
fn is_same(one: &Secret, other: &Secret) -> bool {
    let (one, other) = (one.expose(), other.expose());
    let pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.fold(0, |all, (one, other)| all | (one ^ other)) == 0
}

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(60);

const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
