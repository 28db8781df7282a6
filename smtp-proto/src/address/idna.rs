//! Conversion of U-labels to A-labels (RFC 5890, section 2.3.2.1), for servers without SMTPUTF8.

use alloc::borrow::Cow;

use super::{AddressError, AddressErrorKind};

/// Converts a domain to ASCII: with A-labels in lower case, or unchanged if it is ASCII.
///
/// Every conversion to A-labels is made here: names of servers and clients, and domains of
/// addresses.
pub(super) fn to_ascii(domain: &str) -> Result<Cow<'_, str>, AddressError> {
    match domain.bytes().position(|byte| !byte.is_ascii()) {
        None => Ok(Cow::Borrowed(domain)),
        Some(at) => a_labels(domain, at).map(Cow::Owned),
    }
}

#[cfg(not(feature = "idna"))]
fn a_labels(_: &str, first: usize) -> Result<alloc::string::String, AddressError> {
    Err(AddressError::new(first, AddressErrorKind::NonAscii))
}

#[cfg(feature = "idna")]
use with_tables::a_labels;

#[cfg(feature = "idna")]
mod with_tables {
    use alloc::string::String;

    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

    use super::{AddressError, AddressErrorKind};
    use crate::address::grammar;

    /// UTS 46, nontransitional, with all its checks. Only case is mapped: domains that differ in
    /// any other way are different.
    pub(super) fn a_labels(domain: &str, first: usize) -> Result<String, AddressError> {
        let Some(ascii) = processed(domain) else {
            return Err(fault(wrong_label(domain).unwrap_or(first)));
        };
        if let Some(at) = first_mapped(domain, &ascii) {
            return Err(fault(at));
        }
        grammar::domain(&ascii)?;
        Ok(ascii)
    }

    fn processed(domain: &str) -> Option<String> {
        Uts46::new()
            .to_ascii(
                domain.as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::Check,
                DnsLength::Verify,
            )
            .ok()
            .map(Into::into)
    }

    /// The offset of the first label that is invalid by itself, not only next to a right-to-left
    /// label.
    fn wrong_label(domain: &str) -> Option<usize> {
        labels(domain)
            .find(|(_, label)| processed(label).is_none())
            .map(|(at, _)| at)
    }

    /// The offset of the first label that UTS 46 maps to a label that differs by more than case.
    fn first_mapped(domain: &str, ascii: &str) -> Option<usize> {
        let (unicode, _) =
            Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
        let mut meant = unicode.split('.');
        labels(domain)
            .find(|(_, label)| {
                let meant = meant.next().unwrap_or_default();
                !label.is_ascii() && !label.chars().flat_map(char::to_lowercase).eq(meant.chars())
            })
            .map(|(at, _)| at)
    }

    /// The labels with their offsets.
    fn labels(domain: &str) -> impl Iterator<Item = (usize, &str)> {
        domain.split('.').scan(0_usize, |next, label| {
            let at = *next;
            *next = at.saturating_add(label.len()).saturating_add(1);
            Some((at, label))
        })
    }

    const fn fault(at: usize) -> AddressError {
        AddressError::new(at, AddressErrorKind::NotULabel)
    }
}

#[cfg(all(test, feature = "idna"))]
mod tests;
