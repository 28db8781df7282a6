//! The server's messages (RFC 5802, section 7).

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::sasl::ExchangeError;

/// `[reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]`, with `reserved-mext`
/// rejected.
#[derive(Debug)]
pub(super) struct ServerFirst<'a> {
    /// The client's nonce followed by the server's.
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

/// `(server-error / verifier) ["," extensions]`
#[derive(Debug)]
pub(super) enum ServerFinal<'a> {
    Signature(Vec<u8>),
    Error(&'a [u8]),
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(
        message: &'a [u8],
        client_nonce: &str,
        allowed: &RangeInclusive<u32>,
    ) -> Result<Self, ExchangeError> {
        if message.starts_with(b"m=") {
            return Err(EXTENSION);
        }
        let mut attributes = message.split(|&byte| byte == b',');
        let mut value = |name: &[u8]| {
            let attribute = attributes.next().ok_or(FORM)?;
            attribute.strip_prefix(name).ok_or(FORM)
        };
        let nonce = nonce(value(b"r=")?, client_nonce)?;
        let salt = value(b"s=")?;
        let iterations = iterations(value(b"i=")?)?;
        let salt = STANDARD.decode(salt).map_err(|_| FORM)?;
        if !SALT.contains(&salt.len()) {
            return Err(SALT_LENGTH);
        }
        if iterations < (*allowed.start()).max(1) {
            return Err(TOO_FEW);
        }
        if iterations > *allowed.end() {
            return Err(TOO_MANY);
        }
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

impl<'a> ServerFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ExchangeError> {
        let first = message.split(|&byte| byte == b',').next();
        let first = first.unwrap_or_default();
        if let Some(error) = first.strip_prefix(b"e=") {
            return Ok(Self::Error(error));
        }
        let signature = first.strip_prefix(b"v=").ok_or(FORM)?;
        let signature = STANDARD.decode(signature).map_err(|_| FORM)?;
        Ok(Self::Signature(signature))
    }
}

/// A nonce that begins with the client's and adds to it.
fn nonce<'a>(nonce: &'a [u8], client: &str) -> Result<&'a str, ExchangeError> {
    let added = nonce.strip_prefix(client.as_bytes()).ok_or(NONCE)?;
    let printable = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
    if added.is_empty() || nonce.len() > NONCE_MAX || !added.iter().all(printable) {
        return Err(NONCE);
    }
    str::from_utf8(nonce).map_err(|_| NONCE)
}

/// `posit-number = %x31-39 *DIGIT`; a number too large for the type is too many iterations.
fn iterations(digits: &[u8]) -> Result<u32, ExchangeError> {
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FORM);
    }
    if digits == b"0" {
        return Ok(0);
    }
    if digits.starts_with(b"0") {
        return Err(FORM);
    }
    let digits = str::from_utf8(digits).map_err(|_| FORM)?;
    digits.parse().map_err(|_| TOO_MANY)
}

/// In bytes, including the client's part.
const NONCE_MAX: usize = 256;
/// In bytes.
const SALT: RangeInclusive<usize> = 8..=1024;
/// More than the largest number needs, and cheap to check.
const DIGITS_MAX: usize = 20;

const EXTENSION: ExchangeError =
    ExchangeError::Mechanism("the server requires an extension of SCRAM");
const FORM: ExchangeError = ExchangeError::Mechanism("malformed SCRAM message from the server");
const NONCE: ExchangeError = ExchangeError::Mechanism(
    "the server's nonce does not begin with the client's, adds nothing, or is too long",
);
const SALT_LENGTH: ExchangeError =
    ExchangeError::Mechanism("the server's salt is too short or too long");
const TOO_FEW: ExchangeError = ExchangeError::Mechanism("the server asks for too few iterations");
const TOO_MANY: ExchangeError = ExchangeError::Mechanism("the server asks for too many iterations");
