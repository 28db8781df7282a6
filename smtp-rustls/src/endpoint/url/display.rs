//! An endpoint, printed as a URL.

use std::fmt;

use smtp_proto::{Config, Credentials, Protocol, Security};

use super::parameters::{
    AUTH, CLIENT_NAME, MAX_TIMEOUT, NONE, OPPORTUNISTIC, PIN, PROXY, REQUIRED, TIMEOUT, TLS,
    password_mechanisms, timeouts_of,
};
use super::percent::Encoded;
use super::scheme::Scheme;
use super::split::PLACEHOLDER;
use crate::endpoint::Endpoint;

/// The [URL](Endpoint::from_url) of the endpoint, with `***` in place of its password and that of
/// its proxy.
///
/// It is the same endpoint again when the passwords are put there, if [`Endpoint::from_url`] made it.
/// Options that no URL has, such as roots or a transcript, are left out.
///
/// ```
/// use smtp_rustls::Endpoint;
///
/// # fn main() -> Result<(), smtp_rustls::UrlError> {
/// let endpoint = Endpoint::from_url("SMTPS://alice:secret@mail.example.org:465/")?;
/// assert_eq!(endpoint.to_string(), "smtps://alice:***@mail.example.org");
/// # Ok(())
/// # }
/// ```
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = Scheme::of(self);
        match (scheme, self.0.config.protocol()) {
            // No scheme of `from_url`, but what it is.
            (Scheme::LmtpUnix, Protocol::Smtp) => f.write_str("smtp+unix://")?,
            _ => write!(f, "{}://", scheme.name())?,
        }
        let credentials = self.0.config.credentials();
        if let Some(user) = credentials.and_then(Credentials::user) {
            write!(f, "{}:{PLACEHOLDER}@", encoded(user, ""))?;
        }
        match self.unix_path() {
            Some(path) => {
                let bytes = path.as_os_str().as_encoded_bytes();
                write!(f, "{}", Encoded { bytes, safe: "/" })?;
            }
            None => self.fmt_host(f)?,
        }
        let mut separator = '?';
        for (name, value) in self.parameters(scheme) {
            write!(f, "{separator}{name}={}", encoded(&value, ",:"))?;
            separator = '&';
        }
        match self.proxy() {
            Some(proxy) => {
                let proxy = proxy.to_string();
                write!(f, "{separator}{PROXY}={}", encoded(&proxy, ":/*[]"))
            }
            None => Ok(()),
        }
    }
}

impl Endpoint {
    fn fmt_host(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        if self.host().contains(':') {
            write!(f, "[{}]", self.host())?;
        } else {
            f.write_str(self.host())?;
        }
        let default = Config::builder(config.client_name().clone())
            .protocol(config.protocol())
            .security(config.security())
            .default_port();
        match self.port() {
            port if port == default => Ok(()),
            port => write!(f, ":{port}"),
        }
    }

    /// The parameters that differ from their defaults.
    fn parameters(&self, scheme: Scheme) -> Vec<(&'static str, String)> {
        let config = &self.0.config;
        let mut parameters = Vec::new();
        if config.security() != scheme.security() {
            let tls = match config.security() {
                Security::Cleartext => NONE,
                Security::Opportunistic => OPPORTUNISTIC,
                _ => REQUIRED,
            };
            parameters.push((TLS, tls.to_owned()));
        }
        let credentials = config.credentials().filter(|all| all.user().is_some());
        if let Some(credentials) = credentials
            && !credentials.names().eq(password_mechanisms())
        {
            let names: Vec<_> = credentials.names().collect();
            parameters.push((AUTH, names.join(",")));
        }
        if self.0.is_named {
            parameters.push((CLIENT_NAME, config.client_name().to_string()));
        }
        let seconds = config.timeouts().connect().as_secs();
        if (1..=MAX_TIMEOUT).contains(&seconds) && *config.timeouts() == timeouts_of(seconds) {
            parameters.push((TIMEOUT, seconds.to_string()));
        }
        let keys = self.0.tls.as_ref().map_or(&[][..], |tls| tls.pinned_keys());
        let keys: Vec<String> = keys.iter().map(|key| hex(key)).collect();
        if !keys.is_empty() && config.security() == scheme.security() {
            parameters.push((PIN, keys.join(",")));
        }
        parameters
    }
}

fn encoded<'a>(text: &'a str, safe: &'a str) -> Encoded<'a> {
    let bytes = text.as_bytes();
    Encoded { bytes, safe }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
