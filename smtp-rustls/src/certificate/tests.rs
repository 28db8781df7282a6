use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};

use super::*;

#[test]
fn what_matters_is_read_from_real_certificates() {
    let read = |der: &[u8]| {
        let read = Certificate::read(der).unwrap();
        (read.is_version_1, read.is_self_signed, read.key)
    };
    let table = [
        (
            &include_bytes!("../../tests/data/authority.der")[..],
            (false, true, Key::Other),
        ),
        (
            include_bytes!("../../tests/data/version1.der"),
            (true, false, Key::Other),
        ),
        (
            include_bytes!("../../tests/data/rsa1024.der"),
            (false, false, Key::Rsa(1024)),
        ),
        (
            include_bytes!("../../tests/data/p521.der"),
            (false, false, Key::P521),
        ),
        (
            include_bytes!("../../tests/data/p521-authority.der"),
            (false, true, Key::P521),
        ),
        (
            include_bytes!("../../tests/data/p521-signed.der"),
            (false, false, Key::Other),
        ),
    ];
    for (der, expected) in table {
        assert_eq!(read(der), expected);
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let own = CertificateParams::default().self_signed(&key).unwrap();
    assert_eq!(read(own.der()), (false, true, Key::Other));
}

#[test]
fn the_length_of_an_rsa_key_is_that_of_its_modulus() {
    let bits = |modulus: &[u8]| {
        let len = u8::try_from(modulus.len()).unwrap();
        let mut key = vec![0, SEQUENCE, len + 2, INTEGER, len];
        key.extend(modulus);
        modulus_bits(&key)
    };
    assert_eq!(bits(&[0, 0x80, 0]), Some(16));
    assert_eq!(bits(&[0x7f, 0xff]), Some(15));
    assert_eq!(bits(&[1]), Some(1));
    assert_eq!(bits(&[0, 0]), None);
    assert_eq!(bits(&[]), None);
    assert_eq!(modulus_bits(&[1, SEQUENCE, 0]), None);
}

proptest! {
    #[test]
    fn a_certificate_that_is_broken_anywhere_is_read_or_not(at in 0_usize..500, byte: u8, cut in 0_usize..600) {
        let mut der = include_bytes!("../../tests/data/rsa1024.der").to_vec();
        if let Some(place) = der.get_mut(at) {
            *place = byte;
        }
        der.truncate(cut);
        let _ = Certificate::read(&der);
    }
}
