use alloc::{sync::Arc, vec, vec::Vec};
use core::fmt;

#[cfg(feature = "scram")]
use super::Scram;
use super::{
    ConnectionInfo, External, Login, Mechanism, OAuthBearer, Plain, TokenRequest, XOAuth2,
};
use crate::Secret;

/// Mechanisms with their secrets, in order of preference.
///
/// The first mechanism that the server advertises is used, and no other after it: a failure never
/// leads to a weaker mechanism.
///
/// ```
/// use smtp_proto::Credentials;
///
/// let credentials = Credentials::password("alice", "correct horse")?;
/// // This server is known to support SCRAM, so only an attacker would ask for the password itself.
/// let credentials = credentials.restrict_to(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
/// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    mechanisms: Arc<[Arc<dyn Mechanism>]>,
    user: Option<Arc<str>>,
    defers_initial_response: bool,
}

impl Credentials {
    /// Creates credentials of a user and a password, for the strongest mechanism that the server
    /// advertises.
    ///
    /// The order is SCRAM with channel binding (SHA-512, SHA-256, SHA-1), SCRAM without, PLAIN,
    /// LOGIN. Without the feature `scram` it is PLAIN, LOGIN.
    ///
    /// # Errors
    /// If a part is empty, contains a NUL, or is too long.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// let credentials = Credentials::password("alice", "correct horse")?;
    /// assert_eq!(credentials.names().last(), Some("LOGIN"));
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    pub fn password(user: &str, password: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let password = password.into();
        let mut mechanisms = scram(user, &password)?;
        mechanisms.push(Arc::new(Plain::new(user, password.clone())?));
        mechanisms.push(Arc::new(Login::new(user, password)?));
        Ok(Self::of_user(user, mechanisms))
    }

    /// Creates credentials of a user and an OAuth 2.0 access token, for OAUTHBEARER, or else
    /// XOAUTH2.
    ///
    /// # Errors
    /// See [`OAuthBearer::new`].
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// let credentials = Credentials::token("alice@example.org", "ya29.vF9dft4qmT")?;
    /// assert!(credentials.names().eq(["OAUTHBEARER", "XOAUTH2"]));
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    pub fn token(user: &str, token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let token = token.into();
        let mechanisms: Vec<Arc<dyn Mechanism>> = vec![
            Arc::new(OAuthBearer::new(user, token.clone())?),
            Arc::new(XOAuth2::new(user, token)?),
        ];
        Ok(Self::of_user(user, mechanisms))
    }

    /// Creates credentials of a user and the OAuth 2.0 access token that `source` returns, for
    /// OAUTHBEARER, or else XOAUTH2.
    ///
    /// The provider is called once for each login. If the server rejects a token returned for
    /// [`Cached`](TokenRequest::Cached), the error is
    /// [`Expired`](crate::AuthenticationError::Expired). The next attempt, made with
    /// [`Config::with_refreshed_token`](crate::Config::with_refreshed_token), requests a
    /// [`Refreshed`](TokenRequest::Refreshed) token; if that is rejected too, the error is final.
    /// The adapters make that attempt themselves.
    ///
    /// The connection calls the provider synchronously, so a provider that fetches a token over the
    /// network blocks the thread. This suits a token that another part of the program keeps fresh.
    /// A token that has to be fetched is one for [`fetched_token`](Self::fetched_token).
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use smtp_proto::sasl::TokenRequest;
    /// use smtp_proto::{Credentials, Secret};
    ///
    /// # fn fetch() -> Option<Secret> { None }
    /// let cache = Mutex::new(None);
    /// let source = move |request| {
    ///     let mut cache = cache.lock().ok()?;
    ///     if cache.is_none() || request == TokenRequest::Refreshed {
    ///         *cache = fetch();
    ///     }
    ///     cache.clone()
    /// };
    /// let credentials = Credentials::token_provider("alice@example.org", source)?;
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    ///
    /// # Errors
    /// If the user is empty, contains a control character, or is too long.
    pub fn token_provider(
        user: &str,
        source: impl Fn(TokenRequest) -> Option<Secret> + Send + Sync + 'static,
    ) -> Result<Self, CredentialsError> {
        let source = Arc::new(source);
        let shared = Arc::clone(&source);
        let bearer = OAuthBearer::from_source(user, move |request| shared(request))?;
        let xoauth2 = XOAuth2::from_source(user, move |request| source(request))?;
        Ok(Self::of_user(
            user,
            vec![Arc::new(bearer), Arc::new(xoauth2)],
        ))
    }

    /// Creates credentials of a user and an OAuth 2.0 access token that the caller fetches while
    /// the connection waits, for OAUTHBEARER (RFC 7628), or else XOAUTH2.
    ///
    /// Once the mechanism is chosen, and before AUTH is sent, the connection asks for the token by
    /// [`Event::TokenWanted`](crate::Event::TokenWanted), or as the answer of
    /// [`Connection::poll_token`](crate::Connection::poll_token). It sends AUTH when the token is
    /// [provided](crate::Connection::provide_token). Its time limits run meanwhile. No token is
    /// asked for if the server advertises neither mechanism. A rejected token is
    /// [`Expired`](crate::AuthenticationError::Expired), as for
    /// [`token_provider`](Self::token_provider).
    ///
    /// | the program has | constructor |
    /// | --- | --- |
    /// | a token that is valid now | [`token`](Self::token) |
    /// | a token in memory, which it keeps fresh | [`token_provider`](Self::token_provider) |
    /// | a function that fetches a token over the network | `fetched_token` |
    ///
    /// # Errors
    /// If the user is empty, contains a control character, or is too long.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// let credentials = Credentials::fetched_token("alice@example.org")?;
    /// assert!(credentials.names().eq(["OAUTHBEARER", "XOAUTH2"]));
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    pub fn fetched_token(user: &str) -> Result<Self, CredentialsError> {
        let mechanisms: Vec<Arc<dyn Mechanism>> = vec![
            Arc::new(OAuthBearer::fetched(user)?),
            Arc::new(XOAuth2::fetched(user)?),
        ];
        Ok(Self::of_user(user, mechanisms))
    }

    /// Creates credentials of a user and an OAuth 2.0 access token, for XOAUTH2 only.
    ///
    /// # Errors
    /// See [`XOAuth2::new`].
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// let credentials = Credentials::xoauth2("alice@example.org", "ya29.vF9dft4qmT")?;
    /// assert!(credentials.names().eq(["XOAUTH2"]));
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    pub fn xoauth2(user: &str, token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let mechanism = XOAuth2::new(user, token)?;
        Ok(Self::of_user(user, vec![Arc::new(mechanism)]))
    }

    /// EXTERNAL: the server identifies the client by other means, such as its TLS certificate.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// assert!(Credentials::external().names().eq(["EXTERNAL"]));
    /// ```
    #[must_use]
    pub fn external() -> Self {
        Self::from_mechanisms(vec![Arc::new(External::new())])
    }

    /// Creates credentials of these mechanisms, in order of preference.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use smtp_proto::Credentials;
    /// use smtp_proto::sasl::{External, Plain};
    ///
    /// let plain = Plain::new("alice", "correct horse")?;
    /// let credentials =
    ///     Credentials::from_mechanisms(vec![Arc::new(External::new()), Arc::new(plain)]);
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    #[must_use]
    pub fn from_mechanisms(mechanisms: Vec<Arc<dyn Mechanism>>) -> Self {
        Self {
            mechanisms: mechanisms.into(),
            user: None,
            defers_initial_response: false,
        }
    }

    fn of_user(user: &str, mechanisms: Vec<Arc<dyn Mechanism>>) -> Self {
        Self {
            user: Some(user.into()),
            ..Self::from_mechanisms(mechanisms)
        }
    }

    /// Keeps only the mechanisms with these names, in the order of the names. Names match in any
    /// case.
    ///
    /// Unknown names are ignored. If no mechanism is left, authentication fails when connecting.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// let credentials = Credentials::password("alice", "correct horse")?;
    /// assert!(credentials.restrict_to(["login", "unknown"]).names().eq(["LOGIN"]));
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    #[must_use]
    pub fn restrict_to<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let named = |name: &'a str| {
            self.mechanisms
                .iter()
                .filter(move |mechanism| mechanism.name().as_str().eq_ignore_ascii_case(name))
        };
        Self {
            mechanisms: names.into_iter().flat_map(named).cloned().collect(),
            ..self.clone()
        }
    }

    /// Never sends an initial response with the AUTH command, for servers that mishandle it (RFC
    /// 4954, section 4).
    ///
    /// The response answers the server's first challenge instead, which costs a round trip.
    #[must_use]
    pub fn without_initial_response(self) -> Self {
        Self {
            defers_initial_response: true,
            ..self
        }
    }

    /// The first of these mechanisms that the server advertises and that can be used on this
    /// connection.
    #[doc(hidden)]
    #[must_use]
    pub fn select(&self, context: &ConnectionInfo<'_>) -> Option<Arc<dyn Mechanism>> {
        self.usable(context)
            .find(|mechanism| context.advertises(mechanism.name().as_str()))
            .cloned()
    }

    /// The names of the mechanisms, in order of preference.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.mechanisms
            .iter()
            .map(|mechanism| mechanism.name().as_str())
    }

    /// The user of a password or a token; `None` for mechanisms that were created by other means.
    ///
    /// ```
    /// use smtp_proto::Credentials;
    ///
    /// let credentials = Credentials::password("alice", "correct horse")?;
    /// assert_eq!(credentials.user(), Some("alice"));
    /// assert_eq!(Credentials::external().user(), None);
    /// # Ok::<(), smtp_proto::sasl::CredentialsError>(())
    /// ```
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The mechanisms that can be used on this connection, if the server advertises them.
    pub(crate) fn usable<'a>(
        &'a self,
        context: &'a ConnectionInfo<'_>,
    ) -> impl Iterator<Item = &'a Arc<dyn Mechanism>> {
        self.mechanisms
            .iter()
            .filter(|mechanism| mechanism.is_usable(context))
    }

    pub(crate) const fn defers_initial_response(&self) -> bool {
        self.defers_initial_response
    }

    /// Whether one of the mechanisms can get new secrets after a rejection.
    pub(crate) fn can_refresh(&self) -> bool {
        self.mechanisms
            .iter()
            .any(|mechanism| mechanism.can_refresh())
    }
}

#[cfg(feature = "scram")]
fn scram(user: &str, password: &Secret) -> Result<Vec<Arc<dyn Mechanism>>, CredentialsError> {
    let all = Scram::all(user, password)?.into_iter();
    Ok(all
        .map(|scram| -> Arc<dyn Mechanism> { Arc::new(scram) })
        .collect())
}

#[cfg(not(feature = "scram"))]
fn scram(_: &str, _: &Secret) -> Result<Vec<Arc<dyn Mechanism>>, CredentialsError> {
    Ok(Vec::new())
}

/// Shows the names of the mechanisms.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials ")?;
        f.debug_list().entries(self.names()).finish()
    }
}

/// The reason why a user name, password or token cannot be sent.
///
/// It reveals only which part is wrong, never its content.
///
/// # Examples
/// ```
/// use smtp_proto::Credentials;
/// use smtp_proto::sasl::CredentialsErrorKind;
///
/// let error = Credentials::password("alice", "").unwrap_err();
/// assert_eq!(error.kind(), CredentialsErrorKind::Empty);
/// assert_eq!(error.to_string(), "password is empty");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialsError {
    part: Part,
    reason: CredentialsErrorKind,
}

impl CredentialsError {
    pub(super) const fn new(part: Part, reason: CredentialsErrorKind) -> Self {
        Self { part, reason }
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> CredentialsErrorKind {
        self.reason
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.part {
            Part::User => "user name ",
            Part::Password => "password ",
            Part::Identity => "authorization identity ",
            Part::Token => "token ",
            Part::Trace => "trace ",
        })?;
        f.write_str(match self.reason {
            CredentialsErrorKind::Empty => "is empty",
            CredentialsErrorKind::Character => {
                "contains a character that the mechanism cannot carry"
            }
            CredentialsErrorKind::TooLong => "is too long",
        })
    }
}

debug_as_display!(CredentialsError);

impl core::error::Error for CredentialsError {}

/// The kind of a [`CredentialsError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsErrorKind {
    /// An empty part.
    Empty,
    /// A character that the mechanism cannot carry, such as NUL.
    Character,
    /// A user name, identity or trace over 1020 bytes, a trace over 255 characters, or a password
    /// or token over 7140 bytes.
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    User,
    Password,
    Identity,
    Token,
    Trace,
}

impl Part {
    /// Limits that together keep every message within a line of 12288 bytes of base64.
    const fn max(self) -> usize {
        match self {
            Self::User | Self::Identity | Self::Trace => 1020,
            Self::Password | Self::Token => 7140,
        }
    }
}

pub(super) fn check(
    part: Part,
    bytes: &[u8],
    allowed: impl Fn(u8) -> bool,
) -> Result<(), CredentialsError> {
    let reason = if bytes.is_empty() {
        CredentialsErrorKind::Empty
    } else if bytes.len() > part.max() {
        CredentialsErrorKind::TooLong
    } else if !bytes.iter().all(|&byte| allowed(byte)) {
        CredentialsErrorKind::Character
    } else {
        return Ok(());
    };
    Err(CredentialsError::new(part, reason))
}
