//! OAuth 2.0 tokens, signed by this program as the servers expect them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A JSON Web Token (RFC 7519) for this user, valid for an hour, with HS256 (RFC 7518, section
/// 3.2).
pub(crate) fn token(user: &str) -> String {
    sign(user, KEY)
}

/// The same, signed with a key that no server has.
pub(crate) fn forged(user: &str) -> String {
    sign(user, "another key, which is as long as the first one")
}

/// The key by which servers verify a token, in Base64.
pub(crate) fn key() -> String {
    STANDARD.encode(KEY)
}

fn sign(user: &str, key: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let claims = format!(
        r#"{{"sub":"{user}","iat":{},"exp":{}}}"#,
        now - 60,
        now + 3600
    );
    let parts = [r#"{"alg":"HS256","typ":"JWT"}"#, claims.as_str()];
    let text = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    hmac.update(text.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac.finalize().into_bytes());
    format!("{text}.{signature}")
}

const KEY: &str = "a key that this program and the servers share";
