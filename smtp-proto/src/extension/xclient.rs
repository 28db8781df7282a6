//! XCLIENT and XFORWARD, extensions of Postfix: the original client of a connection or a message.
//!
//! Its XCLIENT_README and XFORWARD_README define them. Their attributes are encoded and divided
//! into command lines in the same way.

mod attributes;
mod error;

use alloc::borrow::Cow;
use core::fmt;
use core::net::IpAddr;

pub(crate) use self::attributes::Attributes;
use self::attributes::{Key, UNAVAILABLE, UNAVAILABLE_FOR_NOW, address, encode, number};
pub use self::error::{AttributeError, AttributeErrorKind};

/// The original client, as XCLIENT describes it: the server then treats the connection as that
/// client's.
///
/// For proxies and filters that the server trusts, by
/// [`ConfigBuilder::xclient`](crate::ConfigBuilder::xclient). The server keeps its own view of an
/// attribute that is not set. `…_unavailable` says that an attribute is not known. Setting an
/// attribute twice keeps the second value.
///
/// ```
/// use std::net::IpAddr;
/// use smtp_proto::xclient::Xclient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Xclient::new()
///     .name("mail.example.org")?
///     .addr("192.0.2.1".parse::<IpAddr>()?)
///     .port_unavailable();
/// assert_eq!(client.to_string(), "XCLIENT NAME=mail.example.org ADDR=192.0.2.1 PORT=[UNAVAILABLE]");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it is sent only if a configuration contains it"]
pub struct Xclient {
    attributes: Attributes,
    is_optional: bool,
}

/// The origin of a message, as XFORWARD describes it: the server logs it, and treats the client as
/// before.
///
/// For filters between two servers, by [`Command::xforward`](crate::Command::xforward). The server
/// does not know an attribute that is not set. `…_unavailable` says that it is not known; for the
/// address that means a message that was submitted locally. Setting an attribute twice keeps the
/// second value.
///
/// ```
/// use std::net::IpAddr;
/// use smtp_proto::Command;
/// use smtp_proto::xclient::{Xforward, XforwardSource};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let origin = Xforward::new()
///     .name_unavailable()
///     .addr("192.0.2.1".parse::<IpAddr>()?)
///     .source(XforwardSource::Remote);
/// assert_eq!(origin.to_string(), "XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1 SOURCE=REMOTE");
/// let command = Command::xforward(origin);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it does nothing until it is sent"]
pub struct Xforward {
    attributes: Attributes,
}

/// The protocol of the original client of XCLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XclientProto {
    /// SMTP: it sent HELO.
    Smtp,
    /// ESMTP: it sent EHLO.
    Esmtp,
}

/// The origin of a message, seen from the server that received it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XforwardSource {
    /// That host itself, or one that it considers local.
    Local,
    /// Another host.
    Remote,
}

macro_rules! shared {
    ($type:ident) => {
        impl $type {
            /// No attributes.
            pub fn new() -> Self {
                Self::default()
            }

            /// NAME: the client's host name.
            ///
            /// # Errors
            /// If it is empty, is longer than 255 bytes, contains other bytes than printable ASCII
            /// without spaces, or is `[UNAVAILABLE]` or `[TEMPUNAVAIL]`.
            pub fn name(self, name: &str) -> Result<Self, AttributeError> {
                self.text(Key::Name, name)
            }

            /// ADDR: the client's address. An IPv4 address that is mapped to IPv6 is sent as IPv4.
            pub fn addr(self, addr: impl Into<IpAddr>) -> Self {
                self.with(Key::Addr, address(addr.into()))
            }

            /// PORT: the client's TCP port.
            pub fn port(self, port: u16) -> Self {
                self.with(Key::Port, number(port))
            }

            /// HELO: the client name that the client sent in HELO or EHLO.
            ///
            /// # Errors
            /// Like [`name`](Self::name), or if it does not fit in one line with its neighbors.
            pub fn helo(self, helo: &str) -> Result<Self, AttributeError> {
                self.text(Key::Helo, helo)
            }

            fn text(mut self, key: Key, text: &str) -> Result<Self, AttributeError> {
                self.attributes.set(key, encode(key, text)?);
                if self.attributes.fit() {
                    Ok(self)
                } else {
                    Err(AttributeError::new(
                        key.as_str(),
                        AttributeErrorKind::TooLong,
                    ))
                }
            }

            fn with(mut self, key: Key, value: Cow<'static, str>) -> Self {
                self.attributes.set(key, value);
                self
            }
        }
    };
}
shared!(Xclient);
shared!(Xforward);

/// Declares the methods that set an attribute to `[UNAVAILABLE]`.
macro_rules! unavailable {
    ($type:ident { $($name:ident $key:ident $keyword:literal,)+ }) => {
        /// Attributes that are not known.
        impl $type {$(
            #[doc = concat!("`", $keyword, "=[UNAVAILABLE]`: not known.")]
            pub fn $name(self) -> Self {
                self.with(Key::$key, Cow::Borrowed(UNAVAILABLE))
            }
        )+}
    };
}
unavailable!(Xclient {
    name_unavailable Name "NAME",
    addr_unavailable Addr "ADDR",
    port_unavailable Port "PORT",
    helo_unavailable Helo "HELO",
    login_unavailable Login "LOGIN",
    dest_addr_unavailable DestAddr "DESTADDR",
    dest_port_unavailable DestPort "DESTPORT",
});
unavailable!(Xforward {
    name_unavailable Name "NAME",
    addr_unavailable Addr "ADDR",
    port_unavailable Port "PORT",
    helo_unavailable Helo "HELO",
    proto_unavailable Proto "PROTO",
    ident_unavailable Ident "IDENT",
    source_unavailable Source "SOURCE",
});

impl Xclient {
    /// `NAME=[TEMPUNAVAIL]`: the lookup of the name failed for now.
    pub fn name_temporarily_unavailable(self) -> Self {
        self.with(Key::Name, Cow::Borrowed(UNAVAILABLE_FOR_NOW))
    }

    /// PROTO: the client's protocol.
    pub fn proto(self, proto: XclientProto) -> Self {
        let value = match proto {
            XclientProto::Smtp => "SMTP",
            XclientProto::Esmtp => "ESMTP",
        };
        self.with(Key::Proto, Cow::Borrowed(value))
    }

    /// LOGIN: the name as which the client authenticated, in place of
    /// [`credentials`](crate::ConfigBuilder::credentials).
    ///
    /// # Errors
    /// Like [`name`](Self::name), but spaces and non-ASCII characters are allowed; or if it does
    /// not fit in one line with HELO.
    pub fn login(self, login: &str) -> Result<Self, AttributeError> {
        self.text(Key::Login, login)
    }

    /// DESTADDR: the address to which the client connected.
    pub fn dest_addr(self, addr: impl Into<IpAddr>) -> Self {
        self.with(Key::DestAddr, address(addr.into()))
    }

    /// DESTPORT: the port to which the client connected.
    pub fn dest_port(self, port: u16) -> Self {
        self.with(Key::DestPort, number(port))
    }

    /// Sends only the attributes that the server advertises, which may be none; without this, a
    /// missing attribute is an error.
    ///
    /// A server that receives no attribute applies the permissions of this client itself.
    pub fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// Whether LOGIN is set.
    pub(crate) fn logs_in(&self) -> bool {
        self.attributes.contains(Key::Login)
    }

    /// The attributes to send to a server that advertises these; or the first that is missing.
    pub(crate) fn advertised<'a>(
        &self,
        advertised: Option<impl Iterator<Item = &'a [u8]>>,
    ) -> Result<Attributes, &'static str> {
        let sent = self.attributes.advertised(advertised);
        match self.attributes.first_missing(&sent) {
            Some(missing) if !self.is_optional => Err(missing),
            _ => Ok(sent),
        }
    }
}

impl Xforward {
    /// PROTO: the protocol of the client, such as `ESMTP` or `HTTP`.
    ///
    /// # Errors
    /// Like [`name`](Self::name), limited to 64 bytes.
    pub fn proto(self, proto: &str) -> Result<Self, AttributeError> {
        self.text(Key::Proto, proto)
    }

    /// IDENT: the identifier of the message in the log of the server that received it.
    ///
    /// # Errors
    /// Like [`name`](Self::name).
    pub fn ident(self, ident: &str) -> Result<Self, AttributeError> {
        self.text(Key::Ident, ident)
    }

    /// SOURCE: whether the message is local to the server that received it.
    pub fn source(self, source: XforwardSource) -> Self {
        let value = match source {
            XforwardSource::Local => "LOCAL",
            XforwardSource::Remote => "REMOTE",
        };
        self.with(Key::Source, Cow::Borrowed(value))
    }

    pub(crate) fn into_attributes(self) -> Attributes {
        self.attributes
    }
}

impl fmt::Display for Xclient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{XCLIENT}{}", self.attributes)
    }
}

impl fmt::Display for Xforward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{XFORWARD}{}", self.attributes)
    }
}

pub(crate) const XCLIENT: &str = "XCLIENT";
pub(crate) const XFORWARD: &str = "XFORWARD";

#[cfg(test)]
mod tests;
