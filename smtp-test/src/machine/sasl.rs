//! The server's side of the SASL mechanisms (RFC 4422); `scram` has the one with the mathematics.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use ring::rand::{SecureRandom, SystemRandom};

use super::{
    capabilities::Capabilities,
    scram::{First, Hash, Second},
};
use crate::{
    Config, TlsInfo,
    credentials::{Credential, User},
};

/// An authentication under way: the mechanism, and what is expected next.
#[derive(Debug)]
pub(super) enum Exchange {
    ExpectPlain,
    ExpectLoginUser,
    ExpectLoginPassword(String),
    ExpectXOAuth2,
    ExpectOAuthBearer,
    /// The error was sent as a challenge; the client must send this response.
    ExpectTokenEnd(&'static [u8]),
    ExpectExternal,
    ExpectAnonymous,
    /// CRAM-MD5, with the challenge.
    ExpectDigest(String),
    ExpectScramFirst(First),
    ExpectScramFinal(Box<Second>),
    /// All was told but 235; the client owes an empty response.
    ExpectEmpty(String),
    /// A challenge of the test's own making: any response will do, and authentication fails.
    ExpectAny,
}

/// The next step after a response.
#[derive(Debug)]
pub(super) enum Step {
    /// Another challenge, in base64.
    Challenge(Exchange, String),
    /// This user is authenticated.
    Success(String),
    /// Wrong user, password or token.
    Denied,
    /// The response does not have the mechanism's form.
    Malformed(&'static str),
}

/// The data that a mechanism needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Realm<'a> {
    pub(super) config: &'a Config,
    pub(super) capabilities: &'a Capabilities,
    pub(super) tls: Option<&'a TlsInfo>,
}

impl Realm<'_> {
    /// The data of a channel binding.
    pub(super) fn binding(&self, name: &str) -> Option<Vec<u8>> {
        let facts = self.tls?;
        match (facts.binding(name), &self.config.tls) {
            (Some(data), _) => Some(data.to_vec()),
            (None, Some(tls)) if name == "tls-server-end-point" => tls.end_point(),
            _ => None,
        }
    }

    /// The password of a user.
    pub(super) fn password(&self, name: &str) -> Option<&str> {
        self.secrets(name).find_map(|secret| match secret {
            Credential::Password(password) => Some(password.as_str()),
            _ => None,
        })
    }

    fn secrets(&self, name: &str) -> impl Iterator<Item = &Credential> {
        let own = move |user: &&User| user.name == name;
        self.config
            .users
            .iter()
            .filter(own)
            .map(|user| &user.secret)
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.secrets(name)
            .any(|secret| matches!(secret, Credential::Token(own) if own == token))
    }
}

impl Exchange {
    /// Begins with a mechanism, if the server has it.
    pub(super) fn new(mechanism: &str) -> Option<Self> {
        match mechanism {
            "PLAIN" => Some(Self::ExpectPlain),
            "LOGIN" => Some(Self::ExpectLoginUser),
            "XOAUTH2" => Some(Self::ExpectXOAuth2),
            "OAUTHBEARER" => Some(Self::ExpectOAuthBearer),
            "EXTERNAL" => Some(Self::ExpectExternal),
            "ANONYMOUS" => Some(Self::ExpectAnonymous),
            "CRAM-MD5" => Some(Self::ExpectDigest(String::new())),
            _ => {
                let name = mechanism.strip_prefix("SCRAM-")?;
                let (hash, plus) = name
                    .strip_suffix("-PLUS")
                    .map_or((name, false), |hash| (hash, true));
                let hash = Hash::new(hash)?;
                Some(Self::ExpectScramFirst(First { hash, plus }))
            }
        }
    }

    /// Whether the client must not come before the first challenge with an initial response.
    pub(super) fn server_speaks_first(&self) -> bool {
        matches!(self, Self::ExpectDigest(_))
    }

    /// What follows where the client gave no initial response.
    pub(super) fn begin(self, realm: &Realm<'_>) -> Step {
        match self {
            Self::ExpectLoginUser => challenge(Self::ExpectLoginUser, "Username:"),
            Self::ExpectDigest(_) => {
                // RFC 2195, section 2.
                let text = format!("<{}@{}>", random(), realm.config.host);
                challenge(Self::ExpectDigest(text.clone()), text)
            }
            other => challenge(other, ""),
        }
    }

    /// Takes a response, still in base64.
    pub(super) fn respond(self, response: &[u8], realm: &Realm<'_>) -> Step {
        let Ok(response) = BASE64_STANDARD.decode(response) else {
            return Step::Malformed("no base64");
        };
        match self {
            Self::ExpectTokenEnd(owed) if response != owed => {
                return Step::Malformed("wrong response to an error challenge");
            }
            Self::ExpectTokenEnd(_) | Self::ExpectAny => return Step::Denied,
            Self::ExpectLoginPassword(user) => return password(&user, &response, realm),
            Self::ExpectPlain => return plain(&response, realm),
            _ => {}
        }
        let Ok(text) = String::from_utf8(response) else {
            return Step::Malformed("no UTF-8");
        };
        match self {
            Self::ExpectLoginUser => challenge(Self::ExpectLoginPassword(text), "Password:"),
            Self::ExpectXOAuth2 => xoauth2(&text, realm),
            Self::ExpectOAuthBearer => oauth_bearer(&text, realm),
            Self::ExpectExternal => external(&text, realm),
            Self::ExpectAnonymous => anonymous(&text, realm),
            Self::ExpectDigest(challenge) => digest(&challenge, &text, realm),
            Self::ExpectScramFirst(first) => first.respond(&text, realm),
            Self::ExpectScramFinal(second) => second.respond(&text, realm),
            Self::ExpectEmpty(_) if !text.is_empty() => {
                Step::Malformed("the response to the last message must be empty")
            }
            Self::ExpectEmpty(user) => Step::Success(user),
            _ => Step::Denied,
        }
    }
}

/// A challenge, with what is expected as its answer.
pub(super) fn challenge(next: Exchange, text: impl AsRef<[u8]>) -> Step {
    Step::Challenge(next, BASE64_STANDARD.encode(text))
}

/// Unpredictable text.
pub(super) fn random() -> String {
    let mut bytes = [0; 18];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has randomness");
    BASE64_STANDARD.encode(bytes)
}

/// RFC 4616: `[authzid] NUL authcid NUL passwd`.
fn plain(response: &[u8], realm: &Realm<'_>) -> Step {
    let parts: Vec<&[u8]> = response.split(|&byte| byte == 0).collect();
    let [_, user, secret] = parts.as_slice() else {
        return Step::Malformed("PLAIN has two NULs");
    };
    match str::from_utf8(user) {
        Ok("") | Err(_) => Step::Malformed("PLAIN has a user name in UTF-8"),
        Ok(_) if secret.is_empty() => Step::Malformed("PLAIN has a password"),
        Ok(user) => password(user, secret, realm),
    }
}

fn password(name: &str, secret: &[u8], realm: &Realm<'_>) -> Step {
    decide(
        realm.secrets(name).any(
            |own| matches!(own, Credential::Password(password) if password.as_bytes() == secret),
        ),
        name,
    )
}

fn decide(known: bool, name: &str) -> Step {
    if known {
        Step::Success(name.to_owned())
    } else {
        Step::Denied
    }
}

/// `user=` name ^A `auth=Bearer ` token ^A ^A.
fn xoauth2(text: &str, realm: &Realm<'_>) -> Step {
    let parsed = text.strip_prefix("user=").and_then(|rest| {
        let (user, rest) = rest.split_once('\u{1}')?;
        let token = rest
            .strip_prefix("auth=Bearer ")?
            .strip_suffix("\u{1}\u{1}")?;
        (!token.contains('\u{1}')).then_some((user, token))
    });
    match parsed {
        None => Step::Malformed("not in the form of XOAUTH2"),
        Some((name, token)) if realm.has_token(name, token) => Step::Success(name.to_owned()),
        Some(_) => {
            let error = r#"{"status":"400","schemes":"Bearer","scope":"https://mail.test/"}"#;
            challenge(Exchange::ExpectTokenEnd(b""), error)
        }
    }
}

/// RFC 7628, section 3.1: gs2-header ^A *(key `=` value ^A) ^A.
fn oauth_bearer(text: &str, realm: &Realm<'_>) -> Step {
    let parsed = text.strip_suffix("\u{1}\u{1}").and_then(|text| {
        let (header, pairs) = text.split_once('\u{1}')?;
        let header = header
            .strip_prefix("n,")
            .or_else(|| header.strip_prefix("y,"))?;
        let name = match header.strip_suffix(',')? {
            "" => None,
            name => Some(saslname(name.strip_prefix("a=")?)?),
        };
        let pairs = pairs
            .split('\u{1}')
            .map(|pair| pair.split_once('='))
            .collect::<Option<Vec<_>>>()?;
        let keys_fit = pairs
            .iter()
            .all(|(key, _)| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic()));
        let (_, authorization) = pairs.iter().find(|(key, _)| *key == "auth")?;
        let token = authorization.strip_prefix("Bearer ")?;
        (keys_fit && !token.is_empty()).then(|| (name, token.to_owned()))
    });
    let Some((name, token)) = parsed else {
        return Step::Malformed("not in the form of OAUTHBEARER");
    };
    let names = realm.config.users.iter().map(|user| user.name.as_str());
    let owner = names
        .filter(|user| name.as_ref().is_none_or(|name| name == user))
        .find(|user| realm.has_token(user, &token));
    owner.map_or_else(
        || {
            let error = r#"{"status":"invalid_token","scope":"mail"}"#;
            challenge(Exchange::ExpectTokenEnd(b"\x01"), error)
        },
        |user| Step::Success(user.to_owned()),
    )
}

/// RFC 4422, appendix A: nothing, or who to act as.
fn external(text: &str, realm: &Realm<'_>) -> Step {
    if text.contains('\0') {
        return Step::Malformed("EXTERNAL has no NUL");
    }
    let known = realm.config.users.iter().find(|user| {
        matches!(user.secret, Credential::External) && (text.is_empty() || user.name == text)
    });
    known.map_or(Step::Denied, |user| Step::Success(user.name.clone()))
}

/// RFC 4505, section 2: an address or a token of at most 255 characters, which proves nothing.
fn anonymous(text: &str, realm: &Realm<'_>) -> Step {
    if text.chars().count() > 255 || text.chars().any(char::is_control) {
        return Step::Malformed(
            "a trace has at most 255 characters, none of them a control character",
        );
    }
    let user = realm
        .config
        .users
        .iter()
        .find(|user| matches!(user.secret, Credential::Anonymous));
    user.map_or(Step::Denied, |user| Step::Success(user.name.clone()))
}

/// RFC 2195, section 2: the user, a blank, and a keyed digest of the challenge in hexadecimal
/// digits.
fn digest(challenge: &str, text: &str, realm: &Realm<'_>) -> Step {
    let Some((name, given)) = text.rsplit_once(' ') else {
        return Step::Malformed("CRAM-MD5 has a user and a digest");
    };
    if given.len() != 32
        || !given
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Step::Malformed("a digest has 32 lower hexadecimal digits");
    }
    let matches = realm.password(name).is_some_and(|password| {
        let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("any key will do");
        mac.update(challenge.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let wanted: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        wanted == given
    });
    decide(matches, name)
}

/// RFC 5802, section 7: a name in which `=2C` is a comma and `=3D` an equals sign.
pub(super) fn saslname(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = part.split_at_checked(2)?;
        name.push(match sign {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.is_empty() && !text.contains([',', '\0'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_the_standard_is_found() {
        // RFC 2195, section 2.
        let config = Config::new().user("tim", "tanstaaftanstaaf");
        let realm = Realm {
            config: &config,
            capabilities: &Capabilities::default(),
            tls: None,
        };
        let asked = "<1896.697170952@postoffice.reston.mci.net>";
        let step = digest(asked, "tim b913a602c7eda7a495b4e6e7334d3890", &realm);
        assert!(matches!(step, Step::Success(user) if user == "tim"));
    }

    #[test]
    fn names_have_two_escapes() {
        assert_eq!(saslname("a=2Cb=3Dc").as_deref(), Some("a,b=c"));
        assert_eq!(saslname("a=2cb"), None);
        assert_eq!(saslname("a="), None);
        assert_eq!(saslname("a,b"), None);
        assert_eq!(saslname(""), None);
    }
}
