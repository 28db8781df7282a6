/// How a server behaves in SCRAM (RFC 5802): a builder, passed by value from setter to setter.
///
/// ```
/// use smtp_test::{Config, Scram, ScramDefect};
///
/// let config = Config::new()
///     .user("alice", "secret")
///     .mechanisms(["SCRAM-SHA-256"])
///     .scram(Scram::new().iterations(1).defect(ScramDefect::WrongSignature));
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to `Config::scram`"]
pub struct Scram {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) nonce: Option<String>,
    pub(crate) defect: Option<ScramDefect>,
}

impl Scram {
    /// A faultless server: 4096 iterations, and a fresh nonce each time.
    pub fn new() -> Self {
        Self {
            iterations: 4096,
            salt: b"smtp-test's salt".to_vec(),
            nonce: None,
            defect: None,
        }
    }

    /// Sets the number of iterations, also to one that a client must reject: 0, too few or too
    /// many.
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.iterations = iterations;
        self
    }

    /// Sets the salt.
    pub fn salt(mut self, salt: impl Into<Vec<u8>>) -> Self {
        self.salt = salt.into();
        self
    }

    /// Sets the server's part of the nonce.
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Gives the server a defect.
    pub fn defect(mut self, defect: ScramDefect) -> Self {
        self.defect = Some(defect);
        self
    }
}

impl Default for Scram {
    fn default() -> Self {
        Self::new()
    }
}

/// A defect of a server in SCRAM. A careful client rejects each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramDefect {
    /// Its signature is that of a server without the password.
    WrongSignature,
    /// It sends 235 in place of its signature.
    NoSignature,
    /// Its last message has no `v=`, and 235 follows.
    EmptyFinal,
    /// Its last message is an error, and 235 follows.
    ErrorThenSuccess,
    /// Its nonce does not begin with the client's.
    ForeignNonce,
    /// Its nonce is the client's and nothing more.
    SameNonce,
    /// Its first message demands an extension that no client knows (RFC 5802, section 5.1, `m`).
    MandatoryExtension,
}

/// A user with a secret.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) secret: Credential,
}

/// The secret of a user.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    Password(String),
    Token(String),
    External,
    Anonymous,
}
