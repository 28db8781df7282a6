use alloc::{boxed::Box, format, string::String};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{AddressError, grammar, idna, textual};

/// A domain name: labels of letters, digits and hyphens, or U-labels, with dots between them.
///
/// It has no dot at the end and is no address literal. Equality is of bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// The domain as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no U-label, so that SMTPUTF8 is not needed.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The domain in ASCII: with an A-label for each U-label and in lower case, or as it is if it is ASCII already.
    ///
    /// This is the form in which a domain is resolved, in which a server's certificate bears it, and in which a server
    /// without SMTPUTF8 is told it (RFC 6531, sections 3.2 and 3.7.1). It follows UTS 46, without transitional mappings and
    /// with all checks of IDNA: of hyphens, of joiners, of the direction of writing, of lengths. Of what UTS 46 maps, only
    /// upper case is taken: a ligature is not another way to write two letters. That two domains look alike is not noticed.
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
    /// [`NotULabel`](super::AddressErrorKind::NotULabel) at the label for which there is no A-label. Without the feature
    /// `idna`, [`NonAscii`](super::AddressErrorKind::NonAscii) at the first character outside ASCII.
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

/// The name by which a client introduces itself: a domain in ASCII, or an address literal.
///
/// It is the argument of EHLO (RFC 5321, section 4.1.1.1). Made from a domain with U-labels, it has their A-labels (RFC 6531,
/// section 3.7.1), as [`Domain::to_ascii`] gives them. A client whose host has no proper name
/// gives its address:
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
        // Nothing is known of the server yet, SMTPUTF8 neither.
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
