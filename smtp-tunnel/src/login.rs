//! User name and password, as the protocols of proxies send them.

use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smtp_proto::Secret;

/// The reason why user name and password cannot be sent to a proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// SOCKS5: the user name has no byte, or more than 255 (RFC 1929, section 2).
    UserLength,
    /// SOCKS5: the password has no byte, or more than 255 (RFC 1929, section 2).
    PasswordLength,
    /// HTTP: the user name contains a colon (RFC 7617, section 2).
    Colon,
    /// HTTP: user name or password contains a control character (RFC 7617, section 2).
    Control,
    /// HTTP: the password is not UTF-8 (RFC 7617, section 2.1).
    NotUtf8,
}

/// `VER ULEN UNAME PLEN PASSWD` (RFC 1929, section 2).
pub(crate) fn for_socks5(user: &[u8], password: &[u8]) -> Result<Secret, LoginError> {
    let length = |text: &[u8]| u8::try_from(text.len()).ok().filter(|length| *length > 0);
    let user_length = length(user).ok_or(LoginError::UserLength)?;
    let password_length = length(password).ok_or(LoginError::PasswordLength)?;
    // A vector that grows leaves a copy in the memory that it frees.
    let mut message = Vec::with_capacity(3 + 255 + 255);
    message.extend_from_slice(&[1, user_length]);
    message.extend_from_slice(user);
    message.push(password_length);
    message.extend_from_slice(password);
    Ok(Secret::from(message))
}

/// `basic-credentials` for the field `Proxy-Authorization` (RFC 7617, section 2).
pub(crate) fn for_http(user: &str, password: &[u8]) -> Result<Secret, LoginError> {
    let password_text = core::str::from_utf8(password).map_err(|_| LoginError::NotUtf8)?;
    if user.contains(':') {
        return Err(LoginError::Colon);
    }
    if user
        .chars()
        .chain(password_text.chars())
        .any(char::is_control)
    {
        return Err(LoginError::Control);
    }
    let login = Secret::from([user.as_bytes(), b":", password].concat());
    let len = base64::encoded_len(login.expose().len(), true).unwrap_or_default();
    let mut encoded = alloc::vec![0; len];
    // The length is exact.
    let written = STANDARD.encode_slice(login.expose(), &mut encoded);
    encoded.truncate(written.unwrap_or_default());
    Ok(Secret::from(encoded))
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserLength => "the user name for a SOCKS5 proxy must have 1 to 255 bytes",
            Self::PasswordLength => "the password for a SOCKS5 proxy must have 1 to 255 bytes",
            Self::Colon => "the user name for an HTTP proxy must not contain a colon",
            Self::Control => {
                "user name and password for an HTTP proxy must not contain control characters"
            }
            Self::NotUtf8 => "the password for an HTTP proxy must be UTF-8",
        })
    }
}

debug_as_display!(LoginError);

impl core::error::Error for LoginError {}
