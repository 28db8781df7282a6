//! The names in a certificate, escaped and limited in number and length.

use rustls::{CertificateError, Error, ExtendedKeyPurpose};

/// The same error, with the names from the server limited to what an error text should show.
///
/// The server chooses the names in its certificate: there may be many, they may be long, and they
/// may contain terminal control sequences.
pub(crate) fn bounded(mut error: Error) -> Error {
    match &mut error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) => {
            let more = presented.len().saturating_sub(SHOWN);
            presented.truncate(SHOWN);
            for name in presented.iter_mut() {
                *name = harmless(name);
            }
            if more > 0 {
                presented.push(format!("{more} more"));
            }
        }
        Error::InvalidCertificate(CertificateError::InvalidPurposeContext {
            presented, ..
        }) => {
            presented.truncate(SHOWN);
            for purpose in presented.iter_mut() {
                if let ExtendedKeyPurpose::Other(identifier) = purpose {
                    identifier.truncate(ARCS);
                }
            }
        }
        _ => {}
    }
    error
}

/// A name without the type that webpki writes around it.
pub(crate) fn plain(whole: &str) -> String {
    let inner = |kind: &str, end: &str| whole.strip_prefix(kind)?.strip_suffix(end);
    let name = inner("DnsName(\"", "\")").or_else(|| inner("IpAddress(", ")"));
    name.unwrap_or(whole).to_owned()
}

/// The name with unprintable characters escaped, cut to [`LENGTH`].
fn harmless(name: &str) -> String {
    let mut shown = String::new();
    for character in name.chars() {
        if shown.len() >= LENGTH {
            shown.push('…');
            break;
        }
        match character {
            '"' => shown.push('"'),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

/// The most names or purposes that are shown.
const SHOWN: usize = 5;

/// The most bytes of a name that are shown, to within one escaped character.
const LENGTH: usize = 72;

/// The most arcs of a purpose's object identifier that are shown.
const ARCS: usize = 12;

#[cfg(test)]
mod tests {
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
}
