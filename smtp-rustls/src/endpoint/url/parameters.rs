//! The parameters of a URL.

use std::time::Duration;

use smtp_proto::{ClientName, Credentials, Secret, Security, Timeouts};

use super::error::{UrlError, UrlErrorKind, UrlPart};
use super::percent::{decode, decode_text, hex_byte};
use super::scheme::Scheme;
use super::split::Slice;
use crate::endpoint::proxy::ProxyServer;

/// The values of the parameters, percent-encoded.
#[derive(Default)]
pub(super) struct Parameters<'a> {
    tls: Option<Slice<'a>>,
    auth: Option<Slice<'a>>,
    client_name: Option<Slice<'a>>,
    timeout: Option<Slice<'a>>,
    pin: Option<Slice<'a>>,
    proxy: Option<Slice<'a>>,
}

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: Option<Slice<'a>>) -> Result<Self, UrlError> {
        let mut parameters = Self::default();
        let mut rest = query;
        while let Some(query) = rest {
            let (parameter, others) = match query.split_once('&') {
                Some((parameter, others)) => (parameter, Some(others)),
                None => (query, None),
            };
            parameters.add(parameter)?;
            rest = others;
        }
        Ok(parameters)
    }

    fn add(&mut self, parameter: Slice<'a>) -> Result<(), UrlError> {
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(parameter.error(UrlErrorKind::ParameterForm));
        };
        let (place, known) = match name.text {
            TLS => (&mut self.tls, TLS),
            AUTH => (&mut self.auth, AUTH),
            CLIENT_NAME => (&mut self.client_name, CLIENT_NAME),
            TIMEOUT => (&mut self.timeout, TIMEOUT),
            PIN => (&mut self.pin, PIN),
            PROXY => (&mut self.proxy, PROXY),
            other => {
                let shown = if is_printable(other) { other } else { "" };
                return Err(name.error(UrlErrorKind::UnknownParameter(shown.into())));
            }
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(name.error(UrlErrorKind::DuplicateParameter(known))),
        }
    }

    /// The security that the scheme and `tls` choose.
    pub(super) fn security(&self, scheme: Scheme) -> Result<Security, UrlError> {
        let Some(value) = self.tls else {
            return Ok(scheme.security());
        };
        let chosen = match &*decode_text(value, UrlPart::Parameter(TLS))? {
            REQUIRED => Some(Security::StartTls),
            OPPORTUNISTIC => Some(Security::Opportunistic),
            NONE => Some(Security::Cleartext),
            _ => return Err(value.error(UrlErrorKind::Value(TLS))),
        };
        match (scheme.security(), chosen) {
            (Security::StartTls, Some(chosen)) => Ok(chosen),
            (Security::Implicit, Some(Security::StartTls)) => Ok(Security::Implicit),
            (Security::Cleartext, Some(Security::Cleartext)) => Ok(Security::Cleartext),
            (Security::Cleartext, _) => Err(value.error(UrlErrorKind::TlsOverUnixSocket)),
            _ => Err(value.error(UrlErrorKind::TlsIsImplicit)),
        }
    }

    /// An error of credentials that this security may send in cleartext.
    pub(super) fn check_login(&self, user: Slice<'_>, security: Security) -> Result<(), UrlError> {
        match security {
            Security::StartTls | Security::Implicit => Ok(()),
            _ => Err(self
                .tls
                .unwrap_or(user)
                .error(UrlErrorKind::LoginInCleartext)),
        }
    }

    /// The credentials of this user and password, or token, for the mechanisms of `auth`.
    pub(super) fn credentials(
        &self,
        user: Slice<'_>,
        name: &str,
        secret: Secret,
    ) -> Result<Credentials, UrlError> {
        let invalid = |error| user.error(UrlErrorKind::Credentials(error));
        let Some(auth) = self.auth else {
            return Credentials::password(name, secret).map_err(invalid);
        };
        let names = decode_text(auth, UrlPart::Parameter(AUTH))?;
        let names: Vec<&str> = names.split(',').collect();
        let has = |all: &[&str], name: &str| all.iter().any(|each| each.eq_ignore_ascii_case(name));
        let all_in = |known: &[&str]| names.iter().all(|name| has(known, name));
        let mut distinct: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let is_once = distinct.len() == names.len();
        let credentials = if is_once && all_in(&password_mechanisms()) {
            Credentials::password(name, secret)
        } else if is_once && all_in(&TOKEN_MECHANISMS) {
            Credentials::token(name, secret)
        } else {
            return Err(auth.error(UrlErrorKind::Value(AUTH)));
        };
        Ok(credentials.map_err(invalid)?.restrict_to(names))
    }

    /// An error of `auth` without a user.
    pub(super) fn check_anonymous(&self) -> Result<(), UrlError> {
        match self.auth {
            Some(value) => Err(value.error(UrlErrorKind::AuthWithoutUser)),
            None => Ok(()),
        }
    }

    pub(super) fn client_name(&self) -> Result<Option<ClientName>, UrlError> {
        let Some(value) = self.client_name else {
            return Ok(None);
        };
        let name = decode_text(value, UrlPart::Parameter(CLIENT_NAME))?.parse();
        name.map(Some)
            .map_err(|error| value.error(UrlErrorKind::ClientName(error)))
    }

    pub(super) fn timeouts(&self) -> Result<Option<Timeouts>, UrlError> {
        let Some(value) = self.timeout else {
            return Ok(None);
        };
        let seconds = decode_text(value, UrlPart::Parameter(TIMEOUT))?;
        let digits = seconds.bytes().all(|byte| byte.is_ascii_digit());
        match seconds.parse() {
            Ok(seconds) if digits && (1..=MAX_TIMEOUT).contains(&seconds) => {
                Ok(Some(timeouts_of(seconds)))
            }
            _ => Err(value.error(UrlErrorKind::Value(TIMEOUT))),
        }
    }

    /// The pinned keys, which need required TLS.
    pub(super) fn pinned_keys(&self, security: Security) -> Result<Vec<[u8; 32]>, UrlError> {
        let Some(value) = self.pin else {
            return Ok(Vec::new());
        };
        if !matches!(security, Security::StartTls | Security::Implicit) {
            return Err(value.error(UrlErrorKind::PinWithoutTls));
        }
        let keys = decode_text(value, UrlPart::Parameter(PIN))?;
        let keys: Option<Vec<_>> = keys.split(',').map(key_of).collect();
        keys.ok_or_else(|| value.error(UrlErrorKind::Value(PIN)))
    }

    /// The proxy, for a server that is no Unix socket.
    pub(super) fn proxy(&self, is_unix: bool) -> Result<Option<ProxyServer>, UrlError> {
        let Some(value) = self.proxy else {
            return Ok(None);
        };
        if is_unix {
            return Err(value.error(UrlErrorKind::ProxyOfUnixSocket));
        }
        // It may contain a password.
        let url = decode(value, UrlPart::Parameter(PROXY))?;
        let url = str::from_utf8(url.expose()).unwrap_or_default();
        let proxy = ProxyServer::from_url(url);
        proxy
            .map(Some)
            .map_err(|error| value.error(UrlErrorKind::Proxy(Box::new(error.into_kind()))))
    }
}

/// The names of the mechanisms for a password, in order of preference.
pub(super) fn password_mechanisms() -> Vec<&'static str> {
    let credentials = Credentials::password("user", "password");
    credentials.map_or_else(|_| Vec::new(), |all| all.names().collect())
}

/// The time limits for a number of seconds. They decide how soon a silent server is given up; the
/// limits for content and for its final reply are only raised, because giving up there leaves a
/// message in doubt.
pub(super) fn timeouts_of(seconds: u64) -> Timeouts {
    let limit = Duration::from_secs(seconds);
    let defaults = Timeouts::rfc5321();
    defaults
        .with_connect(limit)
        .with_greeting(limit)
        .with_ehlo(limit)
        .with_starttls(limit)
        .with_auth(limit)
        .with_mail(limit)
        .with_rcpt(limit)
        .with_data_init(limit)
        .with_command(limit)
        .with_data_block(defaults.data_block().max(limit))
        .with_data_end(defaults.data_end().max(limit))
}

/// The key of 64 hexadecimal digits.
fn key_of(digits: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = digits.as_bytes().as_chunks();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|&[high, low]| hex_byte(high, low))
        .collect();
    bytes?.try_into().ok().filter(|_| rest.is_empty())
}

/// Whether an unknown name can be shown in an error.
fn is_printable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 32 && name.bytes().all(plain)
}

pub(super) const TLS: &str = "tls";
pub(super) const AUTH: &str = "auth";
pub(super) const CLIENT_NAME: &str = "client_name";
pub(super) const TIMEOUT: &str = "timeout";
pub(super) const PIN: &str = "pin";
pub(super) const PROXY: &str = "proxy";

pub(super) const REQUIRED: &str = "required";
pub(super) const OPPORTUNISTIC: &str = "opportunistic";
pub(super) const NONE: &str = "none";

const TOKEN_MECHANISMS: [&str; 2] = ["OAUTHBEARER", "XOAUTH2"];

/// The most seconds of `timeout`: the default limit of a whole connection.
pub(super) const MAX_TIMEOUT: u64 = 2 * 60 * 60;
