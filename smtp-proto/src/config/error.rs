use core::fmt;

/// The reason why building a [`Config`](crate::Config) failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Credentials without required TLS.
    CredentialsWithoutTls,
    /// Credentials, and a login in XCLIENT.
    LoginTwice,
    /// A [chunk size](crate::ConfigBuilder::chunk_size) of 0.
    ChunkSize,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CredentialsWithoutTls => {
                f.write_str("credentials need required TLS: `Security::StartTls` or `Security::Implicit`")
            }
            Self::LoginTwice => f.write_str(
                "credentials and a login in XCLIENT exclude each other: the server accepts one login",
            ),
            Self::ChunkSize => f.write_str("chunk size 0: a chunk has at least 1 byte"),
        }
    }
}

debug_as_display!(ConfigError);

impl core::error::Error for ConfigError {}
