//! The channel binding `tls-server-end-point` (RFC 5929, section 4): a hash of the server's
//! certificate.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::der::{FIRST_OPTION, OBJECT_IDENTIFIER, SEQUENCE, element};

/// The hash of a certificate in DER by the hash function of its signature, with SHA-256 in place of
/// MD5 and SHA-1.
///
/// `None` if its signature algorithm has no hash function, such as Ed25519: the binding is not
/// defined then.
pub(crate) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_hash(certificate)? {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha224,
    /// Also in place of MD5 and SHA-1.
    Sha256,
    Sha384,
    Sha512,
}

/// Reads `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }` (RFC
/// 5280, section 4.1) up to the algorithm.
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, after_fields) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(after_fields, SEQUENCE)?;
    let (identifier, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    match identifier {
        RSA_PSS => pss_hash(parameters),
        _ => look_up(SIGNATURES, identifier),
    }
}

/// Reads `RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] DEFAULT sha1, … }` (RFC 4055, section
/// 3.1).
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((tagged, _)) = element(parameters, FIRST_OPTION) else {
        return Some(Hash::Sha256);
    };
    let (algorithm, _) = element(tagged, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    look_up(HASHES, identifier)
}

fn look_up(table: &[(&[u8], Hash)], identifier: &[u8]) -> Option<Hash> {
    table
        .iter()
        .find(|(known, _)| *known == identifier)
        .map(|&(_, hash)| hash)
}

/// 1.2.840.113549.1.1.10
const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";

/// Signature algorithms, each with its hash function (RFC 3279, RFC 4055, RFC 5758).
const SIGNATURES: &[(&[u8], Hash)] = &[
    // 1.2.840.113549.1.1: RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512, SHA-224.
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", Hash::Sha384),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", Hash::Sha512),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", Hash::Sha224),
    // 1.2.840.10045.4: ECDSA with SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
    (b"\x2a\x86\x48\xce\x3d\x04\x01", Hash::Sha256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", Hash::Sha224),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Hash::Sha256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Hash::Sha384),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Hash::Sha512),
];

/// Hash functions (RFC 4055, section 2.1).
const HASHES: &[(&[u8], Hash)] = &[
    // 1.3.14.3.2.26: SHA-1.
    (b"\x2b\x0e\x03\x02\x1a", Hash::Sha256),
    // 2.16.840.1.101.3.4.2: SHA-256, SHA-384, SHA-512, SHA-224.
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", Hash::Sha384),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", Hash::Sha512),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", Hash::Sha224),
];

#[cfg(test)]
mod tests;
