use alloc::{boxed::Box, format, string::String};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{AddressError, grammar, idna, textual};

/// A domain name: labels of letters, digits and hyphens, or U-labels, separated by dots.
///
/// It has no trailing dot and is not an address literal. Equality is of bytes.
///
/// # Examples
/// ```
/// use smtp_proto::{AddressErrorKind, Domain};
///
/// let domain: Domain = "mx.example.org".parse()?;
/// assert!(domain.is_ascii());
/// let error = "example.org.".parse::<Domain>().unwrap_err();
/// assert_eq!(error.kind(), AddressErrorKind::Dot);
/// # Ok::<(), smtp_proto::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// The domain as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the domain has no U-label, so that it does not require SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// Converts the domain to ASCII: each U-label to an A-label in lower case. A domain in ASCII is
    /// unchanged.
    ///
    /// This is the form for resolving the domain, for comparing it with a server's certificate, and
    /// for a server without SMTPUTF8 (RFC 6531, sections 3.2 and 3.7.1). The conversion follows UTS
    /// 46, nontransitional, with all checks of IDNA: hyphens, joiners, directions, lengths. Of the
    /// characters that UTS 46 maps, only upper case is accepted; a ligature, for example, is
    /// rejected. Look-alike domains are not detected.
    ///
    /// ```
    /// # use smtp_proto::Domain;
    /// # #[cfg(feature = "idna")] {
    /// let domain: Domain = "B\u{fc}cher.example".parse()?;
    /// assert_eq!(domain.to_ascii()?.as_str(), "xn--bcher-kva.example");
    /// # }
    /// # Ok::<(), smtp_proto::AddressError>(())
    /// ```
    ///
    /// # Errors
    /// [`NotULabel`](super::AddressErrorKind::NotULabel) at a label that has no A-label. Without
    /// the feature `idna`, [`NonAscii`](super::AddressErrorKind::NonAscii) at the first non-ASCII
    /// character.
    pub fn to_ascii(&self) -> Result<Self, AddressError> {
        idna::to_ascii(&self.0).map(|text| Self(text.into()))
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        grammar::domain(text)?;
        Ok(Self(text.into()))
    }
}

/// The name of a client in EHLO (RFC 5321, section 4.1.1.1): a domain in ASCII, or an address
/// literal.
///
/// Parsing a domain with U-labels converts them to A-labels (RFC 6531, section 3.7.1), as
/// [`Domain::to_ascii`] does. A client whose host has no domain name uses its address:
///
/// ```
/// # use smtp_proto::ClientName;
/// # use std::net::Ipv6Addr;
/// let name = "my_laptop".parse().unwrap_or_else(|_| ClientName::from(Ipv6Addr::LOCALHOST));
/// assert_eq!(name.as_str(), "[IPv6:::1]");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(Box<str>);

impl ClientName {
    /// The domain, or the address literal in its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        grammar::domain_or_literal(text)?;
        // The server's extensions are not known yet, including SMTPUTF8.
        idna::to_ascii(text).map(|text| Self(text.into()))
    }
}

impl From<IpAddr> for ClientName {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<Ipv4Addr> for ClientName {
    fn from(address: Ipv4Addr) -> Self {
        Self(format!("[{address}]").into_boxed_str())
    }
}

impl From<Ipv6Addr> for ClientName {
    fn from(address: Ipv6Addr) -> Self {
        Self(format!("[IPv6:{address}]").into_boxed_str())
    }
}

textual!(Domain, ClientName);

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for ClientName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
