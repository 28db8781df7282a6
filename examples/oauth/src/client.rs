//! Requests to a token server (RFC 6749, section 5).

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use smtp_blocking::Token;
use smtp_blocking::proto::TransportError;
use ureq::Agent;

/// A client of one token server.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
}

/// Why there is no token.
#[derive(Debug)]
pub enum Error {
    /// The request got no reply.
    Http(ureq::Error),
    /// The server said no (RFC 6749, section 5.2; RFC 8628, section 3.5), with this code.
    Rejected(String),
    /// The reply is not what the RFCs say. It is not shown, since it may contain a token.
    Reply,
}

/// A token, and the one by which it is renewed.
pub struct Grant {
    pub access: Token,
    pub refresh: Option<String>,
}

impl Client {
    /// A client of the server at this address.
    ///
    /// A connection waits 30 seconds for a token, so the limit of a request is shorter.
    pub fn new(url: String) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false);
        Self {
            agent: config.build().into(),
            url,
        }
    }

    /// Sends a form, and returns the JSON of the reply.
    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, Error> {
        let url = format!("{}{path}", self.url);
        let reply = self.agent.post(url).send_form(form.iter().copied());
        let mut reply = reply.map_err(Error::Http)?;
        let text = reply.body_mut().read_to_string().map_err(Error::Http)?;
        let value: Value = serde_json::from_str(&text).map_err(|_| Error::Reply)?;
        match value.get("error").and_then(Value::as_str) {
            Some(code) => Err(Error::Rejected(code.to_owned())),
            None => Ok(value),
        }
    }

    /// Requests a token.
    pub fn token(&self, form: &[(&str, &str)]) -> Result<Grant, Error> {
        let reply = self.post("/token", form)?;
        let text = |name| reply.get(name).and_then(Value::as_str);
        let mut access = Token::new(text("access_token").ok_or(Error::Reply)?);
        if let Some(seconds) = reply.get("expires_in").and_then(Value::as_u64) {
            access = access.with_lifetime(Duration::from_secs(seconds));
        }
        Ok(Grant {
            access,
            refresh: text("refresh_token").map(str::to_owned),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Rejected(code) => write!(f, "the token server replied {code}"),
            Self::Reply => f.write_str("the token server's reply contains no token"),
        }
    }
}

impl std::error::Error for Error {}

/// The error as a source of tokens reports it. Asking again helps only if the request got no reply.
impl From<Error> for TransportError {
    fn from(error: Error) -> Self {
        let is_transient = matches!(error, Error::Http(_));
        let error = Self::new(error);
        if is_transient {
            error
        } else {
            error.permanent()
        }
    }
}
