//! XCLIENT and XFORWARD, extensions of Postfix: the original client of a connection or a message.
//!
//! Its XCLIENT_README and XFORWARD_README define them. Their attributes are encoded and divided into
//! command lines in the same way.

use alloc::{borrow::Cow, format, vec::Vec};
use core::fmt;
use core::net::IpAddr;

use super::parameter::Value;

/// The original client, as XCLIENT describes it: the server then treats the connection as that client's.
///
/// For proxies and filters that the server trusts, by
/// [`ConfigBuilder::xclient`](crate::ConfigBuilder::xclient). The server keeps its own view of an attribute
/// that is not set. `…_unavailable` says that an attribute is not known. Setting an attribute twice keeps
/// the second value.
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

/// The origin of a message, as XFORWARD describes it: the server logs it, and treats the client as before.
///
/// For filters between two servers, by [`Command::xforward`](crate::Command::xforward). The server does not
/// know an attribute that is not set. `…_unavailable` says that it is not known; for the address that means
/// a message that was submitted locally. Setting an attribute twice keeps the second value.
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
            /// If it is empty, is longer than 255 bytes, contains other bytes than printable ASCII without
            /// spaces, or is `[UNAVAILABLE]` or `[TEMPUNAVAIL]`.
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
                    Err(AttributeError::new(key, AttributeErrorKind::TooLong))
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
    /// Like [`name`](Self::name), but spaces and non-ASCII characters are allowed; or if it does not fit in
    /// one line with HELO.
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

    /// Sends only the attributes that the server advertises, which may be none; without this, a missing
    /// attribute is an error.
    ///
    /// A server that receives no attribute applies the permissions of this client itself.
    pub fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// Whether LOGIN is set.
    pub(crate) fn logs_in(&self) -> bool {
        self.attributes.0.iter().any(|each| each.key == Key::Login)
    }

    /// The attributes to send to a server that advertises these; or the first that is missing.
    pub(crate) fn advertised<'a>(
        &self,
        advertised: Option<impl Iterator<Item = &'a [u8]>>,
    ) -> Result<Attributes, &'static str> {
        let sent = self.attributes.advertised(advertised);
        match self.attributes.0.iter().find(|each| !sent.0.contains(each)) {
            Some(missing) if !self.is_optional => Err(missing.key.as_str()),
            _ => Ok(sent),
        }
    }
}

impl Xforward {
    /// PROTO: the protocol of the client, such as `ESMTP` or `HTTP`.
    ///
    /// # Errors
    /// Like [`name`](Self::name), but for at most 64 bytes.
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

/// Why a string is not valid as an attribute of XCLIENT or XFORWARD.
///
/// It never repeats the string, so it can be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributeError {
    key: Key,
    reason: AttributeErrorKind,
}

impl AttributeError {
    const fn new(key: Key, reason: AttributeErrorKind) -> Self {
        Self { key, reason }
    }

    /// The attribute, such as `HELO`.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        self.key.as_str()
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> AttributeErrorKind {
        self.reason
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = self.attribute();
        match self.reason {
            AttributeErrorKind::Empty => write!(f, "{attribute}: no value"),
            AttributeErrorKind::Character => {
                write!(f, "{attribute}: character that is not allowed")
            }
            AttributeErrorKind::TooLong => write!(f, "{attribute}: too long"),
            AttributeErrorKind::Reserved => {
                let name = attribute.to_ascii_lowercase();
                write!(
                    f,
                    "{attribute}: `{UNAVAILABLE}` is reserved; use `{name}_unavailable()`"
                )
            }
        }
    }
}

debug_as_display!(AttributeError);

impl core::error::Error for AttributeError {}

/// What can be wrong with an attribute of XCLIENT or XFORWARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeErrorKind {
    /// An empty string.
    Empty,
    /// A character that is not allowed in the attribute.
    Character,
    /// More bytes than allowed, or, encoded, than fit in a line with its neighbors.
    TooLong,
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]`, for which there are methods.
    Reserved,
}

/// The attributes, in the order in which they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attributes(Vec<Attribute>);

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attribute {
    key: Key,
    /// Encoded as xtext (RFC 3461, section 4).
    value: Cow<'static, str>,
}

/// In the order of sending: PROTO, HELO and LOGIN are lost with the next XCLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Name,
    Addr,
    Port,
    DestAddr,
    DestPort,
    Ident,
    Source,
    Proto,
    Helo,
    Login,
}

impl Attributes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that the server advertises.
    pub(crate) fn advertised<'a>(
        &self,
        advertised: Option<impl Iterator<Item = &'a [u8]>>,
    ) -> Self {
        let advertised: Vec<_> = advertised.into_iter().flatten().collect();
        let heard = |each: &&Attribute| {
            let keyword = each.key.as_str().as_bytes();
            advertised
                .iter()
                .any(|word| word.eq_ignore_ascii_case(keyword))
        };
        Self(self.0.iter().filter(heard).cloned().collect())
    }

    /// Whether another line follows the next.
    pub(crate) fn has_more(&self) -> bool {
        self.line().len() < self.0.len()
    }

    /// Those of the next line.
    ///
    /// The lines are filled from the last one, so that the last line contains the last attributes.
    pub(crate) fn line(&self) -> &[Attribute] {
        let (mut count, mut room) = (0_usize, ROOM);
        for attribute in self.0.iter().rev() {
            let len = attribute.encoded_len();
            if len > room {
                (count, room) = (0, ROOM);
            }
            count = count.saturating_add(1);
            room = room.saturating_sub(len);
        }
        self.0.get(..count).unwrap_or_default()
    }

    /// Removes those of the next line.
    pub(crate) fn advance(&mut self) {
        let count = self.line().len();
        self.0.drain(..count);
    }

    fn set(&mut self, key: Key, value: Cow<'static, str>) {
        let attribute = Attribute { key, value };
        match self.0.binary_search_by_key(&key, |each| each.key) {
            Ok(index) => {
                self.0.splice(index..=index, [attribute]);
            }
            Err(index) => self.0.insert(index, attribute),
        }
    }

    /// Whether each fits in a line, and PROTO, HELO and LOGIN in one line.
    fn fit(&self) -> bool {
        let len = |key| {
            let found = self.0.iter().find(|each| each.key == key);
            found.map_or(0, Attribute::encoded_len)
        };
        // Bytes for PROTO are reserved, so that it can be set later.
        let last = len(Key::Proto)
            .max(PROTO_LEN)
            .saturating_add(len(Key::Helo));
        last.saturating_add(len(Key::Login)) <= ROOM
            && self.0.iter().all(|each| each.encoded_len() <= ROOM)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |each: &Attribute| write!(f, " {}={}", each.key.as_str(), each.value);
        self.0.iter().try_for_each(one)
    }
}

impl Attribute {
    /// Appends ` KEY=value`, with the space.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [" ", self.key.as_str(), "=", &self.value] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn encoded_len(&self) -> usize {
        self.key
            .as_str()
            .len()
            .saturating_add(self.value.len())
            .saturating_add(2)
    }
}

impl Key {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Addr => "ADDR",
            Self::Port => "PORT",
            Self::DestAddr => "DESTADDR",
            Self::DestPort => "DESTPORT",
            Self::Ident => "IDENT",
            Self::Source => "SOURCE",
            Self::Proto => "PROTO",
            Self::Helo => "HELO",
            Self::Login => "LOGIN",
        }
    }
}

fn encode(key: Key, text: &str) -> Result<Cow<'static, str>, AttributeError> {
    let fault = |reason| Err(AttributeError::new(key, reason));
    let max = if key == Key::Proto { 64 } else { 255 };
    let allowed = |c: char| match key {
        Key::Login => !c.is_control(),
        _ => c.is_ascii_graphic(),
    };
    if text.is_empty() {
        return fault(AttributeErrorKind::Empty);
    }
    if text.len() > max {
        return fault(AttributeErrorKind::TooLong);
    }
    if !text.chars().all(allowed) {
        return fault(AttributeErrorKind::Character);
    }
    let says = |word: &str| text.eq_ignore_ascii_case(word);
    if says(UNAVAILABLE) || says(UNAVAILABLE_FOR_NOW) {
        return fault(AttributeErrorKind::Reserved);
    }
    match Value::xtext(text.as_bytes()) {
        Ok(value) => Ok(Cow::Owned(value.as_str().into())),
        Err(_) => fault(AttributeErrorKind::TooLong),
    }
}

fn address(addr: IpAddr) -> Cow<'static, str> {
    Cow::Owned(match addr.to_canonical() {
        IpAddr::V4(addr) => format!("{addr}"),
        IpAddr::V6(addr) => format!("IPV6:{addr}"),
    })
}

fn number(port: u16) -> Cow<'static, str> {
    Cow::Owned(format!("{port}"))
}

pub(crate) const XCLIENT: &str = "XCLIENT";
pub(crate) const XFORWARD: &str = "XFORWARD";

const UNAVAILABLE: &str = "[UNAVAILABLE]";
const UNAVAILABLE_FOR_NOW: &str = "[TEMPUNAVAIL]";

/// Bytes of a line after the longer of the two verbs, without the CRLF.
const ROOM: usize = 510 - XFORWARD.len();

/// Bytes of ` PROTO=ESMTP`.
const PROTO_LEN: usize = 12;

#[cfg(test)]
mod tests;
