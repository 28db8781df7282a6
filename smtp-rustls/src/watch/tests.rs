use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};

use super::*;
use crate::unverified::Unverified;

/// Another connection of the same configuration may run on the same thread.
#[test]
fn findings_about_another_connection_are_not_returned() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Watched::recording(Arc::new(Unverified::new(provider)));
    let certificate = CertificateDer::from(&include_bytes!("../../tests/data/p521.der")[..]);
    let name = ServerName::try_from("localhost").unwrap();
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    let ask = || verifier.verify_server_cert(&certificate, &[], &name, &[], now);
    ask().unwrap();
    let ((), seen) = watch(|| ());
    assert!(seen.is_none());
    let (_, seen) = watch(ask);
    assert_eq!(seen.unwrap().verification(), Verification::Verified);
}
