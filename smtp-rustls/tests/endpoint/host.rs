//! The host of an endpoint.

use crate::common::trust;
use smtp_rustls::{Endpoint, EndpointError, HostErrorKind};
use smtp_test::Tls;

#[test]
fn a_host_is_a_name_or_an_address_and_its_error_names_the_mistake() {
    let tls = trust(&Tls::new());
    let host = |host: &str| Endpoint::starttls(host).tls(tls.clone()).build();
    for (typed, kept) in [
        ("mail.example.org", "mail.example.org"),
        ("mail.example.org.", "mail.example.org."),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ] {
        assert_eq!(host(typed).unwrap().host(), kept);
    }
    for (typed, expected) in [
        ("", HostErrorKind::Empty),
        (".", HostErrorKind::Malformed),
        ("a..b", HostErrorKind::Malformed),
        ("-a", HostErrorKind::Malformed),
        ("[mail]", HostErrorKind::Malformed),
        ("[", HostErrorKind::Malformed),
        ("127.0.0.1.", HostErrorKind::Malformed),
        ("[127.0.0.1]", HostErrorKind::Malformed),
        ("127.1", HostErrorKind::Malformed),
        ("2130706433", HostErrorKind::Malformed),
        ("mail:smtp", HostErrorKind::Malformed),
        ("2001:db8::1::25", HostErrorKind::Malformed),
        ("mail example.org", HostErrorKind::WhiteSpace),
        (" mail.example.org", HostErrorKind::WhiteSpace),
        ("mail.example.org\n", HostErrorKind::WhiteSpace),
        ("mail\u{a0}example.org", HostErrorKind::WhiteSpace),
        ("a\0b", HostErrorKind::WhiteSpace),
        ("a\r\nb", HostErrorKind::WhiteSpace),
        ("mail:25", HostErrorKind::Port),
        ("mail.example.org:", HostErrorKind::Port),
        ("192.0.2.1:587", HostErrorKind::Port),
        ("[2001:db8::1]:587", HostErrorKind::Port),
        ("b\u{fc}cher.example:587", HostErrorKind::Port),
        ("smtp:587", HostErrorKind::Port),
        ("smtp://a", HostErrorKind::Url),
        (
            "smtps://alice:canary@mail.example.org:465/",
            HostErrorKind::Url,
        ),
        ("SMTP:mail.example.org", HostErrorKind::Url),
        ("mail.example.org/", HostErrorKind::Url),
        ("mailto:bob@example.org", HostErrorKind::Url),
        ("a@b", HostErrorKind::User),
        ("alice:canary@mail.example.org", HostErrorKind::User),
    ] {
        let fault = host(typed).expect_err(typed);
        let EndpointError::Host(found) = fault else {
            panic!("{typed:?}: {fault:#}");
        };
        assert_eq!(found, expected, "{typed:?}");
        // The text names the method to call instead. It repeats no input, which may be a password.
        let text = format!("{fault:#} {fault:?} {:?}", Endpoint::starttls(typed));
        assert!(!text.contains("canary"), "{text}");
        let calls = match found {
            HostErrorKind::Port => ".port(587)",
            HostErrorKind::Url => "`Endpoint::implicit(",
            HostErrorKind::User => "`credentials`",
            _ => "",
        };
        assert!(format!("{fault:#}").contains(calls), "{fault:#}");
    }
}

#[cfg(not(feature = "idna"))]
#[test]
fn a_non_ascii_host_is_rejected_with_a_remedy() {
    let fault = Endpoint::starttls("bücher.example").build().unwrap_err();
    assert!(matches!(
        fault,
        EndpointError::Host(HostErrorKind::NotAscii)
    ));
    assert!(format!("{fault:#}").contains("xn--"), "{fault:#}");
    assert!(format!("{fault:#}").contains("feature `idna`"), "{fault:#}");
}

#[cfg(feature = "idna")]
#[test]
fn v19_a_non_ascii_host_is_resolved_by_its_a_labels() {
    let tls = trust(&Tls::new());
    let host = |host: &str| Endpoint::starttls(host).tls(tls.clone()).build();
    for (typed, resolved) in [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example."),
        ("mail.faß.example", "mail.xn--fa-hia.example"),
    ] {
        assert_eq!(host(typed).unwrap().host(), resolved);
    }
    for (typed, at) in [
        ("mail.bü\u{200d}cher.example", 5),
        ("bu\u{308}cher.example", 0),
    ] {
        match host(typed).unwrap_err() {
            EndpointError::Host(HostErrorKind::NotIdna(error)) => assert_eq!(error.offset(), at),
            other => panic!("{typed}: {other}"),
        }
    }
    for (typed, expected) in [
        ("bü cher.example", HostErrorKind::WhiteSpace),
        ("[bücher]", HostErrorKind::Malformed),
        ("bücher..example", HostErrorKind::Malformed),
        ("bücher.example:25", HostErrorKind::Port),
        ("bü\u{ff0e}a", HostErrorKind::Malformed),
    ] {
        match host(typed).unwrap_err() {
            EndpointError::Host(fault) => {
                assert_eq!(format!("{fault:?}"), format!("{expected:?}"), "{typed}");
            }
            other => panic!("{typed}: {other}"),
        }
    }
}
