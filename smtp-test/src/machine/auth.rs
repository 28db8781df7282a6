//! The server's side of the SASL mechanisms that are passwords or tokens in plain text.
//!
//! Mechanisms with mathematics belong here too, as further variants of [`Exchange`].

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::config::{Credential, User};

/// An authentication under way: the mechanism, and what is expected next.
#[derive(Debug)]
pub(super) enum Exchange {
    ExpectPlain,
    ExpectLoginUser,
    ExpectLoginPassword(String),
    ExpectXOAuth2,
    /// The error was told in a challenge; the client owes an empty response.
    ExpectXOAuth2End,
    /// A challenge of the test's own making: any response will do, and authentication fails.
    ExpectAny,
}

/// What follows from a response.
#[derive(Debug)]
pub(super) enum Step {
    /// Another challenge, in base64.
    Challenge(Exchange, String),
    /// The user has proven to be that one.
    Success(String),
    /// Wrong user, password or token.
    Denied,
    /// No response of this mechanism's form.
    Malformed(&'static str),
}

impl Exchange {
    /// Begins with a mechanism, if the server has it; `true` if its first challenge is empty, so that the client may
    /// come before it with an initial response.
    pub(super) fn new(mechanism: &str) -> Option<Self> {
        match mechanism {
            "PLAIN" => Some(Self::ExpectPlain),
            "LOGIN" => Some(Self::ExpectLoginUser),
            "XOAUTH2" => Some(Self::ExpectXOAuth2),
            _ => None,
        }
    }

    /// The challenge for a client that gave no initial response.
    pub(super) fn first_challenge(&self) -> String {
        match self {
            Self::ExpectLoginUser => BASE64_STANDARD.encode("Username:"),
            _ => String::new(),
        }
    }

    /// Takes a response, still in base64.
    pub(super) fn respond(self, response: &[u8], users: &[User]) -> Step {
        let Ok(response) = BASE64_STANDARD.decode(response) else {
            return Step::Malformed("no base64");
        };
        match self {
            Self::ExpectPlain => plain(&response, users),
            Self::ExpectLoginUser => match String::from_utf8(response) {
                Ok(user) => Step::Challenge(
                    Self::ExpectLoginPassword(user),
                    BASE64_STANDARD.encode("Password:"),
                ),
                Err(_) => Step::Malformed("a user name that is no UTF-8"),
            },
            Self::ExpectLoginPassword(user) => password(&user, &response, users),
            Self::ExpectXOAuth2 => xoauth2(&response, users),
            Self::ExpectXOAuth2End if !response.is_empty() => {
                Step::Malformed("the answer to an error must be empty")
            }
            Self::ExpectXOAuth2End | Self::ExpectAny => Step::Denied,
        }
    }
}

/// RFC 4616: `[authzid] NUL authcid NUL passwd`.
fn plain(response: &[u8], users: &[User]) -> Step {
    let parts: Vec<&[u8]> = response.split(|&byte| byte == 0).collect();
    let [_, user, secret] = parts.as_slice() else {
        return Step::Malformed("PLAIN has two NULs");
    };
    match str::from_utf8(user) {
        Ok("") | Err(_) => Step::Malformed("PLAIN has a user name in UTF-8"),
        Ok(_) if secret.is_empty() => Step::Malformed("PLAIN has a password"),
        Ok(user) => password(user, secret, users),
    }
}

fn password(name: &str, secret: &[u8], users: &[User]) -> Step {
    let known = users.iter().any(|user| {
        user.name == name && matches!(&user.secret, Credential::Password(password) if password.as_bytes() == secret)
    });
    if known {
        Step::Success(name.to_owned())
    } else {
        Step::Denied
    }
}

/// `user=` name ^A `auth=Bearer ` token ^A ^A.
fn xoauth2(response: &[u8], users: &[User]) -> Step {
    let parsed = str::from_utf8(response).ok().and_then(|text| {
        let (user, rest) = text.strip_prefix("user=")?.split_once('\u{1}')?;
        let token = rest
            .strip_prefix("auth=Bearer ")?
            .strip_suffix("\u{1}\u{1}")?;
        (!token.contains('\u{1}')).then_some((user, token))
    });
    let Some((name, token)) = parsed else {
        return Step::Malformed("not of the form of XOAUTH2");
    };
    let known = users.iter().any(|user| {
        user.name == name && matches!(&user.secret, Credential::Token(own) if own == token)
    });
    if known {
        Step::Success(name.to_owned())
    } else {
        let error = r#"{"status":"400","schemes":"Bearer","scope":"https://mail.test/"}"#;
        Step::Challenge(Exchange::ExpectXOAuth2End, BASE64_STANDARD.encode(error))
    }
}
