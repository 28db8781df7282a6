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

    /// Sets the number of iterations, which may be one that no client shall accept: 0, too few or too many.
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.iterations = iterations;
        self
    }

    /// Sets the salt.
    pub fn salt(mut self, salt: impl Into<Vec<u8>>) -> Self {
        self.salt = salt.into();
        self
    }

    /// Sets what the server adds to the client's nonce.
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Makes the server a bad one.
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

/// What a server does wrong in SCRAM. Each makes a careful client stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramDefect {
    /// Its signature is that of one who does not know the password.
    WrongSignature,
    /// It says 235 at once in place of its signature.
    NoSignature,
    /// Its last message has no `v=`, and then it says 235.
    EmptyFinal,
    /// Its last message is an error, and then it says 235.
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

/// What a user proves to know.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    Password(String),
    Token(String),
    External,
    Anonymous,
}
