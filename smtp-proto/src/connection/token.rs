//! The token that the caller fetches before AUTH.

use core::task::Poll;

use crate::connection::Connection;
use crate::connection::core::{Core, Phase};
use crate::connection::handshake::{State, TokenClaim};
use crate::error::{ApiMisuse, AuthenticationError, Error, ErrorKind, TransportError};
use crate::sasl::TokenRequest;
use crate::secret::Secret;
use crate::stage::Stage;

impl Connection {
    /// Asks whether AUTH needs a token that the caller fetches, as with credentials of a
    /// [`fetched_token`](crate::Credentials::fetched_token).
    ///
    /// | answer | meaning |
    /// | --- | --- |
    /// | `Pending` | not known yet: the connection has not reached AUTH |
    /// | `Some(request)` | fetch a token; the answer stays the same until [`provide_token`](Self::provide_token) or [`fail_token`](Self::fail_token) |
    /// | `None` | no token will be wanted any more |
    ///
    /// While the token is fetched, continue to drive the connection: the server may close it, and
    /// the time limits of the [token](crate::Timeouts::with_token) and of the session run. If the
    /// caller neither calls this method nor takes
    /// [`Event::TokenWanted`](crate::Event::TokenWanted), every other question returns
    /// [`ApiMisuse::TokenWanted`], because only the caller can end the wait.
    ///
    /// # Errors
    /// The failure of the connection.
    ///
    /// # Examples
    /// ```
    /// use std::task::Poll;
    /// use smtp_proto::Credentials;
    /// use smtp_proto::sasl::TokenRequest;
    /// # use std::sync::Arc;
    /// # use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = Config::builder("client.example.org".parse()?)
    /// #     .security(Security::Cleartext)
    /// #     .dangerous_credentials_in_cleartext()
    /// #     .credentials(Credentials::fetched_token("alice@example.org")?)
    /// #     .build()?;
    /// # let mut connection = Connection::new(Arc::new(config), Seed::random());
    /// # let now = Time::ORIGIN;
    /// # let step = |connection: &mut Connection, reply: &str| {
    /// #     for _ in 0..2 {
    /// #         let count = connection.poll_transmit(now).map_or(0, |transmit| transmit.len());
    /// #         connection.handle_sent(now, count);
    /// #         connection.handle_timeout(now);
    /// #     }
    /// #     connection.handle_input(now, reply.as_bytes());
    /// # };
    /// # step(&mut connection, "220 ready\r\n");
    /// # step(&mut connection, "250-hello\r\n250 AUTH OAUTHBEARER\r\n");
    ///
    /// // After the reply to EHLO:
    /// assert_eq!(connection.poll_token()?, Poll::Ready(Some(TokenRequest::Cached)));
    /// connection.provide_token("ya29.vF9dft4qmT".into())?;
    /// assert_eq!(connection.poll_token()?, Poll::Ready(None));
    /// # step(&mut connection, "235 welcome\r\n");
    /// // After the reply to AUTH:
    /// assert!(connection.poll_ready().is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_token(&mut self) -> Poll<Result<Option<TokenRequest>, Error>> {
        let core = self.core.unchanged();
        if let Some(request) = core.claim_token() {
            return Poll::Ready(Ok(Some(request)));
        }
        match &core.phase {
            Phase::Open(State::ExpectAuth(_) | State::Ready | State::ExpectQuit | State::Ended) => {
                Poll::Ready(Ok(None))
            }
            _ => core.stuck().map(Err),
        }
    }

    /// Provides the token that is wanted. The connection then sends AUTH (RFC 4954, section 4).
    ///
    /// # Errors
    /// If the token is empty, too long or not visible ASCII
    /// ([`InvalidToken`](AuthenticationError::InvalidToken)): the connection then fails. If no token
    /// is wanted: the failure of the connection, or misuse.
    pub fn provide_token(&mut self, token: Secret) -> Result<(), Error> {
        let core = self.core.change();
        match &core.phase {
            Phase::Open(State::AwaitToken(_)) => {}
            Phase::Open(state) => {
                return Err(Error::misuse(state.stage(), ApiMisuse::NoTokenWanted));
            }
            Phase::Draining { error, .. } | Phase::Failed(error) => return Err(error.clone()),
        }
        match core.log_in(&token) {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = core.io.locate(error);
                self.stop(error.clone());
                Err(error)
            }
        }
    }

    /// Fails the connection because the source of the token failed. Does nothing if no token is
    /// wanted.
    ///
    /// The error is an [`AuthenticationError::TokenSource`] at [`Stage::Token`]. The text of
    /// `error` is shown: it must not contain a secret.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Connection, TransportError};
    ///
    /// fn on_rejection_by_token_server(connection: &mut Connection, error: std::io::Error) {
    ///     connection.fail_token(TransportError::new(error).permanent());
    /// }
    /// ```
    pub fn fail_token(&mut self, error: TransportError) {
        if matches!(self.core.phase, Phase::Open(State::AwaitToken(_))) {
            let kind = ErrorKind::Authentication(AuthenticationError::TokenSource(error));
            self.stop(Error::new(Stage::Token, kind));
        }
    }
}

impl Core {
    /// Authenticates with this token.
    fn log_in(&mut self, token: &Secret) -> Result<(), Error> {
        let state = State::with_token(token, &mut self.context())?;
        // The server may have closed the connection while the token was fetched.
        self.io.resume();
        self.enter(state);
        Ok(())
    }

    /// The request for a token, if one is wanted. The caller then fetches it.
    pub(crate) fn claim_token(&mut self) -> Option<TokenRequest> {
        let Phase::Open(State::AwaitToken(claim)) = &mut self.phase else {
            return None;
        };
        *claim = TokenClaim::Claimed;
        Some(if self.io.config.renewing {
            TokenRequest::Refreshed
        } else {
            TokenRequest::Cached
        })
    }
}
