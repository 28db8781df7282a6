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
mod tests;
