use super::*;
use rustls::pki_types::ServerName;

fn for_names(presented: Vec<String>) -> String {
    let expected = ServerName::try_from("mail.example.org").unwrap();
    let fault = CertificateError::NotValidForNameContext {
        expected,
        presented,
    };
    bounded(fault.into()).to_string()
}

#[test]
fn many_names_are_cut_with_their_count() {
    let names = |count: usize| (0..count).map(|at| format!("DnsName(\"host{at}.example\")"));
    let text = for_names(names(400).collect());
    assert!(
        text.ends_with("DnsName(\"host4.example\") or 395 more"),
        "{text}"
    );
    let text = for_names(names(5).collect());
    assert!(
        text.ends_with("DnsName(\"host3.example\") or DnsName(\"host4.example\")"),
        "{text}"
    );
}

#[test]
fn long_and_hostile_names_are_cut_and_escaped() {
    let long = format!("DnsName(\"{}\")", "a".repeat(60_000));
    let hostile = "DnsName(\"a\u{1b}[2J\u{202e}\n\")".to_owned();
    let text = for_names(vec![long, hostile]);
    assert!(text.len() < 300, "{text}");
    assert!(text.contains("a…"), "{text}");
    assert!(text.contains("a\\u{1b}[2J\\u{202e}\\n\")"), "{text}");
    assert!(!text.chars().any(char::is_control));
}

#[test]
fn many_purposes_are_cut() {
    let fault = CertificateError::InvalidPurposeContext {
        required: ExtendedKeyPurpose::ServerAuth,
        presented: vec![ExtendedKeyPurpose::Other(vec![usize::MAX; 1000]); 1000],
    };
    let text = bounded(fault.into()).to_string();
    assert!(text.len() < 2000, "{}", text.len());
}

#[test]
fn a_name_is_told_without_its_kind() {
    assert_eq!(plain("DnsName(\"*.example.org\")"), "*.example.org");
    assert_eq!(plain("IpAddress(127.0.0.1)"), "127.0.0.1");
    assert_eq!(plain("DirectoryName"), "DirectoryName");
}
