use smtp_proto::Wire as _;

use super::*;
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
use crate::TlsError;

#[test]
fn a_cleartext_endpoint_needs_no_crypto_provider() {
    let endpoint = Endpoint::builder("localhost")
        .security(Security::Cleartext)
        .build()
        .unwrap();
    assert!(!endpoint.session().smtp().is_closed());
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    assert!(matches!(
        Endpoint::starttls("localhost").build(),
        Err(EndpointError::Tls(TlsError::NoProvider))
    ));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    {
        let error = Endpoint::from_url("smtp://localhost").unwrap_err();
        assert!(matches!(error.kind(), UrlErrorKind::Endpoint(_)));
        let text = format!("{error:#}");
        assert!(
            text.starts_with("the endpoint of the URL cannot be built: tls: no crypto provider")
        );
    }
}
