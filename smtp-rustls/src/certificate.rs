//! The fields of a rejected certificate that explain the rejection.
//!
//! Nothing here decides whether a certificate is accepted. The fields are read without checks, also
//! from certificates that no verifier accepts.

use crate::der::{BIT_STRING, FIRST_OPTION, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, element};

/// The fields of a certificate that explain why it is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Whether it is of version 1, which has no extensions and therefore no host names.
    pub(crate) is_version_1: bool,
    /// Whether it names itself as its issuer.
    pub(crate) is_self_signed: bool,
    pub(crate) key: Key,
}

/// The public key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// RSA; the length of the modulus in bits.
    Rsa(usize),
    /// The elliptic curve P-521.
    P521,
    Other,
}

impl Certificate {
    /// Reads `Certificate ::= SEQUENCE { tbsCertificate, … }` (RFC 5280, section 4.1); `None` if it
    /// is malformed.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (fields, _) = element(certificate, SEQUENCE)?;
        let (version, fields) = match element(fields, FIRST_OPTION) {
            Some((version, rest)) => (element(version, INTEGER)?.0, rest),
            None => (VERSION_1, fields),
        };
        let (_serial_number, fields) = element(fields, INTEGER)?;
        let (_signature, fields) = element(fields, SEQUENCE)?;
        let (issuer, fields) = element(fields, SEQUENCE)?;
        let (_validity, fields) = element(fields, SEQUENCE)?;
        let (subject, fields) = element(fields, SEQUENCE)?;
        let (key, _) = element(fields, SEQUENCE)?;
        Some(Self {
            is_version_1: version == VERSION_1,
            is_self_signed: issuer == subject,
            key: Key::read(key)?,
        })
    }
}

impl Key {
    /// Reads the contents of `SubjectPublicKeyInfo ::= SEQUENCE { algorithm, subjectPublicKey }`.
    fn read(info: &[u8]) -> Option<Self> {
        let (algorithm, rest) = element(info, SEQUENCE)?;
        let (identifier, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
        Some(match identifier {
            RSA => Self::Rsa(modulus_bits(element(rest, BIT_STRING)?.0)?),
            EC if element(parameters, OBJECT_IDENTIFIER)?.0 == SECP521R1 => Self::P521,
            _ => Self::Other,
        })
    }
}

/// Reads `RSAPublicKey ::= SEQUENCE { modulus INTEGER, … }` (RFC 8017, appendix A.1.1) from a BIT
/// STRING of whole bytes, and returns the length of the modulus.
fn modulus_bits(string: &[u8]) -> Option<usize> {
    let (key, _) = element(string.strip_prefix(&[0])?, SEQUENCE)?;
    let (modulus, _) = element(key, INTEGER)?;
    let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
    let digits = modulus.get(zeros..)?;
    let leading = digits.first()?.leading_zeros();
    let bits = digits.len().checked_mul(8)?;
    bits.checked_sub(usize::try_from(leading).ok()?)
}

/// Version 1 is encoded as 0.
const VERSION_1: &[u8] = &[0];

/// 1.2.840.113549.1.1.1
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// 1.2.840.10045.2.1
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// 1.3.132.0.35
const SECP521R1: &[u8] = b"\x2b\x81\x04\x00\x23";

#[cfg(test)]
mod tests;
