use proptest::prelude::*;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};

use super::*;

/// An element of DER, with its length in the short or the long form.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut out = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(len) if len < 0x80 => out.push(len),
        Ok(len) => out.extend([0x81, len]),
        Err(_) => {
            let len = u16::try_from(contents.len()).unwrap().to_be_bytes();
            out.extend([0x82, len[0], len[1]]);
        }
    }
    out.extend(contents);
    out
}

fn certificate(fields: usize, algorithm: &[&[u8]]) -> Vec<u8> {
    let fields = der(SEQUENCE, &[&vec![0x30; fields]]);
    let algorithm = der(SEQUENCE, algorithm);
    der(SEQUENCE, &[&fields, &algorithm, b"\x03\x02\x00\x01"])
}

#[test]
fn a_real_certificate_is_hashed_as_it_is_signed() {
    for (kind, expected) in [
        (&PKCS_ECDSA_P256_SHA256, Some(Hash::Sha256)),
        (&PKCS_ECDSA_P384_SHA384, Some(Hash::Sha384)),
        (&PKCS_ED25519, None),
    ] {
        let key = KeyPair::generate_for(kind).unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(signature_hash(certificate.der()), expected);
        let bytes = match expected {
            Some(Hash::Sha256) => Some(Sha256::digest(certificate.der()).to_vec()),
            Some(_) => Some(Sha384::digest(certificate.der()).to_vec()),
            None => None,
        };
        assert_eq!(hash(certificate.der()), bytes);
    }
}

#[test]
fn each_algorithm_has_its_hash_at_every_length_of_the_fields() {
    for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 3000] {
        for (identifier, expected) in SIGNATURES {
            let identifier = der(OBJECT_IDENTIFIER, &[identifier]);
            let certificate = certificate(len, &[&identifier, b"\x05\x00"]);
            assert_eq!(signature_hash(&certificate), Some(*expected));
        }
        for (identifier, expected) in HASHES {
            let identifier = der(OBJECT_IDENTIFIER, &[identifier]);
            let option = der(FIRST_OPTION, &[&der(SEQUENCE, &[&identifier, b"\x05\x00"])]);
            let parameters = der(SEQUENCE, &[&option]);
            let pss = der(OBJECT_IDENTIFIER, &[RSA_PSS]);
            let certificate = certificate(len, &[&pss, &parameters]);
            assert_eq!(signature_hash(&certificate), Some(*expected));
        }
    }
}

#[test]
fn sha_256_replaces_weak_hash_functions() {
    let bare_pss = [&der(OBJECT_IDENTIFIER, &[RSA_PSS])[..], &der(SEQUENCE, &[])];
    let md5 = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04\x05\x00";
    let sha1 = b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01";
    for certificate in [
        certificate(9, &bare_pss),
        certificate(9, &[md5]),
        certificate(9, &[sha1]),
    ] {
        assert_eq!(
            hash(&certificate),
            Some(Sha256::digest(&certificate).to_vec())
        );
    }
}

proptest! {
    #[test]
    fn malformed_input_has_no_hash(
        bytes in proptest::collection::vec(prop_oneof![Just(0x30_u8), Just(0x06), Just(0x84), Just(0xff), any::<u8>()], 0..40),
    ) {
        // Such short input contains a known algorithm with a probability of 2^-56.
        prop_assert_eq!(hash(&bytes), None);
    }

    #[test]
    fn a_certificate_that_is_cut_short_has_no_hash(len in 0_usize..300, cut in 1_usize..100) {
        let whole = certificate(len, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]);
        prop_assert_eq!(hash(&whole[..whole.len().saturating_sub(cut)]), None);
    }
}
