use super::*;

#[test]
fn a_configuration_needs_a_crypto_provider_and_trust() {
    let built = TlsConfig::builder().no_default_roots().build();
    if cfg!(any(feature = "ring", feature = "aws-lc-rs")) {
        assert!(matches!(built, Err(TlsError::NoRoots)));
    } else {
        assert!(matches!(built, Err(TlsError::NoProvider)));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let given = TlsConfig::builder().provider(provider).no_default_roots();
    assert!(matches!(given.build(), Err(TlsError::NoRoots)));
}

#[test]
fn the_first_error_is_reported() {
    let text = "-----BEGIN CERTIFICATE-----\nAA\n";
    let builder = TlsConfig::builder()
        .add_root_pem(text)
        .add_root_der([])
        .add_root_pem("");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let error = builder.provider(provider).build().unwrap_err();
    assert!(matches!(error, TlsError::Pem(_)));
    assert!(error.to_string().contains("PEM"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}
