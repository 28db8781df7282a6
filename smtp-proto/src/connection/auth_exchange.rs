//! The SASL exchange of a connection: the choice of a mechanism, its messages, the cause of a
//! rejection.

use alloc::string::String;
use alloc::vec::Vec;

use crate::capabilities::Capabilities;
use crate::config::Config;
use crate::error::AuthenticationError;
use crate::reply::{ReplyRef, Severity};
use crate::sasl::{ConnectionInfo, Credentials, Driver, ExchangeError, Name};
use crate::secret::Secret;
use crate::seed::Seed;
use crate::tls::TlsInfo;

/// One authentication.
#[derive(Debug)]
pub(crate) struct AuthExchange {
    driver: Driver,
    /// Whether a rejection may be due to an expired token, so that a new token is worth an attempt.
    renewable: bool,
    /// The error for which this side cancelled the exchange with `*`.
    cancelled: Option<ExchangeError>,
}

/// How an authentication begins.
pub(crate) enum Begun {
    /// With the initial response, if it is sent with AUTH.
    Exchange(AuthExchange, Option<Secret>),
    /// The caller has to fetch a token.
    TokenWanted,
}

impl AuthExchange {
    /// Begins an exchange by the first mechanism that both sides can use, unless the mechanism
    /// wants a token that the caller has not fetched.
    pub(crate) fn begin(
        credentials: &Credentials,
        config: &Config,
        capabilities: &Capabilities,
        tls: Option<&TlsInfo>,
        seed: &Seed,
        token: Option<&Secret>,
    ) -> Result<Begun, AuthenticationError> {
        let advertised = capabilities.auth().collect::<Vec<_>>();
        if advertised.is_empty() {
            return Err(if tls.is_none() && capabilities.start_tls() {
                AuthenticationError::NotAdvertisedInCleartext
            } else {
                AuthenticationError::NotAdvertised
            });
        }
        let bindings = (tls.into_iter().flat_map(TlsInfo::channel_bindings)).collect::<Vec<_>>();
        let mut info = ConnectionInfo::new(*seed.bytes()).advertising(&advertised);
        if tls.is_some() {
            info = info.over_tls(&bindings);
        }
        if config.renewing {
            info = info.after_rejected_token();
        }
        if let Some(token) = token {
            info = info.with_token(token);
        }
        if credentials.defers_initial_response() {
            info = info.deferring_initial_response();
        }
        let Some(mechanism) = credentials.select(&info) else {
            let usable = credentials.usable(&info);
            return Err(AuthenticationError::NoCommonMechanism {
                offered: advertised.iter().copied().map(String::from).collect(),
                ours: usable
                    .map(|mechanism| String::from(mechanism.name().as_str()))
                    .collect(),
            });
        };
        if mechanism.wants_token() && token.is_none() {
            return Ok(Begun::TokenWanted);
        }
        let (driver, initial) =
            Driver::begin(&*mechanism, &info).map_err(AuthenticationError::Exchange)?;
        let exchange = Self {
            driver,
            renewable: mechanism.can_refresh() && !config.renewing,
            cancelled: None,
        };
        Ok(Begun::Exchange(exchange, initial))
    }

    pub(crate) fn mechanism(&self) -> Name {
        self.driver.name()
    }

    /// The response to a challenge.
    pub(crate) fn respond(&mut self, reply: ReplyRef<'_>) -> Result<Secret, ExchangeError> {
        if reply.is_truncated() {
            return Err(ExchangeError::TooLong);
        }
        let mut lines = reply.lines();
        let challenge = lines.next().unwrap_or_default();
        if lines.next().is_some() {
            return Err(ExchangeError::Encoding);
        }
        self.driver.challenge(challenge)
    }

    /// Records the reason for cancelling the exchange with `*`.
    pub(crate) fn cancel(&mut self, failure: ExchangeError) {
        self.cancelled = Some(failure);
    }

    /// The reason why the exchange was cancelled, if it was.
    pub(crate) const fn cancelled(&self) -> Option<ExchangeError> {
        self.cancelled
    }

    /// Checks that the server may report success here.
    pub(crate) fn finish(&mut self) -> Result<(), ExchangeError> {
        self.driver.finish()
    }

    /// The cause of a rejection.
    pub(crate) fn rejected(&self, reply: ReplyRef<'_>) -> AuthenticationError {
        let detail = self.driver.server_error().map(<[u8]>::to_vec);
        // Some servers send the reason in a challenge before they reject. Otherwise 535 means
        // invalid credentials (RFC 4954, section 6).
        let credentials = detail.is_some() || reply.code().as_u16() == 535;
        let permanent = reply.code().severity() == Severity::Permanent;
        let bound = self.mechanism().as_str().ends_with("-PLUS");
        if self.renewable && permanent && credentials {
            AuthenticationError::Expired { detail }
        } else if bound && names_the_binding(reply, detail.as_deref()) {
            AuthenticationError::BindingRejected { detail }
        } else {
            AuthenticationError::Rejected { detail }
        }
    }
}

/// Whether the channel binding caused a rejection, not the password or the account.
fn names_the_binding(reply: ReplyRef<'_>, detail: Option<&[u8]>) -> bool {
    match detail {
        // RFC 5802, section 7: `server-error-value`.
        Some(detail) => detail.windows(BINDING.len()).any(|part| part == BINDING),
        // The codes of RFC 4954, section 6, have other reasons. Servers that do not support the
        // binding use one of the others.
        None => matches!(reply.code().as_u16(), 500 | 501 | 503 | 550 | 554),
    }
}

/// The common part of all SCRAM error values about channel binding.
const BINDING: &[u8] = b"channel-binding";
