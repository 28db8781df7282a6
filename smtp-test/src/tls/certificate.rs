//! What is read in the server's certificate: the channel binding `tls-server-end-point` (RFC 5929,
//! section 4), which is a hash of all of it, and its public key.

use ring::digest;

/// The hash, by the algorithm of the certificate's signature, but not a weaker one than SHA-256.
pub(super) fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match signature_algorithm(certificate)? {
        ED25519 | ED448 => return None,
        ECDSA_SHA384 | RSA_SHA384 => &digest::SHA384,
        ECDSA_SHA512 | RSA_SHA512 => &digest::SHA512,
        _ => &digest::SHA256,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The object identifier in `Certificate.signatureAlgorithm` (RFC 5280, section 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (fields, _) = element(certificate, SEQUENCE)?;
    let (_, fields) = element(fields, SEQUENCE)?;
    let (algorithm, _) = element(fields, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    Some(identifier)
}

/// SHA-256 of `TBSCertificate.subjectPublicKeyInfo` (RFC 5280, section 4.1).
pub(super) fn key_hash(certificate: &[u8]) -> Option<[u8; 32]> {
    let (fields, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(fields, SEQUENCE)?;
    // Version, serial number, signature, issuer, validity, subject.
    for tag in [VERSION, INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, rest) = element(rest, tag)?;
    }
    let (_, behind) = element(rest, SEQUENCE)?;
    let key = rest.strip_suffix(behind)?;
    let hash = digest::digest(&digest::SHA256, key);
    hash.as_ref().try_into().ok()
}

/// The contents of the first element of some DER, and what comes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.len() > 4 {
                return None;
            }
            let len = bytes
                .iter()
                .fold(0, |len, &byte| len << 8 | usize::from(byte));
            (len, rest)
        }
    };
    rest.split_at_checked(len)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// `[0]`, explicit.
const VERSION: u8 = 0xa0;
const OBJECT_IDENTIFIER: u8 = 0x06;

// Contents of object identifiers.
const ECDSA_SHA384: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x03";
const ECDSA_SHA512: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x04";
const RSA_SHA384: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
const RSA_SHA512: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
const ED25519: &[u8] = b"\x2b\x65\x70";
const ED448: &[u8] = b"\x2b\x65\x71";

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    };

    #[test]
    fn the_key_is_found_as_it_stands_in_the_certificate() {
        use rcgen::PublicKeyData;

        for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let key = KeyPair::generate_for(kind).unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            let expected = digest::digest(&digest::SHA256, &key.subject_public_key_info());
            assert_eq!(key_hash(certificate.der()).unwrap(), expected.as_ref());
        }
        assert_eq!(key_hash(b"\x30\x00"), None);
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (kind, len) in [
            (&PKCS_ECDSA_P256_SHA256, Some(32)),
            (&PKCS_ECDSA_P384_SHA384, Some(48)),
            (&PKCS_ED25519, None),
        ] {
            let key = KeyPair::generate_for(kind).unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            let hash = end_point_hash(certificate.der());
            assert_eq!(hash.map(|hash| hash.len()), len);
        }
        assert_eq!(end_point_hash(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
